"""Unique ids: whether any two rows share theirs, told from digests on the disk; memory stays small."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from skfleet_common.model.row_words import Words, row_words, word_of

#: Digests that begin alike go into one file; so many files there are.
_FILES = 64
#: A row's digest is two words of 64 bits, by two keys of SipHash: that two of a billion rows have the same by
#: chance happens once in 10**20 times.
_KEYS = ("skfleet ids, one", "skfleet ids, two")


class UniqueIds:
    """The ids of rows that pass by, as texts."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._paths = [folder / f"ids-{number}" for number in range(_FILES)]

    def take(self, ids: pa.RecordBatch) -> None:
        """Add rows, of whose ids no one is missing."""
        digests = np.stack([_words(ids, key) for key in _KEYS], axis=1)
        files = (digests[:, 0] >> np.uint64(58)).astype(np.int64)
        order = np.argsort(files, kind="stable")
        edges = np.searchsorted(files[order], np.arange(_FILES + 1))
        for number in range(_FILES):
            here = order[edges[number] : edges[number + 1]]
            if len(here):
                with self._paths[number].open("ab") as file:
                    digests[here].tofile(file)

    def repeated(self) -> int:
        """Give how many rows have ids that an earlier one has."""
        return sum(_repeated(path) for path in self._paths if path.exists())


def _repeated(path: Path) -> int:
    digests = np.fromfile(path, dtype=np.uint64).reshape(-1, 2)
    order = np.lexsort((digests[:, 1], digests[:, 0]))
    found = digests[order]
    return int((found[1:] == found[:-1]).all(axis=1).sum())


def _words(ids: pa.RecordBatch, key: str) -> Words:
    columns = []
    for name in ids.schema.names:
        array = ids.column(name)
        texts = array.fill_null("").to_numpy(zero_copy_only=False)
        words: Words = pd.util.hash_array(texts, hash_key=key, categorize=False)
        if array.null_count:
            words = np.where(array.is_null().to_numpy(zero_copy_only=False), word_of(""), words)
        columns.append((name, words))
    return row_words(columns, rows=ids.num_rows)

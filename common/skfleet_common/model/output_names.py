"""Output names: from class labels of any kind to valid, unique column names."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

PREDICTION = "prediction"
PROBABILITY_PREFIX = "proba_"
DECISION = "decision"

#: PostgreSQL cuts longer identifiers off silently (NAMEDATALEN - 1); Redshift allows 127.
MAX_NAME_BYTES = 63

_OTHERS = re.compile(r"[^a-z0-9_]+")


def probability_columns(classes: Sequence[bool | int | str]) -> list[str]:
    """Give one column name a class, in the order of ``classes``; see :func:`column_names`."""
    return column_names(PROBABILITY_PREFIX, classes)


def column_names(
    prefix: str, labels: Sequence[bool | int | str], *, kind: str = "class", taken: Iterable[str] = ()
) -> list[str]:
    """Give one column name a label: ``prefix`` and the label as a word.

    Names hold only ``a-z 0-9 _``, so that no SQL client needs to quote them. Labels that would share a
    name are numbered in their order: ``proba_c``, ``proba_c_2``. One that has no such letter is numbered
    by its place: ``proba_class_3``.
    """
    names: list[str] = []
    used = set(taken)
    for position, label in enumerate(labels):
        name = _first_free(prefix, _word(label) or f"{kind}_{position + 1}", used)
        used.add(name)
        names.append(name)
    return names


def _word(label: bool | int | str) -> str:
    """Give the label as a word of ``a-z 0-9 _``; empty if none of it can be written so."""
    text = str(label)
    # A sign is all that tells -1 from 1.
    text = re.sub(r"^\s*[-−](?=\d)", "minus_", text)  # noqa: RUF001  (the minus sign proper)
    folded = unicodedata.normalize("NFKD", text.lower()).encode("ascii", "ignore").decode().lower()
    return _OTHERS.sub("_", folded).strip("_")


def _first_free(prefix: str, word: str, taken: set[str]) -> str:
    number = 1
    while True:
        suffix = "" if number == 1 else f"_{number}"
        room = MAX_NAME_BYTES - len(prefix) - len(suffix)
        name = prefix + word[:room] + suffix
        if name not in taken:
            return name
        number += 1

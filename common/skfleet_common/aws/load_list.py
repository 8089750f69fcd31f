"""Load lists: the objects that a warehouse's COPY is to load, all of them and no others."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from skfleet_common.aws.store import ObjectStore
from skfleet_common.contracts.errors import SkfleetError


@dataclass(frozen=True)
class ListedObject:
    """A Parquet file in the fleet's bucket."""

    key: str
    size_bytes: int


@contextmanager
def load_list(store: ObjectStore, key: str, objects: Sequence[ListedObject]) -> Iterator[str | None]:
    """Write a COPY manifest at ``key`` and give its URL; it is gone after the block. None: nothing to list.

    Columnar files need their length in it, and COPY refuses to go on without one that is mandatory (Amazon
    Redshift guide: "Using a manifest to specify data files", "COPY examples"). A manifest that lists nothing
    is an error there.
    """
    if not objects:
        yield None
        return
    entries = [
        {"url": store.url(found.key), "mandatory": True, "meta": {"content_length": found.size_bytes}}
        for found in objects
    ]
    store.put(key, json.dumps({"entries": entries}).encode())
    try:
        yield store.url(key)
    finally:
        # Clean-up finds what stays behind.
        with suppress(SkfleetError):
            store.delete([key])

"""Unloaded files: what UNLOAD's manifest lists, held against the files themselves."""

from __future__ import annotations

import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from skfleet.files.found import THREADS
from skfleet.files.row_groups import GroupedFile
from skfleet_common.aws.user_files import ObjectUrl
from skfleet_common.aws.user_objects import UserObject, UserObjects
from skfleet_common.contracts.errors import Refused
from skfleet_common.files.parquet_file import open_parquet


@dataclass(frozen=True)
class _Entry:
    url: ObjectUrl
    size_bytes: int
    rows: int


def unloaded_files(
    objects: UserObjects, prefix: ObjectUrl, *, rows: int, columns: Iterable[str]
) -> tuple[GroupedFile, ...]:
    """Give the files of an UNLOAD that wrote so many rows; only their ends are read.

    Args:
        objects: What the fleet may read.
        prefix: Below which the files lie, with their manifest.
        rows: How many rows Redshift says that there are.
        columns: What every file has, at least.

    Raises:
        Refused: manifest, files and statement do not agree on what there is.
    """
    if rows == 0 and not objects.everything(prefix):
        # Then there may be no manifest, either.
        return ()
    manifest = ObjectUrl(prefix.bucket, f"{prefix.key}manifest")
    entries = _entries(objects, manifest, prefix)
    needed = frozenset(columns)

    def look(entry: _Entry) -> tuple[GroupedFile, pa.Schema]:
        found = _look(objects, entry.url)
        try:
            with open_parquet(objects, found) as parquet:
                metadata, schema = parquet.metadata, parquet.schema_arrow
        except Refused as exc:
            raise _disagree(f"{entry.url} is no Parquet file, or not all of one") from exc
        file = GroupedFile(
            found, tuple(metadata.row_group(group).num_rows for group in range(metadata.num_row_groups))
        )
        if (file.rows, found.size_bytes) != (entry.rows, entry.size_bytes):
            raise _disagree(
                f"{entry.url} has {file.rows:,} rows and {found.size_bytes:,} bytes, and the manifest says "
                f"{entry.rows:,} and {entry.size_bytes:,}"
            )
        if not needed <= set(schema.names):
            raise _disagree(f"{entry.url} lacks columns that were written")
        return file, schema.remove_metadata()

    with ThreadPoolExecutor(THREADS) as pool:
        looked = tuple(pool.map(look, entries))
    odd = next((file for file, schema in looked if schema != looked[0][1]), None)
    if odd is not None:
        raise _disagree(f"{odd.found} has other columns than {looked[0][0].found}")
    total = sum(file.rows for file, _ in looked)
    if total != rows:
        raise _disagree(f"Redshift says that it wrote {rows:,} rows, and {manifest} lists {total:,}")
    if rows == 0 and len(objects.everything(prefix)) > len(entries) + 1:
        raise _disagree(f"Redshift says that it wrote no rows, and there are files that {manifest} omits")
    return tuple(file for file, _ in looked if file.rows)


def _entries(objects: UserObjects, manifest: ObjectUrl, prefix: ObjectUrl) -> list[_Entry]:
    found = _look(objects, manifest)
    try:
        listed: list[dict[str, Any]] = json.loads(objects.bytes_of(found, 0, found.size_bytes))["entries"]
        entries = [
            _Entry(
                ObjectUrl.parse(str(entry["url"])),
                int(entry["meta"]["content_length"]),
                int(entry["meta"]["record_count"]),
            )
            for entry in listed
        ]
    except (ValueError, KeyError, TypeError) as exc:
        raise _disagree(f"{manifest} is no manifest of MANIFEST VERBOSE") from exc
    stray = [
        it.url for it in entries if it.url.bucket != prefix.bucket or not it.url.key.startswith(prefix.key)
    ]
    if stray:
        raise _disagree(f"{manifest} lists {stray[0]}, which lies elsewhere")
    if len({it.url for it in entries}) < len(entries):
        raise _disagree(f"{manifest} lists a file twice")
    return entries


def _look(objects: UserObjects, url: ObjectUrl) -> UserObject:
    try:
        return objects.look(url)
    except Refused as exc:
        raise _disagree(f"{url} is not there") from exc


def _disagree(what: str) -> Refused:
    return Refused(f"What was unloaded cannot be trusted: {what}; submit the job again.")

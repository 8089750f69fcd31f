"""Unloaded files: what UNLOAD's manifest lists, held against the files themselves."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from skfleet.files.found import THREADS
from skfleet.files.row_groups import GroupedFile
from skfleet_common.aws.user_files import ObjectUrl
from skfleet_common.aws.user_objects import UserObjects
from skfleet_common.contracts.errors import Refused
from skfleet_common.files.parquet_file import open_parquet


@dataclass(frozen=True)
class _Entry:
    url: ObjectUrl
    size_bytes: int
    rows: int


def unloaded_files(objects: UserObjects, prefix: ObjectUrl, *, rows: int) -> tuple[GroupedFile, ...]:
    """Give the files of an UNLOAD that wrote so many rows; only their ends are read.

    Raises:
        Refused: manifest, files and statement do not agree on what there is.
    """
    if rows == 0:
        # Then there may be no manifest, either.
        return ()
    manifest = ObjectUrl(prefix.bucket, f"{prefix.key}manifest")
    entries = _entries(objects, manifest, prefix)

    def look(entry: _Entry) -> GroupedFile:
        found = objects.look(entry.url)
        with open_parquet(objects, found) as parquet:
            metadata = parquet.metadata
            file = GroupedFile(
                found, tuple(metadata.row_group(group).num_rows for group in range(metadata.num_row_groups))
            )
        if (file.rows, found.size_bytes) != (entry.rows, entry.size_bytes):
            raise _disagree(
                f"{entry.url} has {file.rows:,} rows and {found.size_bytes:,} bytes, and the manifest says "
                f"{entry.rows:,} and {entry.size_bytes:,}"
            )
        return file

    with ThreadPoolExecutor(THREADS) as pool:
        files = tuple(pool.map(look, entries))
    total = sum(file.rows for file in files)
    if total != rows:
        raise _disagree(f"Redshift says that it wrote {rows:,} rows, and {manifest} lists {total:,}")
    return files


def _entries(objects: UserObjects, manifest: ObjectUrl, prefix: ObjectUrl) -> list[_Entry]:
    found = objects.look(manifest)
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
    return entries


def _disagree(what: str) -> Refused:
    return Refused(f"What was unloaded cannot be trusted: {what}; submit the job again.")

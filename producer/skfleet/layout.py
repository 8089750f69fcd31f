"""What the layout of a source means for reading it range by range, for people."""

from __future__ import annotations

from skfleet_common.contracts.chunks import TableName
from skfleet_common.tables.port import Layout

#: Redshift's ANALYZE leaves tables alone of which less has changed ("analyze_threshold_percent").
MOST_STALE = 10.0

#: A fifth of a table unsorted is read by every range of a fifth.
MOST_UNSORTED = 20.0


def check_layout(layout: Layout | None, *, table: TableName, split: str, chunks: int) -> list[str]:
    """Say what makes reading ``chunks`` ranges of ``split`` dear, and what to do about it."""
    if layout is None:
        return []
    notes = []
    if chunks > 1 and layout.sort_key[:1] != (split,):
        notes.append(_not_sorted(layout, table=table, split=split, chunks=chunks))
    elif chunks > 1 and (layout.unsorted or 0.0) > MOST_UNSORTED:
        notes.append(
            f"{layout.unsorted:.0f} % of {table} is not sorted, and read again by every chunk; run VACUUM "
            f"SORT ONLY {table}."
        )
    if (layout.stats_off or 0.0) > MOST_STALE:
        notes.append(
            f"The statistics of {table} are {layout.stats_off:.0f} % off, which may make its plans slow; run "
            f"ANALYZE {table}."
        )
    return notes


def _not_sorted(layout: Layout, *, table: TableName, split: str, chunks: int) -> str:
    if not layout.sort_key:
        return (
            f"{table} has no sort key, so that each of the {chunks} chunks scans all of it; give it the sort "
            f"key {split}, or take larger chunks with --chunk-rows."
        )
    return (
        f"{table} is sorted by {layout.sort_key[0]}, not by {split}, so that each of the {chunks} chunks "
        f"scans all of it; cut it with --split-column {layout.sort_key[0]}, or take larger chunks with "
        "--chunk-rows."
    )

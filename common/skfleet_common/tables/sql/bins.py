"""Bins of split keys: a search among boundaries as SQL, and neighbours joined.

The database alone orders keys: no client knows its collations.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from psycopg2 import sql

from skfleet_common.contracts.columns import Column, LogicalDtype
from skfleet_common.contracts.errors import Refused
from skfleet_common.tables.port import KeyBin, KeyHistogram, NullBin, Selection
from skfleet_common.tables.sql.selection import key_literal

#: 400 sampled keys put a chunk's size within about 5 % (one over their square root).
SAMPLED_A_CHUNK = 400

#: Merging eighths keeps the rounding of a chunk's edges below a sixteenth of it.
BINS_A_CHUNK = 8

#: Hashes of rows lie from 0 up to this.
HASHES = 2**32

#: More heavy keys than this are not cut; each is an arm of the counting CASE.
MOST_HEAVY = 2_000

#: Types without a logical dtype that have an order all the same.
_ORDERED = frozenset({"uuid"})


def refuse_unordered(source: Selection, column: Column) -> None:
    """Refuse a split column whose keys have no order that ranges could use."""
    is_ordered = column.dtype not in {LogicalDtype.BOOLEAN, LogicalDtype.OTHER}
    if not (is_ordered or column.warehouse_type in _ORDERED):
        raise Refused(
            f"{column.name} of {source.table.name} is {column.warehouse_type}, which has no ranges; "
            "give a number, text, uuid, date or timestamp with --split-column."
        )


def search(key: sql.Composable, warehouse_type: str, boundaries: Sequence[str]) -> sql.Composable:
    """Give a balanced binary search for the number of boundaries at or below the key."""
    if not boundaries:
        return sql.SQL("0")
    return _search(key, warehouse_type, boundaries, 0, len(boundaries))


def _search(
    key: sql.Composable, warehouse_type: str, boundaries: Sequence[str], low: int, high: int
) -> sql.Composable:
    if low == high:
        return sql.SQL(str(low))
    middle = (low + high) // 2
    return sql.SQL("CASE WHEN {} < {} THEN {} ELSE {} END").format(
        key,
        key_literal(boundaries[middle], warehouse_type),
        _search(key, warehouse_type, boundaries, low, middle),
        _search(key, warehouse_type, boundaries, middle + 1, high),
    )


@dataclass(frozen=True)
class HeavyKey:
    """A key, or NULL, whose rows are cut into parts of about equal size by their hashes."""

    key: str | None
    parts: int

    def first_hash(self, part: int) -> int:
        """Give the least hash of a part, counted from 0."""
        return -(-part * HASHES // self.parts)


def part_number(
    key: sql.Composable, warehouse_type: str, hashed: sql.Composable, heavy: Sequence[HeavyKey]
) -> sql.Composable:
    """Give the number of a heavy key's part, counted from 1; 0 of every other key."""
    if not heavy:
        return sql.SQL("0")
    arms = [
        sql.SQL("WHEN {} THEN 1 + {} * {} / {}").format(
            sql.SQL("{} IS NULL").format(key)
            if one.key is None
            else sql.SQL("{} = {}").format(key, key_literal(one.key, warehouse_type)),
            hashed,
            sql.Literal(one.parts),
            sql.Literal(HASHES),
        )
        for one in heavy
    ]
    return sql.SQL("CASE {} ELSE 0 END").format(sql.SQL(" ").join(arms))


def heavy_keys(counted: Iterable[tuple[str | None, int]], *, step: int) -> list[HeavyKey]:
    """Give the keys that fill at least two steps of rows, each with as many parts as it fills."""
    heavy = sorted((one for one in counted if one[1] >= 2 * step), key=lambda one: -one[1])
    return [HeavyKey(key, -(-rows // step)) for key, rows in heavy[:MOST_HEAVY]]


def heavy_in(whole: KeyHistogram, *, limit: int) -> list[HeavyKey]:
    """Give the keys of a histogram that fill at least two bins' rows alone."""
    counted: list[tuple[str | None, int]] = [
        (part.first, part.rows) for part in whole.bins if part.first == part.last
    ]
    return heavy_keys([*counted, (None, whole.null_rows)], step=limit)


@dataclass(frozen=True)
class CountedBin:
    """Rows between two boundaries, or of one part of a heavy key among them; NULL keys have no boundary."""

    number: int | None
    part: int
    first: str
    last: str
    rows: int


def histogram(
    counted: Iterable[CountedBin], heavy: Sequence[HeavyKey] = (), hash_columns: Sequence[str] = ()
) -> KeyHistogram:
    """Give the bins in order: a heavy key begins its bin, and the other keys of it follow."""
    by_key = {one.key: one for one in heavy}
    bins: list[KeyBin] = []
    nulls: list[NullBin] = []
    for one in sorted(counted, key=lambda one: (one.number or 0, one.part == 0, one.part)):
        key = None if one.number is None else one.first
        first_hash = by_key[key].first_hash(one.part - 1) if one.part else 0
        if one.number is None:
            nulls.append(NullBin(first_hash, one.rows))
        else:
            bins.append(KeyBin(one.first, one.last, one.rows, first_hash))
    null_rows = sum(part.rows for part in nulls)
    return KeyHistogram(tuple(bins), null_rows, tuple(nulls), tuple(hash_columns) if heavy else ())


def joined(counted: Iterable[tuple[str | None, int]], *, limit: int) -> KeyHistogram:
    """Join neighbours among keys that come in order, each with its rows, up to ``limit`` rows."""
    bins: list[KeyBin] = []
    null_rows = 0
    for key, rows in counted:
        if key is None:
            null_rows = rows
        elif bins and bins[-1].rows + rows <= limit:
            bins[-1] = KeyBin(bins[-1].first, key, bins[-1].rows + rows)
        else:
            bins.append(KeyBin(key, key, rows))
    return KeyHistogram(tuple(bins), null_rows)


def cut_apart(
    whole: KeyHistogram,
    heavy: Sequence[HeavyKey],
    parts: Iterable[tuple[str | None, int, int]],
    hash_columns: Sequence[str],
) -> KeyHistogram:
    """Put in place of heavy keys the parts of them that were counted: key, part from 1 on, rows."""
    by_key = {one.key: one for one in heavy}
    found: dict[str | None, list[tuple[int, int]]] = {}
    for key, part, rows in sorted(parts, key=lambda counted: counted[1]):
        found.setdefault(key, []).append((by_key[key].first_hash(part - 1), rows))
    bins: list[KeyBin] = []
    for one in whole.bins:
        cut = found.get(one.first) if one.first == one.last else None
        bins += [KeyBin(one.first, one.last, rows, first) for first, rows in cut] if cut else [one]
    nulls = tuple(NullBin(first, rows) for first, rows in found.get(None, ()))
    return KeyHistogram(tuple(bins), whole.null_rows, nulls, tuple(hash_columns))

"""Row groups by their statistics: which of a Parquet file's hold no row that a condition lets through."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pyarrow.types as pt

from skfleet_common.files.compared import comparable
from skfleet_common.files.predicates import Bounds, Predicate


def groups_without_rows(parquet: pq.ParquetFile, predicate: Predicate) -> frozenset[int]:
    """Give the row groups that the file itself says need not be read."""
    metadata, schema = parquet.metadata, parquet.schema_arrow
    paths = [metadata.schema.column(position).path for position in range(metadata.num_columns)]
    # A field of a structure may be called as a column is: then it is not known whose statistics these are.
    positions = {name: paths.index(name) for name in predicate.columns if paths.count(name) == 1}
    found = set()
    for group in range(metadata.num_row_groups):
        row_group = metadata.row_group(group)
        bounds = {
            name: _bounds(row_group.column(position), schema.field(name).type, rows=row_group.num_rows)
            for name, position in positions.items()
        }
        if not predicate.possible(bounds).true:
            found.add(group)
    return frozenset(found)


def _bounds(chunk: pq.ColumnChunkMetaData, kind: pa.DataType, *, rows: int) -> Bounds:
    statistics = chunk.statistics
    if statistics is None:
        return Bounds()
    while pt.is_dictionary(kind) or pt.is_run_end_encoded(kind):
        kind = kind.value_type
    # NaN counts as NULL, and is not in the statistics.
    may_be_null = not statistics.has_null_count or statistics.null_count > 0 or pt.is_floating(kind)
    may_be_value = not statistics.has_null_count or statistics.null_count < rows
    return Bounds(_ends(statistics, kind), may_be_null, may_be_value)


def _ends(statistics: pq.Statistics, kind: pa.DataType) -> pa.Array | None:
    if not statistics.has_min_max:
        return None
    try:
        # Some writers cut texts within a character, and Arrow gives bytes of types that it does not know.
        ends = pa.array([statistics.min, statistics.max], type=kind)
        if pt.is_timestamp(kind) and kind.unit == "ns":
            # They come as microseconds, and are cut downwards.
            raw = ends.cast(pa.int64())
            ends = pc.add(raw, pa.array([0, 1_000])).cast(kind)
        ends = comparable(ends, column="", label="")
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return None
    return None if ends.null_count else ends

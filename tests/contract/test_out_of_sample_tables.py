"""Out-of-sample rows in a table: ids keep their types and values, whatever the warehouse."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal

import pyarrow as pa
from tests.contract.warehouse_place import BOTH, Place

from skfleet.out_of_sample import OutOfSampleAsked, write_out_of_sample
from skfleet_common.contracts.columns import Column, LogicalDtype
from skfleet_common.contracts.jobs import OutputColumn
from skfleet_common.model.oos_table import ROW

OUTPUTS = (
    OutputColumn(name="prediction", warehouse_type="text", source="prediction", nullable=False),
    OutputColumn(name="proba", warehouse_type="double precision", source="probability", nullable=False),
)

MOMENTS = [datetime.fromisoformat(text) for text in ("2024-01-01 00:00:00", "1800-01-01 01:00:00.5")]

#: An id of each type: what the source calls it, what it is read as, and what stands in the table.
IDS: dict[LogicalDtype, tuple[str, pa.Array, list[object]]] = {
    LogicalDtype.INTEGER: ("bigint", pa.array([1, -(2**63)]), [1, -(2**63)]),
    LogicalDtype.FLOAT32: ("real", pa.array([0.1, 3e38], pa.float32()), [0.1, 3e38]),
    LogicalDtype.FLOAT64: ("double precision", pa.array([0.1, 5e-324]), [0.1, 5e-324]),
    LogicalDtype.DECIMAL: ("numeric(10,2)", pa.array([0.1, -7.0]), [Decimal("0.10"), Decimal("-7.00")]),
    LogicalDtype.BOOLEAN: ("boolean", pa.array([True, False]), [True, False]),
    LogicalDtype.TEXT: ("text", pa.array(["", " a"]), ["", " a"]),
    LogicalDtype.DATE: ("date", pa.array([date(2024, 2, 29), date(1, 1, 1)]),
                        [date(2024, 2, 29), date(1, 1, 1)]),
    LogicalDtype.TIME: ("time", pa.array([time(1), time(2, 3, 4, 5)], pa.time64("us")),
                        [time(1), time(2, 3, 4, 5)]),
    LogicalDtype.TIMESTAMP: ("timestamp", pa.array(MOMENTS, pa.timestamp("us")), [*MOMENTS]),
    LogicalDtype.TIMESTAMPTZ: ("timestamptz", pa.array([datetime(2024, 1, 1, tzinfo=UTC)] * 2,
                                                       pa.timestamp("us", "UTC")),
                               [datetime(2024, 1, 1, tzinfo=UTC)] * 2),
    LogicalDtype.OTHER: ("uuid", pa.array(["a-b", "c-d"]), ["a-b", "c-d"]),
}  # fmt: skip


def write(place: Place, rows: pa.Table, source: list[Column]) -> None:
    write_out_of_sample(
        OutOfSampleAsked(f"{place.schema}.unseen"), rows, source=source, outputs=OUTPUTS, model="late@0123",
        open_warehouse=lambda: place.warehouse, as_parts=place.publisher.parts,
    )  # fmt: skip


@BOTH
def test_ids_of_every_type_stand_in_the_table_as_they_were_read(place: Place) -> None:
    assert set(IDS) == set(LogicalDtype)
    source = [Column(name=str(dtype), warehouse_type=kind, dtype=dtype) for dtype, (kind, *_) in IDS.items()]
    read = {str(dtype): array for dtype, (_, array, _) in IDS.items()}
    told = {"prediction": pa.array(["a", "b"]), "proba": pa.array([0.25, 1 / 3])}
    write(place, pa.table(read | told), source)
    names = ", ".join(f'"{name}"' for name in read)
    rows = place.sql(f"SELECT {names}, prediction, proba FROM unseen ORDER BY proba")
    expected = [values for _, _, values in IDS.values()]
    assert [list(column) for column in zip(*rows, strict=True)] == [*expected, ["a", "b"], [0.25, 1 / 3]]


@BOTH
def test_rows_without_ids_are_numbered(place: Place) -> None:
    rows = {ROW: pa.array([7, 0]), "prediction": pa.array(["a", "b"]), "proba": pa.array([0.25, 0.5])}
    write(place, pa.table(rows), [])
    assert place.sql(f'SELECT "{ROW}", prediction FROM unseen ORDER BY 1') == [(0, "b"), (7, "a")]

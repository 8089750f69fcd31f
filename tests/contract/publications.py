"""Publications that the tests of publishing ask for, and the rows that they load."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
from tests.contract.warehouse_place import Place

from skfleet_common.contracts.chunks import TableName
from skfleet_common.contracts.errors import SkfleetError
from skfleet_common.contracts.jobs import IfExists, OutputColumn
from skfleet_common.tables.port import Publication, Published

COLUMNS = (
    OutputColumn(name="id", warehouse_type="bigint", source="id", nullable=False),
    OutputColumn(name="prediction", warehouse_type="text", source="prediction"),
    OutputColumn(name="proba", warehouse_type="double precision", source="probability"),
)

LEDGER = "skfleet_publications"

#: A publication without its table, which replaces one by ten rows.
REPLACEMENT: dict[str, Any] = {
    "job": "job-1",
    "run": 1,
    "columns": COLUMNS,
    "if_exists": IfExists.REPLACE,
    "rows": 10,
    "id_columns": ("id",),
}


def publication(
    place: Place, *, rows: int, if_exists: IfExists = IfExists.FAIL, job: str = "job-1", run: int = 1,
    columns: tuple[OutputColumn, ...] = COLUMNS, name: str = "scores", cascade_views: bool = False,
    id_columns: tuple[str, ...] = (),
) -> Publication:  # fmt: skip
    return Publication(
        job=job,
        run=run,
        table=TableName(schema_name=place.schema, name=name),
        columns=columns,
        if_exists=if_exists,
        rows=rows,
        id_columns=id_columns,
        cascade_views=cascade_views,
    )


def part(first: int, stop: int, prediction: str = "late") -> pa.RecordBatch:
    """Rows as a worker writes them: ids are text, outputs are typed."""
    return pa.RecordBatch.from_pydict(
        {
            "id": pa.array([str(number) for number in range(first, stop)]),
            "prediction": pa.array([prediction] * (stop - first)),
            "proba": pa.array([1 / (number + 3) for number in range(first, stop)], pa.float64()),
        }
    )


def counts(place: Place) -> list[tuple[object, ...]]:
    return place.sql("SELECT prediction, count(*), count(DISTINCT id) FROM scores GROUP BY 1 ORDER BY 1")


def old_table(place: Place) -> None:
    place.sql(
        "CREATE TABLE scores (id bigint, prediction text, proba float8); "
        "INSERT INTO scores VALUES (-1, 'old', 0)"
    )


def interfering(place: Place, statement: str) -> Iterator[pa.RecordBatch]:
    """Do something in the target's schema after the publisher has looked, and before it swaps."""
    yield part(0, 5)
    place.sql(statement)
    yield part(5, 10)


class Publishing:
    """A publisher at work beside the test, until the end of the ``with`` block."""

    def __init__(
        self, place: Place, asked: Publication, parts: Iterable[pa.RecordBatch] | None = None
    ) -> None:
        self._place = place
        self._asked = asked
        self._parts = [part(0, asked.rows)] if parts is None else parts
        self._thread = threading.Thread(target=self._publish)
        self.is_alive = threading.Event()
        self.outcome: Published | SkfleetError | None = None

    def _publish(self) -> None:
        try:
            self.outcome = self._place.publisher.publish(self._asked, self._parts, alive=self.is_alive.set)
        except SkfleetError as exc:
            self.outcome = exc

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.join()


def waiting(place: Place, event: str = "%") -> list[int]:
    """Give the server processes of publishers that wait for a lock (``advisory``, ``relation`` …)."""
    found = place.sql(
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'skfleet' AND wait_event_type = 'Lock' "
        f"AND wait_event LIKE '{event}'",
        as_superuser=True,
    )
    return [pid for (pid,) in found]

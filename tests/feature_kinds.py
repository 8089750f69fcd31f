"""Kinds of columns: every type that can be a feature, how a reader gives it, and how clients' frames may."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa

from skfleet_common.contracts.columns import Column, LogicalDtype

Disguise = Callable[[list[Any]], pd.Series]


@dataclass(frozen=True)
class Kind:
    """A type of column. Values may be drawn at its edges, and some that training never saw."""

    dtype: LogicalDtype
    warehouse_type: str
    arrow: pa.DataType
    draw: Callable[[np.random.Generator], Any]
    #: Other Arrow types in which a reader may hand the same values over.
    also: tuple[pa.DataType, ...] = ()
    #: How pandas may hold the same values, None among them.
    disguises: tuple[Disguise, ...] = field(default=())
    is_category: bool = False

    def column(self, name: str) -> Column:
        return Column(name=name, warehouse_type=self.warehouse_type, dtype=self.dtype)

    def array(self, values: list[Any], kind: pa.DataType | None = None) -> pa.Array:
        """Give values as a reader gives them, or of another Arrow type."""
        if self.dtype is LogicalDtype.DECIMAL and kind is None:
            values = [None if value is None else float(value) for value in values]
        return pa.array(values, type=kind or self.arrow)


def pandas_of(dtype: Any) -> Disguise:
    return lambda values: pd.Series(values, dtype=dtype)


def arrow_backed(kind: pa.DataType) -> Disguise:
    return lambda values: pd.Series(pd.array(pa.array(values, type=kind), dtype=pd.ArrowDtype(kind)))


def categorical(values: list[Any]) -> pd.Series:
    return pd.Series(values, dtype=object).astype("category")


def doubles(values: list[Any]) -> pd.Series:
    return pd.Series([np.nan if value is None else float(value) for value in values], dtype="float64")


def in_zone(zone: str) -> Disguise:
    def disguise(values: list[Any]) -> pd.Series:
        there = ZoneInfo(zone)
        return pd.Series([value and value.astimezone(there) for value in values], dtype=object)

    return disguise


def _integer(bits: int, *, unsigned: bool = False) -> Callable[[np.random.Generator], int]:
    low, high = (0, 2**bits - 1) if unsigned else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    high = min(high, 2**63 - 1)
    edges = [low, high, 0, 1, high // 2]

    def draw(random: np.random.Generator) -> int:
        if random.random() < 0.3:
            return int(edges[random.integers(len(edges))])
        return int(random.integers(max(low, -1000), min(high, 1000), endpoint=True))

    return draw


def _double(edges: list[float]) -> Callable[[np.random.Generator], float]:
    def draw(random: np.random.Generator) -> float:
        return float(edges[random.integers(len(edges))]) if random.random() < 0.2 else float(random.normal())

    return draw


def _one_of(*values: Any) -> Callable[[np.random.Generator], Any]:
    return lambda random: values[random.integers(len(values))]


def _day(random: np.random.Generator) -> date:
    if random.random() < 0.1:
        return (date.min, date.max, date(1970, 1, 1), date(2024, 2, 29))[random.integers(4)]
    return date(1900, 1, 1) + timedelta(days=int(random.integers(0, 80_000)))


def _time(random: np.random.Generator) -> time:
    if random.random() < 0.1:
        return (time.min, time.max)[random.integers(2)]
    return (
        datetime(2000, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(random.integers(0, 86_400_000_000)))
    ).time()


def _moment(random: np.random.Generator) -> datetime:
    if random.random() < 0.1:
        edges = (datetime(2, 1, 1, tzinfo=UTC), datetime(9998, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC))
        return edges[random.integers(2)]
    return datetime(1950, 1, 1, tzinfo=UTC) + timedelta(
        microseconds=int(random.integers(0, 5_000_000_000_000_000))
    )


def _naive(random: np.random.Generator) -> datetime:
    return _moment(random).replace(tzinfo=None)


_WORDS = ["Köln", "", " ", "O'Fallon", "東京", 'a "b"', "x=y", "1", "true", "nan", "None", "Ulm", "ulm", "\n"]
_LARGE = float(np.finfo(np.float32).max)

KINDS = {
    "int8": Kind(
        LogicalDtype.INTEGER, "smallint", pa.int16(), _integer(8), (pa.int8(),), (pandas_of("Int8"), doubles)
    ),
    "int16": Kind(
        LogicalDtype.INTEGER,
        "smallint",
        pa.int16(),
        _integer(16),
        (pa.int64(),),
        (pandas_of("Int16"), doubles),
    ),
    "int32": Kind(
        LogicalDtype.INTEGER,
        "integer",
        pa.int32(),
        _integer(32),
        (pa.int64(),),
        (pandas_of("Int64"), doubles, pandas_of(object), arrow_backed(pa.int32())),
    ),
    "int64": Kind(
        LogicalDtype.INTEGER,
        "bigint",
        pa.int64(),
        _integer(64),
        (),
        (pandas_of("Int64"), pandas_of(object), arrow_backed(pa.int64())),
    ),
    "uint8": Kind(
        LogicalDtype.INTEGER,
        "tinyint",
        pa.uint8(),
        _integer(8, unsigned=True),
        (pa.int64(),),
        (pandas_of("UInt8"),),
    ),
    "uint64": Kind(
        LogicalDtype.INTEGER,
        "bigint",
        pa.uint64(),
        _integer(64, unsigned=True),
        (pa.int64(),),
        (pandas_of("UInt64"),),
    ),
    "float32": Kind(
        LogicalDtype.FLOAT32,
        "real",
        pa.float32(),
        lambda random: float(np.float32(_double([0.0, -0.0, 1e-45, _LARGE, -_LARGE])(random))),
        (pa.float64(),),
        (pandas_of("float32"), pandas_of("Float32"), doubles, pandas_of(object)),
    ),
    "float64": Kind(
        LogicalDtype.FLOAT64,
        "double precision",
        pa.float64(),
        _double([0.0, -0.0, 5e-324, _LARGE, -_LARGE, 1e-300]),
        (),
        (pandas_of("float64"), pandas_of("Float64"), pandas_of(object), arrow_backed(pa.float64())),
    ),
    "decimal": Kind(
        LogicalDtype.DECIMAL,
        "numeric(30,6)",
        pa.float64(),
        lambda random: (
            Decimal(int(random.integers(-(10**18), 10**18))).scaleb(-6)
            if random.random() < 0.9
            else Decimal("0.1")
        ),
        (pa.decimal128(38, 6), pa.decimal256(60, 10)),
        (pandas_of(object), arrow_backed(pa.decimal128(38, 6))),
    ),
    "boolean": Kind(
        LogicalDtype.BOOLEAN,
        "boolean",
        pa.bool_(),
        _one_of(True, False),
        (),
        (pandas_of("boolean"), pandas_of(object), arrow_backed(pa.bool_())),
    ),
    "text": Kind(
        LogicalDtype.TEXT,
        "text",
        pa.string(),
        _one_of(*_WORDS),
        (pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())),
        (pandas_of("str"), pandas_of(object), pandas_of("string"), categorical, arrow_backed(pa.string())),
        is_category=True,
    ),
    "level": Kind(
        LogicalDtype.INTEGER,
        "smallint",
        pa.int16(),
        _one_of(-3, 0, 1, 7, 300, 12),
        (pa.int64(), pa.int32()),
        (pandas_of("Int16"), doubles, categorical, pandas_of(object)),
        is_category=True,
    ),
    "date": Kind(
        LogicalDtype.DATE,
        "date",
        pa.date32(),
        _day,
        (pa.date64(),),
        (pandas_of(object), pandas_of("datetime64[s]"), arrow_backed(pa.date32())),
    ),
    "time": Kind(
        LogicalDtype.TIME,
        "time without time zone",
        pa.time64("us"),
        _time,
        (),
        (pandas_of(object), arrow_backed(pa.time64("us"))),
    ),
    "timestamp": Kind(
        LogicalDtype.TIMESTAMP,
        "timestamp without time zone",
        pa.timestamp("us"),
        _naive,
        (),
        (pandas_of("datetime64[us]"), pandas_of(object), arrow_backed(pa.timestamp("us"))),
    ),
    "timestamptz": Kind(
        LogicalDtype.TIMESTAMPTZ,
        "timestamp with time zone",
        pa.timestamp("us", "UTC"),
        _moment,
        (pa.timestamp("us", "America/New_York"),),
        (
            pandas_of("datetime64[us, UTC]"),
            in_zone("Asia/Kathmandu"),
            in_zone("America/Sao_Paulo"),
            pandas_of(object),
        ),
    ),
}

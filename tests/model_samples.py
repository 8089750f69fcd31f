"""Rows of a made-up shop: every logical type, with NULLs; and the same rows as SQL drivers give them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from threadpoolctl import threadpool_limits

from skfleet_common.contracts.columns import Column, LogicalDtype
from skfleet_common.model.bundle import MANIFEST_FILE, Bundle, digest_of, open_bundle, pack
from skfleet_common.model.choices import NOWHERE, FitChoices
from skfleet_common.model.fit import FittedBundle, fit_model

# So few rows are learned in no time, but two threads on a busy machine wait for each other at every barrier.
threadpool_limits(limits=1)

SHOP_COLUMNS = [
    Column(name="id", warehouse_type="bigint", dtype=LogicalDtype.INTEGER, nullable=False),
    Column(name="items", warehouse_type="integer", dtype=LogicalDtype.INTEGER),
    Column(name="shelf", warehouse_type="smallint", dtype=LogicalDtype.INTEGER),
    Column(name="weight", warehouse_type="real", dtype=LogicalDtype.FLOAT32),
    Column(name="score", warehouse_type="double precision", dtype=LogicalDtype.FLOAT64),
    Column(name="price", warehouse_type="numeric(10,2)", dtype=LogicalDtype.DECIMAL),
    Column(name="member", warehouse_type="boolean", dtype=LogicalDtype.BOOLEAN),
    Column(name='City Of "Birth"', warehouse_type="text", dtype=LogicalDtype.TEXT),
    Column(name="born", warehouse_type="date", dtype=LogicalDtype.DATE),
    Column(name="opens", warehouse_type="time without time zone", dtype=LogicalDtype.TIME),
    Column(name="seen", warehouse_type="timestamp without time zone", dtype=LogicalDtype.TIMESTAMP),
    Column(name="paid", warehouse_type="timestamp with time zone", dtype=LogicalDtype.TIMESTAMPTZ),
    Column(name="payload", warehouse_type="jsonb", dtype=LogicalDtype.OTHER),
    Column(name="returned", warehouse_type="boolean", dtype=LogicalDtype.BOOLEAN, nullable=False),
    Column(name="amount", warehouse_type="double precision", dtype=LogicalDtype.FLOAT64, nullable=False),
]
CITY = 'City Of "Birth"'
CITIES = ["Köln", "Aix-en-Provence", "O'Fallon", "東京", "", "Ulm"]

_TYPES = {
    "id": pa.int64(),
    "items": pa.int32(),
    "shelf": pa.int16(),
    "weight": pa.float32(),
    "score": pa.float64(),
    "price": pa.float64(),
    "member": pa.bool_(),
    CITY: pa.string(),
    "born": pa.date32(),
    "opens": pa.time64("us"),
    "seen": pa.timestamp("us"),
    "paid": pa.timestamp("us", tz="UTC"),
    "payload": pa.string(),
    "returned": pa.bool_(),
    "amount": pa.float64(),
}


def shop_rows(rows: int = 400, *, seed: int = 0, nulls: float = 0.1) -> pa.Table:
    """Give rows as a reader gives them; a share of ``nulls`` in every nullable column."""
    random = np.random.default_rng(seed)
    epoch = datetime(1969, 6, 1, tzinfo=UTC)
    made: dict[str, list[Any]] = {name: [] for name in _TYPES}
    for number in range(rows):
        items, score = int(random.integers(-3, 40)), float(random.normal())
        moment = epoch + timedelta(seconds=int(random.integers(0, 2_000_000_000)), microseconds=number)
        late = bool(score + 0.1 * items + random.normal() > 2)
        values = {
            "id": number,
            "items": items,
            "shelf": int(random.choice([-1, 1, 7, 300])),
            "weight": float(np.float32(random.lognormal())),
            "score": score,
            "price": float(Decimal(int(random.integers(0, 100_000))) / 100),
            "member": bool(random.integers(0, 2)),
            CITY: CITIES[int(random.integers(0, len(CITIES)))],
            "born": date(1950, 1, 1) + timedelta(days=int(random.integers(0, 20_000))),
            "opens": moment.time(),
            "seen": moment.replace(tzinfo=None),
            "paid": moment + timedelta(hours=3),
            "payload": "{}",
            "returned": late,
            "amount": 3.0 * items + score,
        }
        for column in SHOP_COLUMNS:
            is_null = column.nullable and random.random() < nulls
            made[column.name].append(None if is_null else values[column.name])
    return pa.table({name: pa.array(values, type=_TYPES[name]) for name, values in made.items()})


def as_driver_gives(table: pa.Table) -> pd.DataFrame:
    """Give the frame that ``pandas.read_sql`` makes of such rows, in another order and with one more."""
    columns: dict[str, Any] = {}
    for name in reversed(table.schema.names):
        values: list[Any] = table.column(name).to_pylist()
        if name == "price":
            columns[name] = pd.Series([_decimal(value) for value in values], dtype=object)
        elif name == "paid":
            zone = timezone(timedelta(hours=-5))
            columns[name] = pd.Series([value and value.astimezone(zone) for value in values], dtype=object)
        elif name == "weight":
            # psycopg2 reads the shortest text of a real as a double.
            columns[name] = pd.Series(
                [value and float(str(np.float32(value))) for value in values], dtype="float64"
            )
        else:
            kind = object if name in {"born", "opens"} else None
            columns[name] = pd.Series(values, dtype=kind)
    return pd.DataFrame({**columns, "one more": 1})


def _decimal(value: float | None) -> Decimal | None:
    return None if value is None else Decimal(f"{value:.2f}")


def fit_shop(table: pa.Table | None = None, **settings: Any) -> FittedBundle:
    """Fit a small model of the shop; classifies ``returned`` unless told otherwise."""
    target = settings.pop("target", "returned")
    other = "returned" if target == "amount" else "amount"
    settings = {"id_columns": ("id",), "exclude": (other,), **settings}
    origin = settings.pop("origin", NOWHERE)
    choices = FitChoices(**{"targets": (target,), **settings})
    rows = shop_rows() if table is None else table
    return fit_model(rows, columns=SHOP_COLUMNS, choices=choices, origin=origin)


def open_again(fitted: FittedBundle) -> Bundle:
    """Pack a fitted model and open it, golden rows and all."""
    files = pack(fitted)
    return open_bundle(files, digest=digest_of(files[MANIFEST_FILE]))


def same_outputs(one: pa.Table, other: pa.Table, *, tolerance: float) -> bool:
    """Whether two tables of outputs agree: numbers up to a share of the largest, all else exactly."""
    if one.schema != other.schema or one.num_rows != other.num_rows:
        return False
    for left, right in zip(one.columns, other.columns, strict=True):
        if not pa.types.is_floating(left.type):
            if left.combine_chunks() != right.combine_chunks():
                return False
            continue
        numbers, expected = left.to_numpy(), right.to_numpy()
        size = float(np.abs(expected).max(initial=0.0))
        if not np.allclose(numbers, expected, rtol=tolerance, atol=tolerance * size):
            return False
    return True

"""What a model takes as it is, is compared as well: by its numbers, its levels, its moments."""

from __future__ import annotations

import datetime
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder

from skfleet.cli.jobs import shifted
from skfleet_common.contracts.columns import Column, LogicalDtype
from skfleet_common.contracts.shifts import ColumnShift, Shift
from skfleet_common.model.bundle import MANIFEST_FILE, Bundle, digest_of, open_bundle, pack
from skfleet_common.model.registration import describe_model
from skfleet_common.model.sample_columns import Registration
from skfleet_common.model.shift import shift_of

COLUMNS = {
    "x": LogicalDtype.FLOAT64,
    "n": LogicalDtype.INTEGER,
    "carrier": LogicalDtype.TEXT,
    "remark": LogicalDtype.TEXT,
    "day": LogicalDtype.DATE,
    "y": LogicalDtype.FLOAT64,
}
LIMIT = 0.25


def rows(count: int, *, seed: int) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    x = random.normal(size=count)
    start = datetime.date(2024, 1, 1)
    return {
        "x": x,
        "n": random.integers(0, 50, count),
        "carrier": random.choice(["AA", "UA", "DL"], count, p=[0.5, 0.3, 0.2]),
        "remark": [f"remark {seed} {n}" for n in range(count)],
        "day": [start + datetime.timedelta(days=int(day)) for day in random.integers(0, 365, count)],
        "y": np.exp(2.5 * x),
    }


@cache
def bundle() -> Bundle:
    sample = rows(1_000, seed=1)
    frame = pd.DataFrame(sample)
    encoder = ColumnTransformer(
        [("x", FunctionTransformer(), ["x", "n"]), ("c", OneHotEncoder(), ["carrier"])], remainder="drop"
    )
    names = [name for name in COLUMNS if name != "y"]
    model = Pipeline([("f", encoder), ("m", LinearRegression())]).fit(frame[names], frame["y"])
    columns = [
        Column(name=name, warehouse_type=dtype.value, dtype=dtype, nullable=False)
        for name, dtype in COLUMNS.items()
    ]
    asked = Registration(name="made", targets=("y",))
    files = pack(describe_model(model, pa.table(sample), columns=columns, asked=asked))
    return open_bundle(files, digest=digest_of(files[MANIFEST_FILE]))


def shift_with(**changed: Any) -> Shift:
    (batch,) = pa.table(rows(2_000, seed=2) | changed).to_batches()
    model = bundle()
    (sketch,) = model.score(batch, sketcher=model.sketcher).sketches.models
    return shift_of(model.manifest, sketch)


def columns_of(shift: Shift) -> dict[str, ColumnShift]:
    return {column.column: column for column in shift.columns}


def test_rows_like_the_sample_have_not_shifted_and_what_cannot_be_told_is_not_counted() -> None:
    shift = shift_with()
    columns = columns_of(shift)
    assert {"x", "n", "carrier", "day", "prediction", "rejected rows"} == set(columns)
    assert not shift.exceeding(0.1)
    assert shift.columns_compared == 6
    # No text of it comes twice.
    assert shift.columns_not_comparable == ("remark",)
    assert shifted(shift).endswith("the farthest of 6 compared; not comparable: remark")


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("x", rows(2_000, seed=2)["x"] + 1_000),
        ("n", rows(2_000, seed=2)["n"] // 10),
        ("carrier", ["AA"] * 400 + ["DL"] * 1_600),
        ("day", [datetime.date(2025, 6, 1)] * 2_000),
    ],
)
def test_a_column_that_shifted_is_found(name: str, values: Any) -> None:
    shift = shift_with(**{name: values})
    found = {column.column for column in shift.exceeding(LIMIT)}
    assert name in found
    assert found <= {name, "prediction"}

"""Columns of any name, and tables of odd shapes, give features or one clear sentence."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from model_samples import open_again
from skfleet_common.contracts.columns import Column, LogicalDtype
from skfleet_common.contracts.errors import Refused
from skfleet_common.model.choices import FitChoices
from skfleet_common.model.fit import FittedBundle, fit_model

ROWS = 60
RANDOM = np.random.default_rng(3)

ODD_NAMES = ["a=b", "a:b", 'quo"te', "it's", "ünï 日本", "100%", "{}", " ", "a\nb", "x" * 200, "input.", "y "]


def column(name: str, dtype: LogicalDtype = LogicalDtype.FLOAT64, spelt: str = "double precision") -> Column:
    return Column(name=name, warehouse_type=spelt, dtype=dtype, nullable=True)


def fit_named(arrays: dict[str, pa.Array], columns: list[Column], model: str) -> FittedBundle:
    target = pa.array(RANDOM.normal(size=len(next(iter(arrays.values())))))
    table = pa.table(arrays | {"y": target})
    return fit_model(table, columns=[*columns, column("y")], choices=FitChoices(targets=("y",), model=model))


@pytest.mark.parametrize("model", ["gradient_boosting", "ridge"])
@pytest.mark.parametrize("odd", [name for name in ODD_NAMES if name.strip()])
def test_a_column_may_have_any_name(odd: str, model: str) -> None:
    texts = pa.array([f"l={n % 3}" for n in range(ROWS)])
    arrays = {odd: pa.array(RANDOM.normal(size=ROWS)), f"{odd}'s": texts}
    columns = [column(odd), column(f"{odd}'s", LogicalDtype.TEXT, "text")]
    bundle = open_again(fit_named(arrays, columns, model))
    frame = pd.DataFrame({name: array.to_pylist() for name, array in reversed(arrays.items())})
    assert bundle.features(frame).shape == (ROWS, len(bundle.manifest.transformed))
    assert bundle.predict(frame).shape == (ROWS,)


@pytest.mark.parametrize("model", ["gradient_boosting", "ridge"])
def test_a_column_that_is_called_like_a_part_of_another_is_its_own(model: str) -> None:
    days = pa.array([18_000 + 40 * n for n in range(ROWS)], pa.int32()).cast(pa.date32())
    numbers = pa.array([(-1.0) ** n for n in range(ROWS)])
    texts = pa.array(["ab"[n % 2] for n in range(ROWS)])
    arrays = {"d": days, "d:month": numbers, "d:year": texts, "d:year=a": numbers}
    columns = [
        column("d", LogicalDtype.DATE, "date"),
        column("d:month"),
        column("d:year", LogicalDtype.TEXT, "text"),
        column("d:year=a"),
    ]
    bundle = open_again(fit_named(arrays, columns, model))
    names = [feature.name for feature in bundle.manifest.transformed]
    assert len(set(names)) == len(names)
    assert {"d:year", "d:month", "d:month (2)"} <= set(names)
    frame = pd.DataFrame({"d": days.to_pylist(), "d:month": numbers, "d:year": texts, "d:year=a": numbers})
    X = bundle.features(frame)
    swapped = bundle.features(frame.assign(**{"d:month": -frame["d:month"]}))
    assert np.flatnonzero((swapped != X).any(axis=0)).tolist() == [names.index("d:month (2)")]


@pytest.mark.parametrize("empty", ["", " ", "\t"])
def test_a_column_without_a_name_is_refused(empty: str) -> None:
    numbers = pa.array(RANDOM.normal(size=ROWS))
    with pytest.raises(Refused, match="Column 2 has no name; give it one"):
        fit_named({"a": numbers, empty: numbers}, [column("a"), column(empty)], "ridge")


def test_two_columns_of_one_name_are_refused_in_training_and_in_scoring() -> None:
    numbers = pa.array(RANDOM.normal(size=ROWS))
    with pytest.raises(Refused, match="There are 2 columns called 'a'; rename all but one"):
        fit_named({"a": numbers}, [column("a"), column("a")], "ridge")
    bundle = open_again(fit_named({"a": numbers}, [column("a")], "ridge"))
    twice = pa.Table.from_arrays([numbers, numbers], names=["a", "a"])
    with pytest.raises(Refused, match="There are 2 columns called 'a'"):
        bundle.score(twice)
    with pytest.raises(Refused, match="2 columns called 'a'"):
        bundle.predict(pd.DataFrame([[1.0, 2.0]], columns=["a", "a"]))


def test_a_single_row_cannot_be_learned_from_but_can_be_scored() -> None:
    numbers = pa.array(RANDOM.normal(size=ROWS))
    with pytest.raises(Refused, match="Only 1 row can be trained on"):
        fit_named({"a": numbers.slice(0, 1)}, [column("a")], "ridge")
    bundle = open_again(fit_named({"a": numbers}, [column("a")], "ridge"))
    assert bundle.predict(pd.DataFrame({"a": [1.0]})).shape == (1,)
    assert bundle.predict(pd.DataFrame({"a": pd.Series([], dtype="float64")})).shape == (0,)


def test_a_table_without_rows_gives_an_array_without_rows() -> None:
    bundle = open_again(
        fit_named({"a": pa.array(RANDOM.normal(size=ROWS))}, [column("a")], "gradient_boosting")
    )
    scored = bundle.score(pa.table({"a": pa.array([], pa.float64())}))
    assert (scored.outputs.num_rows, len(scored.kept)) == (0, 0)

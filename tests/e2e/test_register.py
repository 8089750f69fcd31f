"""Models that were fitted elsewhere are registered, shown and scored as they score by themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from tests.e2e.world import World

FEATURES = ["dep_delay", "distance", "carrier", "origin"]
SAMPLE = (
    "SELECT id, dep_delay, distance, carrier, origin, arr_delay FROM flights WHERE id <= 3000 ORDER BY id"
)


@pytest.fixture(scope="module")
def sample(world: World) -> pd.DataFrame:
    """Some flights as pandas has them."""
    return world.frame(SAMPLE).astype({"dep_delay": "float64", "arr_delay": "float64"})


@pytest.fixture(scope="module")
def pipeline(sample: pd.DataFrame) -> Pipeline:
    """A model whose preprocessing is its own."""
    encoder = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), ["dep_delay", "distance"]),
            ("names", OneHotEncoder(handle_unknown="ignore"), ["carrier", "origin"]),
        ]
    )
    model = Pipeline([("encoder", encoder), ("model", LogisticRegression(max_iter=500))])
    return model.fit(sample[FEATURES], sample["arr_delay"].fillna(0) > 15)


@pytest.fixture(scope="module")
def saved(pipeline: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model as somebody saved it."""
    path = tmp_path_factory.mktemp("made") / "model.joblib"
    joblib.dump(pipeline, path)
    return path


def scored(world: World, model: str, table: str) -> pd.DataFrame:
    done = world.cli(
        *("predict", "--model", model, "--table", "public.flights", "--id-column", "id"),
        *("--where", "id BETWEEN 5001 AND 9000", "--output-table", table, "--wait", "--json"),
    )
    assert done.code == 0, done.err
    return world.frame(f"SELECT * FROM {table} ORDER BY id")


def test_a_pipeline_from_a_joblib_file_scores_a_table_as_by_itself(
    world: World, pipeline: Pipeline, saved: Path
) -> None:
    done = world.cli(
        *("register", str(saved), "--trust", "--name", "elsewhere", "--table", "public.flights"),
        *("--where", "id <= 3000", "--id-column", "id", "--target", "late", "--json"),
    )
    assert done.code == 0, done.err
    assert done.json["takes"] == "frame"
    assert done.json["features"] == FEATURES
    assert done.json["outputs"] == ["prediction", "proba_false", "proba_true"]
    output = scored(world, "elsewhere", "public.elsewhere_scores")
    rows = world.frame(SAMPLE.replace("id <= 3000", "id BETWEEN 5001 AND 9000"))
    expected = pipeline.predict_proba(rows[FEATURES].astype({"dep_delay": "float64"}))
    np.testing.assert_allclose(output["proba_true"], expected[:, 1], rtol=1e-12)


def test_an_estimator_of_an_array_is_registered_from_a_parquet_sample(
    world: World, sample: pd.DataFrame, tmp_path: Path
) -> None:
    rows = sample[["dep_delay", "distance", "arr_delay"]].astype({"distance": "float64"})
    model = HistGradientBoostingRegressor(max_iter=10, early_stopping=False)
    model.fit(rows[["dep_delay", "distance"]].to_numpy(), rows["arr_delay"].fillna(0))
    skops.io.dump(model, tmp_path / "model.skops")
    rows.to_parquet(tmp_path / "rows.parquet")
    done = world.cli(
        *("register", str(tmp_path / "model.skops"), "--name", "from-array", "--target", "arr_delay"),
        *("--sample", str(tmp_path / "rows.parquet"), "--json"),
    )
    assert done.code == 0, done.err
    assert (done.json["takes"], done.json["features"]) == ("array", ["dep_delay", "distance"])
    page = tmp_path / "report.html"
    shown = world.cli("models", "show", "from-array", "--html", str(page), "--json").json
    assert shown["metrics"]["split"] == {"kind": "sample"}
    assert shown["metrics"]["r2"] > 0.5
    assert shown["signed_with"] is None
    assert page.read_text("utf-8").startswith("<!DOCTYPE html>")
    words = world.cli("models", "show", "from-array").out
    assert "HistGradientBoostingRegressor (regression), takes array" in words
    assert "dep_delay" in words.split("worsening when permuted")[1]


def test_a_frame_of_the_python_api_is_a_sample_too(
    world: World, pipeline: Pipeline, sample: pd.DataFrame
) -> None:
    made = world.fleet.register(model=pipeline, name="from-frame", sample=sample[FEATURES])
    assert made.manifest.feature_columns == tuple(FEATURES)
    again = world.fleet.register(model=pipeline, name="from-frame", sample=sample[FEATURES])
    assert any("There was a model from-frame already" in note for note in again.warnings)
    assert f"from-frame@{made.digest[:12]}" in " ".join(again.warnings)
    frame = sample[FEATURES].head(50)
    np.testing.assert_array_equal(world.fleet.load("from-frame").predict(frame), pipeline.predict(frame))


def test_models_lists_as_ever_and_takes_a_name(
    world: World, pipeline: Pipeline, sample: pd.DataFrame
) -> None:
    world.fleet.register(model=pipeline, name="listed", sample=sample[FEATURES])
    listed = {model["name"]: model for model in world.cli("models", "--json").json["models"]}
    assert listed["listed"]["model"].startswith("Pipeline(ColumnTransformer")
    assert [model["name"] for model in world.cli("models", "listed", "--json").json["models"]] == ["listed"]
    assert world.cli("models", "list", "listed", "--json").json["models"][0]["latest"] is True


REFUSED: list[tuple[list[str], int, str]] = [
    (["--trust", "--name", "x"], 2, "is registered with a sample of its rows"),
    (["--name", "x", "--table", "public.flights"], 2, "is a pickle, which can run any code when it is read"),
    (["--trust", "--name", "X!", "--table", "public.flights"], 2, "is no model name"),
    (
        ["--trust", "--name", "x", "--table", "public.flights", "--takes", "features"],
        2,
        "--takes must be frame, array",
    ),
    (
        ["--trust", "--name", "x", "--table", "public.flights", "--format", "onnx"],
        2,
        "--format must be skops, joblib",
    ),
    (
        ["--trust", "--name", "x", "--table", "public.flights", "--where", "id < 0"],
        3,
        "The sample has no rows",
    ),
    (["--trust", "--name", "x", "--table", "public.nowhere"], 3, "public.nowhere"),
    (["--trust", "--name", "x", "--sample", "rows.xlsx"], 2, "is neither .parquet nor .csv"),
    (
        ["--trust", "--name", "x", "--table", "public.flights", "--id-column", "carrier"],
        3,
        "was fitted on 'carrier'",
    ),
]


@pytest.mark.parametrize(("words", "code", "sentence"), REFUSED)
def test_what_cannot_be_registered_is_refused_in_a_sentence(
    world: World, saved: Path, words: list[str], code: int, sentence: str
) -> None:
    done = world.cli("register", str(saved), *words)
    assert (done.code, sentence in done.sentence) == (code, True), done.err


def test_a_file_that_is_no_model_is_refused(world: World, tmp_path: Path) -> None:
    contents: dict[str, Any] = {
        "text.joblib": b"hello",
        "empty.pkl": b"",
        "text.skops": b"hello",
        "m.txt": b"",
    }
    for name, raw in contents.items():
        (tmp_path / name).write_bytes(raw)
    joblib.dump({"not": "a model"}, tmp_path / "dict.joblib")
    sentences = {
        "text.joblib": "cannot be read as a model",
        "empty.pkl": "cannot be read as a model",
        "text.skops": "is no file that skops can read",
        "m.txt": "is neither .skops nor .joblib",
        "dict.joblib": "dict.joblib holds something of type dict, which has no predict",
        "missing.joblib": "There is no file",
    }
    for name, sentence in sentences.items():
        done = world.cli(
            "register", str(tmp_path / name), "--trust", "--name", "x", "--table", "public.flights"
        )
        assert (done.code in {2, 3}, sentence in done.sentence) == (True, True), done.err


def test_what_cannot_be_shown_is_refused(world: World, tmp_path: Path) -> None:
    assert "There is no model nowhere" in world.cli("models", "show", "nowhere").sentence
    assert "There is no model nowhere" in world.cli("models", "nowhere").sentence
    assert world.cli("models", "sign", "nowhere").code == 3

"""What shapes a fit, by the command line: own estimators, parameters, searches, several targets."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.e2e.world import Answer, World

REFUSED, USAGE = 3, 2
TABLE = "public.choices"


@pytest.fixture(scope="module")
def table(world: World) -> Iterator[str]:
    """A thousand flights, with a weight."""
    world.sql(
        f"CREATE TABLE {TABLE} AS SELECT id, month, hour, carrier, origin, distance, dep_delay, arr_late, "
        "dep_delay > 15 AS dep_late, 1.0 + id % 3 AS trust FROM public.flights "
        "WHERE dep_delay IS NOT NULL AND arr_late IS NOT NULL ORDER BY id LIMIT 1000"
    )
    yield TABLE
    world.sql(f"DROP TABLE {TABLE}")


def train(world: World, table: str, name: str, *words: str, target: str = "arr_late") -> Answer:
    usual = ["train", "--table", table, "--target", target, "--id-column", "id", "--name", name]
    return world.cli(*usual, *words)


def trained(world: World, table: str, name: str, *words: str, **settings: Any) -> dict[str, Any]:
    answer = train(world, table, name, "--json", *words, **settings)
    assert answer.code == 0, answer.err
    return answer.json


def test_several_targets_are_published_side_by_side(world: World, table: str) -> None:
    told = trained(
        world, table, "both", "--target", "dep_late", "--exclude", "trust", "--model", "extra_trees"
    )
    assert set(told["metrics"]["targets"]) == {"arr_late", "dep_late"}
    answer = world.cli(
        *["predict", "--model", "both", "--table", table, "--id-column", "id"],
        *["--output-table", "public.choices_scored", "--wait", "--json"],
    )
    assert answer.code == 0, answer.err
    scored = world.frame("SELECT * FROM public.choices_scored ORDER BY id")
    world.sql("DROP TABLE public.choices_scored")
    assert list(scored.columns) == [
        "id",
        "prediction_arr_late",
        "proba_arr_late_false",
        "proba_arr_late_true",
        "prediction_dep_late",
        "proba_dep_late_false",
        "proba_dep_late_true",
    ]
    bundle = world.fleet.load("both")
    here = bundle.predict(world.frame(f"SELECT * FROM {table} ORDER BY id"))
    assert scored["prediction_dep_late"].tolist() == here[:, 1].tolist()


def test_an_own_pipeline_with_parameters_weights_and_a_search(world: World, table: str) -> None:
    module = """
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import PolynomialFeatures

        def model():
            print("made")
            return make_pipeline(PolynomialFeatures(1), LogisticRegression(max_iter=500))
    """
    (world.home.parent / "own_choices.py").write_text(textwrap.dedent(module), "utf-8")
    (world.home.parent / "space.yaml").write_text("logisticregression.C: [0.1, 1.0]\n", "utf-8")
    answer = world.cli(
        *["train", "--table", table, "--target", "arr_late", "--id-column", "id", "--name", "own", "--json"],
        *["--exclude", "dep_late", "--model", "own_choices:model", "--weight", "trust"],
        *["--params", "logisticregression__tol=0.001", "--search", "grid", "--search-space", "@space.yaml"],
        *["--search-folds", "2", "--search-scoring", "roc_auc"],
    )
    assert answer.code == 0, answer.err
    search = answer.json["metrics"]["search"]
    assert search["tried"] == 2
    assert set(search["best_params"]) == {"logisticregression__C"}
    assert any("printed a line" in warning for warning in answer.json["warnings"])
    assert "trust" not in answer.json["features"]


def test_rows_unseen_by_the_model_go_to_a_table_once(world: World, table: str) -> None:
    words = ["--exclude", "dep_late,trust", "--model", "DecisionTreeClassifier", "--cross-validate", "3"]
    output = ["--oos-output", "public.choices_unseen"]
    told = trained(world, table, "unseen", *words, *output)
    assert told["rows_out_of_sample"] == 1000
    unseen = world.frame("SELECT * FROM public.choices_unseen ORDER BY id")
    assert list(unseen.columns) == ["id", "prediction", "proba_false", "proba_true"]
    truth = world.frame(f"SELECT id, arr_late FROM {table} ORDER BY id")
    assert unseen["id"].tolist() == truth["id"].tolist()
    accuracy = (unseen["prediction"].to_numpy() == truth["arr_late"].to_numpy()).mean()
    assert accuracy == pytest.approx(told["metrics"]["accuracy"])
    again = train(world, table, "unseen", *words, *output)
    assert again.code == REFUSED
    assert "public.choices_unseen exists already" in again.sentence
    trained(world, table, "unseen", *words, *output, "--oos-if-exists", "append", "--seed", "1")
    assert world.sql("SELECT count(*) FROM public.choices_unseen") == [(2000,)]
    trained(world, table, "unseen", *words, *output, "--oos-if-exists", "replace", "--seed", "2")
    assert world.sql("SELECT count(*) FROM public.choices_unseen") == [(1000,)]
    world.sql("DROP TABLE public.choices_unseen")


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_rows_held_out_go_to_a_file(world: World, table: str, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"unseen.{ending}"
    words = ["--exclude", "dep_late,trust", "--model", "LinearSVC", "--oos-output", str(path)]
    assert trained(world, table, "held", *words)["rows_out_of_sample"] == 200
    held = pd.read_csv(path) if ending == "csv" else pd.read_parquet(path)
    assert list(held.columns) == ["id", "prediction", "decision"]
    assert held["id"].is_monotonic_increasing
    answer = train(world, table, "held", *words)
    assert answer.code == REFUSED
    assert "exists already" in answer.sentence


@pytest.mark.parametrize(
    ("words", "code", "phrase"),
    [
        (["--model", "RandomForestClasifier"], USAGE, "did you mean RandomForestClassifier?"),
        (["--params", "max_dept=3", "--model", "DecisionTreeClassifier"], USAGE, "did you mean max_depth?"),
        (["--params", "max_iter=few"], USAGE, "Got 'few' instead"),
        (["--params", "nothing"], USAGE, "--params nothing is neither NAME=VALUE"),
        (["--params", "@missing.yaml"], USAGE, "missing.yaml, which --params names, cannot be read"),
        (["--params", "{"], USAGE, "--params is no YAML or JSON"),
        (["--calibrate", "platt"], USAGE, "use sigmoid or isotonic"),
        (["--search", "bayes"], USAGE, "There is no search 'bayes'"),
        (["--weight", "carrier"], REFUSED, "not a number"),
        (["--weight", "trust", "--model", "KNeighborsClassifier"], USAGE, "takes no sample weights"),
        (["--target", "distance"], USAGE, "one model predicts either"),
        (["--oos-output", "s3://bucket/rows.parquet"], USAGE, "is a URL"),
        (["--oos-output", "missing/rows.csv"], USAGE, "There is no folder missing"),
        (["--oos-if-exists", "append"], USAGE, "says nothing without --oos-output"),
        (["--oos-output", "rows.csv", "--oos-if-exists", "append"], USAGE, "A file cannot be appended to"),
        (["--cross-validate", "1"], USAGE, "must be 2 or more"),
        (["--model", "GaussianProcessRegressor"], USAGE, "is a regression, but the target 'arr_late'"),
    ],
)
def test_choices_that_cannot_be_are_refused_in_one_sentence(
    world: World, table: str, words: list[str], code: int, phrase: str
) -> None:
    answer = train(world, table, "never", *words)
    assert answer.code == code, answer.err
    assert answer.out == ""
    assert "Traceback" not in answer.err
    assert phrase in answer.sentence
    assert sum(line.startswith("skfleet: ") for line in answer.err.splitlines()) == 1

"""Several models over one read give the same bits as a job each; kinds of output are chosen."""

from __future__ import annotations

import pandas as pd
import pytest
from sklearn.cluster import KMeans
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.e2e.world import Answer, World

NUMBERS = ["distance", "hour"]


@pytest.fixture(scope="module")
def trained(world: World) -> World:
    """A stack with a model of trees, a linear one, and one that was registered without a target."""
    where = ("--where", "id % 100 = 0", "--exclude", "arr_time,arr_delay,air_time,tailnum,dep_time")
    for name, model in (("by-trees", "gradient_boosting"), ("by-lines", "logistic_regression")):
        done = world.cli(
            *("train", "--table", "public.flights", "--target", "arr_late", "--id-column", "id"),
            *("--name", name, "--model", model, *where),
        )
        assert done.code == 0, done.err
    frame = world.frame("SELECT distance, hour FROM flights WHERE id <= 500").astype("float64")
    clusters = make_pipeline(StandardScaler(), KMeans(3, random_state=0, n_init=1)).fit(frame)
    world.fleet.register(model=clusters, name="places", sample=frame.astype("int64"))
    return world


def predict(world: World, output: str, *more: str, rows: int = 3_000) -> Answer:
    return world.cli(
        *("predict", "--table", "public.flights", "--id-column", "id", "--where", f"id <= {rows}"),
        *("--output-table", f"public.{output}", *more),
    )


def scored(world: World, output: str, *more: str) -> tuple[pd.DataFrame, Answer]:
    done = predict(world, output, *more, "--wait", "--json")
    assert done.code == 0, done.err
    return world.frame(f"SELECT * FROM public.{output} ORDER BY id"), done


def test_models_over_one_read_give_the_same_bits_as_a_job_each(trained: World) -> None:
    names = ["by-trees", "by-lines", "places"]
    flags = [word for name in names for word in ("--model", name)]
    together, done = scored(trained, "together", *flags, "--chunk-rows", "700")
    status = done.json
    assert [model["name"] for model in status["models"]] == names
    assert [model["name"] for model in status["certificate"]["more_models"]] == names[1:]
    assert status["certificate"]["adds_up"]
    assert list(together.columns) == [
        *("id", "by_trees_prediction", "by_trees_proba_false", "by_trees_proba_true"),
        *("by_lines_prediction", "by_lines_proba_false", "by_lines_proba_true", "places_prediction"),
    ]
    for name in names:
        alone, _ = scored(trained, f"alone_{names.index(name)}", "--model", name, "--chunk-rows", "700")
        own = together[["id", *(f"{name.replace('-', '_')}_{column}" for column in alone.columns[1:])]]
        pd.testing.assert_frame_equal(own.set_axis(alone.columns, axis=1), alone, check_exact=True)
    shown = trained.cli("status", status["job"]).out
    assert all(f"{name}@" in shown for name in names)


def test_kinds_of_output_are_chosen(trained: World) -> None:
    table, _ = scored(trained, "chosen", "--model", "by-lines", "--outputs", "decision,predict")
    assert list(table.columns) == ["id", "prediction", "decision"]
    usual, _ = scored(trained, "usual", "--model", "by-lines", "--columns", "prediction,hour")
    assert list(usual.columns) == ["id", "hour", "prediction"]
    assert (table["prediction"] == usual["prediction"]).all()
    assert ((table["decision"] > 0) == table["prediction"]).all()
    distances, _ = scored(
        trained, "distances", *("--model", "places", "--outputs", "predict", "--outputs", "transform")
    )
    assert list(distances.columns) == ["id", "prediction", "kmeans0", "kmeans1", "kmeans2"]
    nearest = distances[["kmeans0", "kmeans1", "kmeans2"]].to_numpy().argmin(axis=1)
    assert (nearest == distances["prediction"]).all()


def test_the_python_api_takes_models_and_outputs(trained: World) -> None:
    job = trained.fleet.predict(
        models=["by-lines", "places"],
        outputs="predict",
        table="public.flights",
        id_column="id",
        where="id <= 200",
        output_table="public.by_api",
    )
    assert job.wait().rows_scored == 200
    table = trained.frame("SELECT * FROM public.by_api")
    assert list(table.columns) == ["id", "by_lines_prediction", "places_prediction"]


REFUSED: list[tuple[list[str], int, str]] = [
    (["--outputs", "proba"], 3, "places has no predict_proba that its bundle lists; leave proba out of"),
    (["--outputs", "decision"], 3, "places has no decision_function that its bundle lists"),
    (["--outputs", "votes"], 2, "--outputs takes predict, proba, decision, transform, not 'votes'"),
    (["--outputs", "predict", "--columns", "kmeans0"], 2, "names kmeans0, which --outputs leaves out"),
    (["--model", "places"], 2, "places is the same bundle as places; name each model once"),
    (["--model", "by-lines", "--columns", "places_prediction"], 2, "names no output of by-lines"),
    (["--model", "nowhere"], 3, "There is no model nowhere"),
]


@pytest.mark.parametrize(("words", "code", "sentence"), REFUSED)
def test_what_cannot_be_given_is_refused_before_anything_is_sent(
    trained: World, words: list[str], code: int, sentence: str
) -> None:
    done = predict(trained, "refused", "--model", "places", *words)
    assert (done.code, sentence in done.sentence) == (code, True), done.err
    assert trained.queue_is_empty()

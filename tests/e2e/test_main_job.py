"""The published scores are the model's, row for row, whatever the estimator."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from tests.e2e.world import World

pytestmark = pytest.mark.on_redshift("slow")

LATE_FEATURES_EXCLUDED = "arr_time,arr_delay,air_time,arr_late"


@cache
def score_flights(world: World, name: str, *, model: str, target: str) -> str:
    """Train on a tenth of the days and score every flight; gives the output table."""
    exclude = ",".join(column for column in LATE_FEATURES_EXCLUDED.split(",") if column != target)
    trained = world.cli(
        *["train", "--table", "public.flights", "--target", target, "--id-column", "id"],
        *["--model", model, "--name", name, "--where", "day <= 3", "--exclude", exclude],
    )
    assert trained.code == 0, trained.err
    output = f"public.{name.replace('-', '_')}_scores"
    scored = world.cli(
        *["predict", "--model", name, "--table", "public.flights", "--id-column", "id"],
        *["--output-table", output, "--wait", "--json"],
    )
    assert scored.code == 0, scored.err
    status = scored.json
    assert status["state"] == "SUCCEEDED"
    assert (status["rows"], status["rows_scored"], status["rows_rejected"]) == (336_776, 336_776, 0)
    return output


@pytest.mark.parametrize(
    "model", ["gradient_boosting", pytest.param("random_forest", marks=pytest.mark.slow)]
)
def test_published_tree_scores_equal_the_local_ones_exactly(world: World, model: str) -> None:
    name = f"exact-{model.replace('_', '-')}"
    output = score_flights(world, name, model=model, target="arr_late")
    flights = world.frame("SELECT * FROM public.flights ORDER BY id")
    published = world.frame(f"SELECT * FROM {output} ORDER BY id")
    bundle = world.fleet.load(name)
    assert list(published.columns) == ["id", "prediction", "proba_false", "proba_true"]
    assert published["id"].tolist() == flights["id"].tolist()
    local = bundle.predict_proba(flights)
    assert np.array_equal(published[["proba_false", "proba_true"]].to_numpy(), local)
    assert published["prediction"].tolist() == bundle.predict(flights).tolist()


def test_published_regression_scores_equal_the_local_ones_exactly(world: World) -> None:
    output = score_flights(world, "exact-delay", model="gradient_boosting", target="arr_delay")
    flights = world.frame("SELECT * FROM public.flights ORDER BY id")
    published = world.frame(f"SELECT * FROM {output} ORDER BY id")
    assert list(published.columns) == ["id", "prediction"]
    local = world.fleet.load("exact-delay").predict(flights)
    assert np.array_equal(published["prediction"].to_numpy(), local)


def test_published_linear_scores_equal_the_local_ones_within_rounding(world: World) -> None:
    output = score_flights(world, "linear-late", model="logistic_regression", target="arr_late")
    flights = world.frame("SELECT * FROM public.flights ORDER BY id")
    published = world.frame(f"SELECT proba_false, proba_true FROM {output} ORDER BY id")
    local = world.fleet.load("linear-late").predict_proba(flights)
    np.testing.assert_allclose(published.to_numpy(), local, rtol=1e-12, atol=0)


def test_the_output_keeps_the_id_type_and_types_its_columns(world: World) -> None:
    score_flights(world, "exact-gradient-boosting", model="gradient_boosting", target="arr_late")
    types = dict(
        world.sql(
            "SELECT column_name, data_type FROM information_schema.columns "
            "WHERE table_name = 'exact_gradient_boosting_scores'"
        )
    )
    assert types == {
        "id": "integer",
        "prediction": "boolean",
        "proba_false": "double precision",
        "proba_true": "double precision",
    }

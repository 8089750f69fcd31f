"""What is trained predicts a row the same, whenever it is asked and whatever rows are beside it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.brought_models import boosted
from tests.model_samples import CITY, fit_shop, open_again, shop_rows

from skfleet_common.contracts.errors import Refused
from skfleet_common.model.estimators.asked import parse_model
from skfleet_common.model.estimators.assembly import Assembly
from skfleet_common.model.manifest import Learning
from skfleet_common.model.model_file import ModelFormat
from skfleet_common.model.registered import single_threaded

ROWS = shop_rows(120)


@settings(max_examples=12)
@given(
    statistic=st.sampled_from(["mean", "median", "max", "min", "std"]),
    share=st.sampled_from([0.0, 1e-6, 0.01, 1.0]),
)
def test_a_model_that_looks_at_the_whole_batch_is_refused_when_it_is_trained(
    statistic: str, share: float
) -> None:
    params = {"shiftedbybatch__statistic": statistic, "shiftedbybatch__share": share}

    def fit() -> None:
        model = "tests.brought_models:shifted"
        fit_shop(ROWS, model=model, params=params, target="amount", format=ModelFormat.JOBLIB)

    if share == 0.0:
        fit()
        return
    with pytest.raises(Refused, match="depends on the rows beside it"):
        fit()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("Chancy", "predicts otherwise when it is asked again"), ("Centred", "depends on the rows beside it")],
)
def test_a_model_that_no_worker_could_reproduce_is_refused_when_it_is_trained(
    name: str, sentence: str
) -> None:
    with pytest.raises(Refused, match=sentence):
        fit_shop(ROWS, model=f"tests.misbehaving:{name}", target="amount", format=ModelFormat.JOBLIB)


@pytest.mark.parametrize("library", ["lightgbm", "xgboost"])
def test_boosters_within_a_pipeline_work_on_one_core(library: str) -> None:
    asked = parse_model(f"tests.brought_models:by_{library}")
    trained = Assembly(model=asked, learning=Learning.REGRESSION).estimator()
    assert (boosted(library)[-1].n_jobs, trained[-1].n_jobs) == (None, 1)
    assert single_threaded(boosted(library))[-1].n_jobs == 1


def test_what_a_brought_pipeline_raises_of_a_frame_is_one_sentence() -> None:
    bundle = open_again(fit_shop(ROWS, model="tests.brought_models:by_name"))
    frame = ROWS.to_pandas()
    frame[CITY] = "Atlantis"
    for ask in (bundle.predict, bundle.predict_proba):
        with pytest.raises(Refused, match=r"The model model cannot be asked for .*unknown categories"):
            ask(frame)


def test_a_model_that_takes_columns_as_they_are_is_said_to_have_no_policy_of_unseen_levels() -> None:
    fitted = fit_shop(ROWS, model="tests.brought_models:by_name")
    assert any("no policy of unseen levels applies" in note for note in fitted.warnings)

"""An estimator that breaks scikit-learn's rules costs one clear sentence, or what is documented instead."""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tests.model_samples import fit_shop, shop_rows

from skfleet_common.contracts.errors import Refused
from skfleet_common.model.bundle import Bundle, digest_of, open_bundle, pack
from skfleet_common.model.fit import FittedBundle
from skfleet_common.model.model_file import ModelFormat

ROWS = shop_rows(120)


def fitted_with(name: str, **choices: Any) -> FittedBundle:
    target = "returned" if name in CLASSIFIERS else "amount"
    return fit_shop(
        ROWS, model=f"tests.misbehaving:{name}", target=target, format=ModelFormat.JOBLIB, **choices
    )


CLASSIFIERS = {
    "Backwards",
    "Cautious",
    "Floating",
    "Halfway",
    "MutatingClassifier",
    "Mute",
    "Narrow",
    "Numbering",
    "Sparse",
}


def opened(fitted: FittedBundle) -> Bundle:
    files = pack(fitted)
    return open_bundle(files, digest=digest_of(files["manifest.json"]), allow_joblib=True)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("Raising", r"^tests\.misbehaving:Raising cannot be fitted \(RuntimeError: no way at all\); correct"),
        ("Exiting", r"cannot be fitted \(SystemExit: 3\)"),
        ("Short", r"gives predictions of shape \(\d+,\) for \d+ rows; its predict must give one a row"),
        ("Halfway", r"predicts .*0\.5.*, which is no class of 'returned'"),
        ("Narrow", r"gives scores of shape \(\d+, 1\) for \d+ rows and 2 classes of 'returned'"),
    ],
)
def test_what_cannot_be_a_model_is_refused_in_one_sentence(name: str, sentence: str) -> None:
    with pytest.raises(Refused, match=sentence) as refused:
        fitted_with(name)
    assert "\n" not in str(refused.value)


def test_what_cannot_be_stored_is_refused_before_it_is_fitted() -> None:
    with pytest.raises(Refused, match=r"Unpicklable cannot be written as joblib .* leave out"):
        fitted_with("Unpicklable")


def test_an_estimator_that_changes_its_input_changes_only_its_own() -> None:
    fitted = fitted_with("Mutating")
    bundle = opened(fitted)
    X = bundle.features(_frame())
    once, again = bundle.score(ROWS).outputs, bundle.score(ROWS).outputs
    assert once.equals(again)
    np.testing.assert_array_equal(bundle.predict(_frame()), 2 * X[:, 0])
    # The held-out rows' target is what it was, although the twin's fit zeroed the one that it got.
    assert fitted.metrics["rmse"] > 0


def test_labels_are_asked_of_rows_that_probabilities_left_alone() -> None:
    outputs = opened(fitted_with("MutatingClassifier")).score(ROWS).outputs
    assert set(outputs.column("prediction").to_pylist()) == {True}


def test_what_is_printed_never_reaches_stdout_and_is_told_once(capfd: pytest.CaptureFixture[str]) -> None:
    fitted = fitted_with("Talking")
    assert capfd.readouterr().out == ""
    printed = [note for note in fitted.warnings if "printed" in note]
    assert len(printed) == 1
    assert "printed 8 lines" in printed[0]
    assert [note for note in fitted.warnings if "this is odd" in note] == [
        "tests.misbehaving:Talking warned: this is odd"
    ]


def test_stdout_is_there_again_after_a_fit_that_raises(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Refused):
        fitted_with("Raising")
    os.write(1, b"below\n")
    sys.stdout.write("above\n")
    assert set(capfd.readouterr().out.split()) == {"below", "above"}


def test_classes_in_another_order_come_out_in_that_of_the_manifest() -> None:
    share = np.mean(ROWS.column("returned").to_numpy())
    for name in ("Backwards", "Numbering", "Floating"):
        outputs = opened(fitted_with(name)).score(ROWS).outputs
        np.testing.assert_allclose(outputs.column("proba_true").to_numpy(), share)
        assert set(outputs.column("prediction").to_pylist()) == {bool(share > 0.5)}


def test_sparse_single_precision_answers_become_columns_of_doubles() -> None:
    outputs = opened(fitted_with("Sparse")).score(ROWS).outputs
    assert outputs.schema.field("proba_true").type == pa.float64()
    assert outputs.schema.field("prediction").type == pa.bool_()


def test_without_probabilities_there_is_a_prediction() -> None:
    bundle = opened(fitted_with("Mute"))
    assert bundle.score(ROWS).outputs.schema.names == ["prediction"]
    assert bundle.manifest.outputs[0].warehouse_type == "boolean"


def test_with_a_decision_function_there_are_its_values() -> None:
    fitted = fit_shop(ROWS, model="LinearSVC")
    outputs = opened(fitted).score(ROWS).outputs
    assert outputs.schema.names == ["prediction", "decision"]
    positive = outputs.column("decision").to_numpy() > 0
    np.testing.assert_array_equal(positive, np.array(outputs.column("prediction").to_pylist()))


def test_rows_without_a_finite_prediction_have_no_figures_and_are_quarantined() -> None:
    fitted = fitted_with("Endless", keep_out_of_sample=True)
    assert 0 < fitted.metrics["rows_measured"] < 24
    assert fitted.out_of_sample is not None
    assert fitted.out_of_sample.num_rows == fitted.metrics["rows_measured"]
    rejected = opened(fitted).score(ROWS).rejected
    assert rejected
    assert all(reject.quarantined for reject in rejected)


def test_threads_of_an_estimator_are_its_own_and_n_jobs_is_one() -> None:
    opened(fitted_with("Spawning"))
    assert fitted_with("Parallel").pipeline[-1].n_jobs == 1


def _frame() -> Any:
    return ROWS.to_pandas()


def test_a_class_that_predicts_otherwise_than_the_one_it_is_made_from_is_taken_at_its_word() -> None:
    fitted = fitted_with("Cautious")
    bundle = opened(fitted)
    outputs = bundle.score(ROWS).outputs
    own = fitted.pipeline[-1].predict(np.asarray(bundle.features(ROWS.to_pandas())))
    assert list(bundle.predict(ROWS.to_pandas())) == list(own)
    assert outputs.column("prediction").to_pylist() == list(own)
    assert len(set(outputs.column("prediction").to_pylist())) == 1
    likely = [outputs.column(name).to_numpy() for name in outputs.schema.names[1:]]
    assert len(set(np.argmax(likely, axis=0))) == 2

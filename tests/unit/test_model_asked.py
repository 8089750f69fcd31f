"""A model is asked for by a predefined name, a class, a module's attribute or a file."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pyarrow as pa
import pytest
import skops.io
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tests.model_samples import CITY, fit_shop, open_again, shop_rows

from skfleet_common.contracts.errors import EnvironmentFault, Refused, UsageError
from skfleet_common.model.estimators import brought
from skfleet_common.model.estimators.asked import known_families, parse_model
from skfleet_common.model.estimators.traits import traits_of
from skfleet_common.model.manifest import FeatureDtype, Learning, Takes
from skfleet_common.model.preprocessing import Style

OWN_MODELS = """
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline, make_pipeline
    from sklearn.preprocessing import OneHotEncoder, PolynomialFeatures, StandardScaler

    instance = LogisticRegression(C=0.5)
    not_one = 3

    class Holder:
        inside = LogisticRegression(C=0.25)

    def wider():
        return make_pipeline(PolynomialFeatures(2), StandardScaler(), LogisticRegression(max_iter=2000))

    def by_name():
        numbers = make_pipeline(SimpleImputer(), StandardScaler())
        columns = ColumnTransformer(
            [
                ("numbers", numbers, ["items", "score"]),
                ("city", OneHotEncoder(handle_unknown="ignore"), ['City Of "Birth"']),
            ]
        )
        return Pipeline([("columns", columns), ("model", LogisticRegression())])

    def needs_words(words):
        return LogisticRegression()

    class Own(ClassifierMixin, BaseEstimator):
        def fit(self, X, y):
            self.classes_ = sorted(set(y))
            return self
        def predict(self, X):
            return [self.classes_[0]] * len(X)
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of the user's own in the current folder."""
    name = f"own_models_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(textwrap.dedent(OWN_MODELS), "utf-8")
    monkeypatch.chdir(tmp_path)
    return name


@pytest.mark.parametrize("name", known_families())
def test_every_predefined_name_makes_an_estimator_and_survives_its_bundle(name: str) -> None:
    model = parse_model(name)
    learning = model.learning or Learning.CLASSIFICATION
    assert parse_model(model.full(learning)).learning is learning
    if "stacking" in name or "perceptron" in name:
        return  # the census fits their classes
    target = "returned" if learning is Learning.CLASSIFICATION else "amount"
    bundle = open_again(fit_shop(shop_rows(120), model=name, target=target))
    assert bundle.score(shop_rows(5)).outputs.num_rows == 5


def test_a_class_is_asked_for_by_its_name() -> None:
    fitted = fit_shop(model="KNeighborsClassifier", params={"n_neighbors": 3})
    assert fitted.manifest.model == "KNeighborsClassifier"
    assert fitted.pipeline[-1].n_neighbors == 3


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("RandomForestClasifier", "did you mean RandomForestClassifier?"),
        ("gradient_bosting", "did you mean gradient_boosting?"),
        ("ridge_classifier", "did you mean"),
        ("", "There is no model ''"),
    ],
)
def test_a_name_that_is_none_is_refused_with_the_nearest_one(name: str, hint: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_model(name)
    assert hint in str(refused.value)


@pytest.mark.parametrize(
    ("estimator", "style", "dtype"),
    [
        (HistGradientBoostingClassifier(), Style.TREES, FeatureDtype.FLOAT64),
        (RandomForestClassifier(), Style.TREES, FeatureDtype.FLOAT32),
        (LogisticRegression(), Style.LINEAR, FeatureDtype.FLOAT64),
        (make_pipeline(StandardScaler(), RandomForestClassifier()), Style.TREES, FeatureDtype.FLOAT64),
    ],
)
def test_features_follow_from_what_the_estimator_says(estimator: Any, style: Style, dtype: str) -> None:
    traits = traits_of(estimator)
    assert (traits.style, traits.dtype) == (style, dtype)


@pytest.mark.parametrize("attribute", ["instance", "wider", "Holder.inside", "LogisticRegression"])
def test_an_own_estimator_is_trained_and_opened_again(own: str, attribute: str) -> None:
    fitted = fit_shop(model=f"{own}:{attribute}")
    assert fitted.manifest.model == f"{own}:{attribute}"
    bundle = open_again(fitted)
    assert bundle.score(shop_rows(5)).outputs.num_rows == 5


def test_a_pipeline_that_adds_columns_is_one_of_the_estimator_s_own(own: str) -> None:
    bundle = open_again(fit_shop(model=f"{own}:wider"))
    model = bundle.pipeline[-1]
    assert model[:-1].transform(np.zeros((1, model.n_features_in_))).shape[1] > model.n_features_in_


def test_a_pipeline_that_selects_columns_by_name_gets_a_data_frame(own: str) -> None:
    table = shop_rows(300)
    bundle = open_again(fit_shop(table, model=f"{own}:by_name"))
    assert bundle.manifest.takes is Takes.FRAME
    assert set(bundle.manifest.feature_columns) >= {"items", "score", CITY}
    at_once = bundle.score(table).outputs
    parts = [bundle.score(table.slice(row, 7)).outputs for row in range(0, 300, 7)]
    joined = pa.Table.from_batches(parts)
    assert at_once.column("prediction").equals(joined.column("prediction").combine_chunks())
    left, right = at_once.column("proba_true").to_numpy(), joined.column("proba_true").to_numpy()
    np.testing.assert_allclose(left, right, rtol=1e-12)


@pytest.mark.parametrize(
    ("attribute", "sentence"),
    [
        ("instanse", "has no instanse, which --model names; did you mean instance?"),
        ("not_one", "is no estimator: it has no get_params"),
        ("needs_words", "cannot be made without arguments"),
        ("StandardScaler", "is no estimator: it has no predict"),
    ],
)
def test_an_attribute_that_is_no_estimator_is_refused(own: str, attribute: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        parse_model(f"{own}:{attribute}")


def test_a_module_that_cannot_be_imported_is_refused_in_a_sentence(own: str, tmp_path: Path) -> None:
    (tmp_path / f"{own}_broken.py").write_text("raise RuntimeError('half written')", "utf-8")
    (tmp_path / f"{own}_lacking.py").write_text("import no_such_library", "utf-8")
    with pytest.raises(UsageError, match=r"cannot be imported \(RuntimeError: half written\)"):
        parse_model(f"{own}_broken:model")
    with pytest.raises(UsageError, match="there is no module no_such_library"):
        parse_model(f"{own}_lacking:model")
    with pytest.raises(UsageError, match=r"There is no module no_such_module, which --model names"):
        parse_model("no_such_module:model")


def test_a_class_of_the_user_s_own_needs_the_joblib_format(own: str) -> None:
    with pytest.raises(Refused, match=rf"holds {own}\.Own, which is not .* --format joblib"):
        fit_shop(model=f"{own}:Own")


@pytest.mark.parametrize("ending", ["joblib", "skops"])
def test_an_estimator_in_a_file_is_trained(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"model.{ending}"
    estimator = RandomForestClassifier(5)
    (joblib.dump if ending == "joblib" else skops.io.dump)(estimator, path)
    fitted = fit_shop(model=str(path))
    assert fitted.pipeline[-1].n_estimators == 5
    assert fitted.pipeline[-1].random_state == 0


def test_a_fitted_estimator_is_fitted_anew_and_the_user_is_told_of_register(tmp_path: Path) -> None:
    path = tmp_path / "model.joblib"
    joblib.dump(LogisticRegression(C=0.125).fit([[0], [1]], [0, 1]), path)
    fitted = fit_shop(model=str(path))
    assert fitted.pipeline[-1].C == 0.125
    assert any("is fitted already" in note and "skfleet register" in note for note in fitted.warnings)


def test_a_file_that_is_not_there_or_no_estimator_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There is no file"):
        parse_model(str(tmp_path / "model.joblib"))
    broken = tmp_path / ("a long way to " * 10) / "broken.joblib"
    broken.parent.mkdir()
    broken.write_bytes(b"no pickle")
    with pytest.raises(UsageError, match=r"broken\.joblib cannot be read"):
        parse_model(str(broken))


@pytest.mark.parametrize("name", ["LGBMClassifier", "XGBClassifier", "lightgbm:LGBMClassifier"])
def test_boosters_are_trained_and_score_equally_in_any_batch(name: str) -> None:
    table = shop_rows(300)
    fitted = fit_shop(table, model=name, params={"n_estimators": 10})
    assert fitted.manifest.tolerance == 0
    assert {"lightgbm", "xgboost"} & fitted.manifest.versions.keys()
    bundle = open_again(fitted)
    parts = [bundle.score(table.slice(row, 11)).outputs for row in range(0, 300, 11)]
    assert pa.Table.from_batches(parts).equals(pa.Table.from_batches([bundle.score(table).outputs]))


@pytest.mark.parametrize("name", ["LGBMRegressor", "XGBRegressor"])
def test_boosters_predict_amounts(name: str) -> None:
    bundle = open_again(fit_shop(model=name, target="amount", params={"n_estimators": 10}))
    assert bundle.score(shop_rows(5)).outputs.schema.names == ["prediction"]


def test_a_booster_that_is_not_installed_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xgboost", None)
    with pytest.raises(EnvironmentFault, match=r"xgboost is not installed here; .* 'skfleet\[boosting\]'"):
        parse_model("XGBClassifier")


def test_a_host_without_openmp_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def cannot(_name: str) -> None:
        raise OSError("libgomp.so.1: cannot open shared object file: No such file or directory")

    monkeypatch.setattr(brought.importlib, "import_module", cannot)
    with pytest.raises(EnvironmentFault, match=r"needs the system's libgomp\.so\.1.*install libgomp1"):
        parse_model("LGBMClassifier")


def test_importing_a_model_leaves_the_search_path_as_it_was(own: str) -> None:
    before = list(sys.path)
    parse_model(f"{own}:instance")
    assert sys.path == before


def test_no_booster_is_imported_unless_it_is_asked_for() -> None:
    code = (
        "import sys, skfleet_common.model.fit; sys.exit(bool({'lightgbm', 'xgboost'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

"""A model gives every kind of output that it has, as by itself, and computes only what is asked for."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.cluster import KMeans
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import HistGradientBoostingClassifier, IsolationForest, VotingRegressor
from sklearn.feature_selection import RFE
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, RidgeClassifier
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC, LinearSVC, OneClassSVM

from model_samples import SHOP_COLUMNS, shop_rows
from skfleet_common.contracts.errors import NotReproducibleHere, Refused, UsageError
from skfleet_common.contracts.kinds import Kind, kinds_of, word_of
from skfleet_common.model.bundle import GOLDEN_FILE, MANIFEST_FILE, Bundle, digest_of, open_bundle, pack
from skfleet_common.model.manifest import FeatureManifest, Learning
from skfleet_common.model.registration import describe_model
from skfleet_common.model.sample_columns import Registration

NUMBERS = ["items", "score", "price"]
WHOLE = shop_rows(200, nulls=0.0)
FRAME = WHOLE.select(NUMBERS).to_pandas()
EITHER = WHOLE.column("returned").to_numpy()
THREE = np.digitize(FRAME["score"], np.quantile(FRAME["score"], [0.3, 0.7]))
AMOUNT = WHOLE.column("amount").to_numpy()
FRESH = shop_rows(60, seed=9, nulls=0.0)
FRESH_FRAME = FRESH.select(NUMBERS).to_pandas()


def files_of(model: Any, *targets: str) -> dict[str, bytes]:
    columns = [column for column in SHOP_COLUMNS if column.name in {*NUMBERS, "id", *targets}]
    table = WHOLE.select([column.name for column in columns])
    asked = Registration(name="made", targets=targets, id_columns=("id",))
    return pack(describe_model(model, table, columns=columns, asked=asked))


def opened(files: dict[str, bytes]) -> Bundle:
    return open_bundle(files, digest=digest_of(files[MANIFEST_FILE]))


def columns_of(bundle: Bundle, kind: Kind) -> np.ndarray:
    """All columns of a kind for the fresh rows, and nothing else computed."""
    names = [column.name for column in bundle.manifest.all_outputs if column.source == kind]
    outputs = bundle.score(FRESH, names).outputs
    assert outputs.schema.names == names
    return np.column_stack([outputs.column(name).to_numpy(zero_copy_only=False) for name in names])


DECIDING = [
    (LogisticRegression(), EITHER),
    (make_pipeline(StandardScaler(), LogisticRegression()), THREE),
    (LinearSVC(random_state=0), EITHER),
    (SVC(), THREE),
    (RidgeClassifier(), THREE),
    (LinearDiscriminantAnalysis(), THREE),
    (HistGradientBoostingClassifier(max_iter=5), THREE),
    (make_pipeline(StandardScaler(), LogisticRegression()), EITHER),
    (IsolationForest(n_estimators=5, random_state=0), None),
    (OneClassSVM(), None),
]


@pytest.mark.parametrize(("model", "y"), DECIDING, ids=lambda value: type(value).__name__)
def test_decision_values_are_those_of_the_estimator(model: Any, y: Any) -> None:
    model.fit(FRAME, y)
    bundle = opened(files_of(model))
    expected = model.decision_function(FRESH_FRAME)
    given = columns_of(bundle, Kind.DECISION)
    np.testing.assert_allclose(given.reshape(expected.shape), expected, rtol=1e-12)
    np.testing.assert_array_equal(bundle.decision_function(FRESH_FRAME).reshape(given.shape), given)
    names = [column.name for column in bundle.manifest.all_outputs if column.source == Kind.DECISION]
    assert names == (["decision"] if expected.ndim == 1 else ["decision_0", "decision_1", "decision_2"])
    np.testing.assert_array_equal(columns_of(bundle, Kind.PREDICTION)[:, 0], model.predict(FRESH_FRAME))


TRANSFORMING = [
    (PCA(2), None, ["pca0", "pca1"]),
    (StandardScaler(), None, NUMBERS),
    (make_pipeline(StandardScaler(), PCA(2)), None, ["pca0", "pca1"]),
    (KMeans(3, random_state=0, n_init=1), None, ["kmeans0", "kmeans1", "kmeans2"]),
    (LinearDiscriminantAnalysis(), THREE, ["lineardiscriminantanalysis0", "lineardiscriminantanalysis1"]),
    (RFE(Ridge(), n_features_to_select=1), AMOUNT, ["items"]),
    (PLSRegression(2), AMOUNT, ["plsregression0", "plsregression1"]),
    (VotingRegressor([("A b", Ridge()), ("c", LinearRegression())]), AMOUNT, None),
    (FunctionTransformer(np.tanh), None, ["component_0", "component_1", "component_2"]),
]


@pytest.mark.parametrize(("model", "y", "names"), TRANSFORMING, ids=lambda value: type(value).__name__)
def test_components_are_those_of_the_estimator(model: Any, y: Any, names: list[str] | None) -> None:
    model.fit(FRAME, y)
    bundle = opened(files_of(model))
    expected = model.transform(FRESH_FRAME)
    np.testing.assert_allclose(columns_of(bundle, Kind.TRANSFORMED), expected, rtol=1e-9)
    np.testing.assert_allclose(bundle.transform(FRESH_FRAME), expected, rtol=1e-9)
    given = [column.name for column in bundle.manifest.all_outputs if column.source == Kind.TRANSFORMED]
    assert given == (names or ["votingregressor_a_b", "votingregressor_c"])


def test_a_model_without_a_target_says_of_labels_what_it_can() -> None:
    clusters = opened(files_of(KMeans(3, random_state=0, n_init=1).fit(FRAME)))
    mixture = opened(files_of(GaussianMixture(2, random_state=0).fit(FRAME)))
    outliers = opened(files_of(IsolationForest(n_estimators=5, random_state=0).fit(FRAME)))
    said = {
        bundle.manifest.target.column: [column.name for column in bundle.manifest.outputs]
        for bundle in (clusters, outliers)
    }
    assert said == {"cluster": ["prediction"], "outlier": ["prediction", "decision"]}
    assert [column.name for column in mixture.manifest.outputs] == ["prediction", "proba_0", "proba_1"]
    assert clusters.score(FRESH).outputs.column("prediction").type == pa.int64()
    np.testing.assert_allclose(mixture.predict_proba(FRESH_FRAME).sum(axis=1), 1.0)
    assert clusters.manifest.target.learning is Learning.UNSUPERVISED
    # A worker that knows no such models must not take them for others.
    assert clusters.manifest.schema_version == 3
    assert opened(files_of(LogisticRegression().fit(FRAME, EITHER))).manifest.schema_version == 2


class Counting(TransformerMixin, ClassifierMixin, BaseEstimator):
    """Counts what it is asked for."""

    def fit(self, _X: Any, y: Any) -> Counting:
        self.classes_ = np.unique(y)
        self.asked_: list[str] = []
        return self

    def _note(self, method: str) -> None:
        self.asked_.append(method)

    def predict(self, X: Any) -> Any:
        self._note("predict")
        return self.classes_[(np.asarray(X)[:, 0] > 2).astype(int)]

    def predict_proba(self, X: Any) -> Any:
        self._note("proba")
        second = (np.asarray(X)[:, 0] > 2) * 0.5 + 0.25
        return np.column_stack([1 - second, second])

    def decision_function(self, X: Any) -> Any:
        self._note("decision")
        return np.asarray(X)[:, 0] - 2.0

    def transform(self, X: Any) -> Any:
        self._note("transform")
        return np.asarray(X)[:, :1]


@pytest.mark.parametrize(
    "words", [["predict"], ["proba"], ["decision"], ["transform"], ["predict", "decision"]]
)
def test_nothing_is_computed_that_nobody_asked_for(words: list[str]) -> None:
    model = Counting().fit(FRAME, EITHER)
    described = describe_model(
        model,
        WHOLE.select(NUMBERS),
        columns=[column for column in SHOP_COLUMNS if column.name in NUMBERS],
        asked=Registration(name="made"),
    )
    bundle = Bundle(described.manifest, model, digest="0" * 64, warnings=[])
    kinds = kinds_of(words)
    assert [word_of(kind) for kind in kinds] == words
    model.asked_.clear()
    names = [column.name for column in bundle.manifest.all_outputs if column.source in kinds]
    outputs = bundle.score(FRESH, names).outputs
    assert sorted(model.asked_) == sorted(words)
    assert sorted(outputs.schema.names) == sorted(names)
    assert bundle.score(FRESH.slice(0, 0), names).outputs.schema == outputs.schema


def test_what_a_model_lacks_is_said_in_one_sentence() -> None:
    amounts = opened(files_of(Ridge().fit(FRAME, AMOUNT)))
    nearest = opened(files_of(KNeighborsClassifier().fit(FRAME, EITHER)))
    with pytest.raises(
        UsageError, match="made has no decision_function that its bundle lists; leave decision"
    ):
        nearest.decision_function(FRESH_FRAME)
    with pytest.raises(UsageError, match=r"no transform .* \(the model gives predict\)"):
        amounts.transform(FRESH_FRAME)
    with pytest.raises(UsageError, match="predicts the amount 'target', which has no probabilities"):
        amounts.predict_proba(FRESH_FRAME)
    with pytest.raises(UsageError, match="did you mean proba"):
        kinds_of(["probas"])


class Ranking(TransformerMixin, BaseEstimator):
    """Looks at the whole batch."""

    def fit(self, _X: Any, _y: Any = None) -> Ranking:
        self.fitted_ = True
        return self

    def transform(self, X: Any) -> Any:
        return pd.DataFrame(X).rank().to_numpy()


class RankingClassifier(Ranking, ClassifierMixin):
    """Predicts row by row, and transforms by the batch."""

    classes_ = np.array([False, True])

    def predict(self, X: Any) -> Any:
        return np.asarray(X)[:, 0] > 2


def test_what_depends_on_the_rows_beside_a_row_is_not_offered() -> None:
    with pytest.raises(Refused, match="come out the same when it is asked again and when the rows are cut"):
        files_of(Ranking().fit(None))
    table = WHOLE.select(NUMBERS)
    columns = [column for column in SHOP_COLUMNS if column.name in NUMBERS]
    made = describe_model(
        RankingClassifier().fit(None), table, columns=columns, asked=Registration(name="made")
    )
    assert made.manifest.more_outputs == ()


def test_golden_rows_hold_what_is_given_only_if_asked_for_and_are_replayed() -> None:
    files = files_of(KMeans(3, random_state=0, n_init=1).fit(FRAME))
    golden = pq.read_table(io.BytesIO(files[GOLDEN_FILE]))
    assert {"output.prediction", "further.kmeans0", "further.kmeans2"} <= set(golden.schema.names)
    bundle = opened(files)
    place = golden.schema.get_field_index("further.kmeans1")
    shifted = pa.array(golden.column(place).to_numpy() + 1e-3)
    sink = io.BytesIO()
    pq.write_table(golden.set_column(place, "further.kmeans1", shifted), sink)
    with pytest.raises(NotReproducibleHere, match="kmeans1 of a golden row comes out differently here"):
        bundle.replay(sink.getvalue())


def test_a_bundle_from_before_is_read_and_gives_what_it_lists() -> None:
    files = files_of(LogisticRegression().fit(FRAME, EITHER))
    manifest = FeatureManifest.from_json(files[MANIFEST_FILE])
    golden = pq.read_table(io.BytesIO(files[GOLDEN_FILE]))
    before = Bundle(
        manifest.model_copy(update={"more_outputs": ()}),
        opened(files).pipeline,
        digest="0" * 64,
        warnings=[],
    )
    sink = io.BytesIO()
    kept = [name for name in golden.schema.names if not name.startswith("further.")]
    pq.write_table(golden.select(kept), sink)
    before.replay(sink.getvalue())
    assert before.score(FRESH).outputs.schema.names == ["prediction", "proba_false", "proba_true"]


def test_a_target_is_no_use_to_a_model_that_had_none() -> None:
    with pytest.raises(UsageError, match="learned without a target; leave --target out"):
        files_of(KMeans(3, random_state=0, n_init=1).fit(FRAME), "amount")

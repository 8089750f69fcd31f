"""A model that was fitted elsewhere gets a bundle from a sample, or a sentence why it gets none."""

from __future__ import annotations

import pickle
import subprocess
import threading
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, TransformerMixin
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.svm import LinearSVC

from model_samples import CITY, SHOP_COLUMNS, shop_rows
from skfleet_common.contracts.errors import NotReproducibleHere, Refused, UsageError
from skfleet_common.model.bundle import GOLDEN_FILE, MANIFEST_FILE, Bundle, digest_of, open_bundle, pack
from skfleet_common.model.frame_inputs import FrameBuilder
from skfleet_common.model.manifest import Role, Takes
from skfleet_common.model.model_file import ModelFormat
from skfleet_common.model.policies import NullPolicy
from skfleet_common.model.registration import describe_model
from skfleet_common.model.sample_columns import Registration

NUMBERS = ["items", "score", "price"]
ROWS = shop_rows(200)
WHOLE = shop_rows(200, nulls=0.0)


def frame_of(table: pa.Table, names: list[str]) -> pd.DataFrame:
    """Give the columns as somebody with pandas would have them."""
    return table.select(names).to_pandas()


def aware_pipeline() -> Pipeline:
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    encoder = ColumnTransformer(
        [("n", numbers, ["score", "items"]), ("c", OneHotEncoder(handle_unknown="ignore"), [CITY])]
    )
    frame = frame_of(ROWS, ["score", CITY, "items"])
    return Pipeline([("features", encoder), ("model", LogisticRegression())]).fit(
        frame, ROWS.column("returned").to_numpy()
    )


def registered(model: Any, table: pa.Table = ROWS, **asked: Any) -> dict[str, bytes]:
    asked = {"targets": ("returned",), "id_columns": ("id",), **asked}
    columns = [column for column in SHOP_COLUMNS if column.name in table.schema.names]
    return pack(describe_model(model, table, columns=columns, asked=Registration(name="made", **asked)))


def opened(files: dict[str, bytes], **settings: Any) -> Bundle:
    return open_bundle(files, digest=digest_of(files[MANIFEST_FILE]), **settings)


def test_a_pipeline_that_takes_a_frame_scores_as_it_does_by_itself() -> None:
    model = aware_pipeline()
    bundle = opened(registered(model))
    fresh = shop_rows(80, seed=5)
    expected = model.predict_proba(frame_of(fresh, ["score", CITY, "items"]))
    scored = bundle.score(fresh)
    assert scored.kept.all()
    np.testing.assert_array_equal(scored.outputs.column("proba_true").to_numpy(), expected[:, 1])
    assert bundle.manifest.takes is Takes.FRAME
    assert bundle.manifest.feature_columns == ("score", CITY, "items")
    assert bundle.classes_ == (False, True)


def test_a_frame_in_any_order_with_more_columns_is_predicted_alike() -> None:
    model = aware_pipeline()
    bundle = opened(registered(model))
    frame = shop_rows(30, seed=6).to_pandas()
    expected = model.predict(frame[["score", CITY, "items"]])
    np.testing.assert_array_equal(bundle.predict(frame[frame.columns[::-1]]), expected)


def test_an_estimator_of_a_plain_array_takes_the_columns_of_the_sample_in_their_order() -> None:
    table = WHOLE.select(["id", *NUMBERS, "amount"])
    X = np.column_stack([table.column(name).to_numpy() for name in NUMBERS])
    model = LinearRegression().fit(X, table.column("amount").to_numpy())
    bundle = opened(registered(model, table, targets=("amount",)))
    assert bundle.manifest.takes is Takes.ARRAY
    assert bundle.manifest.feature_columns == tuple(NUMBERS)
    np.testing.assert_array_equal(
        bundle.score(table).outputs.column("prediction").to_numpy(), model.predict(X)
    )


def test_golden_rows_hold_what_the_model_takes_and_never_a_key() -> None:
    files = registered(aware_pipeline())
    golden = pq.read_table(pa.BufferReader(files[GOLDEN_FILE]))
    assert {name for name in golden.schema.names if name.startswith("input.")} == {
        "input.score",
        f"input.{CITY}",
        "input.items",
    }
    roles = {column.name: column.role for column in opened(files).manifest.columns}
    assert (roles["id"], roles["returned"], roles["price"]) == (Role.KEY, Role.TARGET, Role.EXCLUDED)


def test_a_frame_bundle_whose_golden_rows_come_out_otherwise_is_refused() -> None:
    files = registered(aware_pipeline())
    other = aware_pipeline()
    other.named_steps["model"].intercept_ += 1e-6
    forged = {**files, "model.skops": pack_model(other)}
    with pytest.raises(NotReproducibleHere, match="comes out differently here"):
        opened(resealed(forged))


def pack_model(model: Any) -> bytes:
    return registered(model)["model.skops"]


def resealed(files: dict[str, bytes]) -> dict[str, bytes]:
    from skfleet_common.model.manifest import BundleFile, FeatureManifest  # noqa: PLC0415

    listed = tuple(
        BundleFile(name=name, size=len(raw), sha256=digest_of(raw))
        for name, raw in files.items()
        if name != MANIFEST_FILE
    )
    manifest = FeatureManifest.from_json(files[MANIFEST_FILE]).model_copy(update={"files": listed})
    return {**files, MANIFEST_FILE: manifest.to_json()}


@pytest.mark.parametrize(
    ("labels", "values"),
    [
        (["b", "a", "c"], ("a", "b", "c")),
        ([3, 1, 2], (1, 2, 3)),
        ([2.0, 1.0, 4.0], (1, 2, 4)),
        ([True, False, True], (False, True)),
    ],
)
def test_classes_come_from_the_model(labels: list[Any], values: tuple[Any, ...]) -> None:
    table = WHOLE.select(NUMBERS)
    y = np.array(labels)[np.arange(len(ROWS)) % 3]
    model = RandomForestClassifier(5, random_state=0).fit(frame_of(table, NUMBERS), y)
    bundle = opened(registered(model, table, targets=(), id_columns=()))
    assert bundle.classes_ == values
    assert bundle.manifest.tolerance == 0.0
    predicted = bundle.score(table).outputs.column("prediction").to_pylist()
    assert predicted == [type(values[0])(label) for label in model.predict(frame_of(table, NUMBERS))]


def test_lightgbm_and_its_categoricals_score_as_by_themselves() -> None:
    lightgbm = pytest.importorskip("lightgbm")
    frame = frame_of(ROWS, ["score", CITY])
    frame[CITY] = frame[CITY].astype("category")
    model = lightgbm.LGBMClassifier(n_estimators=5, verbose=-1, n_jobs=1)
    model.fit(frame.rename(columns={CITY: "city"}), ROWS.column("returned").to_numpy())
    table = ROWS.select(["score", CITY]).rename_columns(["score", "city"])
    columns = [
        column.model_copy(update={"name": "city"}) if column.name == CITY else column
        for column in SHOP_COLUMNS
    ]
    asked = Registration(
        name="made", categories={"city": tuple(frame[CITY].cat.categories)}, format=ModelFormat.JOBLIB
    )
    chosen = [column for column in columns if column.name in table.schema.names]
    files = pack(describe_model(model, table, columns=chosen, asked=asked))
    bundle = opened(files, allow_joblib=True)
    expected = model.predict_proba(frame.rename(columns={CITY: "city"}))[:, 1]
    np.testing.assert_array_equal(bundle.score(table).outputs.column("proba_true").to_numpy(), expected)


def test_whole_numbers_without_null_in_the_sample_may_not_be_null_later() -> None:
    model = LinearRegression().fit(frame_of(WHOLE, NUMBERS), WHOLE.column("amount").to_numpy())
    strict = opened(registered(model, WHOLE, targets=("amount",))).manifest.features
    assert [feature.nulls for feature in strict] == [NullPolicy.ERROR, NullPolicy.MISSING, NullPolicy.MISSING]
    asked = opened(registered(model, WHOLE, targets=("amount",), null_policy={"items": "reject_row"}))
    assert asked.manifest.features[0].nulls is NullPolicy.REJECT_ROW
    nulls = [3, 17]
    items = [None if row in nulls else 1 for row in range(50)]
    rest = WHOLE.slice(0, 50).drop_columns(["items"])
    scored = asked.score(rest.append_column("items", pa.array(items, pa.int32())))
    assert [reject.row for reject in scored.rejected if not reject.quarantined] == nulls


class Shaken(RegressorMixin, BaseEstimator):
    """Predicts by chance."""

    def fit(self, _X: Any, _y: Any) -> Shaken:
        self.random_ = np.random.default_rng(0)
        return self

    def predict(self, X: Any) -> Any:
        return self.random_.normal(size=len(X))


class Centred(RegressorMixin, BaseEstimator):
    """Looks at the whole of what it is given."""

    def fit(self, _X: Any, _y: Any) -> Centred:
        self.fitted_ = True
        return self

    def predict(self, X: Any) -> Any:
        values = np.asarray(X, dtype=float)[:, 0]
        return values - np.nanmean(values)


class Adder(TransformerMixin, BaseEstimator):
    """A step that adds columns to the frame that it is given."""

    def fit(self, _X: Any, _y: Any = None) -> Adder:
        self.fitted_ = True
        return self

    def transform(self, X: Any) -> Any:
        X["twice"] = 2 * X["score"]
        return X.fillna(0.0)


class Chatty(ClassifierMixin, BaseEstimator):
    """Prints and warns."""

    def fit(self, _X: Any, _y: Any) -> Chatty:
        self.classes_ = np.unique(_y)
        return self

    def predict_proba(self, X: Any) -> Any:
        warnings.warn("no idea\nat all", UserWarning, stacklevel=1)
        print("thinking")  # noqa: T201
        return np.full((len(X), 2), 0.5)

    def predict(self, X: Any) -> Any:
        return np.repeat(self.classes_[:1], len(X))


class Scribbler(RegressorMixin, BaseEstimator):
    """Writes into what it is given."""

    def fit(self, _X: Any, _y: Any) -> Scribbler:
        self.fitted_ = True
        return self

    def predict(self, X: Any) -> Any:
        if isinstance(X, pd.DataFrame):
            X["score"] = X["score"] * 2
            return X["score"].to_numpy().copy()
        X *= 2
        return X[:, 0].copy()


REFUSALS = [
    (object(), "holds something of type object, which has no predict and no transform, and so says nothing"),
    (LogisticRegression, "holds the class LogisticRegression, not a fitted model"),
    (StandardScaler(), "The model is not fitted"),
    (KMeans(2), "The model is not fitted"),
    (LogisticRegression(), "The model is not fitted"),
    (LinearRegression(), "The model is not fitted"),
    (LinearRegression().fit([[0, 1], [1, 0]], [0, 1]), "fitted on 2 columns, but the sample has 3"),
    (Shaken().fit(None, None), "predicts otherwise when it is asked again"),
    (Centred().fit(None, None), "depends on the rows beside it"),
    (LogisticRegression().fit(np.eye(2), np.array([0.5, 1.5]).astype(str)), "fitted on 2 columns"),
]


@pytest.mark.parametrize(("model", "sentence"), REFUSALS)
def test_what_no_worker_could_reproduce_is_refused(model: Any, sentence: str) -> None:
    with pytest.raises(Refused, match=sentence):
        registered(model, WHOLE.select(NUMBERS), targets=(), id_columns=())


def test_a_sample_that_lacks_a_column_is_refused_with_the_nearest_name() -> None:
    table = ROWS.rename_columns([f"{name}s" if name == "score" else name for name in ROWS.schema.names])
    columns = [c.model_copy(update={"name": "scores"}) if c.name == "score" else c for c in SHOP_COLUMNS]
    with pytest.raises(
        Refused, match=r"column 'score', which the sample lacks; add it; did you mean scores\?"
    ):
        describe_model(aware_pipeline(), table, columns=columns, asked=Registration(name="made"))


def test_a_sample_of_no_rows_is_refused() -> None:
    with pytest.raises(Refused, match="The sample has no rows"):
        registered(aware_pipeline(), ROWS.slice(0, 0))


def test_a_sample_of_one_row_will_do() -> None:
    assert opened(registered(aware_pipeline(), ROWS.slice(0, 1))).manifest.provenance.rows == 1


def test_a_column_that_no_model_can_use_is_refused_by_name() -> None:
    frame = frame_of(ROWS, ["payload"])
    model = make_pipeline(OrdinalEncoder(), HistGradientBoostingClassifier(max_iter=2))
    model.fit(frame, ROWS.column("returned").to_numpy())
    with pytest.raises(Refused, match="'payload' of the sample is jsonb, which no model can use"):
        registered(model)


def test_a_model_that_scores_no_row_is_refused() -> None:
    model = Ridge().fit([[0.0], [1.0]], [0.0, 1.0])
    model.coef_[:] = np.inf
    with pytest.raises(Refused, match=r"scores no row of the sample .*gives no finite"):
        registered(model, WHOLE.select(["score"]), targets=(), id_columns=())


def test_a_model_that_writes_into_its_frame_only_writes_into_its_own() -> None:
    frame = frame_of(WHOLE, ["score"])
    model = Pipeline([("add", Adder()), ("model", Ridge())]).fit(frame.copy(), np.arange(len(frame)))
    files = registered(
        model,
        WHOLE.select(["score"]),
        targets=(),
        id_columns=(),
        takes=Takes.FRAME,
        format=ModelFormat.JOBLIB,
    )
    bundle = opened(files, allow_joblib=True)
    first = bundle.score(WHOLE).outputs
    assert bundle.score(WHOLE).outputs.equals(first)
    assert bundle.features(frame).columns.tolist() == ["score"]


def test_a_model_that_writes_into_its_array_only_writes_into_its_own() -> None:
    table = WHOLE.select(["score"])
    settings: dict[str, Any] = {"targets": (), "id_columns": (), "format": ModelFormat.JOBLIB}
    bundle = opened(registered(Scribbler().fit(None, None), table, **settings), allow_joblib=True)
    expected = 2 * table.column("score").to_numpy()
    np.testing.assert_array_equal(bundle.score(table).outputs.column("prediction").to_numpy(), expected)


def test_a_classifier_without_probabilities_gives_decision_values() -> None:
    table = WHOLE.select(["score"])
    y = WHOLE.column("returned").to_numpy()
    model = LinearSVC().fit(table.to_pandas(), y)
    bundle = opened(registered(model, table, id_columns=()))
    scored = bundle.score(table).outputs
    assert scored.schema.names == ["prediction", "decision"]
    np.testing.assert_allclose(
        scored.column("decision").to_numpy(), model.decision_function(table.to_pandas())
    )


@pytest.mark.parametrize(
    ("model", "names"),
    [
        (LinearRegression().fit(np.eye(3), np.eye(3)[:, :2]), ["prediction_a", "prediction_b"]),
        (
            RandomForestClassifier(2, random_state=0).fit(np.eye(3), [[0, 1], [1, 0], [0, 0]]),
            ["prediction_a", "proba_a_0", "proba_a_1", "prediction_b", "proba_b_0", "proba_b_1"],
        ),
    ],
)
def test_several_targets_are_told_apart_by_name(model: Any, names: list[str]) -> None:
    table = WHOLE.select(NUMBERS)
    bundle = opened(registered(model, table, targets=("a", "b"), id_columns=()))
    assert bundle.score(table).outputs.schema.names == names
    with pytest.raises(UsageError, match="predicts 2 targets, but 1 are named"):
        registered(model, table, targets=("a",), id_columns=())


def test_a_model_of_many_threads_is_stored_with_one_and_stays_as_it_was() -> None:
    frame = frame_of(WHOLE, NUMBERS)
    forest = RandomForestClassifier(5, random_state=0, n_jobs=-1)
    model = make_pipeline(SimpleImputer(), forest).fit(frame, WHOLE.column("returned").to_numpy())
    described = describe_model(
        model,
        WHOLE.select(NUMBERS),
        columns=[column for column in SHOP_COLUMNS if column.name in NUMBERS],
        asked=Registration(name="made"),
    )
    assert described.pipeline.steps[-1][1].n_jobs == 1
    assert forest.n_jobs == -1
    assert opened(pack(described)).score(WHOLE).kept.all()


def test_what_a_model_warns_of_is_said_once_in_one_line() -> None:
    model = Chatty().fit(None, [False, True])
    columns = [column for column in SHOP_COLUMNS if column.name in NUMBERS]
    described = describe_model(
        model,
        WHOLE.select(NUMBERS),
        columns=columns,
        asked=Registration(name="made", format=ModelFormat.JOBLIB),
    )
    order, warned, printed = described.warnings
    assert order.startswith("The model names no columns")
    assert warned == "The model warned: no idea"
    assert printed.startswith("The model printed ")
    assert printed.endswith("lines, which begins: thinking")


def test_a_pickle_is_opened_only_where_this_side_opted_in() -> None:
    files = registered(aware_pipeline(), format=ModelFormat.JOBLIB)
    assert "model.joblib" in files
    with pytest.raises(NotReproducibleHere, match="has not opted in; set SKFLEET_ALLOW_JOBLIB=true"):
        opened(files)
    assert opened(files, allow_joblib=True).score(ROWS).kept.all()


class Trap:
    """Runs a command as it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return subprocess.check_call, (["false"],)


def test_an_altered_pickle_is_never_unpickled() -> None:
    files = registered(aware_pipeline(), format=ModelFormat.JOBLIB)
    with pytest.raises(Refused, match=r"model\.joblib was altered"):
        opened({**files, "model.joblib": pickle.dumps(Trap())}, allow_joblib=True)


def test_a_model_that_cannot_be_pickled_is_refused() -> None:
    model = aware_pipeline()
    model.lock = threading.Lock()
    with pytest.raises(Refused, match="cannot be written as joblib"):
        registered(model, format=ModelFormat.JOBLIB)


def test_a_lambda_travels_in_a_pickle_but_not_in_skops() -> None:
    frame = frame_of(WHOLE, ["score"])
    model = make_pipeline(FunctionTransformer(lambda X: X * 2), Ridge()).fit(frame, np.arange(len(frame)))
    settings: dict[str, Any] = {"targets": (), "id_columns": (), "takes": Takes.FRAME}
    bundle = opened(
        registered(model, WHOLE.select(["score"]), format=ModelFormat.JOBLIB, **settings), allow_joblib=True
    )
    assert bundle.score(WHOLE).kept.all()
    with pytest.raises(Refused):
        opened(registered(model, WHOLE.select(["score"]), **settings))


def test_the_dtypes_that_the_model_gets_stand_in_the_manifest() -> None:
    manifest = opened(registered(aware_pipeline())).manifest
    frame = FrameBuilder(manifest.features, Takes.FRAME).build(ROWS).X
    assert [(part.name, part.dtype) for part in manifest.transformed] == [
        (str(name), str(dtype)) for name, dtype in frame.dtypes.items()
    ]

"""What silently goes wrong in other systems, each with a test that fails if it went wrong here."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from lightgbm import LGBMClassifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.ensemble import VotingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder

from model_samples import CITIES, CITY, as_driver_gives, fit_shop, open_again, shop_rows
from skfleet_common.contracts.columns import Column, LogicalDtype
from skfleet_common.contracts.errors import Refused
from skfleet_common.model.bundle import MANIFEST_FILE, Bundle, pack
from skfleet_common.model.fit import FittedBundle
from skfleet_common.model.golden import same_bits
from skfleet_common.model.manifest import FeatureKind
from skfleet_common.model.refusals import MissingColumn, TypeChanged, UnseenLevel
from skfleet_common.model.registration import describe_model
from skfleet_common.model.sample_columns import Registration


@pytest.fixture(scope="module", params=["gradient_boosting", "logistic_regression"])
def bundle(request: pytest.FixtureRequest) -> Bundle:
    return open_again(fit_shop(model=request.param, categorical=["shelf"]))


def city_columns(bundle: Bundle) -> list[int]:
    return [n for n, feature in enumerate(bundle.manifest.transformed) if feature.name.startswith(CITY)]


def frame_of(**values: object) -> pd.DataFrame:
    return as_driver_gives(shop_rows(1, nulls=0)).assign(**values)


@pytest.mark.parametrize("kind", ["str", "string", "object", "category", "string[pyarrow]"])
def test_text_is_expanded_whatever_pandas_calls_it(bundle: Bundle, kind: str) -> None:
    table = shop_rows(40, seed=5)
    frame = as_driver_gives(table)
    told = frame.assign(**{CITY: frame[CITY].astype(kind)})
    assert same_bits(bundle.features(told), bundle.features(frame))
    encoded = bundle.features(told)[:, city_columns(bundle)]
    known = frame[CITY].isin(CITIES).to_numpy()
    assert len(np.unique(encoded[known], axis=0)) == frame[CITY][known].nunique()


def test_text_of_pandas_3_is_a_category_in_training() -> None:
    features = {feature.column: feature for feature in fit_shop().manifest.features}
    assert features[CITY].kind is FeatureKind.CATEGORY
    assert features[CITY].known_levels == tuple(sorted(CITIES))


def test_integer_levels_scored_as_text_are_refused_and_no_rows_of_zeros(bundle: Bundle) -> None:
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(np.array([[1], [7]]))
    assert not encoder.transform(np.array([["1"]], dtype=object)).any()  # the trap
    with pytest.raises(
        TypeChanged, match="'shelf' changed: the model was trained on whole numbers but got text"
    ):
        bundle.predict(frame_of(shelf="1"))
    with pytest.raises(TypeChanged, match="'shelf' changed"):
        bundle.score(shop_rows(3).set_column(2, "shelf", pa.array(["1", "7", "300"])))


def test_text_levels_scored_as_integers_are_refused(bundle: Bundle) -> None:
    with pytest.raises(TypeChanged, match="was trained on text but got whole numbers"):
        bundle.predict(frame_of(**{CITY: 7}))


def test_integers_that_became_floats_because_of_a_null_are_the_same_levels(bundle: Bundle) -> None:
    levels = [-1, 1, 7, 300]
    rows = as_driver_gives(shop_rows(5, nulls=0, seed=2))
    whole = rows.assign(shelf=pd.Series([*levels, 1], dtype="int64"))
    with_null = rows.assign(shelf=pd.Series([*levels, None], dtype="float64"))
    assert same_bits(bundle.features(with_null)[:4], bundle.features(whole)[:4])


def test_a_missing_column_is_no_bare_key_error(bundle: Bundle) -> None:
    with pytest.raises(MissingColumn, match=r"The model needs a column 'items', which is not there"):
        bundle.predict(frame_of().drop(columns="items"))
    with pytest.raises(MissingColumn, match=r"'items'.*did you mean Items\?"):
        bundle.score(shop_rows(2).rename_columns({"items": "Items"}))
    assert not issubclass(MissingColumn, KeyError)


@pytest.mark.parametrize("model", ["gradient_boosting", "logistic_regression", "random_forest"])
def test_an_unseen_level_is_never_a_row_of_zeros_nor_a_known_level(model: str) -> None:
    bundle = open_again(fit_shop(model=model))
    places = city_columns(bundle)
    unseen = bundle.features(frame_of(**{CITY: "Atlantis"}))[0, places]
    assert unseen.any()
    for city in CITIES:
        assert not np.array_equal(bundle.features(frame_of(**{CITY: city}))[0, places], unseen)


def test_an_unseen_level_is_refused_or_rejected_where_that_was_asked_for() -> None:
    with pytest.raises(UnseenLevel, match="holds levels that the model never saw in 1 row"):
        open_again(fit_shop(unseen_policy="error")).score(_with_city("Atlantis"))
    scored = open_again(fit_shop(unseen_policy="reject_row")).score(_with_city("Atlantis"))
    assert not scored.kept.any()
    assert not scored.rejected[0].quarantined


def _with_city(city: str) -> pa.Table:
    table = shop_rows(1, nulls=0)
    return table.set_column(table.schema.get_field_index(CITY), CITY, pa.array([city]))


def test_nullable_integers_and_categoricals_keep_what_they_are(bundle: Bundle) -> None:
    frame = as_driver_gives(shop_rows(40, seed=6))
    told = frame.assign(
        items=frame["items"].astype("Int32"),
        shelf=pd.Series(frame["shelf"].astype("Int64"), dtype=object).astype("category"),
        member=frame["member"].astype("boolean"),
        **{CITY: frame[CITY].astype("category")},
    )
    assert same_bits(bundle.features(told), bundle.features(frame))
    types = {column.name: column.warehouse_type for column in bundle.manifest.columns}
    assert (types["items"], types["shelf"]) == ("integer", "smallint")
    shelf = next(feature for feature in bundle.manifest.features if feature.column == "shelf")
    assert {type(level) for level in shelf.known_levels} == {int}


def test_versions_and_hashes_are_in_the_bundle() -> None:
    manifest = json.loads(pack(fit_shop())[MANIFEST_FILE])
    assert {"python", "scikit-learn", "numpy", "scipy", "pandas", "joblib"} <= set(manifest["versions"])
    assert all(version[0].isdigit() for version in manifest["versions"].values())
    assert all(len(file["sha256"]) == 64 for file in manifest["files"])
    assert len(manifest["provenance"]["fingerprint"]) == 64


@pytest.mark.parametrize("number", [np.inf, -np.inf, 1e39])
@pytest.mark.parametrize("model", ["gradient_boosting", "random_forest", "logistic_regression"])
def test_an_infinite_number_rejects_its_row_and_no_other(model: str, number: float) -> None:
    bundle = open_again(fit_shop(model=model))
    table = shop_rows(5, nulls=0)
    scores = [*table.column("score").to_pylist()[:4], number]
    odd = table.set_column(table.schema.get_field_index("score"), "score", pa.array(scores))
    scored = bundle.score(odd)
    assert scored.kept.tolist() == [True] * 4 + [False]
    assert scored.rejected[0].reason == "score is infinite or too large"
    assert scored.outputs == bundle.score(table.slice(0, 4)).outputs


def test_the_largest_number_of_single_precision_is_still_a_number() -> None:
    bundle = open_again(fit_shop(model="random_forest"))
    largest = float(np.finfo(np.float32).max)
    frame = frame_of(score=largest)
    names = [feature.name for feature in bundle.manifest.transformed]
    X = bundle.features(frame)
    assert X.dtype == np.float32
    assert X[0, names.index("score")] == np.float32(largest)


def test_a_number_that_scaling_makes_too_large_rejects_its_row() -> None:
    table = shop_rows(nulls=0)
    tiny = pa.array(np.linspace(0, 1e-10, 400))
    bundle = open_again(
        fit_shop(
            table.set_column(table.schema.get_field_index("score"), "score", tiny),
            model="logistic_regression",
        )
    )
    odd = shop_rows(2, nulls=0).set_column(4, "score", pa.array([1e-11, 1e38]))
    scored = bundle.score(odd)
    assert scored.kept.tolist() == [True, False]
    assert scored.rejected[0].reason == "score is too large once it is scaled"


def registered(model: Pipeline, sample: pd.DataFrame, **asked: Any) -> FittedBundle:
    table = pa.Table.from_pandas(sample, preserve_index=False)
    kinds = {pa.int64(): LogicalDtype.INTEGER, pa.float64(): LogicalDtype.FLOAT64}
    columns = [
        Column(name=field.name, warehouse_type="", dtype=kinds.get(field.type, LogicalDtype.TEXT))
        for field in table.schema
    ]
    return describe_model(model, table, columns=columns, asked=Registration(name="made", **asked))


SHELVES = pd.DataFrame({"shelf": [1, 7, 300, 7] * 20, "size": [9.0, 2.0, 1.0, 3.0] * 20})
LATE = np.where(SHELVES["shelf"] > 5, "late", "soon")


@pytest.mark.parametrize(
    "encoder",
    [
        OneHotEncoder(handle_unknown="ignore"),
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
        make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")),
    ],
    ids=["one-hot", "ordinal", "imputed"],
)
def test_a_registered_encoder_that_knows_none_of_the_samples_values_is_refused(encoder: object) -> None:
    model = make_pipeline(
        make_column_transformer((encoder, ["shelf"]), remainder="passthrough"), LogisticRegression()
    ).fit(SHELVES, LATE)
    assert not registered(model, SHELVES).warnings[:-1]
    with pytest.raises(Refused, match=r"knows none of the values of column 'shelf': it learned 1, 7, 300"):
        registered(model, SHELVES.assign(shelf=SHELVES["shelf"].astype(str)))


@pytest.mark.parametrize(
    "around",
    [
        lambda model: GridSearchCV(model, {"logisticregression__C": [1.0]}, cv=2),
        lambda model: CalibratedClassifierCV(model, cv=2),
        lambda model: VotingClassifier([("one", model)]),
    ],
    ids=["search", "calibration", "vote"],
)
def test_an_encoder_is_found_within_what_is_around_a_pipeline(around: Callable[[Pipeline], Any]) -> None:
    encoder = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["shelf"]))
    model = around(make_pipeline(encoder, LogisticRegression())).fit(SHELVES[["shelf"]], LATE)
    with pytest.raises(Refused, match="knows none of the values of column 'shelf'"):
        registered(model, SHELVES[["shelf"]].astype(str))


def test_a_registered_encoder_that_knows_some_of_the_samples_values_says_so_and_who_judges_levels() -> None:
    model = make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression())
    model.fit(SHELVES[["shelf"]], LATE)
    odd = SHELVES[["shelf"]].replace(300, 301)
    first, second = (note for note in registered(model, odd).warnings if "nknown categories" not in note)
    assert (
        first == "Column 'shelf': the model's OneHotEncoder does not know 1 of the sample's 3 values ('301')."
    )
    assert "no policy of unseen levels applies to it" in second


def test_a_registered_array_model_says_in_which_order_it_is_given_columns() -> None:
    model = LogisticRegression().fit(SHELVES[["shelf", "size"]].to_numpy(), LATE)
    swapped = SHELVES[["size", "shelf"]].assign(late=LATE)
    one, two = registered(model, swapped, targets=("late",)).warnings
    assert one == "The model names no columns; it is given size, shelf, in this order."
    assert "hardly better than chance (ROC AUC" in two
    (alone,) = registered(model, SHELVES.assign(late=LATE), targets=("late",)).warnings
    assert "shelf, size, in this order" in alone


def test_a_vectorizer_that_would_take_column_names_for_texts_is_refused() -> None:
    texts = pd.DataFrame({"text": ["good fine", "bad poor"] * 20})
    alone = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts["text"], [1, 0] * 20)
    with pytest.raises(Refused, match="wants a one-dimensional column of text"):
        registered(alone, texts)
    behind = make_pipeline(make_column_transformer((TfidfVectorizer(), "text")), LogisticRegression())
    assert registered(behind.fit(texts, [1, 0] * 20), texts).manifest.feature_columns == ("text",)


def test_lightgbm_of_pandas_categories_is_registered_with_plain_texts() -> None:
    cities = pd.Categorical(["ulm", "bonn", "köln", "bonn"] * 20, categories=["ulm", "bonn", "köln"])
    rows = SHELVES.assign(city=cities)
    model = LGBMClassifier(n_estimators=2, n_jobs=1, verbose=-1, min_child_samples=2).fit(rows, LATE)
    made = registered(model, rows.astype({"city": "str"}))
    assert {f.column: f.known_levels for f in made.manifest.features}["city"] == ("ulm", "bonn", "köln")
    bundle = open_again(made)
    np.testing.assert_array_equal(bundle.predict(rows.astype({"city": "str"})), model.predict(rows))
    hidden = make_pipeline(FunctionTransformer(), model)
    with pytest.raises(Refused, match=r"give a DataFrame as the sample \(fleet.register\), with the pandas"):
        registered(hidden, rows.astype({"city": "str"}))
    with pytest.raises(UnseenLevel, match="not among the categories of the model's sample"):
        bundle.score(pa.table({"shelf": [1], "size": [1.0], "city": ["rom"]}))

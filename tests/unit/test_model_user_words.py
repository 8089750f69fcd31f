"""What users say of types, classes and policies in words is understood, or answered in one sentence."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from model_samples import fit_shop, open_again
from skfleet.inputs.files import InputFile
from skfleet.inputs.frame_input import FrameInput
from skfleet.inputs.parquet_input import ParquetInput
from skfleet.inputs.retyped import retyped
from skfleet.inputs.types import check_types
from skfleet.progress import Silent
from skfleet_common.contracts.columns import Column, LogicalDtype
from skfleet_common.contracts.errors import NotReproducibleHere, Refused, UsageError
from skfleet_common.model.choices import FitChoices
from skfleet_common.model.class_weights import with_class_keys
from skfleet_common.model.feature_choices import AskedKind, ColumnChoices, FeatureChoices
from skfleet_common.model.fit import FittedBundle, fit_model
from skfleet_common.model.manifest import FeatureKind, Learning, Levels, Target
from skfleet_common.model.policies import UnseenPolicy, policy_by_column
from skfleet_common.model.preflight import check_source
from skfleet_common.model.refusals import TypeChanged
from skfleet_common.model.roles import assign_roles
from skfleet_common.model.versions import OPTIONAL_LIBRARIES, SkewPolicy, check_versions, host_versions

ROWS = 80
CHOICES = FitChoices(name="words", targets=("big",), model="LogisticRegression")


def frame() -> pd.DataFrame:
    size = np.sin(np.arange(ROWS))
    return pd.DataFrame({"size": size, "zip": np.arange(ROWS) % 4 + 10115, "big": size > 0})


def trained(rows: pd.DataFrame, *, types: dict[str, str] | None = None, **asked: object) -> FittedBundle:
    source = retyped(FrameInput.open(rows), check_types(types or {}))
    table = source.read([column.name for column in source.columns], steps=Silent())
    return fit_model(table, columns=source.columns, choices=replace(CHOICES, **asked))


def test_whole_numbers_that_pandas_calls_categories_are_levels() -> None:
    rows = frame().astype({"zip": "category"})
    kinds = {feature.column: feature.kind for feature in trained(rows).manifest.features}
    assert kinds == {"size": FeatureKind.NUMBER, "zip": FeatureKind.CATEGORY}
    of_levels = FeatureChoices(columns={"zip": ColumnChoices(rare=3)})
    assert assign_roles(FrameInput.open(rows).columns, CHOICES)
    assert assign_roles(FrameInput.open(rows).columns, replace(CHOICES, features=of_levels))
    asked = FeatureChoices(columns={"zip": ColumnChoices(kind=AskedKind.NUMBER)})
    assert {f.kind for f in trained(rows, features=asked).manifest.features} == {FeatureKind.NUMBER}


@pytest.mark.parametrize("word", ["real", "float4"])
def test_single_precision_can_be_asked_for_and_fits_a_real_column(word: str) -> None:
    bundle = open_again(trained(frame(), types={"size": word}))
    real = Column(name="size", warehouse_type="real", dtype=LogicalDtype.FLOAT32)
    whole = Column(name="zip", warehouse_type="bigint", dtype=LogicalDtype.INTEGER)
    assert check_source(bundle.manifest, [real, whole]) == []
    rounded = frame().assign(size=frame()["size"].astype("float32"))
    np.testing.assert_array_equal(bundle.features(frame()), bundle.features(rounded))


def test_a_changed_type_names_the_word_that_trains_for_it() -> None:
    numeric = Column(name="size", warehouse_type="numeric(10,2)", dtype=LogicalDtype.DECIMAL)
    with pytest.raises(TypeChanged, match=r"train again with --type size=decimal \(types= in"):
        check_source(trained(frame()).manifest, [numeric])


def test_a_sparse_column_is_read_with_the_values_that_it_leaves_out() -> None:
    rows = frame()
    sparse = rows.assign(zip=pd.arrays.SparseArray(rows["zip"], fill_value=10115))
    bundle = open_again(trained(sparse))
    assert bundle.manifest.features == trained(rows).manifest.features
    np.testing.assert_array_equal(bundle.features(sparse), bundle.features(rows))


def test_text_that_is_no_unicode_is_refused_with_its_column() -> None:
    rows = frame().assign(note=pd.Series(["\ud800", *("ab" * (ROWS // 2))][:ROWS], dtype=object))
    with pytest.raises(Refused, match="Column 'note' of the frame holds text that is no Unicode"):
        trained(rows)


@pytest.mark.parametrize(
    ("classes", "keys"),
    [((-1, 0, 12), ("-1", "0", "12")), ((False, True), ("false", "true")), (("1", "b"), ("1", "b"))],
)
def test_class_weights_from_json_have_the_classes_as_keys(
    classes: tuple[bool | int | str, ...], keys: tuple[str, ...]
) -> None:
    dtypes = {bool: LogicalDtype.BOOLEAN, int: LogicalDtype.INTEGER, str: LogicalDtype.TEXT}
    levels = Levels(dtype=dtypes[type(classes[0])], values=classes)
    target = Target(column="y", dtype=levels.dtype, learning=Learning.CLASSIFICATION, classes=levels)
    given = dict.fromkeys(keys, 2.0)
    choices = FitChoices(
        targets=("y",),
        name="w",
        params={"model.class_weight": given, "C": 1},
        search_space={"class_weight": ["balanced", given]},
    )
    found = with_class_keys(choices, [target])
    wanted = dict.fromkeys(classes, 2.0)
    assert found.params == {"model.class_weight": wanted, "C": 1}
    assert found.search_space == {"class_weight": ["balanced", wanted]}
    assert [type(key) for key in found.params["model.class_weight"]] == [type(value) for value in classes]


def test_class_weights_of_booleans_reach_the_fit() -> None:
    weights = {"true": 1000.0, "false": 0.001}
    bundle = open_again(trained(frame(), params={"class_weight": weights}))
    assert bundle.predict(frame()).all()


def test_a_policy_that_is_neither_word_nor_mapping_is_answered_in_one_sentence() -> None:
    with pytest.raises(UsageError, match="is a word, or a mapping of words by column, not a list"):
        policy_by_column(UnseenPolicy, ["error"], ["size"])  # type: ignore[arg-type]


def test_an_infinite_target_is_counted_in_good_english() -> None:
    rows = frame().assign(big=np.cos(np.arange(ROWS)))
    rows.loc[3, "big"] = np.inf
    with pytest.raises(Refused, match="is infinite in 1 row; leave"):
        trained(rows, model="Ridge")


def test_a_host_names_every_boosting_library_that_can_be_imported() -> None:
    can_import = {name for name in OPTIONAL_LIBRARIES if importlib.util.find_spec(name)}
    assert can_import
    assert can_import == host_versions().keys() & OPTIONAL_LIBRARIES.keys()


def test_a_host_without_the_boosting_library_is_told_of_the_extra() -> None:
    here = {"scikit-learn": "1.9.1", "numpy": "2.4.0"}
    with pytest.raises(NotReproducibleHere, match=r"install skfleet\[boosting\] with xgboost 3\.0\.1 here"):
        check_versions(here | {"xgboost": "3.0.1"}, policy=SkewPolicy.PATCH, here=here)


def test_a_boosted_model_says_the_same_versions_when_it_is_trained_and_where_it_is_read() -> None:
    made = fit_shop(model="lightgbm:LGBMClassifier", params={"n_estimators": 2}).manifest.versions
    assert made["lightgbm"] == host_versions()["lightgbm"]


def test_categories_of_whole_numbers_are_levels_from_parquet_too(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    frame().astype({"zip": "category"}).to_parquet(path)
    file = InputFile(path=path, label="rows.parquet", size_bytes=path.stat().st_size)
    columns = ParquetInput.open([file], sample=None, steps=Silent()).columns
    assert {column.name: column.is_category for column in columns} == {
        "size": False,
        "zip": True,
        "big": False,
    }

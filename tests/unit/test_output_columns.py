"""An output table has what was asked of its models, under names that no two columns share."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_samples import fit_shop
from skfleet.output_columns import choose_output_columns, outputs_of_models
from skfleet.sizing import rows_per_second_of
from skfleet_common.contracts.chunks import TableName
from skfleet_common.contracts.columns import Column, LogicalDtype, SourceTable
from skfleet_common.contracts.errors import Refused, UsageError
from skfleet_common.contracts.jobs import OutputColumn
from skfleet_common.contracts.kinds import Kind
from skfleet_common.model.manifest import FeatureManifest
from skfleet_common.model.output_names import MAX_NAME_BYTES

ID = Column(name="id", warehouse_type="bigint", dtype=LogicalDtype.INTEGER, nullable=False)
PCA = Column(name="pca0", warehouse_type="text", dtype=LogicalDtype.TEXT)
TABLE = SourceTable(name=TableName(schema_name="public", name="t"), columns=(ID, PCA))
MANIFEST = fit_shop(model="logistic_regression").manifest
COMPONENT = OutputColumn(name="pca0", warehouse_type="double precision", source="transformed", nullable=False)


def named(name: str, **changes: object) -> FeatureManifest:
    """The shop's model under another name."""
    return MANIFEST.model_copy(update={"name": name, **changes})


def names(manifests: list[FeatureManifest], *asked: str, kinds: tuple[Kind, ...] = ()) -> list[str]:
    chosen = choose_output_columns(manifests, TABLE, ids=[ID], asked=asked, kinds=kinds)
    return [column.name for column in chosen]


def test_one_model_gives_its_usual_outputs_under_its_own_names() -> None:
    assert names([MANIFEST]) == ["id", "prediction", "proba_false", "proba_true"]
    assert names([MANIFEST], "prediction") == ["id", "prediction"]


def test_kinds_and_names_choose_among_all_outputs() -> None:
    assert names([MANIFEST], kinds=(Kind.DECISION, Kind.PREDICTION)) == ["id", "prediction", "decision"]
    # What is named is given, whatever kind it is.
    assert names([MANIFEST], "decision") == ["id", "decision"]
    with pytest.raises(UsageError, match="--columns names decision, which --outputs leaves out"):
        names([MANIFEST], "decision", kinds=(Kind.PREDICTION,))
    with pytest.raises(Refused, match=r"has no transform that its bundle lists; leave transform out of"):
        names([MANIFEST], kinds=(Kind.TRANSFORMED,))


def test_a_column_of_the_table_comes_before_a_component_of_that_name() -> None:
    manifest = named("a", more_outputs=(COMPONENT,))
    carried = choose_output_columns([manifest], TABLE, ids=[ID], asked=("pca0",))
    assert [(column.name, column.source) for column in carried[:2]] == [("id", "id"), ("pca0", "carried")]
    assert names([manifest], kinds=(Kind.TRANSFORMED,)) == ["id", "pca0"]


def test_columns_of_several_models_begin_with_their_names() -> None:
    two = [named("late-flights"), named("b")]
    columns = choose_output_columns(two, TABLE, ids=[ID], kinds=(Kind.PREDICTION,))
    assert [(column.name, column.model, column.of_model) for column in columns[1:]] == [
        ("late_flights_prediction", 0, "prediction"),
        ("b_prediction", 1, "prediction"),
    ]
    with pytest.raises(UsageError, match="names no output of b, so it would score for nothing"):
        names(two, "late_flights_prediction")


def test_two_bundles_of_one_model_are_numbered() -> None:
    assert names([named("late"), named("late")], kinds=(Kind.PREDICTION,)) == [
        "id",
        "late_prediction",
        "late_2_prediction",
    ]


MODEL_NAMES = st.from_regex("[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?", fullmatch=True)


@given(st.lists(MODEL_NAMES, min_size=2, max_size=5))
def test_no_two_columns_share_a_name_and_none_is_too_long(models: list[str]) -> None:
    columns = outputs_of_models([named(name) for name in models])
    found = [column.name for column in columns]
    assert len(set(found)) == len(found) == len(models) * len(MANIFEST.all_outputs)
    assert max(len(name) for name in found) <= MAX_NAME_BYTES
    assert [(column.model, column.of_model) for column in columns] == [
        (place, column.name) for place in range(len(models)) for column in MANIFEST.all_outputs
    ]


def test_models_in_turn_take_the_sum_of_their_times() -> None:
    assert rows_per_second_of([100_000.0]) == pytest.approx(100_000)
    assert rows_per_second_of([100_000.0, 25_000.0]) == pytest.approx(20_000)
    assert rows_per_second_of([100_000.0, 0.0]) == 0.0

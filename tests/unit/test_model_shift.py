"""What has shifted is found and named; what only chance made different is not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.test_worker_reconcile import plan_of, spec_of

from model_samples import CITY, fit_shop, open_again, shop_rows
from skfleet_common.contracts.errors import JobFailed
from skfleet_common.contracts.jobs import JobSpec
from skfleet_common.contracts.shifts import WORST, ColumnShift, Shift, ShiftKind
from skfleet_common.model.bundle import Bundle
from skfleet_common.model.manifest import FeatureKind
from skfleet_common.model.shift import (
    NO_BASELINES,
    NO_ROWS,
    NO_SKETCHES,
    OTHER_SKETCHES,
    REJECTED,
    chance,
    psi,
    shift_of,
    shift_of_several,
)
from skfleet_common.model.sketch import Sketch
from skfleet_worker.outcomes import ShiftedTooFar
from skfleet_worker.shift import check_shift

SPEC = spec_of(plan_of([10]))


@pytest.fixture(scope="module")
def model() -> Bundle:
    return open_again(fit_shop(shop_rows(1_500, seed=1), unseen_policy={CITY: "reject_row"}))


def columns_of(table: pa.Table, model: Bundle) -> dict[str, ColumnShift]:
    (batch,) = table.combine_chunks().to_batches()
    (sketch,) = model.score(batch, sketcher=model.sketcher).sketches.models
    shift = shift_of(model.manifest, sketch)
    farthest = [column.psi for column in shift.columns if not column.may_be_chance]
    assert farthest == sorted(farthest, reverse=True)
    assert not any(column.may_be_chance for column in shift.columns[: len(farthest)])
    return {column.column: column for column in shift.columns}


def changed(name: str, values: Any) -> pa.Table:
    table = shop_rows(1_000, seed=2)
    place = table.schema.get_field_index(name)
    return table.set_column(place, name, pa.array(values, table.schema.field(name).type))


def test_rows_like_the_training_rows_have_not_shifted(model: Bundle) -> None:
    columns = columns_of(shop_rows(1_000, seed=2), model)
    assert set(columns) == {
        *model.manifest.feature_columns,
        REJECTED,
        "proba_false",
        "proba_true",
    }
    assert max(column.psi for column in columns.values()) < 0.1
    kinds = {name: column.kind for name, column in columns.items()}
    assert (kinds["items"], kinds["proba_true"], kinds[REJECTED]) == tuple(ShiftKind)


@pytest.mark.parametrize(
    ("name", "values", "label"),
    [
        ("score", np.random.default_rng(5).normal(5.0, 1.0, 1_000), "above "),
        ("items", [None] * 600 + [n % 42 - 3 for n in range(400)], "NULL"),
        ("member", [True] * 950 + [False] * 50, "false"),
        (CITY, ["Ulm"] * 900 + ["Köln"] * 100, "'Ulm'"),
    ],
)
def test_the_column_that_shifted_is_the_farthest(model: Bundle, name: str, values: Any, label: str) -> None:
    columns = columns_of(changed(name, values), model)
    features = [name for name, column in columns.items() if column.kind is ShiftKind.FEATURE]
    assert features[0] == name
    assert columns[name].psi > 0.25
    assert columns[name].exceeds(0.25)
    assert columns[features[1]].psi < 0.1
    assert columns[name].most.label.startswith(label)


def test_null_rates_and_unseen_rates_are_of_all_rows_the_rejected_ones_too(model: Bundle) -> None:
    columns = columns_of(changed(CITY, ["Atlantis"] * 300 + [None] * 100 + ["Ulm"] * 600), model)
    assert (columns[CITY].unseen_rate, columns[CITY].null_rate) == (0.3, 0.1)
    assert columns["items"].unseen_rate is None
    rejected = columns[REJECTED]
    assert (rejected.most.label, rejected.most.scored, rejected.most.trained) == ("rejected", 0.3, 0.0)
    assert rejected.exceeds(0.25)
    # Of the rows that the model was given, none has an unseen level.
    assert "unseen levels" not in {bin_.label for bin_ in columns[CITY].bins}


def test_a_bundle_whose_model_takes_a_frame_has_null_rates_and_scores() -> None:
    fitted = fit_shop(shop_rows(600, seed=1)).manifest
    as_is = {"kind": FeatureKind.RAW, "baseline": None, "levels": None, "rare_levels": None}
    raw = tuple(feature.model_copy(update=as_is) for feature in fitted.features)
    manifest = fitted.model_copy(update={"features": raw})
    old = tuple(score.model_copy(update={"cuts": (), "cut_shares": ()}) for score in fitted.scores)
    manifest = manifest.model_copy(update={"scores": old})
    scores = {"proba_true": (*(0,) * 19, 100)}
    sketch = Sketch(rows=100, features={"items": (20, 0, 80), "price": (90, 0, 10)}, scores=scores)
    shift = shift_of(manifest, sketch)
    columns = {column.column: column for column in shift.columns}
    assert ("price" not in columns, shift.columns_not_comparable) == (True, ("price",))
    assert columns["items"].null_rate == 0.8
    assert columns["items"].trained_null_rate == pytest.approx(0.1, abs=0.05)
    assert columns["items"].exceeds(0.25)
    assert columns["proba_true"].exceeds(0.25)


def test_what_cannot_be_compared_says_why(model: Bundle) -> None:
    manifest = model.manifest
    bare = tuple(feature.model_copy(update={"baseline": None}) for feature in manifest.features)
    old = manifest.model_copy(update={"features": bare, "scores": ()})
    assert shift_of(old, Sketch()).why_not == NO_BASELINES
    assert shift_of(manifest, Sketch()).why_not == NO_ROWS
    assert shift_of(manifest, Sketch(), rows_unknown=5).why_not == NO_SKETCHES
    other = shift_of(manifest, Sketch(rows=7, features={"items": (7, 0)}), rows_unknown=5)
    assert (other.why_not, other.rows_unknown) == (OTHER_SKETCHES, 12)


def test_of_several_models_each_column_says_whose_it_is() -> None:
    one, other = (
        Shift(
            rows=5,
            columns=(shifted(psi),),
            columns_compared=1,
            columns_left_out=1,
            columns_not_comparable=("z",),
        )
        for psi in (0.3, 0.7)
    )
    both = shift_of_several({"a": one, "b": other, "c": Shift(why_not=NO_BASELINES)})
    assert [column.named for column in both.columns] == ["b: miles", "a: miles"]
    assert (both.rows, both.columns_compared, both.columns_left_out, both.why_not) == (5, 2, 2, None)
    assert both.columns_not_comparable == ("a: z", "b: z")
    assert shift_of_several({"a": one}) == one
    assert shift_of_several({"a": Shift(why_not=NO_ROWS), "b": Shift()}).why_not == NO_ROWS


bins = st.lists(st.tuples(st.integers(0, 1_000), st.integers(0, 1_000)), min_size=1, max_size=20)


@given(bins=bins)
def test_the_index_is_never_negative_and_the_same_from_both_sides(bins: list[tuple[int, int]]) -> None:
    trained, scored = zip(*bins, strict=True)
    assert psi(trained, scored) >= -1e-12
    assert psi(trained, scored) == pytest.approx(psi(scored, trained))
    assert psi(trained, trained) == 0.0


def test_chance_is_what_draws_from_the_same_rows_rarely_exceed() -> None:
    random = np.random.default_rng(0)
    shares = np.array([0.01, 0.04, 0.2, 0.25, 0.25, 0.2, 0.04, 0.01])
    limit = chance(8, trained=500, scored=200)
    drawn = [psi(random.multinomial(500, shares), random.multinomial(200, shares)) for _ in range(4_000)]
    assert np.mean(np.array(drawn) > limit) < 0.005
    # Nor is it so high that nothing ever would.
    assert np.quantile(drawn, 0.999) > limit / 2
    assert chance(1, trained=500, scored=200) == chance(8, trained=0, scored=0) == 0.0


def shifted(psi: float, *, chance: float = 0.01, column: str = "miles") -> ColumnShift:
    most = {"label": "above 1100", "trained": 0.01, "scored": 0.72}
    return ColumnShift(column=column, psi=psi, chance=chance, most=most)


def with_limit(most: float | None) -> JobSpec:
    return SPEC.model_copy(update={"max_drift": most})


def test_a_job_beyond_its_limit_fails_and_names_the_farthest_columns_with_both_shares() -> None:
    names = ["miles", "carrier", "hour", "day"]
    columns = tuple(shifted(1.5 - n / 10, column=name) for n, name in enumerate(names))
    with pytest.raises(ShiftedTooFar) as failure:
        check_shift(with_limit(0.25), Shift(rows=1_000, columns=columns))
    assert str(failure.value).startswith(
        "The rows have drifted from the training rows by more than --max-drift 0.25 allows, in miles (1.50), "
        "carrier (1.40), hour (1.30) and 1 more columns; nothing was published. Look at them with skfleet "
        "status j, and train the model on rows like these"
    )
    assert "above 1100: 72.0% of the rows, 1.0% in training." in failure.value.naming
    # A level is a value of rows, and the sentence may be logged.
    assert "1100" not in str(failure.value)


def test_what_is_within_the_limit_or_may_be_chance_passes() -> None:
    check_shift(with_limit(0.25), Shift(rows=1_000, columns=(shifted(0.2),)))
    check_shift(with_limit(0.25), Shift(rows=20, columns=(shifted(0.5, chance=0.6),)))
    check_shift(with_limit(None), Shift(rows=1_000, columns=(shifted(9.0),)))
    check_shift(with_limit(0.25), Shift(why_not=NO_ROWS))


@pytest.mark.parametrize(
    ("shift", "why"),
    [
        (Shift(why_not=NO_BASELINES), "has no baselines; train it again"),
        (Shift(rows=10, rows_unknown=1_000), "1,000 rows were scored by workers that are too old"),
    ],
)
def test_a_limit_that_nobody_can_check_is_not_taken_for_kept(shift: Shift, why: str) -> None:
    with pytest.raises(JobFailed, match=why):
        check_shift(with_limit(0.25), shift)


def test_a_certificate_lists_the_farthest_columns_without_their_bins() -> None:
    bin_ = {"label": "NULL", "trained": 0.0, "scored": 1.0}
    columns = tuple(
        shifted(9.0, column=f"c{n}").model_copy(update={"bins": (bin_,)}) for n in range(WORST + 5)
    )
    brief = Shift(rows=1, columns=columns, columns_compared=len(columns)).brief()
    assert [column.column for column in brief.columns] == [f"c{n}" for n in range(WORST)]
    assert not any(column.bins for column in brief.columns)
    assert brief.columns_compared == WORST + 5

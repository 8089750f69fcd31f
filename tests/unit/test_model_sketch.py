"""A sketch is whole numbers over the manifest's bins: however the rows are cut, they add up to the same."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_samples import CITY, fit_shop, open_again, shop_rows
from skfleet_common.contracts.shapes import UnreadableShape
from skfleet_common.model.bins import NULL, UNSEEN
from skfleet_common.model.bundle import Bundle
from skfleet_common.model.sketch import MAX_FEATURES, Sketch, Sketcher, Sketches

ROWS = 300
#: Rows of every fate: scored, rejected by a policy, rejected because no model could take them.
STRANGE = {CITY: "Atlantis", "score": float("inf"), "items": -1_000, "weight": 1e30}


@cache
def bundle() -> Bundle:
    policies = {"null_policy": {"items": "reject_row"}, "unseen_policy": {CITY: "reject_row"}}
    return open_again(fit_shop(shop_rows(600, seed=1), categorical=["shelf"], **policies))


@cache
def strange_rows() -> pa.RecordBatch:
    table = shop_rows(ROWS, seed=2)
    random = np.random.default_rng(3)
    for name, value in STRANGE.items():
        values = [value if random.random() < 0.1 else old for old in table.column(name).to_pylist()]
        array = pa.array(values, type=table.schema.field(name).type)
        table = table.set_column(table.schema.get_field_index(name), name, array)
    (batch,) = table.combine_chunks().to_batches()
    return batch


def sketch_of(rows: pa.RecordBatch, model: Bundle) -> Sketch:
    (sketch,) = model.score(rows, sketcher=model.sketcher).sketches.models
    return sketch


@settings(max_examples=25)
@given(cuts=st.sets(st.integers(0, ROWS), max_size=6), order=st.randoms(use_true_random=False))
def test_sketches_of_any_parts_in_any_order_add_up_to_that_of_all_rows(cuts: set[int], order: Any) -> None:
    model, rows = bundle(), strange_rows()
    edges = [0, *sorted(cuts), ROWS]
    parts = [rows.slice(a, b - a) for a, b in pairwise(edges)]
    sketches = [sketch_of(part, model) for part in parts]
    order.shuffle(sketches)
    middle = len(sketches) // 2
    # In whatever way they are put into brackets.
    left, right = sum(sketches[:middle], Sketch()), sum(sketches[middle:], Sketch())
    assert left + right == right + left == sum(sketches, Sketch()) == sketch_of(rows, model)


def test_what_is_stored_is_read_again() -> None:
    sketch = sketch_of(strange_rows(), bundle())
    stored = Sketches(models=(sketch, Sketch()))
    assert Sketches.from_json(stored.to_json()) == stored


def test_every_row_is_in_one_bin_of_each_column() -> None:
    sketch = sketch_of(strange_rows(), bundle())
    assert sketch.rows + sketch.rejected_rows == ROWS
    assert sketch.rejected_rows > 0
    assert {sum(counts) for counts in sketch.features.values()} == {sketch.rows}
    assert {sum(counts) for counts in sketch.rejected.values()} == {sketch.rejected_rows}
    assert {sum(counts) for counts in sketch.scores.values()} == {sketch.rows}


def test_the_training_rows_fall_into_the_bins_as_the_manifest_says() -> None:
    """So its shares are exact, and not read off the quantiles."""
    table = shop_rows(600, seed=1)
    fitted = fit_shop(table, categorical=["shelf"])
    sketcher = Sketcher.of(fitted.manifest)
    assert sketcher is not None
    (batch,) = table.combine_chunks().to_batches()
    model = open_again(fitted)
    sketch = sketch_of(batch, model)
    for name, bins in sketcher.bins().items():
        shares = [bin_.share for bin_ in bins.expected()]
        assert np.array(sketch.features[name]) / 600 == pytest.approx(shares, abs=1e-12), name


def labelled(sketch: Sketch, model: Bundle, column: str) -> dict[str, int]:
    assert model.sketcher is not None
    expected = model.sketcher.bins()[column].expected()
    return {bin_.label: count for bin_, count in zip(expected, sketch.features[column], strict=True)}


def test_what_training_never_saw_has_bins_of_its_own() -> None:
    table = shop_rows(600, seed=1)
    model = open_again(fit_shop(table))
    (batch,) = table.slice(0, 4).combine_chunks().to_batches()
    changed = {
        "items": pa.array([-1_000, 1_000, None, 5], pa.int32()),
        CITY: pa.array(["Atlantis", None, "Ulm", "Köln"]),
        "born": pa.array([-100_000, 100_000, None, 0], pa.int32()).cast(pa.date32()),
    }
    for name, array in changed.items():
        batch = batch.set_column(batch.schema.get_field_index(name), name, array)
    sketch = sketch_of(batch, model)
    items = labelled(sketch, model, "items")
    assert (items["below -3"], items["above 39"], items[NULL], sum(items.values())) == (1, 1, 1, 4)
    assert labelled(sketch, model, CITY) == dict.fromkeys(labelled(sketch, model, CITY), 0) | {
        UNSEEN: 1,
        NULL: 1,
        "'Ulm'": 1,
        "'Köln'": 1,
    }
    born = labelled(sketch, model, "born")
    least, most = model.manifest.features[model.manifest.feature_columns.index("born")].observed or ("", "")
    assert (born[f"below {least}"], born[f"above {most}"], born[NULL]) == (1, 1, 1)


def test_whole_numbers_and_booleans_are_named_as_what_they_are() -> None:
    model = open_again(fit_shop(shop_rows(600, seed=1)))
    assert model.sketcher is not None
    labels = [bin_.label for bin_ in model.sketcher.bins()["member"].expected()]
    assert labels == ["below false", "false", "true", "above true", NULL]


def test_sketches_of_other_bins_are_not_added() -> None:
    with pytest.raises(UnreadableShape, match="count 'x' into different bins"):
        Sketch(features={"x": (1, 2)}) + Sketch(features={"x": (1, 2, 3)})


def test_the_sketches_of_several_models_keep_their_places() -> None:
    one = Sketches(models=(Sketch(), Sketch(rows=1, features={"x": (1, 0)})))
    more = one + Sketches() + one + Sketches(models=(Sketch(rows=2),))
    assert more.models == (Sketch(rows=2), Sketch(rows=2, features={"x": (2, 0)}))


def test_a_model_without_baselines_has_no_sketcher() -> None:
    manifest = fit_shop().manifest
    bare = tuple(feature.model_copy(update={"baseline": None}) for feature in manifest.features)
    assert Sketcher.of(manifest.model_copy(update={"features": bare, "scores": ()})) is None
    # What is older than shares still has null rates.
    old = tuple(
        feature.model_copy(update={"baseline": feature.baseline.model_copy(update={"shares": ()})})
        for feature in manifest.features
        if feature.baseline is not None
    )
    sketcher = Sketcher.of(manifest.model_copy(update={"features": old}))
    assert sketcher is not None
    assert [bin_.label for bin_ in sketcher.bins()["items"].expected()] == ["not NULL", NULL]


def test_a_wide_model_has_a_sketch_of_its_first_features() -> None:
    feature = fit_shop().manifest.features[0]
    many = tuple(feature.model_copy(update={"column": f"c{n}"}) for n in range(MAX_FEATURES + 10))
    sketcher = Sketcher.of(fit_shop().manifest.model_copy(update={"features": many}))
    assert sketcher is not None
    assert list(sketcher.bins()) == [f"c{n}" for n in range(MAX_FEATURES)]
    largest = Sketch(
        rows=10**9, features={f"a column's name {n}": (10**8,) * 11 for n in range(MAX_FEATURES)}
    )
    assert len(largest.model_dump_json()) < 100_000

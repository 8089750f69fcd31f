"""Rows like the training rows are not taken for others, however few these were or long their tail is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from skfleet_common.contracts.columns import LogicalDtype
from skfleet_common.contracts.shifts import ColumnShift, ShiftKind
from skfleet_common.model.baselines import of_levels, of_numbers
from skfleet_common.model.bins import UNSEEN, CodeBins, NumberBins, bins_of, is_comparable
from skfleet_common.model.evaluation.scores import score_histograms
from skfleet_common.model.manifest import Feature, FeatureKind, Levels
from skfleet_common.model.policies import NullPolicy
from skfleet_common.model.score_bins import ScoreBins
from skfleet_common.model.shift import compare

LIMIT = 0.25
SEEDS = 150
Random = np.random.Generator
Drawn = npt.NDArray[Any]


def of_values(trained: Drawn, scored: Drawn) -> ColumnShift:
    nulls = int(np.isnan(trained).sum())
    bins = NumberBins(of_numbers(trained, nulls=nulls), LogicalDtype.FLOAT64)
    return compare("x", bins, bins.count(scored), trained=len(trained), kind=ShiftKind.FEATURE)


def category(trained: Drawn) -> Feature:
    values, counts = np.unique(trained, return_counts=True)
    pairs = sorted(zip(values.tolist(), counts.tolist(), strict=True), key=lambda pair: (-pair[1], pair[0]))
    return Feature(
        column="x",
        dtype=LogicalDtype.INTEGER,
        kind=FeatureKind.CATEGORY,
        nulls=NullPolicy.MISSING,
        levels=Levels(dtype=LogicalDtype.INTEGER, values=tuple(values.tolist())),
        baseline=of_levels(pairs, rows=len(trained), nulls=0),
    )


def of_codes(trained: Drawn, scored: Drawn) -> ColumnShift:
    feature = category(trained)
    known = np.array(feature.known_levels)
    at = np.searchsorted(known, scored).clip(max=len(known) - 1)
    codes = np.where(known[at] == scored, at, len(known))
    bins = bins_of(feature, rows=len(trained))
    assert isinstance(bins, CodeBins)
    return compare("x", bins, bins.count(codes), trained=len(trained), kind=ShiftKind.FEATURE)


def of_scores(trained: Drawn, scored: Drawn) -> ColumnShift:
    (histogram,) = score_histograms({"x": trained})
    bins = ScoreBins(histogram)
    return compare("x", bins, bins.count(scored), trained=len(trained), kind=ShiftKind.SCORE)


def zipf(levels: int) -> Callable[[Random, int], Drawn]:
    shares = 1 / np.arange(1, levels + 1)
    return lambda random, rows: random.choice(levels, rows, p=shares / shares.sum())


def with_nulls(random: Random, rows: int) -> Drawn:
    return np.where(random.random(rows) < 0.1, np.nan, random.normal(size=rows))


NUMBERS: dict[str, Callable[[Random, int], Drawn]] = {
    "normal": lambda random, rows: random.normal(size=rows),
    "lognormal": lambda random, rows: random.lognormal(0.0, 2.5, rows),
    "counts": lambda random, rows: random.poisson(1.0, rows).astype(np.float64),
    "rarely_true": lambda random, rows: (random.random(rows) < 0.02).astype(np.float64),
    "with_nulls": with_nulls,
}
LEVELS: dict[str, Callable[[Random, int], Drawn]] = {
    "zipf_400": zipf(400),
    "zipf_5000": zipf(5_000),
    "uniform_400": lambda random, rows: random.integers(0, 400, rows),
    "uniform_40": lambda random, rows: random.integers(0, 40, rows),
    "rare_two_of_four": lambda random, rows: random.choice(4, rows, p=[0.6, 0.38, 0.01, 0.01]),
    "two": lambda random, rows: random.integers(0, 2, rows),
}
SHAPES = [
    *((name, draw, of_values) for name, draw in NUMBERS.items()),
    *((f"scores_{name}", NUMBERS[name], of_scores) for name in ("normal", "lognormal", "counts")),
    *((name, draw, of_codes) for name, draw in LEVELS.items()),
]
SIZES = ((100, 20_000), (100, 200), (300, 20_000), (1_000, 20_000), (1_000, 500))


@pytest.mark.parametrize(("draw", "measure"), [shape[1:] for shape in SHAPES], ids=[it[0] for it in SHAPES])
def test_draws_of_the_same_kind_are_hardly_ever_beyond_chance_and_the_usual_limit(
    draw: Callable[[Random, int], Drawn], measure: Callable[[Drawn, Drawn], ColumnShift]
) -> None:
    found: list[bool] = []
    for trained, scored in SIZES:
        for seed in range(SEEDS):
            random = np.random.default_rng([seed, trained, scored])
            column = measure(draw(random, trained), draw(random, scored))
            found.append(column.exceeds(LIMIT))
    assert np.mean(found) <= 0.004


def test_the_share_of_unseen_levels_is_expected_from_those_that_were_met_once() -> None:
    random = np.random.default_rng(1)
    draw = LEVELS["zipf_5000"]
    column = of_codes(draw(random, 1_000), draw(random, 20_000))
    (unseen,) = [bin_ for bin_ in column.bins if bin_.label == UNSEEN]
    assert unseen.trained == pytest.approx(unseen.scored, abs=0.04)
    assert unseen.trained > 0.2


@pytest.mark.parametrize("name", list(NUMBERS)[:2])
@pytest.mark.parametrize("measure", [of_values, of_scores])
def test_what_has_moved_is_found_in_numbers_and_scores_of_any_tail(
    name: str, measure: Callable[[Drawn, Drawn], ColumnShift]
) -> None:
    random = np.random.default_rng(2)
    trained, scored = NUMBERS[name](random, 1_000), NUMBERS[name](random, 5_000)
    moved = scored * np.exp(2.5 * 0.7) if name == "lognormal" else scored + 0.7
    assert measure(trained, moved).exceeds(LIMIT)


def test_levels_that_nobody_knows_are_found_in_spite_of_the_tail() -> None:
    random = np.random.default_rng(3)
    draw = LEVELS["zipf_400"]
    scored = draw(random, 20_000)
    scored[:8_000] += 10_000
    assert of_codes(draw(random, 1_000), scored).exceeds(LIMIT)


def spread(values: Sequence[float], rows: int) -> Drawn:
    return np.resize(np.array(values, dtype=np.float64), rows)


def test_a_model_of_few_scores_is_compared_by_its_own_and_not_by_those_of_its_twins() -> None:
    held = spread([0.19, 0.21, 0.71, 0.7], 400)
    (histogram,) = score_histograms({"p": held}, {"p": spread([0.2, 0.705], 400)})
    assert histogram.cut_shares == (0.5, 0.5)
    # Votes are not as frequent among rows that the model knows by heart.
    (votes,) = score_histograms(
        {"p": spread([0.0, 0.5, 0.5, 1.0], 400)}, {"p": spread([0, 0.5, 1, 0, 1], 400)}
    )
    assert votes.cut_shares == (0.25, 0.5, 0.25)
    (leaves,) = score_histograms(
        {"p": np.repeat(np.arange(40.0), 25) + 0.01}, {"p": np.repeat(np.arange(40.0), 25)}
    )
    assert len(leaves.cut_shares) == 10
    assert leaves.cuts[0] == 3.5
    (constant,) = score_histograms({"p": held}, {"p": spread([0.4], 400)})
    assert (constant.cuts, constant.cut_shares) == ((), (1.0,))


def test_bars_of_an_older_manifest_that_fall_into_one_group_are_not_comparable() -> None:
    values = np.random.default_rng(4).lognormal(0.0, 2.5, 1_000)
    (histogram,) = score_histograms({"x": values})
    bins = ScoreBins(histogram.model_copy(update={"cuts": (), "cut_shares": ()}))
    expected, _ = bins.compared(bins.count(values * 6), rows=1_000)
    assert not is_comparable(expected)
    bins = ScoreBins(histogram)
    assert is_comparable(bins.compared(bins.count(values), rows=1_000)[0])


def test_a_score_that_is_nearly_always_the_same_has_a_group_for_the_rest() -> None:
    for most in (0.0, 1_000.0):
        values = np.where(np.arange(1_000) < 950, most, np.arange(1_000) / 10)
        (histogram,) = score_histograms({"x": values})
        assert len(histogram.cut_shares) >= 2
        assert max(histogram.cut_shares) == pytest.approx(0.95, abs=0.01)
        assert min(histogram.cut_shares) > 0

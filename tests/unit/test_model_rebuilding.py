"""A worker that knows only the bundle's files builds the array that training built, bit for bit.

One process serves all examples of this module: it is what a worker is to a bundle, without the queue.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from tests.feature_kinds import KINDS
from tests.rebuilding_process import RebuildingProcess

from model_samples import same_outputs
from skfleet_common.contracts.columns import Column, LogicalDtype
from skfleet_common.contracts.errors import Refused
from skfleet_common.model.bundle import MANIFEST_FILE, digest_of, pack
from skfleet_common.model.choices import FitChoices
from skfleet_common.model.feature_choices import AskedFill, ColumnChoices, Defaults, FeatureChoices
from skfleet_common.model.features import FeatureBuilder
from skfleet_common.model.fit import FittedBundle, fit_model
from skfleet_common.model.golden import same_bits
from skfleet_common.model.policies import Fill, Scale

#: Two styles of features in both precisions, each by a model that wants them so.
MODELS: dict[str, dict[str, Any]] = {
    "trees in double precision": {"model": "gradient_boosting", "params": {"max_iter": 10}},
    "trees in single precision": {"model": "DecisionTreeRegressor"},
    "linear in double precision": {"model": "ridge"},
    # A tree that takes no missing values.
    "linear in single precision": {
        "model": "DecisionTreeRegressor",
        "params": {"criterion": "absolute_error"},
    },
}


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[RebuildingProcess]:
    with RebuildingProcess() as process:
        yield process


@dataclass(frozen=True)
class Example:
    """Columns of drawn kinds, and what is asked of them."""

    kinds: tuple[str, ...]
    seed: int
    rows: int
    nulls: float
    rare: int
    fill: Fill | None
    scale: Scale | None

    @property
    def names(self) -> list[str]:
        return [f"{kind} {number}" for number, kind in enumerate(self.kinds)]

    def values(self, rows: int, *, seed: int, strangers: float = 0.0) -> dict[str, list[Any]]:
        random = np.random.default_rng([self.seed, seed])
        drawn: dict[str, list[Any]] = {}
        for name, kind in zip(self.names, self.kinds, strict=True):
            values = [None if random.random() < self.nulls else KINDS[kind].draw(random) for _ in range(rows)]
            if KINDS[kind].is_category:
                stranger = -77 if kind == "level" else "Atlantis"
                values = [stranger if random.random() < strangers else value for value in values]
            drawn[name] = values
        return drawn

    def columns(self) -> list[Column]:
        features = [KINDS[kind].column(name) for name, kind in zip(self.names, self.kinds, strict=True)]
        return [*features, Column(name="y", warehouse_type="double precision", dtype=LogicalDtype.FLOAT64)]

    def table(self, values: dict[str, list[Any]], *, varied: np.random.Generator | None = None) -> pa.Table:
        """Give values as a reader gives them, or where they ``varied`` as another reader might."""
        arrays = {}
        for (name, listed), kind in zip(values.items(), self.kinds, strict=True):
            types = [None, *KINDS[kind].also]
            chosen = None if varied is None else types[varied.integers(len(types))]
            arrays[name] = KINDS[kind].array(listed, chosen)
        return pa.table(arrays)

    def frame(self, values: dict[str, list[Any]], random: np.random.Generator) -> pd.DataFrame:
        columns = {}
        for (name, listed), kind in zip(values.items(), self.kinds, strict=True):
            disguises = KINDS[kind].disguises
            columns[name] = disguises[random.integers(len(disguises))](listed)
        order = random.permutation(self.names).tolist()
        return pd.DataFrame({name: columns[name] for name in order} | {"one more": 1})

    def choices(self, how: str) -> FitChoices:
        columns = {
            name: ColumnChoices(rare=self.rare)
            for name, kind in zip(self.names, self.kinds, strict=True)
            if KINDS[kind].is_category
        }
        fill = None if self.fill is None else AskedFill(fill=self.fill, constant=0)
        defaults = Defaults(fill=fill, scale=self.scale)
        return FitChoices(
            targets=("y",),
            **MODELS[how],
            categorical=tuple(name for name in self.names if name.startswith("level")),
            tolerated_unseen=1.0,
            features=FeatureChoices(defaults=defaults, columns=columns),
        )


examples = st.builds(
    Example,
    # Two numbers at least stay features, whatever is drawn for the others.
    kinds=st.lists(st.sampled_from(sorted(KINDS)), max_size=5).map(
        lambda drawn: ("float64", "int32", *drawn)
    ),
    seed=st.integers(0, 2**32 - 1),
    rows=st.integers(8, 60),
    nulls=st.sampled_from([0.0, 0.1, 0.5]),
    rare=st.integers(0, 3),
    fill=st.sampled_from([None, Fill.MEDIAN, Fill.MEAN, Fill.MOST_FREQUENT, Fill.CONSTANT]),
    scale=st.sampled_from([None, *Scale]),
)


def fit(example: Example, values: dict[str, list[Any]], how: str) -> FittedBundle:
    table = example.table(values)
    y = np.random.default_rng(example.seed).normal(size=table.num_rows)
    rows = table.append_column("y", pa.array(y))
    try:
        return fit_model(rows, columns=example.columns(), choices=example.choices(how))
    except Refused:
        # Where half of the numbers are alike, the others may be too far off for their interquartile range.
        if example.scale is not Scale.ROBUST:
            raise
        reject()


def open_elsewhere(fitted: FittedBundle, elsewhere: RebuildingProcess, folder: Path) -> None:
    files = pack(fitted)
    digest = digest_of(files[MANIFEST_FILE])
    home = folder / digest
    home.mkdir(exist_ok=True)
    for name, raw in files.items():
        (home / name).write_bytes(raw)
    elsewhere.ask("open", str(home), digest)


@pytest.mark.parametrize("how", MODELS)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(example=examples)
def test_a_worker_process_builds_the_array_that_training_built(
    elsewhere: RebuildingProcess, tmp_path: Path, how: str, example: Example
) -> None:
    check_rebuilding(elsewhere, tmp_path, how, example)


@pytest.mark.slow
@pytest.mark.parametrize("how", MODELS)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(example=examples)
def test_a_worker_process_builds_the_array_of_many_more_examples(
    elsewhere: RebuildingProcess, tmp_path: Path, how: str, example: Example
) -> None:
    check_rebuilding(elsewhere, tmp_path, how, example)


def check_rebuilding(elsewhere: RebuildingProcess, folder: Path, how: str, example: Example) -> None:
    values = example.values(example.rows, seed=0)
    fitted = fit(example, values, how)
    open_elsewhere(fitted, elsewhere, folder)
    manifest = fitted.manifest
    builder = FeatureBuilder(
        manifest.features, fitted.pipeline.named_steps["features"], dtype=manifest.feature_dtype
    )
    later = example.values(30, seed=1, strangers=0.2)
    for rows in (values, later):
        here = builder.build(example.table(rows))
        assert here.X.dtype == ("float32" if how.endswith("single precision") else "float64")
        assert here.X.shape[1] == len(manifest.transformed)
        random = np.random.default_rng(example.seed)
        for table in (example.table(rows), example.table(rows, varied=random)):
            X, rejects = elsewhere.ask("build", table)
            assert same_bits(X, here.X)
            assert rejects == here.rejects
        if not here.rejects:
            assert same_bits(elsewhere.ask("features", example.frame(rows, random)), here.X)


@pytest.mark.parametrize("how", MODELS)
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(example=examples, cuts=st.lists(st.integers(0, 60), max_size=4))
def test_scoring_in_any_split_of_the_rows_is_scoring_at_once(
    elsewhere: RebuildingProcess, tmp_path: Path, how: str, example: Example, cuts: list[int]
) -> None:
    fitted = fit(example, example.values(example.rows, seed=0), how)
    open_elsewhere(fitted, elsewhere, tmp_path)
    table = example.table(example.values(60, seed=1, strangers=0.2))
    ends = sorted({0, *cuts, 60})
    parts = [table.slice(first, stop - first) for first, stop in pairwise(ends)]
    (whole,), (kept,) = elsewhere.ask("score", [table])
    outputs, kept_parts = elsewhere.ask("score", parts)
    assert np.array_equal(np.concatenate(kept_parts), kept)
    tolerance = fitted.manifest.tolerance
    assert tolerance == (1e-12 if how == "linear in double precision" else 0.0)
    assert same_outputs(pa.Table.from_batches(outputs), pa.Table.from_batches([whole]), tolerance=tolerance)

"""The census: every classifier and regressor of scikit-learn, and what it needs to be fitted to these rows.

Run as a program, it is the fresh process that opens the bundles in a folder and scores their rows again.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.base import ClassifierMixin
from threadpoolctl import threadpool_limits

from skfleet_common.contracts.columns import Column, LogicalDtype
from skfleet_common.model.bundle import digest_of, open_bundle
from skfleet_common.model.choices import FitChoices
from skfleet_common.model.estimators.asked import known_classes
from skfleet_common.model.fit import FittedBundle, fit_model

# So few rows are learned in no time, but two threads on a busy machine wait for each other at every barrier.
threadpool_limits(limits=1)

ROWS = 90
#: How the fresh process cuts the rows: neither as training did nor evenly.
BATCH = 7
MOST_BATCHES = 40

COLUMNS = [
    Column(name="id", warehouse_type="bigint", dtype=LogicalDtype.INTEGER, nullable=False),
    Column(name="far", warehouse_type="double precision", dtype=LogicalDtype.FLOAT64),
    Column(name="near", warehouse_type="double precision", dtype=LogicalDtype.FLOAT64),
    Column(name="place", warehouse_type="text", dtype=LogicalDtype.TEXT),
    Column(name="kind", warehouse_type="text", dtype=LogicalDtype.TEXT, nullable=False),
    Column(name="either", warehouse_type="text", dtype=LogicalDtype.TEXT, nullable=False),
    Column(name="flag", warehouse_type="boolean", dtype=LogicalDtype.BOOLEAN, nullable=False),
    Column(name="amount", warehouse_type="double precision", dtype=LogicalDtype.FLOAT64, nullable=False),
    Column(name="size", warehouse_type="double precision", dtype=LogicalDtype.FLOAT64, nullable=False),
]
FEATURES = ("far", "near", "place")
TARGETS = ("kind", "either", "flag", "amount", "size")

#: Those that cannot learn the usual target from the usual features, and what they get.
OTHER_TARGETS: Mapping[str, tuple[str, ...]] = {
    "FixedThresholdClassifier": ("either",),
    "TunedThresholdClassifierCV": ("either",),
    **dict.fromkeys(("ClassifierChain", "MultiOutputClassifier"), ("either", "flag")),
    **dict.fromkeys(
        (
            "MultiOutputRegressor",
            "MultiTaskElasticNet",
            "MultiTaskElasticNetCV",
            "MultiTaskLasso",
            "MultiTaskLassoCV",
            "RegressorChain",
        ),
        ("amount", "size"),
    ),
}
OTHER_FEATURES: Mapping[str, tuple[str, ...]] = {"IsotonicRegression": ("near",)}

_FEW_TREES: Mapping[str, Any] = {"n_estimators": 10}
_FEW_ROUNDS: Mapping[str, Any] = {"max_iter": 10}
_FEW_EPOCHS: Mapping[str, Any] = {"max_iter": 50}
_FEW_OF_BOTH: Mapping[str, Any] = {"gradient_boosting__max_iter": 5, "random_forest__n_estimators": 5}

#: Fewer trees and rounds than by default say the same in less time.
SMALLER: Mapping[str, Mapping[str, Any]] = {
    **dict.fromkeys(
        (
            "AdaBoostClassifier",
            "AdaBoostRegressor",
            "ExtraTreesClassifier",
            "ExtraTreesRegressor",
            "GradientBoostingClassifier",
            "GradientBoostingRegressor",
            "RandomForestClassifier",
            "RandomForestRegressor",
        ),
        _FEW_TREES,
    ),
    **dict.fromkeys(("HistGradientBoostingClassifier", "HistGradientBoostingRegressor"), _FEW_ROUNDS),
    **dict.fromkeys(
        ("StackingClassifier", "StackingRegressor", "VotingClassifier", "VotingRegressor"),
        _FEW_OF_BOTH,
    ),
    **dict.fromkeys(("MLPClassifier", "MLPRegressor"), _FEW_EPOCHS),
    "TheilSenRegressor": {"max_subpopulation": 200},
}


def census_rows() -> pa.Table:
    """Give rows with missing values, class names that are no words, and targets of every kind."""
    random = np.random.default_rng(0)
    far, near = random.normal(size=(2, ROWS))
    score = far + near
    kinds = ["l'été", 'Öl "und" Gas', ""]
    return pa.table(
        {
            "id": pa.array(range(ROWS), pa.int64()),
            "far": pa.array([None if row % 17 == 3 else value for row, value in enumerate(far)]),
            "near": near,
            "place": pa.array([["x", "y", "z", None][row % 4] for row in range(ROWS)]),
            "kind": pa.array([kinds[number] for number in np.digitize(score, [-0.5, 0.5])]),
            "either": pa.array(["no" if value < 0 else "yes" for value in score]),
            "flag": pa.array(near > 0.3),
            "amount": np.exp(score / 2),
            "size": np.exp(near / 2),
        }
    )


def targets_for(name: str) -> tuple[str, ...]:
    """Give the targets that the census has the class learn."""
    usual = ("kind",) if issubclass(known_classes()[name], ClassifierMixin) else ("amount",)
    return OTHER_TARGETS.get(name, usual)


def fit_census(name: str, table: pa.Table, **choices: Any) -> FittedBundle:
    """Fit the class called ``name`` as the census does."""
    targets, features = targets_for(name), OTHER_FEATURES.get(name, FEATURES)
    return fit_model(
        table,
        columns=COLUMNS,
        choices=FitChoices(
            targets=targets,
            model=name,
            id_columns=("id",),
            exclude=tuple({*TARGETS, *FEATURES} - {*targets, *features}),
            params=SMALLER.get(name, {}),
            **choices,
        ),
    )


def score_in_parts(folder: Path, table: pa.Table) -> pa.Table:
    """Open the bundle in ``folder``, and give all that it can say, made batch by batch."""
    digest = digest_of((folder / "manifest.json").read_bytes())
    bundle = open_bundle(folder, digest=digest)
    size = max(BATCH, table.num_rows // MOST_BATCHES)
    names = [column.name for column in bundle.manifest.all_outputs]
    parts = [bundle.score(table.slice(row, size), names).outputs for row in range(0, table.num_rows, size)]
    return pa.Table.from_batches(parts)


def largest_difference(left: pa.Table, right: pa.Table) -> float:
    """Give the largest difference of a number, relative to the largest of its column; the rest is equal."""
    assert left.schema == right.schema
    worst = 0.0
    for name in left.schema.names:
        one, other = left.column(name).combine_chunks(), right.column(name).combine_chunks()
        if not pa.types.is_floating(one.type):
            assert one.equals(other), name
            continue
        size = np.abs(one.to_numpy()).max(initial=0.0)
        difference = np.abs(one.to_numpy() - other.to_numpy()).max(initial=0.0)
        worst = max(worst, float(difference / size) if size else float(difference))
    return worst


def score_afresh(place: Path) -> None:
    """Run this module as a program in a process of its own."""
    subprocess.run(
        [sys.executable, "-m", "tests.estimator_census", str(place)],
        check=True,
        cwd=Path(__file__).parents[1],
        env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        timeout=240,
    )


def main() -> None:
    """Score ``rows.parquet`` with the bundle of every folder, and write ``again.parquet`` into each.

    A folder may have rows of its own.
    """
    place = Path(sys.argv[1])
    for folder in sorted(path for path in place.iterdir() if path.is_dir()):
        own = folder / "rows.parquet"
        table = pq.read_table(own if own.exists() else place / "rows.parquet")
        pq.write_table(score_in_parts(folder, table), folder / "again.parquet")


if __name__ == "__main__":
    main()

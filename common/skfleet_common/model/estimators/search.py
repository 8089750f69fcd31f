"""Search: which parameters of a model do best on rows that they were not fitted on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.experimental import enable_halving_search_cv  # noqa: F401  (this import is how it is switched on)
from sklearn.metrics import get_scorer_names
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    HalvingRandomSearchCV,
    KFold,
    RandomizedSearchCV,
    StratifiedKFold,
)

from skfleet_common.contracts.errors import UsageError, nearest, shown
from skfleet_common.model.arrays import FloatArray
from skfleet_common.model.estimators.assembly import Assembly
from skfleet_common.model.estimators.fitting import fit_estimator
from skfleet_common.model.estimators.search_space import space_of
from skfleet_common.model.manifest import Learning

SEARCHES = ("grid", "random", "halving")

#: Candidates that a report tells of, the best ones.
_REPORTED = 200


@dataclass(frozen=True, kw_only=True)
class SearchPlan:
    """What is looked for, and how."""

    kind: str
    space: Mapping[str, Any] = field(default_factory=dict)
    iterations: int = 20
    scoring: str | None = None
    folds: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in SEARCHES:
            raise UsageError(
                f"There is no search {shown(self.kind)!r}; use {', '.join(SEARCHES)}"
                f"{nearest(self.kind, list(SEARCHES))}"
            )
        if self.scoring is not None and self.scoring not in get_scorer_names():
            raise UsageError(
                f"scikit-learn has no scoring {shown(self.scoring)!r}"
                f"{nearest(self.scoring, get_scorer_names())}"
            )
        if self.iterations < 1:
            raise UsageError(f"--search-iterations must be 1 or more, not {self.iterations}.")
        if self.folds < 2:  # noqa: PLR2004  (a part to fit on and a part to score)
            raise UsageError(f"--search-folds must be 2 or more, not {self.folds}.")


@dataclass(frozen=True)
class Found:
    """The best parameters, as the model calls them, and what the report says of all candidates."""

    best: dict[str, Any]
    report: dict[str, Any]


def search(
    plan: SearchPlan,
    assembly: Assembly,
    X: Any,
    y: npt.NDArray[Any],
    *,
    weights: FloatArray | None,
) -> Found:
    """Try candidates by cross-validation on these rows, and give the best.

    Raises:
        UsageError: the space does not fit the model.
        Refused: no candidate can be fitted.
    """
    space = space_of(plan.space, assembly, is_grid=plan.kind == "grid")
    estimator, prefix = assembly.searched()
    searcher = _searcher(plan, estimator, {prefix + name: values for name, values in space.items()})
    searcher.set_params(scoring=plan.scoring, refit=False, cv=_folds(plan, assembly, y), n_jobs=None)
    fit_estimator(searcher, X, y, weights=weights, name=assembly.model.asked)
    results = searcher.cv_results_
    means = np.asarray(results["mean_test_score"], dtype=np.float64)
    if not np.isfinite(means).any():
        raise UsageError(
            f"No candidate of {assembly.model.asked} could be scored by {plan.scoring or 'its own score'}; "
            "name another with --search-scoring."
        )
    best = _best(searcher, means)
    return Found(
        best={name.removeprefix(prefix): value for name, value in results["params"][best].items()},
        report=_report(plan, results, means, best=best, prefix=prefix),
    )


def _searcher(plan: SearchPlan, estimator: Any, space: dict[str, Any]) -> Any:
    has_ranges = any(not isinstance(values, list) for values in space.values())
    if plan.kind == "grid":
        return GridSearchCV(estimator, space)
    if plan.kind == "random":
        lists = [len(values) for values in space.values() if isinstance(values, list)]
        most = plan.iterations if has_ranges else min(plan.iterations, math.prod(lists))
        return RandomizedSearchCV(estimator, space, n_iter=most, random_state=plan.seed)
    if has_ranges:
        return HalvingRandomSearchCV(
            estimator,
            space,
            n_candidates=plan.iterations,
            min_resources="exhaust",
            random_state=plan.seed,
        )
    return HalvingGridSearchCV(estimator, space, random_state=plan.seed)


def _folds(plan: SearchPlan, assembly: Assembly, y: npt.NDArray[Any]) -> Any:
    is_stratified = assembly.learning is Learning.CLASSIFICATION and y.ndim == 1
    kind = StratifiedKFold if is_stratified else KFold
    fewest = int(np.unique(y, return_counts=True)[1].min()) if is_stratified else len(y)
    if fewest < plan.folds:
        of = "of the rarest class " if is_stratified else ""
        raise UsageError(
            f"There are {fewest} rows {of}to search on, fewer than {plan.folds} parts; name fewer with "
            "--search-folds, or leave --search out."
        )
    return kind(plan.folds, shuffle=True, random_state=plan.seed)


def _best(searcher: Any, means: FloatArray) -> int:
    """Give the best candidate; of a halving, the best of those that got all rows."""
    if hasattr(searcher, "n_iterations_"):
        last = searcher.cv_results_["iter"] == searcher.cv_results_["iter"].max()
        means = np.where(last, means, np.nan)
    return int(np.nanargmax(means))


def _report(
    plan: SearchPlan, results: Mapping[str, Any], means: FloatArray, *, best: int, prefix: str
) -> dict[str, Any]:
    stds = np.asarray(results["std_test_score"], dtype=np.float64)
    order = sorted(range(len(means)), key=lambda place: (-_finite_or(means[place], -math.inf), place))
    order.sort(key=lambda place: place != best)
    candidates = []
    for place in order[:_REPORTED]:
        candidate = {
            "params": _readable(results["params"][place], prefix),
            "mean": _finite_or(means[place], None),
            "std": _finite_or(stds[place], None),
        }
        if "n_resources" in results:
            candidate["rows"] = int(results["n_resources"][place])
        candidates.append(candidate)
    return {
        "kind": plan.kind,
        "scoring": plan.scoring or "the estimator's own",
        "folds": plan.folds,
        "tried": len(means),
        "best_params": _readable(results["params"][best], prefix),
        "best_score": _finite_or(means[best], None),
        "candidates": candidates,
    }


def _finite_or(value: Any, otherwise: Any) -> Any:
    return float(value) if np.isfinite(value) else otherwise


def _readable(params: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Give parameters as JSON has them."""
    return {name.removeprefix(prefix): _plain(value) for name, value in params.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if isinstance(value, (str, int, float, bool, type(None))) else repr(value)

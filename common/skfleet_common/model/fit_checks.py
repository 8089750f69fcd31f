"""Fit checks: whether what is asked of a fit can be, told from the words alone."""

from __future__ import annotations

from skfleet_common.contracts.errors import UsageError, nearest, shown
from skfleet_common.model.choices import FitChoices
from skfleet_common.model.estimators.asked import parse_model
from skfleet_common.model.estimators.assembly import CALIBRATIONS, Assembly
from skfleet_common.model.estimators.fitting import listening
from skfleet_common.model.estimators.search import SearchPlan
from skfleet_common.model.estimators.search_space import space_of


def check_model(choices: FitChoices) -> None:
    """Refuse what can be refused before any row is read.

    Raises:
        UsageError: there is no such model, or it does not take a parameter, a search, a calibration, weights
            or so many targets.
    """
    with listening(choices.model):
        asked = parse_model(choices.model)
    if choices.cross_validate is not None and choices.cross_validate < 2:  # noqa: PLR2004  (see _split)
        raise UsageError(f"--cross-validate must be 2 or more, not {choices.cross_validate}.")
    plan = None if choices.search is None else search_plan_of(choices, choices.search)
    errors: list[UsageError] = []
    calibrate = calibration_of(choices.calibrate)
    for learning in asked.prototypes:
        try:
            assembly = Assembly(
                model=asked,
                learning=learning,
                targets=len(choices.targets),
                params=choices.params,
                # A regressor takes none, but the target may make a classifier of it.
                calibrate=calibrate if len(asked.prototypes) == 1 else None,
                is_weighted=choices.weight is not None,
            )
            if plan is not None:
                space_of(plan.space, assembly, is_grid=plan.kind == "grid")
        except UsageError as error:
            errors.append(error)
    if len(errors) == len(asked.prototypes):
        raise errors[0]


def calibration_of(asked: str | None) -> str | None:
    """Give how probabilities are calibrated; None where they are not.

    Raises:
        UsageError: there is no such calibration.
    """
    if asked is not None and asked not in CALIBRATIONS:
        raise UsageError(
            f"There is no calibration {shown(asked)!r}; use {' or '.join(CALIBRATIONS)}"
            f"{nearest(asked, list(CALIBRATIONS))}"
        )
    return asked


def search_plan_of(choices: FitChoices, kind: str) -> SearchPlan:
    """Give the search of this kind that was asked for.

    Raises:
        UsageError: it cannot be.
    """
    return SearchPlan(
        kind=kind,
        space=choices.search_space,
        iterations=choices.search_iterations,
        scoring=choices.search_scoring,
        folds=choices.search_folds,
        seed=choices.seed,
    )

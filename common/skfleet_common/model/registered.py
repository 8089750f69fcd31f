"""Registered: what a model that was fitted elsewhere says of itself, and what a sample shows of it."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

from skfleet_common.contracts.columns import LogicalDtype
from skfleet_common.contracts.errors import Refused, UsageError, shown
from skfleet_common.model.estimators.traits import (
    SUMS_TOLERANCE,
    learning_of,
    parts_of,
    runs_side_by_side,
    tags_of,
    traits_of,
)
from skfleet_common.model.manifest import Learning, Levels, Takes, Target
from skfleet_common.model.targets import MAX_CLASSES

#: What is left of a model whose only outputs are of chance, or of the rows beside a row.
GIVES_NOTHING = (
    "The model gives no finite numbers for the sample that come out the same when it is asked again and when "
    "the rows are cut into parts; set its random_state, or give it a last step that looks at a row by itself."
)


def check_model(model: object, *, named: str) -> None:
    """Refuse what cannot be called to predict.

    Raises:
        Refused: it is a class, a function, or has neither ``predict`` nor ``transform``.
    """
    if inspect.isclass(model):
        raise Refused(f"{named} holds the class {model.__name__}, not a fitted model; fit one and save that.")
    if not _can(model, "predict") and not _can(model, "transform"):
        raise Refused(
            f"{named} holds something of type {type(model).__name__}, which has no predict and no transform, "
            "and so says nothing of new rows; save a fitted model, or a Pipeline that ends in one."
        )


def learning_of_model(model: Any) -> Learning:
    """Give what the model learned to do; one of a kind of its own, or without ``predict``, had no target."""
    learning = learning_of(model)
    if learning is not None:
        return learning
    if not _can(model, "predict") or _kind_of(model) is not None:
        return Learning.UNSUPERVISED
    return Learning.CLASSIFICATION if _classes(model) is not None else Learning.REGRESSION


def targets_of_model(
    model: Any, *, names: Sequence[str], learning: Learning, outputs: int
) -> tuple[Target, ...]:
    """Give the targets that the model learned, their classes in the order of ``classes_``.

    ``outputs``: how many predictions it gives a row. Targets that nobody names are called ``target``.

    Raises:
        Refused: the classes are of a kind that no column holds.
        UsageError: there are more names than targets, or fewer.
    """
    if names and len(names) != outputs:
        raise UsageError(
            f"The model predicts {outputs} targets, but {len(names)} are named with --target; name them all, "
            "in the model's order."
        )
    called = names or (["target"] if outputs == 1 else [f"target {number + 1}" for number in range(outputs)])
    if learning is Learning.REGRESSION:
        return tuple(Target(column=name, dtype=LogicalDtype.FLOAT64, learning=learning) for name in called)
    classes = _classes(model)
    if classes is None:
        raise Refused(
            f"The model, a {type(model).__name__}, is a classifier without classes_, so what it predicts "
            "cannot be told; fit it before it is saved."
        )
    by_target = classes if isinstance(classes, list) else [classes] * outputs
    if len(by_target) != outputs or any(np.ndim(values) != 1 for values in by_target):
        raise Refused(
            f"The model's classes_ are not those of its {outputs} targets; save one that keeps "
            "scikit-learn's rules."
        )
    return tuple(
        _classified(name, np.asarray(values)) for name, values in zip(called, by_target, strict=True)
    )


def labels_of_model(model: Any, X: Any) -> Target:
    """Give what a model without a target says of rows; its ``column`` is empty if that is no label.

    Raises:
        Refused: its labels are no numbers.
    """
    learning = Learning.UNSUPERVISED
    if not _can(model, "predict"):
        model.transform(X.copy())  # raises what is wrong with it, where later it would just not be offered
        return Target(column="", dtype=LogicalDtype.FLOAT64, learning=learning)
    labels = np.asarray(model.predict(X.copy()))
    if labels.dtype.kind not in "biuf":
        raise Refused(
            f"The model, a {described(model)}, predicts {labels.dtype}, and labels that no target had must "
            "be numbers."
        )
    is_whole = bool((labels == np.round(labels)).all())
    return Target(
        column="outlier" if _kind_of(model) == "outlier_detector" else "cluster",
        dtype=LogicalDtype.INTEGER if is_whole else LogicalDtype.FLOAT64,
        learning=learning,
    )


def _kind_of(model: Any) -> str | None:
    tags = tags_of(model)
    return None if tags is None else tags.estimator_type


def _can(model: object, method: str) -> bool:
    """Whether the model has a method; a property that asks an unfitted step may raise anything."""
    try:
        return callable(getattr(model, method, None))
    except Exception:  # noqa: BLE001  (as said)
        return False


def _classified(column: str, classes: np.ndarray[Any, Any]) -> Target:
    if len(classes) > MAX_CLASSES:
        raise Refused(f"The model has {len(classes):,} classes, and a model may have {MAX_CLASSES}.")
    dtype, values = _levels(classes.tolist())
    levels = Levels(dtype=dtype, values=values)
    return Target(column=column, dtype=dtype, learning=Learning.CLASSIFICATION, classes=levels)


def _classes(model: Any) -> Any:
    """Give ``classes_``; a property of a model that is not fitted may raise anything."""
    try:
        return getattr(model, "classes_", None)
    except Exception:  # noqa: BLE001  (as said; the prediction that follows says what is wrong)
        return None


def _levels(classes: list[Any]) -> tuple[LogicalDtype, tuple[Any, ...]]:
    if all(isinstance(value, bool) for value in classes):
        return LogicalDtype.BOOLEAN, tuple(classes)
    if all(isinstance(value, str) for value in classes):
        return LogicalDtype.TEXT, tuple(classes)
    are_numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in classes)
    if are_numbers and all(float(value).is_integer() for value in classes):
        return LogicalDtype.INTEGER, tuple(int(value) for value in classes)
    raise Refused(
        f"The model's classes are {shown(', '.join(map(repr, classes[:5])))}, and classes must be all whole "
        "numbers, all text or all booleans; fit it on such labels."
    )


def names_of_inputs(model: Any) -> tuple[str, ...] | None:
    """Give the columns that the model was fitted on, in its order; None if they had no names."""
    try:
        names = getattr(model, "feature_names_in_", None)
    except Exception:  # noqa: BLE001  (a property that delegates to a step may raise anything)
        return None
    if names is None or not all(isinstance(name, str) for name in names):
        return None
    # LightGBM makes such names up for a plain array.
    if [*names] == [f"Column_{position}" for position in range(len(names))]:
        return None
    return tuple(str(name) for name in names)


def count_of_inputs(model: Any) -> int | None:
    """Give how many columns the model was fitted on, if it says."""
    try:
        count = getattr(model, "n_features_in_", None)
    except Exception:  # noqa: BLE001  (as above)
        return None
    return None if count is None else int(count)


def guess_takes(model: Any) -> Takes:
    """Give what the model is called with: a frame if it knows columns by name or asks for none."""
    if names_of_inputs(model) is not None:
        return Takes.FRAME
    # A pipeline that did not count its columns looked into them by itself: it began with a frame.
    return Takes.FRAME if isinstance(model, Pipeline) and count_of_inputs(model) is None else Takes.ARRAY


def described(model: Any) -> str:
    """Give the model's class, that of a pipeline with its steps: ``Pipeline(StandardScaler, Ridge)``."""
    if isinstance(model, Pipeline):
        steps: Sequence[Any] = [step for _, step in model.steps if step not in {None, "passthrough"}]
        return f"Pipeline({', '.join(described(step) for step in steps)})"
    return type(model).__name__


def tolerance_of(model: Any, *, is_exact: bool) -> float:
    """Give how far a replayed prediction may be off; nothing for trees that came out the same."""
    try:
        tolerance = traits_of(model).tolerance
    except Exception:  # noqa: BLE001  (a model of another make may not have what estimators have)
        return SUMS_TOLERANCE
    return tolerance if is_exact or tolerance else SUMS_TOLERANCE


def modules_of(model: Any) -> set[str]:
    """Give the modules that the model's parts come from."""
    try:
        return {type(part).__module__ for part in parts_of(model)}
    except Exception:  # noqa: BLE001  (as above)
        return {type(model).__module__}


def single_threaded(model: Any) -> Any:
    """Give the model with ``n_jobs=1`` in all its parts; a copy, if one has another."""
    try:
        if not any(_takes_more_cores(part) for part in parts_of(model)):
            return model
        model = copy.deepcopy(model)
        for part in parts_of(model):
            if _takes_more_cores(part):
                part.set_params(n_jobs=1)
    except Exception:  # noqa: BLE001  (as above)
        return model
    return model


def _takes_more_cores(part: Any) -> bool:
    given = part.get_params(deep=False)
    return "n_jobs" in given and runs_side_by_side(part, given["n_jobs"])

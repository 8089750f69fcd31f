"""Parameters: what a user sets of an estimator, checked against what it has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sklearn.utils import all_estimators

from skfleet_common.contracts.errors import UsageError, nearest, shown
from skfleet_common.model.estimators.traits import parts_of

#: Between the name of a part and that of its parameter.
_INSIDE = "__"

#: Parameters that hold another estimator, which may be given by the name of its class.
_ESTIMATORS = {"estimator", "final_estimator", "base_estimator", "regressor"}


def set_parameters(estimator: Any, params: Mapping[str, Any], *, of: str) -> None:
    """Set parameters of an unfitted estimator; ``a.b`` is as good as ``a__b`` for those of a part.

    Raises:
        UsageError: there is no such parameter, or it takes no such value.
    """
    given = {name.replace(".", _INSIDE): value for name, value in params.items()}
    # A part may be replaced before its own parameters are set.
    for name in sorted(given, key=lambda name: name.count(_INSIDE)):
        has = estimator.get_params(deep=True)
        check_parameter(name, has, of=of)
        estimator.set_params(**{name: _value(name, given[name], now=has[name])})
    check_values(estimator)


def check_parameter(name: str, has: Mapping[str, Any], *, of: str) -> None:
    """Refuse the name of a parameter that an estimator does not have."""
    if name not in has:
        own = [known for known in has if _INSIDE not in known]
        hint = nearest(name, list(has))
        raise UsageError(
            f"{of} has no parameter {shown(name)!r}; it has {', '.join(own) if own else 'none'}{hint}"
        )


def check_values(estimator: Any) -> None:
    """Refuse values that scikit-learn's own rules for an estimator and its parts do not allow."""
    for part in parts_of(estimator):
        # Who derives from BaseEstimator need not state any rules.
        if not hasattr(part, "_parameter_constraints"):
            continue
        try:
            part._validate_params()
        except ValueError as exc:
            first = " ".join(str(exc).split())
            raise UsageError(f"{first.rstrip('.')}; correct --params.") from exc


def _value(name: str, value: Any, *, now: Any) -> Any:
    """Give a value as read from JSON or YAML in the type that the estimator expects."""
    if isinstance(value, list) and isinstance(now, tuple):
        return tuple(value)
    last = name.rpartition(_INSIDE)[2]
    if isinstance(value, str) and (last in _ESTIMATORS or hasattr(now, "get_params")):
        classes = dict(all_estimators())
        if value not in classes and hasattr(now, "get_params"):
            raise UsageError(
                f"{name} is an estimator, and scikit-learn has none called {shown(value)!r}"
                f"{nearest(value, list(classes))}"
            )
        return classes[value]() if value in classes else value
    return value

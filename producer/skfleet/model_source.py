"""Model source: a fitted model out of a file that somebody saved."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import joblib
import skops.io
from sklearn.exceptions import InconsistentVersionWarning

from skfleet_common.contracts.errors import Refused, UsageError, shown
from skfleet_common.model.allowlist import ALLOWED_TYPES
from skfleet_common.model.versions import SkewPolicy, current_versions

PICKLES = frozenset({".joblib", ".pkl", ".pickle"})


def read_model_file(path: Path, *, trust: bool, skew_policy: SkewPolicy) -> Any:
    """Give the model that a skops or joblib file holds; a pickle only with ``trust``, for it runs code.

    Raises:
        UsageError: it is a pickle, and nobody said that it can be trusted.
        Refused: there is no such file, it holds no model, or one of a version that the policy refuses.
    """
    if not path.is_file():
        raise Refused(f"There is no file {path}; name the one that the model was saved in.")
    if path.suffix not in PICKLES | {".skops"}:
        raise UsageError(
            f"{path.name} is neither .skops nor .joblib, .pkl or .pickle; save the model with skops.io.dump "
            "or joblib.dump."
        )
    if path.suffix in PICKLES and not trust:
        raise UsageError(
            f"{path.name} is a pickle, which can run any code when it is read; add --trust if you know who "
            "made it, or save the model with skops.io.dump."
        )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = _read_pickle(path) if path.suffix in PICKLES else _read_skops(path, trust=trust)
    _check_versions([warning.message for warning in caught], path, skew_policy)
    return model


def _read_pickle(path: Path) -> Any:
    try:
        return joblib.load(path)
    except Exception as exc:
        missing = isinstance(exc, ImportError | AttributeError)
        remedy = "install the package that it needs here" if missing else "save it again with joblib.dump"
        raise Refused(f"{path.name} cannot be read as a model ({_said(exc)}); {remedy}.") from exc


def _read_skops(path: Path, *, trust: bool) -> Any:
    try:
        types = set(skops.io.get_untrusted_types(file=path))
    except Exception as exc:
        raise Refused(
            f"{path.name} is no file that skops can read ({_said(exc)}); save it again with skops.io.dump."
        ) from exc
    foreign = sorted(types - ALLOWED_TYPES)
    if foreign and not trust:
        raise UsageError(
            f"{path.name} holds {shown(foreign[0])}, which is not on the allow-list; add --trust if you know "
            "who made it."
        )
    try:
        return skops.io.load(path, trusted=sorted(types))
    except Exception as exc:
        raise Refused(
            f"{path.name} cannot be read with the libraries here ({_said(exc)}); install those that it was "
            "made with."
        ) from exc


def _check_versions(caught: list[Warning | str], path: Path, policy: SkewPolicy) -> None:
    """Refuse a model that another scikit-learn fitted: what it says here, nobody has seen it say there."""
    for message in caught:
        if not isinstance(message, InconsistentVersionWarning):
            continue
        then, now = message.original_sklearn_version, current_versions()["scikit-learn"]
        parts = {SkewPolicy.EXACT: 3, SkewPolicy.PATCH: 2, SkewPolicy.WARN: 0}[policy]
        if then.split(".")[:parts] != now.split(".")[:parts]:
            raise Refused(
                f"{path.name} was fitted with scikit-learn {then}, but here is {now}, which the skew policy "
                f"{policy} does not allow; install scikit-learn {then} here, fit it again, or register it "
                "with --skew-policy warn."
            )


def _said(exc: Exception) -> str:
    first = str(exc).strip().split("\n")[0]
    return f"{type(exc).__name__}: {shown(first)}" if first else type(exc).__name__

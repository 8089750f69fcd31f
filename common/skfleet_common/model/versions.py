"""Versions: what a bundle was made with, and how far the reader's may differ."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from enum import StrEnum
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from skfleet_common.contracts.errors import NotReproducibleHere, shown

#: The libraries whose version can change what a model computes or how it is read.
LIBRARIES = ("scikit-learn", "numpy", "scipy", "pandas", "pyarrow", "joblib", "skops", "skfleet")

#: Those of the extra ``boosting``, which count only where a model is made of them, and the packages that each
#: may come in.
OPTIONAL_LIBRARIES: Mapping[str, tuple[str, ...]] = {
    "lightgbm": ("lightgbm",),
    "xgboost": ("xgboost", "xgboost-cpu"),
}

#: By policy, how many leading parts of the version must agree. What is not listed may differ: golden
#: rows are replayed anyway, and say more about a reader than its version numbers do.
_PATCH = {"scikit-learn": 2, "numpy": 1, "lightgbm": 2, "xgboost": 2}
_EXACT = {"scikit-learn": 3, "numpy": 3, "scipy": 3, "joblib": 3, "lightgbm": 3, "xgboost": 3}


class SkewPolicy(StrEnum):
    """How far a reader's libraries may be from those that a bundle was made with."""

    #: The same scikit-learn, numpy, scipy and joblib; and LightGBM or XGBoost, if the model is one of theirs.
    EXACT = "exact"
    #: The same scikit-learn, LightGBM and XGBoost up to their patch numbers, and the same major numpy.
    PATCH = "patch"
    #: Any; differences that ``patch`` would refuse become warnings.
    WARN = "warn"


def current_versions() -> dict[str, str]:
    """Give the versions of Python and of every library that matters, as they are here."""
    return {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}}


def host_versions() -> dict[str, str]:
    """Give :func:`current_versions`, and those of the optional libraries that are installed here."""
    return current_versions() | {
        name: found for name in OPTIONAL_LIBRARIES if (found := _optional_version(name)) is not None
    }


def library_versions(modules: Iterable[str]) -> dict[str, str]:
    """Give the versions of the libraries that modules are of, beside those of :func:`current_versions`."""
    found: dict[str, str | None] = {}
    for name in sorted({module.partition(".")[0] for module in modules} - {"sklearn"}):
        own = getattr(sys.modules.get(name), "__version__", None)
        found[name] = _optional_version(name) if name in OPTIONAL_LIBRARIES else own
    return {name: known for name, known in found.items() if isinstance(known, str)}


def _optional_version(name: str) -> str | None:
    """Give the version of an optional library, whichever package it came in; None if it is not here."""
    for package in OPTIONAL_LIBRARIES[name]:
        with suppress(PackageNotFoundError):
            return version(package)
    if find_spec(name) is None:
        return None
    return str(import_module(name).__version__)


def check_versions(
    made_with: Mapping[str, str], *, policy: SkewPolicy, here: Mapping[str, str] | None = None
) -> list[str]:
    """Give warnings about versions that differ, under the policy ``warn``.

    Raises:
        NotReproducibleHere: they differ by more than the policy allows.
    """
    here = host_versions() if here is None else here
    parts = _EXACT if policy is SkewPolicy.EXACT else _PATCH
    warnings: list[str] = []
    for library, count in parts.items():
        if library in OPTIONAL_LIBRARIES and library not in made_with:
            continue
        then, now = shown(made_with.get(library, "an unknown version")), here.get(library, "none")
        if then.split(".")[:count] == now.split(".")[:count]:
            continue
        if policy is SkewPolicy.WARN:
            warnings.append(f"The bundle was made with {library} {then}, but here is {now}.")
            continue
        extra = "skfleet[boosting] with " if library in OPTIONAL_LIBRARIES else ""
        raise NotReproducibleHere(
            f"The bundle was made with {library} {then}, but here is {now}, which its skew policy "
            f"{policy} does not allow; install {extra}{library} {then} here, or train it again."
        )
    return warnings

"""Versions: what a bundle was made with, and how far the reader's may differ."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from contextlib import suppress
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version

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
    found = current_versions()
    for name, packages in OPTIONAL_LIBRARIES.items():
        for package in packages:
            with suppress(PackageNotFoundError):
                found[name] = version(package)
    return found


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
        raise NotReproducibleHere(
            f"The bundle was made with {library} {then}, but here is {now}, which its skew policy "
            f"{policy} does not allow; install {library} {then} here, or train it again."
        )
    return warnings

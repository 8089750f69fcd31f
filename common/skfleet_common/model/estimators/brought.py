"""Brought estimators: those that users import from their own modules or read from files."""

from __future__ import annotations

import importlib
import importlib.util
import pickle
import re
import sys
from pathlib import Path
from typing import Any

import joblib
import skops.io
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from skfleet_common.contracts.errors import EnvironmentFault, UsageError, nearest, shown
from skfleet_common.model.allowlist import ALLOWED_TYPES

#: A dotted module, a colon, and an attribute, which may be inside a class.
_REFERENCE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
_FILES = (".joblib", ".skops", ".pkl", ".pickle")

#: Libraries that an extra installs.
_EXTRAS = {"lightgbm": "boosting", "xgboost": "boosting"}


def is_brought(asked: str) -> bool:
    """Whether the words are a reference to a user's own estimator."""
    return asked.endswith(_FILES) or _REFERENCE.fullmatch(asked) is not None


def bring(reference: str) -> Any:
    """Give what ``module:attribute`` names, or what a file holds.

    Importing a module and unpickling a file run the code in them, which is the user's own.

    Raises:
        UsageError: it is not there, or cannot be imported or read.
        EnvironmentFault: it needs a library that is not here.
    """
    if reference.endswith(_FILES):
        return _from_file(Path(reference))
    module, _, attribute = reference.partition(":")
    found: Any = _module(module)
    for name in attribute.split("."):
        if not hasattr(found, name):
            raise UsageError(f"{module} has no {name}, which --model names{nearest(name, dir(found))}")
        found = getattr(found, name)
    return found


def unfitted(found: Any, asked: str) -> Any:
    """Give an unfitted estimator of a class, of a factory or like an instance.

    Raises:
        UsageError: that is no estimator.
    """
    if isinstance(found, type) or (callable(found) and not hasattr(found, "fit")):
        try:
            found = found()
        except Exception as exc:
            raise UsageError(
                f"{asked} cannot be made without arguments ({_said(exc)}); name a function that makes it."
            ) from exc
    for method in ("get_params", "set_params", "fit", "predict"):
        if not callable(getattr(found, method, None)):
            raise UsageError(
                f"{asked} is no estimator: it has no {method}; derive it from sklearn.base.BaseEstimator."
            )
    try:
        return clone(found)
    except Exception as exc:
        raise UsageError(
            f"{asked} cannot be cloned ({_said(exc)}); its __init__ must keep each argument as it is."
        ) from exc


def is_fitted(found: Any) -> bool:
    """Whether that is an estimator which learned from rows already."""
    if isinstance(found, type) or not hasattr(found, "fit"):
        return False
    try:
        check_is_fitted(found)
    except (NotFittedError, TypeError):
        return False
    return True


def _from_file(path: Path) -> Any:
    if not path.is_file():
        raise UsageError(f"There is no file {shown(str(path))}, which --model names; correct the path.")
    try:
        if path.suffix == ".skops":
            return skops.io.load(path, trusted=sorted(ALLOWED_TYPES))
        return joblib.load(path)
    except (skops.io.exceptions.UntrustedTypesFoundException, pickle.UnpicklingError, OSError) as exc:
        # The name alone: of a long path, a sentence would repeat the beginning.
        raise UsageError(f"{shown(path.name)} cannot be read ({_said(exc)}); write it again.") from exc
    except Exception as exc:
        raise UsageError(
            f"{shown(path.name)} cannot be read here ({_said(exc)}); write it with the libraries of here."
        ) from exc


def _module(name: str) -> Any:
    # As `python -m` has it: a user's own module is beside where the command is run.
    here = str(Path.cwd())
    sys.path.insert(0, here)
    importlib.invalidate_caches()
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as exc:
        missing = (exc.name or name).partition(".")[0]
        if missing in _EXTRAS:
            raise EnvironmentFault(
                f"{missing} is not installed here; install it: pip install 'skfleet[{_EXTRAS[missing]}]'."
            ) from exc
        if name == exc.name or name.startswith(f"{exc.name}."):
            raise UsageError(
                f"There is no module {name}, which --model names; run skfleet where {name} can be imported."
            ) from exc
        raise UsageError(f"{name} cannot be imported: there is no module {exc.name}; install it.") from exc
    except OSError as exc:
        if "libgomp" in str(exc):
            raise EnvironmentFault(
                f"{name} needs the system's libgomp.so.1, which is not here; install it, "
                "for instance with: apt-get install libgomp1."
            ) from exc
        raise UsageError(f"{name} cannot be imported ({_said(exc)}); mend it.") from exc
    except (Exception, SystemExit) as exc:
        raise UsageError(f"{name} cannot be imported ({_said(exc)}); mend it.") from exc
    finally:
        sys.path.remove(here)


def _said(exc: BaseException) -> str:
    """Give the error's kind and the first line of what it says."""
    text = str(exc).strip().split("\n")[0].rstrip(".")
    return f"{type(exc).__name__}: {shown(text)}" if text else type(exc).__name__

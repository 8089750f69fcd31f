"""Fitting: an estimator's fit, whatever the estimator does meanwhile."""

from __future__ import annotations

import ctypes
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from typing import Any

from skfleet_common.contracts.errors import EnvironmentFault, Refused, SkfleetError, shown
from skfleet_common.model.arrays import FloatArray

#: More of an estimator's warnings than this do not help anybody.
_TOLD_AT_MOST = 10

_STDOUT = 1


@dataclass
class Heard:
    """What an estimator printed and warned of while it was listened to."""

    name: str
    warned: list[str] = field(default_factory=list)
    printed: str = ""

    def notes(self) -> list[str]:
        """Give a sentence for each warning, however often it came, and one for all that was printed."""
        texts = list(dict.fromkeys(self.warned))
        notes = [f"{self.name} warned: {text}" for text in texts[:_TOLD_AT_MOST]]
        if len(texts) > _TOLD_AT_MOST:
            notes.append(f"{self.name} warned of {len(texts) - _TOLD_AT_MOST} more things.")
        lines = [line for line in self.printed.splitlines() if line.strip()]
        if lines:
            count = "a line" if len(lines) == 1 else f"{len(lines):,} lines"
            notes.append(f"{self.name} printed {count}, which begins: {shown(lines[0].strip())}")
        return notes


@contextmanager
def listening(name: str) -> Iterator[Heard]:
    """Keep stdout free of what estimators print, also from compiled code, and collect their warnings."""
    heard = Heard(name)
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as file,
        warnings.catch_warnings(record=True) as caught,
    ):
        warnings.simplefilter("always")
        try:
            with _stdout_into(file.fileno()), redirect_stdout(file):
                yield heard
        finally:
            file.flush()
            file.seek(0)
            heard.printed = file.read()
            heard.warned = [str(warning.message).strip().split("\n")[0] for warning in caught]


@contextmanager
def _stdout_into(descriptor: int) -> Iterator[None]:
    """Point the process's own stdout elsewhere; a process without one has nothing to keep free."""
    sys.stdout.flush()
    try:
        kept = os.dup(_STDOUT)
    except OSError:
        yield
        return
    os.dup2(descriptor, _STDOUT)
    try:
        yield
    finally:
        # What C code printed may still be in its own buffer.
        ctypes.CDLL(None).fflush(None)
        os.dup2(kept, _STDOUT)
        os.close(kept)


@contextmanager
def blaming(name: str, doing: str) -> Iterator[None]:
    """Turn whatever an estimator raises into one sentence that names it."""
    try:
        yield
    except SkfleetError:
        raise
    except MemoryError as exc:
        raise EnvironmentFault(
            f"There is not enough memory to {doing} {name}; train on fewer rows or columns, or elsewhere."
        ) from exc
    except (Exception, SystemExit) as exc:
        text = " ".join(str(exc).split()) or "it does not say why"
        said = text if len(text) <= _SAID_AT_MOST else f"{text[:_SAID_AT_MOST]}…"
        raise Refused(
            f"{name} cannot be {doing} ({type(exc).__name__}: {said.rstrip('.')}); correct its parameters or "
            "the rows, or choose another model."
        ) from exc


#: Of what an estimator raises; scikit-learn explains itself at length.
_SAID_AT_MOST = 300


def fit_estimator(estimator: Any, X: Any, y: Any, *, weights: FloatArray | None, name: str) -> Any:
    """Fit ``estimator`` and give it back.

    Raises:
        Refused: it cannot be fitted to these rows; the sentence repeats what it says.
    """
    with blaming(name, "fitted"):
        # What an estimator does to its target stays its own.
        if weights is None:
            estimator.fit(X, y.copy())
        else:
            estimator.fit(X, y.copy(), sample_weight=weights.copy())
    return estimator

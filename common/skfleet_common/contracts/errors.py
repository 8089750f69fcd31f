"""The error tree.

Every error a person can cause is a :class:`SkfleetError`: its message is one sentence
that says what was wrong and what to do, and its ``exit_code`` is the command's.
The docstring of each class says who acts on it.
"""

from __future__ import annotations

import difflib
from typing import ClassVar

#: The longest part of somebody's own words that a sentence repeats.
MAX_SHOWN = 80


class SkfleetError(Exception):
    """Something that a person can mend; the message says how."""

    exit_code: ClassVar[int] = 1
    #: Whether the same attempt may succeed later with nobody doing anything.
    retryable: ClassVar[bool] = False


class JobFailed(SkfleetError):
    """The job ended without its output. The user reads the reason and runs it again."""

    exit_code = 1


class UsageError(SkfleetError):
    """The command's own words are wrong. The user corrects them."""

    exit_code = 2


class Refused(SkfleetError):
    """The preflight refuses the request before anything is sent. The user mends table, model or flags."""

    exit_code = 3


class EnvironmentFault(SkfleetError):
    """The stack, the credentials or the network are not there. The user or operator mends them."""

    exit_code = 4


class WaitTimedOut(SkfleetError):
    """The job is still going on. The user waits again."""

    exit_code = 124


class BundleRefused(Refused):
    """The bundle cannot be trusted. The user trains or registers it again."""


class NotReproducibleHere(BundleRefused):
    """The bundle is right, but this host computes otherwise. The operator mends the host's versions."""


class SourceChanged(Refused):
    """The source no longer is what the job was planned on. The user submits the job again."""


class PlaceTaken(Refused):
    """Where files were to be written, there are others. Nobody touches those; the user submits again."""


class UnreadableValue(Refused):
    """The warehouse cannot give a value, and fails the statement for it. The user mends the row."""

    #: What the warehouse calls it: ``division by zero``.
    condition: str = "it says no more"


class TryAgain(SkfleetError):
    """A passing fault: throttling, a reset, a restart. The fleet itself tries again, with backoff."""

    exit_code = 4
    retryable = True


class UnreadableMessage(SkfleetError):
    """A message that no version of skfleet wrote. The operator looks at the dead-letter queue."""


class NewerMessage(SkfleetError):
    """A message of a version newer than this worker. The operator updates the fleet; till then it waits."""

    retryable = True


def nearest(word: str, known: list[str]) -> str:
    """Give the end of a sentence: ``'; did you mean X?'`` with the name closest to ``word``, or ``'.'``."""
    found = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {found[0]}?" if found else "."


def shown(words: str) -> str:
    """Give somebody's own words as a sentence repeats them: not for long, and without line breaks."""
    cut = words if len(words) <= MAX_SHOWN else f"{words[:MAX_SHOWN]}…"
    return cut if cut.isprintable() else repr(cut)

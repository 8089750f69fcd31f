"""Outcomes: what an error means for its chunk and its job. An error goes in, a decision comes out."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from enum import StrEnum

from skfleet_common.aws.store import NoSuchObject
from skfleet_common.contracts.errors import JobFailed, NotReproducibleHere, Refused, SkfleetError
from skfleet_common.contracts.shapes import NewerShape, UnreadableShape


class Blame(StrEnum):
    """How far a failure reaches."""

    #: Nothing has failed: it is waited for, however long, and no attempt is counted.
    NOBODY = "nobody"
    #: What is around the chunk: disk, network, database, service. It is tried again for a quarter of an hour.
    SURROUNDINGS = "surroundings"
    #: Released, and tried again later, perhaps by another worker.
    ATTEMPT = "attempt"
    #: The chunk has failed for good; the job goes on to its end, and fails there.
    CHUNK = "chunk"
    #: No chunk of the job can succeed; it fails now, and its other messages are acked unrun.
    JOB = "job"


class ChunkRefused(SkfleetError):
    """The chunk cannot be scored as planned, now or later. The user reads the reason and submits again."""


class ChunkQuarantined(ChunkRefused):
    """A chunk alone has more rows that cannot be read or scored than its job may have. Its end names them."""

    def __init__(self, sentence: str, *, rows: int, rejects_key: str | None) -> None:
        super().__init__(sentence)
        self.rows = rows
        self.rejects_key = rejects_key


class NamingFailure(JobFailed):
    """The job has failed for values of its rows, which its record may name, but no log."""

    def __init__(self, sentence: str, *, naming: str) -> None:
        super().__init__(sentence)
        #: One or more sentences that name rows or levels.
        self.naming = naming


class TooManyQuarantined(NamingFailure):
    """More rows cannot be read or scored than the job allows. The user mends them, or allows more."""


class ShiftedTooFar(NamingFailure):
    """The rows have drifted from the training rows by more than the job allows. The user trains again."""


@dataclass(frozen=True)
class Failure:
    """What an error came to."""

    blame: Blame
    #: One sentence for people, without row values.
    reason: str
    #: A sentence that names rows: for the job's record alone, and never logged.
    naming: str = ""
    #: Of a chunk: its quarantined rows, and the key of the object that lists them.
    rows_quarantined: int = 0
    rejects_key: str | None = None
    #: Whether it is final only because there were enough attempts.
    is_last: bool = False


#: For each attempt that a chunk has, it may meet so many setbacks.
SETBACKS_AN_ATTEMPT = 4

#: Errors that every chunk of the job would meet.
_FOR_THE_WHOLE_JOB = (Refused, JobFailed, NoSuchObject, UnreadableShape)


def weigh(
    error: Exception, *, attempt: int, max_attempts: int, setbacks: int = 0, is_patient: bool = False
) -> Failure:
    """Decide how far ``error``, met at the ``attempt``-th attempt that counts, reaches.

    ``setbacks``: how many attempts before it were ended by what passes, or by their hosts.
    ``is_patient``: what passes by itself is waited for, however often it comes.
    """
    reason = sentence(error)
    if isinstance(error, NewerShape) or (is_patient and _may_pass(error)):
        # A newer worker, which can read it, may be on its way, as for messages.
        return Failure(Blame.NOBODY, reason)
    if _may_pass(error) or isinstance(error, OSError):
        return _of_surroundings(reason, setbacks=setbacks, most=SETBACKS_AN_ATTEMPT * max_attempts)
    if isinstance(error, _FOR_THE_WHOLE_JOB) and not isinstance(error, NotReproducibleHere):
        naming = error.naming if isinstance(error, NamingFailure) else ""
        return Failure(Blame.JOB, reason, naming)
    if isinstance(error, ChunkRefused):
        return _of_chunk(error, reason)
    if attempt < max_attempts:
        return Failure(Blame.ATTEMPT, reason)
    return Failure(Blame.CHUNK, f"{reason.rstrip('.')} (attempt {attempt}, the last).", is_last=True)


def _of_chunk(error: ChunkRefused, reason: str) -> Failure:
    if isinstance(error, ChunkQuarantined):
        return Failure(Blame.CHUNK, reason, rows_quarantined=error.rows, rejects_key=error.rejects_key)
    return Failure(Blame.CHUNK, reason)


def _of_surroundings(reason: str, *, setbacks: int, most: int) -> Failure:
    if setbacks < most:
        return Failure(Blame.SURROUNDINGS, reason)
    return Failure(
        Blame.CHUNK, f"{reason.rstrip('.')} (the last of {setbacks + 1} such setbacks).", is_last=True
    )


def sentence(error: Exception) -> str:
    """Say what an error was; one that is not ours may hold row values in its words, so its place must do."""
    if isinstance(error, UnreadableShape):
        return f"{error} What was stored of the job is damaged; submit the job again."
    if isinstance(error, SkfleetError):
        return str(error)
    frames = traceback.extract_tb(error.__traceback__)
    # Our own line says more than the depths of a library.
    ours = [frame for frame in frames if "skfleet" in frame.filename] or frames
    place = f" at {_short(ours[-1].filename)}:{ours[-1].lineno}" if ours else ""
    return f"An unexpected {type(error).__name__}{place}; the worker's log has the traceback."


def frames_of(error: Exception) -> list[str]:
    """Give the traceback of an error and of what led to it, as places without any message."""
    places: list[str] = []
    link: BaseException | None = error
    while link is not None:
        places.append(type(link).__name__)
        places.extend(
            f"{_short(frame.filename)}:{frame.lineno} {frame.name}"
            for frame in traceback.extract_tb(link.__traceback__)
        )
        link = link.__cause__ or link.__context__
    return places


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a process that could not get memory raised this; numpy's and Arrow's errors are such too."""
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, MemoryError):
            return True
        link = link.__cause__ or link.__context__
    return False


def _may_pass(error: Exception) -> bool:
    return isinstance(error, SkfleetError) and error.retryable


def _short(path: str) -> str:
    return "/".join(path.split("/")[-3:])

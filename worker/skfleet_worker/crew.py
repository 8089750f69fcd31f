"""The crew: one scoring process a core, as the supervisor sees them."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

import structlog

from skfleet_common.contracts.messages import ChunkMessage
from skfleet_common.settings import Settings
from skfleet_worker.deadline import Deadline
from skfleet_worker.presence import Seen
from skfleet_worker.protocol import FromScorer, Ready
from skfleet_worker.scorer import serve
from skfleet_worker.work import Work

#: Longest pause before a scorer that keeps dying is started again.
MAX_RESTART_SECONDS = 30.0
#: What the fork server imports, in this order, before it forks.
PRELOAD = ["skfleet_worker.fork_server", "skfleet_worker.preload"]

log = structlog.get_logger()


@dataclass(frozen=True)
class Ended:
    """A scoring process is gone."""

    pid: int | None
    #: In words that follow "its scoring process".
    how: str
    #: Whether by SIGKILL, the only signal that the kernel has for a process which takes too much memory.
    was_killed: bool
    work: Work | None


class Scorer:
    """One seat of the crew: a scoring process, replaced by a new one when it dies."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.is_ready = False
        self.work: Work | None = None
        self.not_before = 0.0
        #: Deaths since it was last ready.
        self.deaths = 0
        self._deadline = Deadline()
        self._process: BaseProcess | None = None
        self._connection: Connection | None = None

    @property
    def is_started(self) -> bool:
        """Whether there is a process in this seat."""
        return self._process is not None

    @property
    def is_free(self) -> bool:
        """Whether it can be given work now."""
        return self.is_ready and self.work is None

    @property
    def is_on_chunk(self) -> bool:
        """Whether it works on a chunk, not on a publication."""
        return self.work is not None and isinstance(self.work.assignment.message, ChunkMessage)

    @property
    def pid(self) -> int | None:
        """The process id, once there is a process."""
        return self._process.pid if self._process else None

    def waitables(self) -> list[Connection | int]:
        """Give what becomes ready when the process has something to say, or has ended."""
        if self._process is None or self._connection is None:
            return []
        return [self._connection, self._process.sentinel]

    def start(self, settings: Settings, worker: str) -> None:
        """Start a process. It says by itself when it is ready.

        Raises:
            EOFError, OSError: the fork server, which may itself be killed, could not start one.
        """
        ours, theirs = multiprocessing.Pipe()
        context = multiprocessing.get_context("forkserver")
        process = context.Process(
            target=serve,
            kwargs={
                "connection": theirs,
                "deadline": self._deadline,
                "settings": settings,
                "worker": worker,
                "seat": self.number,
            },
            name=f"scorer-{self.number}",
            daemon=True,
        )
        try:
            with _signals_blocked():
                process.start()
        except (EOFError, OSError):
            ours.close()
            raise
        finally:
            theirs.close()
        self._process, self._connection = process, ours

    def give(self, work: Work) -> None:
        """Hand over work; a process that is dying is noticed by its sentinel."""
        if self._connection is None:
            raise RuntimeError("a scorer without a process was given work")
        self.work = work
        work.lease.show_on(self._deadline)
        try:
            self._connection.send(work.assignment)
        except OSError:
            log.debug("scorer.gone_before_work", scorer=self.pid)

    def take_back(self) -> Work | None:
        """Give what it worked on, and leave it free."""
        work, self.work = self.work, None
        if work is not None:
            work.lease.show_on(None)
        return work

    def messages(self) -> Iterator[FromScorer]:
        """Give what it has said so far; ends without an error when the process is gone."""
        try:
            while self._connection is not None and self._connection.poll():
                message: FromScorer = self._connection.recv()
                if isinstance(message, Ready):
                    self.is_ready = True
                    self.deaths = 0
                yield message
        except (EOFError, OSError):
            return

    def has_ended(self) -> bool:
        """Whether the process is gone."""
        return self._process is not None and not self._process.is_alive()

    def kill(self) -> None:
        """End the process at once, even when it is stopped; returns when it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.join()

    def bury(self, now: float) -> Ended:
        """Clear the seat of a process that is gone."""
        if self._process is None:
            raise RuntimeError("there is no process to bury")
        self._process.join()
        code = self._process.exitcode
        ended = Ended(
            pid=self._process.pid,
            how=_describe(code),
            was_killed=code == -signal.SIGKILL,
            work=self.take_back(),
        )
        if self._connection is not None:
            self._connection.close()
        self._process.close()
        self._process = self._connection = None
        self.is_ready = False
        self.rest(now)
        return ended

    def rest(self, now: float) -> None:
        """Count a death. The first restart is at once; the more deaths in a row, the longer the pause."""
        self.not_before = now + (min(MAX_RESTART_SECONDS, 2.0**self.deaths) if self.deaths else 0.0)
        self.deaths += 1


class Crew:
    """All scorers of a worker."""

    def __init__(self, settings: Settings, *, size: int, worker: str, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._worker = worker
        self._clock = clock
        self.scorers = [Scorer(number) for number in range(size)]
        #: Seats for which no process could be started, until :meth:`news` tells of them.
        self._unborn: list[tuple[Scorer, Ended]] = []
        multiprocessing.get_context("forkserver").set_forkserver_preload(PRELOAD)

    def fill(self) -> None:
        """Start a process in every empty seat whose time has come."""
        for scorer in self.scorers:
            now = self._clock()
            if scorer.is_started or now < scorer.not_before:
                continue
            try:
                scorer.start(self._settings, self._worker)
            except (EOFError, OSError) as exc:
                # The fork server's imports are large: the kernel may choose it when memory is short.
                scorer.rest(now)
                how = f"could not be started ({type(exc).__name__})"
                self._unborn.append((scorer, Ended(pid=None, how=how, was_killed=False, work=None)))

    def waitables(self) -> list[Connection | int]:
        """Give what to wait on for news of any scorer."""
        return [waitable for scorer in self.scorers for waitable in scorer.waitables()]

    def news(self) -> Iterator[tuple[Scorer, FromScorer | Ended]]:
        """Give what scorers have said, and which of them are gone; their seats are then empty."""
        unborn, self._unborn = self._unborn, []
        yield from unborn
        for scorer in self.scorers:
            # Asked before reading: what is said after this is read the next time.
            has_ended = scorer.has_ended()
            for message in scorer.messages():
                yield scorer, message
            if has_ended and scorer.is_started:
                yield scorer, scorer.bury(self._clock())

    def free(self) -> list[Scorer]:
        """Give the scorers that can be given work."""
        return [scorer for scorer in self.scorers if scorer.is_free]

    def busy(self) -> list[Scorer]:
        """Give the scorers that have work."""
        return [scorer for scorer in self.scorers if scorer.work is not None]

    @property
    def has_ready(self) -> bool:
        """Whether any scorer is ready, free or not."""
        return any(scorer.is_ready for scorer in self.scorers)

    @property
    def pids(self) -> list[int]:
        """The process ids of the scorers that are ready."""
        return [scorer.pid for scorer in self.scorers if scorer.is_ready and scorer.pid is not None]

    def seen(self, waiting: Sequence[Work]) -> Seen:
        """Give what presence announces; what waits here no other worker has."""
        now = self._clock()
        works = [scorer.work for scorer in self.scorers if scorer.work is not None]
        return Seen(
            scorer_pids=tuple(self.pids),
            working_on=tuple(work.name for work in works),
            holdings=tuple(work.holding(now) for work in [*works, *waiting]),
        )

    def kill(self) -> None:
        """End all processes."""
        for scorer in self.scorers:
            scorer.kill()


def _describe(exit_code: int | None) -> str:
    """Say how a process ended. That it ran out of memory is nothing an exit code can tell."""
    if exit_code is not None and exit_code < 0:
        try:
            return f"was killed ({signal.Signals(-exit_code).name}, {-exit_code})"
        except ValueError:
            return f"was killed ({-exit_code})"
    return f"ended with exit code {exit_code}"


@contextmanager
def _signals_blocked() -> Iterator[None]:
    """Block SIGINT and SIGTERM around the start of the fork server, which keeps the mask, as do its children.

    A signal to the whole process group (Ctrl-C, systemd) is then the supervisor's alone to act on.
    """
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)

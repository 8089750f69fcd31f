"""Processes that are stopped past their lease and then go on: zombies, which must change nothing."""

from __future__ import annotations

import time

import psutil
from tests.chaos.fault import Fault, Moment
from tests.chaos.place import LEASE_SECONDS
from tests.chaos.trial import Trial
from tests.chaos.workers import Worker, lives

#: Beyond the lease, so that another worker has the chunk for certain.
BEYOND_SECONDS = 1.0


class Stopped(Fault):
    """SIGSTOP of one or both processes of a worker in the middle of a chunk, and SIGCONT later."""

    past_seconds: float = LEASE_SECONDS + BEYOND_SECONDS

    def victims(self, worker: Worker, scorer: psutil.Process) -> list[psutil.Process]:
        """Give the processes to stop, in that order."""
        raise NotImplementedError

    def strike(self, trial: Trial) -> None:
        reader = trial.a_reader()
        self.stopped = self.victims(reader.worker, reader.scorer)
        for process in self.stopped:
            process.suspend()
        self.since = time.monotonic()

    def is_over(self, trial: Trial) -> bool:
        return time.monotonic() - self.since > self.past_seconds

    def mend(self, trial: Trial) -> None:
        for process in self.stopped:
            if lives(process):
                process.resume()


class ScorerStopped(Stopped):
    """The scorer alone, and for good: its supervisor must end it, and not keep its lease alive for ever."""

    past_seconds = float("inf")

    def victims(self, worker: Worker, scorer: psutil.Process) -> list[psutil.Process]:
        return [scorer]


class SupervisorStopped(Stopped):
    """The supervisor alone: nobody extends the lease of a scorer that works on."""

    def victims(self, worker: Worker, scorer: psutil.Process) -> list[psutil.Process]:
        return [worker.supervisor]


class WorkerStopped(Stopped):
    """Both, as when a host is suspended: on waking, the attempt goes on as if nothing had been."""

    def victims(self, worker: Worker, scorer: psutil.Process) -> list[psutil.Process]:
        return [worker.supervisor, scorer]


class ScorerWakesFirst(WorkerStopped):
    """Both, and the scorer goes on before its supervisor does: nobody tells it that the chunk is lost."""

    #: Enough to end a chunk in.
    alone_seconds = 1.0

    def mend(self, trial: Trial) -> None:
        supervisor, scorer = self.stopped
        if lives(scorer):
            scorer.resume()
            time.sleep(self.alone_seconds)
        if lives(supervisor):
            supervisor.resume()


class LateWrite(Fault):
    """A write to the tracker lies in the network until its attempt is given up and the job has ended."""

    moment = Moment.SUBMITTING

    #: A commit, a climb, or the move of the job to its publication.
    WRITES = (("PutItem", "commit#"), ("UpdateItem", "ADD #done"), ("UpdateItem", "PUBLISHING"))

    def strike(self, trial: Trial) -> None:
        operation, holds = self.rng.choice(self.WRITES)
        skip = 0 if holds == "PUBLISHING" else 2
        self.late = False
        self.rule = trial.place.wire.add("hold", "dynamodb", operation, holds=holds, skip=skip, times=1)

    def mend(self, trial: Trial) -> None:
        wire = trial.place.wire
        self.late = bool(wire.rule(self.rule)["waiting"])
        if self.late:
            # What stands now must stand afterwards.
            trial.commits()
        wire.let(self.rule, "on")
        trial.wait_for(lambda: not wire.rule(self.rule)["waiting"], "the late write has arrived")

    def has_hit(self, trial: Trial) -> bool:
        return self.late

"""A trial: one job on the place, the faults of one scenario on the way, and the verdict at the end."""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import pandas as pd
import psutil
from tests.chaos import gate
from tests.chaos.fault import Fault, Moment
from tests.chaos.place import Place
from tests.chaos.verbs import again, insist, resume
from tests.chaos.workers import Worker
from tests.integration.worker_fleet import MODEL

from skfleet.preflight import Prepared
from skfleet.progress import Silent
from skfleet.request import PredictRequest
from skfleet.submit import new_job, submit
from skfleet_common.contracts.chunks import ChunkPlan
from skfleet_common.contracts.jobs import Commit, CommitOutcome, IfExists, JobRecord
from skfleet_common.contracts.states import JobState

T = TypeVar("T")

ROWS = 2_400
CHUNK_ROWS = (200, 240, 300, 400)
MANY_CHUNKS_ROWS = 100
#: Longest that a job may take from its first message to its end, healing included.
END_SECONDS = 90.0
#: How long a trial waits for the moment of a fault.
MOMENT_SECONDS = 30.0
#: A reader that waits at the gate for so long has been seen by whoever looks.
STALL_SECONDS = 0.7
LOOK_SECONDS = 0.05
#: The row of an output table that is there before a job.
BEFORE = (-1, True, 0.0, 1.0)


class WentWrong(AssertionError):
    """The fleet did not do what it must, or a fault could not strike."""


@dataclass(frozen=True)
class Reader:
    """A scorer in the middle of a read that the gate stops."""

    worker: Worker
    scorer: psutil.Process
    #: The process id of its database backend.
    backend: int


class Trial:
    """One run. ``name`` is part of the names of its tables."""

    def __init__(self, place: Place, faults: list[Fault], *, rng: random.Random, name: str) -> None:
        self.place = place
        self.faults = faults
        self.rng = rng
        self.name = name
        self.table, self.view, self.output = f"{name}_flights", f"{name}_gated", f"{name}_scores"
        self.gate = gate.Gate(place.url)
        self.timeline: list[str] = []
        self.logs_from = {worker.name: worker.mark_in_log() for worker in place.workers}
        self.began_at = time.monotonic()
        self.struck_at: float | None = None
        self.ended_at: float | None = None
        self.digest = place.new_bundle() if any(fault.needs_new_bundle for fault in faults) else place.digest
        self.request = PredictRequest(
            model=f"{MODEL}@{self.digest}",
            table=f"public.{self.view}",
            id_columns=("id",),
            output_table=f"public.{self.output}",
            if_exists=rng.choice(list(IfExists)),
            # Ten messages are one call: to be killed between two of them, a producer needs more.
            chunk_rows=MANY_CHUNKS_ROWS if any(fault.submits for fault in faults) else rng.choice(CHUNK_ROWS),
            token=name,
        )
        asks: dict[str, Any] = {name: value for fault in faults for name, value in fault.asks.items()}
        self.request = replace(self.request, **asks)
        #: The rows that the job must have scored: changed by faults that change the table before it is read.
        self.expected = _flights()
        self.job: str = ""
        self.prepared: Prepared | None = None
        #: Commits as they were seen on the way: none of them may ever change...
        self.seen: dict[int, Commit] = {}
        #: ... but those of chunks whose objects were spoilt.
        self.spoilt: set[int] = set()
        #: Rows that cannot be scored.
        self.quarantined = 0
        #: Publications to the output table, those of other jobs included.
        self.publications = 1
        self._under_way: list[Fault] = []
        self._struck: list[Fault] = []

    # The course of things.

    def play(self) -> None:
        """Go through all of it up to the job's right end.

        Raises:
            WentWrong: it did not come to that.
        """
        self._make_tables()
        for fault in self.faults:
            fault.prepare(self)
        self._submit()
        self._score()
        go_on = self.gate.open
        must_fail = [fault for fault in self.faults if fault.reason is not None]
        if must_fail:
            self.gate.open()
            record = self.wait_for_end()
            self._check_failure(record, must_fail)
            self.mend()
            go_on = partial(self._take_up, record)
        self._publish(go_on)
        self._check_success(self._end())
        self.ended_at = time.monotonic()
        self.mend()
        for fault in self._struck:
            if not fault.has_hit(self):
                self.say(f"{type(fault).__name__} met nothing")

    def hits(self) -> list[Fault]:
        """Give the faults that met something."""
        return [fault for fault in self._struck if fault.has_hit(self)]

    def mend(self) -> None:
        """Undo every fault that is still there."""
        self.gate.open()
        for fault in self._under_way:
            fault.mend(self)
        self._under_way.clear()

    def clean_up(self) -> None:
        """Remove what the trial made."""
        made = self.place.sql(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND starts_with(relname, %s)", f"{self.name}_"
        )
        for (name,) in made:
            self.place.sql(f"DROP TABLE IF EXISTS {name} CASCADE")

    def say(self, what: str) -> None:
        """Write into the timeline."""
        self.timeline.append(f"{time.monotonic() - self.began_at:6.2f} s  {what}")

    # Looking.

    def wait_for(self, look: Callable[[], T], what: str, *, within_seconds: float = MOMENT_SECONDS) -> T:
        """Give what ``look`` gives as soon as it is true, mending on the way what is over.

        Raises:
            WentWrong: it took too long.
        """
        deadline = time.monotonic() + within_seconds
        while not (found := look()):
            for fault in list(self._under_way):
                if fault.is_over(self):
                    self._under_way.remove(fault)
                    self.say(f"mending {type(fault).__name__}")
                    fault.mend(self)
            if time.monotonic() > deadline:
                raise WentWrong(f"after {within_seconds:g} seconds still not: {what}")
            time.sleep(LOOK_SECONDS)
        return found

    def an_unread_chunk(self) -> int:
        """Give the last chunk that nobody reads or has read."""
        being_read = self.place.sql(
            "SELECT objid FROM pg_locks"
            f" WHERE locktype = 'advisory' AND classid = {gate.CLASS} AND NOT granted"
        )
        left = set(self.gate.held) - {chunk for (chunk,) in being_read}
        # Who has begun may see the table as it is now, though it has not come to the gate.
        begun = {entry.get("chunk") for entry in self.said("chunk.started")}
        return max(left - begun or left)

    @property
    def chunks(self) -> int:
        """How many chunks the job has."""
        assert self.prepared is not None
        return len(self.prepared.plan.chunks)

    def first_ids(self) -> list[int]:
        """Give the smallest id of each chunk."""
        assert self.prepared is not None
        return [int(chunk.range.first or 0) for chunk in self.prepared.plan.chunks]

    def commits(self) -> list[Commit]:
        """Give the commits that stand, and remember them."""
        found = self.place.cloud.tracker.commits(self.job, range(self.chunks))
        for commit in found:
            self.seen.setdefault(commit.chunk, commit)
        return found

    def done(self) -> int:
        """Give how many chunks are done."""
        return sum(commit.outcome is CommitOutcome.DONE for commit in self.commits())

    def said(self, event: str) -> list[dict[str, object]]:
        """Give what the workers have logged of one event since the trial began."""
        return [
            entry
            for worker in self.place.workers
            if worker.log.exists()
            for entry in worker.said(event, since=self.logs_from[worker.name])
        ]

    def readers(self) -> list[Reader]:
        """Give the scorers that wait at the gate, in the order of their workers."""
        waiting = self.place.sql(
            "SELECT pid, client_port FROM pg_locks JOIN pg_stat_activity USING (pid) "
            f"WHERE locktype = 'advisory' AND classid = {gate.CLASS} AND NOT granted"
        )
        return [reader for backend, port in waiting if (reader := self._reader(backend, port))]

    def a_reader(self) -> Reader:
        """Give one of the scorers that wait at the gate, once there is one."""
        readers = self.wait_for(self.readers, "a scorer reads")
        return self.rng.choice(sorted(readers, key=lambda reader: reader.worker.name))

    def who_is_at(self, port: int) -> tuple[Worker, psutil.Process] | None:
        """Give the scorer that has a connection from a local port."""
        for worker in self.place.workers:
            for scorer in worker.scorers():
                try:
                    connections = scorer.net_connections(kind="tcp")
                except psutil.Error:
                    continue
                if any(connection.laddr.port == port for connection in connections):
                    return worker, scorer
        return None

    def _reader(self, backend: int, port: int) -> Reader | None:
        found = self.who_is_at(port)
        return Reader(*found, backend=backend) if found else None

    # Steps.

    def _make_tables(self) -> None:
        self.place.sql(
            f"CREATE TABLE {self.table} AS SELECT 2 * n::bigint AS id,"
            " (100 + n % 977 + 0.25)::double precision AS miles,"
            " CASE n % 7 WHEN 0 THEN NULL WHEN 1 THEN 'AA' ELSE 'UA' END AS carrier,"
            f" n % 5 < 2 AS late FROM generate_series(1, {ROWS}) AS n;"
            f" ALTER TABLE {self.table} ADD PRIMARY KEY (id); {gate.view(self.view, self.table)}"
        )
        if self.request.if_exists is not IfExists.FAIL:
            # What is there before: to be kept by an append, and replaced by a replacement.
            self.place.sql(
                f"CREATE TABLE {self.output} ({self.place.output_columns});"
                f" INSERT INTO {self.output} VALUES {BEFORE}"
            )

    def _submit(self) -> None:
        self.prepared = self.place.fleet.plan(self.request)
        self.place.sql(gate.view(self.view, self.table, self.first_ids()))
        self.say(f"submitting {self.chunks} chunks, {self.request.if_exists.value} if the output exists")
        submitters = [fault for fault in self.faults if fault.submits]
        for fault in self.faults:
            if fault.moment is Moment.SUBMITTING and not fault.submits:
                self._strike(fault)
        if submitters:
            # It plans for itself, so the gate must not be shut before.
            self._strike(submitters[0])
            self._shut_gate()
            self.job = insist(self, lambda: resume(self))
            names = self.place.cloud.names
            plan = ChunkPlan.from_json(self.place.cloud.store.get(names.plan(self.job)))
            self.prepared = replace(self.prepared, plan=plan)
        else:
            self._shut_gate()
            self.job = insist(self, lambda: self.send(self.request))

    def _shut_gate(self) -> None:
        first = min([number for number, _ in self._points()] or [self._before_publishing])
        if first < self.chunks:
            self.gate.shut(first, self.chunks)

    @property
    def _before_publishing(self) -> int:
        """The last chunk, if it must wait until faults of the publication are armed; else none has to."""
        return self.chunks - any(fault.moment >= Moment.PUBLISHING for fault in self.faults)

    def send(self, request: PredictRequest) -> str:
        """Submit a prepared request as a user does, and give the job."""
        fleet = self.place.fleet
        assert self.prepared is not None
        assert request.token is not None
        record = submit(
            request,
            self.prepared,
            cloud=fleet.cloud,
            fleet=fleet.settings.fleet,
            token=request.token,
            asks=request.asks(fleet.settings.fleet),
            steps=Silent(),
            job=new_job(),
        )
        return record.job

    def request_as_json(self) -> str:
        """Give the request as the arguments of ``Fleet.predict``."""
        given = {name: value for name, value in vars(self.request).items() if name != "id_columns"}
        return json.dumps({**given, "id_column": "id"})

    def _points(self) -> list[tuple[int, Fault]]:
        """Give the faults while scoring, each with the chunk at which the gate stops; job-enders last."""
        scoring = [fault for fault in self.faults if fault.moment is Moment.SCORING]
        # The first of those that end the job leaves no moment for another: they strike together.
        end = max((fault.when for fault in scoring), default=1.0)
        when = {fault: fault.when if fault.reason is None else end for fault in scoring}
        ordered = sorted(scoring, key=lambda fault: (fault.reason is not None, when[fault]))
        points: list[tuple[int, Fault]] = []
        for fault in ordered:
            # Three chunks at least are left: two are read when the fault strikes, and one is still to come.
            number = max(1, min(self.chunks - 3, round(when[fault] * self.chunks)))
            points.append((max(number, points[-1][0] if points else 0), fault))
        return points

    def _score(self) -> None:
        points = self._points()
        for position, (number, fault) in enumerate(points):
            if not self._wait_until_stalled(number):
                self.say("an earlier fault has ended the job; the others do not strike")
                return
            self._strike(fault)
            following = points[position + 1][0] if position + 1 < len(points) else self._before_publishing
            if following != number:
                self.gate.move(following)

    def _wait_until_stalled(self, number: int) -> bool:
        """Wait until the gate holds the readers; False if the job has ended before."""
        first_seen: list[float] = []

        def is_stalled() -> bool:
            if self._has_ended():
                return True
            if not self.readers():
                return False
            first_seen.append(time.monotonic())
            return self.done() >= number or first_seen[-1] - first_seen[0] > STALL_SECONDS

        self.wait_for(is_stalled, f"{number} chunks are committed and the next is read")
        if self._has_ended():
            return False
        self.say(f"{self.done()} chunks are committed, {len(self.readers())} are read")
        return True

    def _has_ended(self) -> bool:
        return self.place.cloud.tracker.job(self.job).state.is_terminal

    def _publish(self, go_on: Callable[[], object]) -> None:
        """Let the job come to its publication, where each fault strikes in its turn."""
        publishing = [fault for fault in self.faults if fault.moment >= Moment.PUBLISHING]
        if publishing and self.gate.held:
            self.wait_for(lambda: self.done() >= self.chunks - 1, "all chunks but the last are committed")
        for fault in publishing:
            if fault.moment is Moment.PUBLISHING:
                self._strike(fault)
        # What is held in mid-swap never comes to its end, so that must be over first.
        held = sorted((f for f in publishing if f.moment > Moment.PUBLISHING), key=lambda f: f.moment)
        self._arm(held[:1])
        go_on()
        for position, fault in enumerate(held):
            self._strike(fault)
            self._arm(held[position + 1 : position + 2])
            fault.let_go(self)

    def _arm(self, faults: list[Fault]) -> None:
        for fault in faults:
            fault.arm(self)
            self._under_way.append(fault)

    def _take_up(self, ended: JobRecord) -> None:
        self.job = insist(self, lambda: again(self, ended))

    def _end(self) -> JobRecord:
        """Give the job's last record, retried if it failed as it might."""
        record = self.wait_for_end()
        may_fail = [fault.may_fail for fault in self.faults if fault.may_fail]
        if record.state is JobState.FAILED and any(re.search(p, record.reason or "") for p in may_fail):
            self._take_up(record)
            return self.wait_for_end()
        return record

    def _strike(self, fault: Fault) -> None:
        self.say(f"{type(fault).__name__} strikes")
        if fault not in self._under_way:
            self._under_way.append(fault)
        self._struck.append(fault)
        if self.struck_at is None:
            self.struck_at = time.monotonic()
        fault.strike(self)

    def wait_for_end(self) -> JobRecord:
        """Give the job's record once it has ended."""

        def ended() -> JobRecord | None:
            record = self.place.cloud.tracker.job(self.job)
            return record if record.state.is_terminal else None

        record = self.wait_for(ended, "the job has ended", within_seconds=END_SECONDS)
        assert record is not None
        self.say(f"job {record.job} is {record.state.value}: {record.reason or 'no reason'}")
        return record

    def _check_failure(self, record: JobRecord, must_fail: list[Fault]) -> None:
        wanted = [(fault.ends, fault.reason) for fault in must_fail if fault.reason]
        if not any(
            record.state is state and re.search(pattern, record.reason or "") for state, pattern in wanted
        ):
            ends = " or ".join(f"{state.value} for {pattern!r}" for state, pattern in wanted)
            raise WentWrong(f"the job is {record.state.value} for {record.reason!r}, and must be {ends}")
        if self._has_output() and self.place.sql(f"SELECT * FROM {self.output}") != [BEFORE]:
            raise WentWrong(f"the job is {record.state.value}, and its output table is not as it was before")

    def _has_output(self) -> bool:
        return self.place.sql("SELECT to_regclass(%s)", self.output) != [(None,)]

    def _check_success(self, record: JobRecord) -> None:
        if record.state is not JobState.SUCCEEDED:
            raise WentWrong(f"the job is {record.state.value}: {record.reason}")


def _flights() -> pd.DataFrame:
    """Give the rows of a trial's table, as its CREATE TABLE makes them."""
    numbers = pd.Series(range(1, ROWS + 1))
    return pd.DataFrame(
        {
            "id": 2 * numbers,
            "miles": 100 + numbers % 977 + 0.25,
            "carrier": [None if n % 7 == 0 else "AA" if n % 7 == 1 else "UA" for n in numbers],
        }
    )

"""What people are told of a job that does not go well: failed attempts, stalls, who holds what is left."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace as changed
from datetime import UTC, datetime

import pytest
from structlog.testing import capture_logs
from tests.conftest import eventually
from tests.contract.samples import new_presence
from tests.integration.worker_fleet import Fleet, Worker

from skfleet.job import Job, find_job
from skfleet.progress import Silent
from skfleet_common.contracts.messages import MESSAGE_VERSION, decode
from skfleet_common.contracts.states import JobState
from skfleet_common.contracts.workers import Holding
from skfleet_common.tables import open_warehouse
from skfleet_worker.attempt import carry_out
from skfleet_worker.bench import Workbench
from skfleet_worker.presence import Presence, Seen
from skfleet_worker.protocol import Assignment, Ending
from skfleet_worker.stalls import StallReport, live_jobs


@pytest.fixture
def bench(fleet: Fleet) -> Iterator[Workbench]:
    """A scorer's workbench in this process, whose warehouse nobody serves."""
    settings = fleet.settings.model_copy(
        update={"warehouse_url": fleet.server.url, "cache_dir": fleet.folder / "cache"}
    )
    bench = Workbench.set_up(settings, worker=f"test-{os.getpid()}", seat=0, report=lambda _rows: None)
    with closing(bench.cloud):
        nowhere = open_warehouse("postgresql://nobody:x@127.0.0.1:1/none", statement_seconds=1)
        bench.sources._warehouse = nowhere
        yield changed(bench, warehouse=nowhere)


def watched(fleet: Fleet, job: str, *, stall_seconds: float) -> Job:
    return find_job(fleet.cloud, job, stall_seconds=stall_seconds)


def metrics(worker: Worker) -> list[dict[str, object]]:
    return [
        {name: entry[name] for name in ("fleet", "StalledJobs", "OldestCommitAgeSeconds")}
        for entry in worker.said("metrics")
    ]


def test_a_failed_attempt_is_listed_until_its_chunk_is_committed(fleet: Fleet, bench: Workbench) -> None:
    job = fleet.submit(rows=2_000)
    first, second = (decode(delivery.body) for delivery in fleet.cloud.queue.receive())
    for attempt in (1, 2):
        assert carry_out(Assignment(first, receive_count=attempt), bench).ending is Ending.RELEASE
    assert carry_out(Assignment(second, receive_count=1), bench).ending is Ending.RELEASE
    told = find_job(fleet.cloud, job).status().troubles
    assert [(trouble.chunk, trouble.attempts) for trouble in told] == [(0, 2), (1, 1)]
    assert {trouble.worker for trouble in told} == {bench.worker}
    assert fleet.server.url not in told[0].reason
    # The last attempt fails the chunk: from then on it is a failure, and no trouble any more.
    last = first.model_copy(update={"failures": bench.settings.max_attempts - 1})
    assert carry_out(Assignment(last, receive_count=1), bench).ending is Ending.ACK
    status = find_job(fleet.cloud, job).status()
    assert [trouble.chunk for trouble in status.troubles] == [1]
    assert [(failure.chunk, failure.attempts) for failure in status.failures] == [(0, 5)]


@pytest.mark.parametrize("how", ["it failed", "its scorer was lost"])
def test_a_copy_that_fails_for_good_costs_nothing_while_another_worker_holds_its_chunk(
    fleet: Fleet, bench: Workbench, how: str
) -> None:
    job = fleet.submit(rows=1_000)
    (delivery,) = fleet.cloud.queue.receive()
    message = decode(delivery.body)
    most = bench.settings.max_attempts

    def failed_at(attempt: int) -> Ending:
        tried = message.model_copy(update={"failures": attempt - 1})
        reason = None if how == "it failed" else "its scoring process was killed"
        return carry_out(Assignment(tried, receive_count=1, give_up_because=reason), bench).ending

    holding = {"holdings": (Holding(job=job, run=1, chunk=0),)}
    other = new_presence("other", seen_at=datetime.now(UTC)).model_copy(update=holding)
    fleet.cloud.tracker.announce(other, ttl_seconds=600)
    assert failed_at(most) is Ending.RELEASE
    assert fleet.cloud.tracker.commits(job, [0]) == []
    # Two that hold it may each wait for the other, so not for ever.
    assert failed_at(2 * most) is Ending.ACK
    assert fleet.cloud.tracker.job(job).state is JobState.FAILED


def test_a_worker_is_announced_again_after_what_no_table_takes(fleet: Fleet) -> None:
    strange = Holding(job="a-job", run=1, chunk=0, attempts=10**40)
    looks = iter([Seen(holdings=(strange,))])
    presence = Presence(
        fleet.cloud.tracker,
        worker="odd",
        supervisor_pid=os.getpid(),
        heartbeat_seconds=0.1,
        look=lambda: next(looks, Seen()),
    )
    presence.start()
    eventually(fleet.cloud.tracker.workers)
    presence.retire()


def test_a_message_of_a_newer_version_is_told_to_its_job(fleet: Fleet) -> None:
    job = fleet.submit(rows=1_000)
    (delivery,) = fleet.cloud.queue.receive()
    fleet.cloud.queue.ack(delivery)
    fleet.cloud.queue.send([json.dumps(json.loads(delivery.body) | {"schema_version": MESSAGE_VERSION + 1})])
    fleet.start_worker()
    (trouble,) = eventually(lambda: find_job(fleet.cloud, job).status().troubles)
    assert (trouble.chunk, "update the worker" in trouble.reason) == (0, True)


def test_a_lost_plan_hides_no_other_stall(fleet: Fleet) -> None:
    first, second = fleet.submit(rows=1_000), fleet.submit(rows=1_000)
    cloud = fleet.cloud
    cloud.store.client.delete_object(Bucket=cloud.store.bucket, Key=cloud.names.plan(second))
    report = StallReport(cloud, stall_seconds=0.001)
    with capture_logs() as told:
        for _ in range(2):
            report.tell(live_jobs(cloud.tracker), [])
    stalled = {entry["job"]: entry["stragglers"] for entry in told if entry["event"] == "job.stalled"}
    assert stalled[first] == ["chunk 0, which no worker holds"]
    assert second in stalled
    assert len([entry for entry in told if entry["event"] == "job.stalled"]) == 2


def test_a_trouble_that_cannot_be_written_costs_nothing(fleet: Fleet, bench: Workbench) -> None:
    fleet.submit(rows=1_000)
    (delivery,) = fleet.cloud.queue.receive()
    tracker = bench.cloud.tracker
    bench = changed(bench, cloud=changed(bench.cloud, tracker=changed(tracker, name="no-such-tracker")))
    finished = carry_out(Assignment(decode(delivery.body), receive_count=1), bench)
    assert finished.ending is Ending.RELEASE


def test_a_scorer_that_died_is_a_trouble_of_its_chunk(fleet: Fleet) -> None:
    job = fleet.submit(rows=1_000, table="gated")
    worker = fleet.start_worker()
    with fleet.gate_shut():
        fleet.wait_at_gate()
        worker.scorers()[0].kill()
        (trouble,) = eventually(lambda: find_job(fleet.cloud, job).status().troubles)
    assert (trouble.chunk, trouble.attempts) == (0, 1)
    assert trouble.reason == "its scoring process was killed (SIGKILL, 9)"
    assert fleet.wait(job).state is JobState.SUCCEEDED
    assert find_job(fleet.cloud, job).status().troubles == ()


def test_a_stall_is_told_by_status_log_and_metric_until_it_is_over(fleet: Fleet) -> None:
    job = fleet.submit(rows=1_000, table="gated")
    workers = [fleet.start_worker(stall_seconds=1) for _ in range(2)]
    with fleet.gate_shut():
        # The worker that has no chunk is the one that looks.
        (said,) = eventually(lambda: workers[0].said("job.stalled") or workers[1].said("job.stalled"))
        assert (said["job"], said["missing"]) == (job, 1)
        stalled = watched(fleet, job, stall_seconds=1).status()
        assert stalled.stalled_seconds is not None
        assert stalled.stalled_seconds > 1
        assert (stalled.stragglers[0].chunk, stalled.workers_alive) == (0, 2)
        looker = next(worker for worker in workers if worker.said("job.stalled"))
        eventually(lambda: [told for told in metrics(looker) if told["StalledJobs"] == 1])
    assert metrics(looker)[-1]["fleet"] == fleet.settings.fleet
    assert fleet.wait(job).state is JobState.SUCCEEDED
    assert watched(fleet, job, stall_seconds=1).status().stalled_seconds is None
    # A line of zeros ends the alarm; nothing follows while no job lives.
    eventually(lambda: metrics(looker)[-1]["StalledJobs"] == 0)
    assert len(looker.said("job.stalled")) == 1


def test_waiting_says_once_that_a_job_stalls_and_that_no_worker_is_alive(fleet: Fleet) -> None:
    job = fleet.submit(rows=1_000)
    notes: list[str] = []

    class Noting(Silent):
        def note(self, text: str) -> None:
            notes.append(text)

    looks = 0

    def sleep(_: float) -> None:
        nonlocal looks
        looks += 1
        if looks == 5:
            fleet.start_worker()
        if looks > 5:
            fleet.wait(job)

    status = watched(fleet, job, stall_seconds=0.001).wait(120, steps=Noting(), sleep=sleep)
    assert status.state is JobState.SUCCEEDED
    assert len([note for note in notes if "no worker is alive" in note]) == 1
    assert len(notes) == 1


def test_status_as_json_has_troubles_stalls_and_stragglers(fleet: Fleet) -> None:
    job = fleet.submit(rows=1_000)
    told = json.loads(watched(fleet, job, stall_seconds=0.001).status().model_dump_json())
    assert told["troubles"] == []
    assert told["stalled_seconds"] > 0
    assert told["workers_alive"] == 0
    unheld = dict.fromkeys(("worker", "host", "attempts", "seconds", "rows_read"))
    assert told["stragglers"] == [{"chunk": 0} | unheld]

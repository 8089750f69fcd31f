"""Clean-up on a real store and tracker: what goes, what stays, and what that means for a retry."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.contract.samples import new_commit
from tests.contract.stored_jobs import store_job

from skfleet import leftovers
from skfleet.cleanup import CleanUp, clean_up
from skfleet.leftovers import Why
from skfleet.progress import Silent
from skfleet.retry import retry
from skfleet_common.aws.session import Cloud
from skfleet_common.aws.tracker_table import job_key, to_item
from skfleet_common.contracts.chunks import TableName
from skfleet_common.contracts.errors import EnvironmentFault, Refused, UsageError
from skfleet_common.contracts.states import JobState
from skfleet_common.tables.port import Leftover

SILENT = Silent()
LIVE = {JobState.SUBMITTING, JobState.RUNNING, JobState.PUBLISHING}


@pytest.fixture
def cloud(emptied_cloud: Cloud) -> Iterator[Cloud]:
    """The module's fleet without any object of a job."""
    yield emptied_cloud
    emptied_cloud.store.delete(keys_of(emptied_cloud))


def keys_of(cloud: Cloud, job: str | None = None) -> list[str]:
    prefix = cloud.names.jobs_prefix() if job is None else cloud.names.job_prefix(job)
    return list(cloud.store.list_keys(prefix))


def sweep(cloud: Cloud, *, days: float = 0.0, dry_run: bool = False) -> CleanUp:
    return clean_up(cloud, older_than_days=days, dry_run=dry_run, steps=SILENT)


def with_output(cloud: Cloud, state: JobState, *, committed: bool = True) -> tuple[str, str, str]:
    """Give a job of one chunk that stands at ``state``, with the keys of its output and rejects."""
    job = store_job(cloud, chunks=1, state=state).job
    out, rejects = cloud.names.output(job, 0, "a"), cloud.names.rejects(job, 0, "a")
    for key in (out, rejects):
        cloud.store.put(key, b"12345")
    if committed:
        cloud.tracker.commit(new_commit(job, 0, output_key=out, rejects_key=rejects))
    return job, out, rejects


def test_old_outputs_of_a_published_job_go_and_its_record_stays(cloud: Cloud) -> None:
    job, out, rejects = with_output(cloud, JobState.SUCCEEDED)
    cloud.store.put(cloud.names.certificate(job), b"{}")
    lost = cloud.names.output(job, 0, "lost")
    cloud.store.put(lost, b"123")
    young = sweep(cloud, days=7)
    assert [(part.job, part.why, part.objects, part.bytes) for part in young.removed] == [
        (job, Why.LOST, 1, 3)
    ]
    old = sweep(cloud, days=0)
    assert [(part.why, part.objects, part.bytes) for part in old.removed] == [(Why.PUBLISHED, 1, 5)]
    names = cloud.names
    assert set(keys_of(cloud, job)) == {names.spec(job), names.plan(job), names.certificate(job), rejects}
    assert out not in keys_of(cloud, job)


def test_outputs_of_a_cancelled_job_go_at_once(cloud: Cloud) -> None:
    job, *_ = with_output(cloud, JobState.CANCELLED, committed=False)
    done = sweep(cloud, days=7)
    assert [(part.why, part.objects) for part in done.removed] == [(Why.CANCELLED, 2)]
    assert set(keys_of(cloud, job)) == {cloud.names.spec(job), cloud.names.plan(job)}


def test_a_failed_job_can_be_retried_until_its_outputs_go(cloud: Cloud) -> None:
    job, out, _ = with_output(cloud, JobState.FAILED)
    assert sweep(cloud, days=7).objects == 0
    assert sweep(cloud, dry_run=True).objects == 2
    assert out in keys_of(cloud, job)
    assert cloud.tracker.job(job).collected_at is None
    assert [(part.why, part.objects) for part in sweep(cloud).removed] == [(Why.FAILED, 2)]
    with pytest.raises(Refused, match="submit it again"):
        retry(cloud, job, steps=SILENT)


def test_a_failed_job_without_outputs_can_always_be_retried(cloud: Cloud) -> None:
    job = store_job(cloud, state=JobState.FAILED).job
    assert sweep(cloud).objects == 0
    assert retry(cloud, job, steps=SILENT).changed


def test_a_clean_up_that_was_stopped_half_way_is_finished_by_the_next_whatever_its_age(cloud: Cloud) -> None:
    job, out, rejects = with_output(cloud, JobState.FAILED)
    assert cloud.tracker.collect(job, run=1, at=datetime.now(UTC))
    cloud.store.delete([out])
    assert [part.objects for part in sweep(cloud, days=7).removed] == [1]
    assert rejects not in keys_of(cloud, job)


def test_what_a_worker_put_after_its_job_ended_goes_with_the_next(cloud: Cloud) -> None:
    job, *_ = with_output(cloud, JobState.CANCELLED)
    sweep(cloud)
    late = cloud.names.output(job, 0, "late")
    cloud.store.put(late, b"late")
    assert sweep(cloud).objects == 1
    assert late not in keys_of(cloud, job)


def test_what_a_producer_left_that_died_before_its_job_was_known_goes_after_a_day(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.store.put(cloud.names.plan("unborn"), b"{}")
    bundle = cloud.names.bundle_file("m", "5f" * 32, "manifest.json")
    cloud.store.put(bundle, b"{}")
    assert sweep(cloud).objects == 0
    monkeypatch.setattr(leftovers, "UNKNOWN_SECONDS", 0.0)
    assert [(part.job, part.why) for part in sweep(cloud).removed] == [("unborn", Why.UNKNOWN)]
    assert cloud.store.exists(bundle)


def test_a_job_that_a_newer_version_wrote_is_left_alone_and_named(cloud: Cloud) -> None:
    job, out, _ = with_output(cloud, JobState.CANCELLED)
    cloud.tracker.client.update_item(
        TableName=cloud.tracker.name,
        Key=job_key(job),
        UpdateExpression="SET v = :v",
        ExpressionAttributeValues=to_item({":v": 2}),
    )
    done = sweep(cloud)
    assert (done.objects, done.unreadable) == (0, (job,))
    assert out in keys_of(cloud, job)


@pytest.mark.parametrize("round_", range(4))
def test_a_retry_and_a_clean_up_at_once_never_both_have_their_way(cloud: Cloud, round_: int) -> None:
    job, out, _ = with_output(cloud, JobState.FAILED)

    def try_retry() -> bool:
        with suppress(Refused):
            return retry(cloud, job, steps=SILENT).changed
        return False

    with ThreadPoolExecutor(2) as threads:
        retried, cleaned = threads.submit(try_retry), threads.submit(sweep, cloud)
    assert retried.result() is (cleaned.result().objects == 0)
    assert retried.result() is (out in keys_of(cloud, job))


def test_an_age_below_zero_is_refused(cloud: Cloud) -> None:
    for days in (-1.0, float("nan")):
        with pytest.raises(UsageError, match="0 or more days"):
            sweep(cloud, days=days)


@dataclass(frozen=True)
class Drawn:
    """A job as Hypothesis draws it: its state, and of each chunk the attempts and which of them won."""

    state: JobState | None
    chunks: list[tuple[int, int | None]]
    certified: bool
    collected: bool


JOBS = st.builds(
    Drawn,
    state=st.one_of(st.none(), st.sampled_from(list(JobState))),
    chunks=st.lists(
        st.integers(0, 3).flatmap(
            lambda attempts: st.tuples(
                st.just(attempts),
                st.one_of(st.none(), st.integers(0, attempts - 1) if attempts else st.none()),
            )
        ),
        max_size=4,
    ),
    certified=st.booleans(),
    collected=st.booleans(),
)


@dataclass
class Written:
    """A drawn job as it was written: the keys that it needs, and those that must go."""

    needed: set[str] = field(default_factory=set)
    useless: set[str] = field(default_factory=set)


def write(cloud: Cloud, drawn: Drawn, *, old: bool) -> Written:
    """Write a drawn job down, as producer and workers do; ``old`` if its objects count as such."""
    if drawn.state is None:
        job = store_job(cloud, chunks=len(drawn.chunks)).job
        cloud.tracker.client.delete_item(TableName=cloud.tracker.name, Key=job_key(job))
    else:
        job = store_job(cloud, chunks=len(drawn.chunks), state=drawn.state).job
    names, written = cloud.names, Written()
    written.needed |= {names.spec(job), names.plan(job)}
    if drawn.certified:
        cloud.store.put(names.certificate(job), b"{}")
        written.needed.add(names.certificate(job))
    for chunk, (attempts, winner) in enumerate(drawn.chunks):
        for attempt in range(attempts):
            keys = [kind(job, chunk, str(attempt)) for kind in (names.output, names.rejects)]
            for key in keys:
                cloud.store.put(key, b"x")
            sort(written, drawn, keys, won=attempt == winner, is_decided=winner is not None, old=old)
        if winner is not None:
            out, rejects = (kind(job, chunk, str(winner)) for kind in (names.output, names.rejects))
            cloud.tracker.commit(new_commit(job, chunk, output_key=out, rejects_key=rejects))
    if drawn.collected and drawn.state is JobState.FAILED:
        cloud.tracker.collect(job, run=1, at=datetime.now(UTC))
    return written


def sort(written: Written, drawn: Drawn, keys: list[str], *, won: bool, is_decided: bool, old: bool) -> None:
    """Say of an attempt's output and rejects whether the job needs them."""
    output, rejects = keys
    if drawn.state in LIVE or drawn.state is None:
        written.needed |= set(keys)
    elif drawn.state is JobState.SUCCEEDED:
        if won:
            written.needed.add(rejects)
            (written.useless if old else written.needed).add(output)
        elif is_decided:
            written.useless |= {output, rejects}
        else:
            written.needed |= {output, rejects}
    elif drawn.state is JobState.CANCELLED or drawn.collected or old:
        written.useless |= set(keys)
    else:
        written.needed |= set(keys)


@given(
    drawn=st.lists(JOBS, min_size=1, max_size=4),
    days=st.sampled_from([0.0, 7.0]),
    page=st.sampled_from([1, 3, 1_000]),
)
@settings(max_examples=15, suppress_health_check=list(HealthCheck))
def test_nothing_that_is_needed_goes_and_a_second_clean_up_finds_nothing(
    module_cloud: Cloud, drawn: list[Drawn], days: float, page: int
) -> None:
    cloud = module_cloud
    cloud.store.delete(keys_of(cloud))
    jobs = [write(cloud, one, old=days == 0) for one in drawn]
    bundle = cloud.names.latest("model")
    cloud.store.put(bundle, b"{}")
    before = set(keys_of(cloud))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("skfleet.cleanup.MAX_DELETE_KEYS", page)
        would, did = sweep(cloud, days=days, dry_run=True), sweep(cloud, days=days)
        again = sweep(cloud, days=days)
    left = set(keys_of(cloud))
    assert would.model_copy(update={"dry_run": False}) == did
    assert did.objects == len(before - left)
    assert (again.objects, again.removed) == (0, ())
    for job in jobs:
        assert job.needed <= left
        assert not job.useless & left
    assert cloud.store.exists(bundle)


class LeftInWarehouse:
    """A publisher's double that knows of leftovers alone: what a warehouse holds is not clean-up's matter."""

    def __init__(self, *left: Leftover) -> None:
        self.left = list(left)

    def leftovers(self) -> list[Leftover]:
        return list(self.left)

    def remove(self, leftover: Leftover) -> None:
        self.left.remove(leftover)


def left(job: str, *, age_seconds: float = 1.0) -> Leftover:
    return Leftover(TableName(schema_name="public", name=f"staging_of_{job}"), job, age_seconds)


def test_staging_tables_of_ended_jobs_go_and_those_of_live_ones_stay(cloud: Cloud) -> None:
    kept = [left(store_job(cloud, chunks=1, state=state).job) for state in sorted(LIVE)]
    kept.append(left("nobody-knows-it"))
    ended = {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED}
    gone = [left(store_job(cloud, chunks=1, state=state).job) for state in sorted(ended)]
    gone.append(left("nobody-knows-it-either", age_seconds=leftovers.UNKNOWN_SECONDS))
    publisher = LeftInWarehouse(*kept, *gone)

    def sweep_both(*, dry_run: bool) -> CleanUp:
        return clean_up(cloud, dry_run=dry_run, steps=SILENT, open_publisher=lambda: publisher)  # type: ignore[arg-type, return-value]

    named = tuple(str(found.table) for found in gone)
    assert sweep_both(dry_run=True).tables == named
    assert publisher.left == [*kept, *gone]
    assert sweep_both(dry_run=False).tables == named
    assert publisher.left == kept


def test_a_warehouse_that_does_not_answer_keeps_nothing_from_the_bucket(cloud: Cloud) -> None:
    job, *_ = with_output(cloud, JobState.CANCELLED)

    def broken() -> LeftInWarehouse:
        raise EnvironmentFault("Redshift at nowhere cannot be reached; resume it.")

    done = clean_up(cloud, older_than_days=0.0, steps=SILENT, open_publisher=broken)  # type: ignore[arg-type]
    assert [part.job for part in done.removed] == [job]
    assert done.warehouse == "Redshift at nowhere cannot be reached; resume it."
    assert done.tables == ()


@pytest.mark.parametrize("state", [JobState.SUCCEEDED, JobState.CANCELLED, JobState.FAILED])
def test_lists_of_what_to_load_go_with_their_job(cloud: Cloud, state: JobState) -> None:
    job = store_job(cloud, chunks=1, state=state).job
    listed = cloud.names.load(job, "abc.manifest")
    cloud.store.put(listed, b"{}")
    done = sweep(cloud)
    assert [(part.job, part.objects) for part in done.removed] == [(job, 1)]
    assert listed not in keys_of(cloud, job)

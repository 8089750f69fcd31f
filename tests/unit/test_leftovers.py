"""Leftovers: what may go, whatever the job, its objects and their ages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from tests.contract.samples import new_commit, new_job

from skfleet.leftovers import UNKNOWN_SECONDS, Folder, Why
from skfleet_common.aws.store import StoredObject
from skfleet_common.contracts.names import FleetNames
from skfleet_common.contracts.states import JobState

NAMES = FleetNames("f")
JOB = "a-job"
NOW = datetime(2026, 11, 23, tzinfo=UTC)
OLD = 7 * 86_400.0

ages = st.floats(0, 30 * 86_400.0)
KEPT = [NAMES.spec(JOB), NAMES.plan(JOB), NAMES.run_plan(JOB, 2), NAMES.certificate(JOB)]
OURS = [NAMES.output(JOB, 3, "a"), NAMES.output(JOB, 12_345_678, "b"), NAMES.rejects(JOB, 3, "a")]
FOREIGN = [
    NAMES.job_prefix(JOB) + name for name in ("out/notes.txt", "out/0000003/a.csv", "copy/out/1/a.parquet")
]


def stored(key: str, age: float) -> StoredObject:
    return StoredObject(key, 10, NOW - timedelta(seconds=age), age)


def folder(state: JobState | None, **given: object) -> Folder:
    record = None if state is None else new_job(job=JOB, state=state, **given)
    return Folder(NAMES.job_prefix(JOB), record)


@given(age=ages)
def test_nothing_of_a_live_job_ever_goes(age: float) -> None:
    for state in (JobState.SUBMITTING, JobState.RUNNING, JobState.PUBLISHING):
        for key in OURS + KEPT + FOREIGN:
            assert folder(state).why(stored(key, age), new_commit(JOB, 3), old_seconds=0) is None


@given(age=ages)
def test_what_no_attempt_wrote_stays_as_long_as_the_job_is_known(age: float) -> None:
    for state in JobState:
        for key in KEPT + FOREIGN:
            assert folder(state).why(stored(key, age), None, old_seconds=0) is None


@given(age=ages)
def test_what_was_unloaded_goes_with_the_job_that_read_it(age: float) -> None:
    key = NAMES.unload(JOB) + "0000_part_00.parquet"
    reasons = {state: folder(state).why(stored(key, age), None, old_seconds=OLD) for state in JobState}
    assert {state: why for state, why in reasons.items() if why is not None} == {
        JobState.SUCCEEDED: Why.PUBLISHED,
        JobState.CANCELLED: Why.CANCELLED,
        JobState.FAILED: Why.FAILED,
    }


@given(age=ages)
def test_of_a_published_job_the_committed_output_goes_when_old_and_its_rejects_stay(age: float) -> None:
    out, rejects = NAMES.output(JOB, 3, "won"), NAMES.rejects(JOB, 3, "won")
    commit = new_commit(JOB, 3, output_key=out, rejects_key=rejects)
    job = folder(JobState.SUCCEEDED)
    expected = Why.PUBLISHED if age >= OLD else None
    assert job.why(stored(out, age), commit, old_seconds=OLD) is expected
    assert job.why(stored(rejects, age), commit, old_seconds=OLD) is None
    for lost in (NAMES.output(JOB, 3, "lost"), NAMES.rejects(JOB, 3, "lost")):
        assert job.why(stored(lost, age), commit, old_seconds=OLD) is Why.LOST


def test_what_a_published_jobs_expired_commits_leave_undecided_stays() -> None:
    for commit in (None, new_commit(JOB, 3, failed=True)):
        for key in OURS:
            assert folder(JobState.SUCCEEDED).why(stored(key, OLD), commit, old_seconds=0) is None


@given(st.lists(ages, min_size=1), ages)
def test_a_failed_job_is_due_when_its_last_object_and_its_failure_are_old(
    object_ages: list[float], since_failure: float
) -> None:
    job = folder(JobState.FAILED, finished_at=NOW - timedelta(seconds=since_failure))
    objects = [stored(OURS[0], age) for age in object_ages]
    is_old = min([*object_ages, since_failure]) >= OLD
    # Within a microsecond of the limit, rounding decides.
    if abs(min([*object_ages, since_failure]) - OLD) > 1e-3:
        assert job.is_due(objects, old_seconds=OLD) is is_old


def test_a_failed_job_that_left_no_outputs_is_never_due() -> None:
    assert not folder(JobState.FAILED).is_due([stored(key, OLD) for key in KEPT], old_seconds=0)


@given(st.lists(ages, min_size=1))
def test_a_prefix_that_the_tracker_does_not_know_is_due_a_day_after_its_last_object(
    object_ages: list[float],
) -> None:
    unknown = folder(None)
    objects = [stored(NAMES.plan(JOB), age) for age in object_ages]
    assert unknown.is_due(objects, old_seconds=0) is (min(object_ages) >= UNKNOWN_SECONDS)
    assert unknown.why(objects[0], None, old_seconds=0) is Why.UNKNOWN
    assert not unknown.is_due([], old_seconds=0)

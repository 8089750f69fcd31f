"""Outcomes: how far an error reaches, and what may be said of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skfleet_common.aws.store import NoSuchObject
from skfleet_common.contracts.errors import (
    BundleRefused,
    EnvironmentFault,
    JobFailed,
    NotReproducibleHere,
    SkfleetError,
    SourceChanged,
    TryAgain,
)
from skfleet_common.contracts.shapes import NewerShape, UnreadableShape
from skfleet_worker.backoff import LONGEST_SECONDS, Rest, backoff_seconds, setback_seconds
from skfleet_worker.outcomes import SETBACKS_AN_ATTEMPT, Blame, ChunkRefused, frames_of, weigh

MAX_ATTEMPTS = 5
attempts = st.integers(1, 10)


def blame(error: Exception, attempt: int) -> Blame:
    return weigh(error, attempt=attempt, max_attempts=MAX_ATTEMPTS).blame


@pytest.mark.parametrize("kind", [BundleRefused, SourceChanged, JobFailed, NoSuchObject, UnreadableShape])
@given(attempt=attempts)
def test_what_every_chunk_would_meet_fails_the_job_at_once(kind: type[SkfleetError], attempt: int) -> None:
    assert blame(kind("It is so; mend it."), attempt) is Blame.JOB


@pytest.mark.parametrize("kind", [EnvironmentFault, NotReproducibleHere, ValueError])
@given(attempt=attempts)
def test_what_is_not_known_to_last_is_tried_again_until_the_last_attempt(
    kind: type[Exception], attempt: int
) -> None:
    expected = Blame.ATTEMPT if attempt < MAX_ATTEMPTS else Blame.CHUNK
    assert blame(kind("for now"), attempt) is expected


@pytest.mark.parametrize("kind", [TryAgain, OSError])
@given(attempt=attempts, setbacks=st.integers(0, 100))
def test_what_hosts_and_services_do_is_no_failed_attempt_but_ends_too(
    kind: type[Exception], attempt: int, setbacks: int
) -> None:
    most = MAX_ATTEMPTS * SETBACKS_AN_ATTEMPT
    failure = weigh(kind("for now"), attempt=attempt, max_attempts=MAX_ATTEMPTS, setbacks=setbacks)
    assert failure.blame is (Blame.SURROUNDINGS if setbacks < most else Blame.CHUNK)
    # Then a copy that another worker holds may still succeed.
    assert failure.is_last is (setbacks >= most)


def test_the_setbacks_of_a_chunk_outlast_ten_minutes_and_end_within_half_an_hour() -> None:
    most = MAX_ATTEMPTS * SETBACKS_AN_ATTEMPT
    for _ in range(100):
        waited = sum(setback_seconds(setback) for setback in range(1, most + 1))
        assert 10 * 60 * 0.8 < waited < 30 * 60


@given(stumbles=st.integers(1, 2_000))
def test_a_host_rests_longer_with_every_setback_and_not_at_all_after_a_success(stumbles: int) -> None:
    rest = Rest()
    assert not rest.is_on(0.0)
    pauses = [rest.stumble(0.0) for _ in range(stumbles)]
    assert pauses == sorted(pauses)
    assert (pauses[0], max(pauses) <= 60.0) == (1.0, True)
    assert rest.is_on(pauses[-1] - 0.1)
    assert not rest.is_on(pauses[-1])
    rest.recover()
    assert not rest.is_on(0.0)
    assert rest.stumble(0.0) == 1.0


@given(attempt=attempts)
def test_publishing_waits_for_what_passes_by_itself_and_for_nothing_else(attempt: int) -> None:
    def patient(error: Exception) -> Blame:
        return weigh(error, attempt=attempt, max_attempts=MAX_ATTEMPTS, is_patient=True).blame

    assert patient(TryAgain("The table is being read; try again.")) is Blame.NOBODY
    assert patient(JobFailed("It does not add up.")) is Blame.JOB
    assert patient(ValueError("unknown")) is (Blame.ATTEMPT if attempt < MAX_ATTEMPTS else Blame.CHUNK)


@given(attempt=attempts)
def test_drift_fails_the_chunk_and_not_the_other_chunks(attempt: int) -> None:
    assert blame(ChunkRefused("2 rows were planned, 3 read."), attempt) is Blame.CHUNK


@given(attempt=attempts)
def test_what_a_newer_version_wrote_is_left_to_newer_workers(attempt: int) -> None:
    assert blame(NewerShape("Update skfleet."), attempt) is Blame.NOBODY


def test_the_words_of_foreign_errors_are_never_passed_on() -> None:
    try:
        float("a row's value")
    except ValueError as exc:
        error = exc
    failure = weigh(error, attempt=MAX_ATTEMPTS, max_attempts=MAX_ATTEMPTS)
    assert "value" not in failure.reason.replace("ValueError", "")
    assert "ValueError at tests/unit/test_worker_outcomes.py" in failure.reason
    assert not any("a row's value" in frame for frame in frames_of(error))


def test_the_frames_name_what_led_to_an_error() -> None:
    cause = KeyError("cause")
    error = TryAgain("It passes.")
    error.__cause__ = cause
    frames = frames_of(error)
    assert frames[0] == "TryAgain"
    assert "KeyError" in frames


@given(attempt=st.integers(1, 1_000))
def test_a_delay_grows_with_the_attempts_and_stays_within_its_limit(attempt: int) -> None:
    ceiling = min(LONGEST_SECONDS, 4.0 ** min(attempt - 1, 10))
    assert ceiling / 2 - 0.5 <= backoff_seconds(attempt) <= ceiling

"""An attempt: one delivery's processing in a scorer, from the first look at its job to what becomes of it."""

from __future__ import annotations

import structlog

from skfleet_common.contracts.messages import ChunkMessage, PublishMessage
from skfleet_worker.backoff import TURN_SECONDS, backoff_seconds, setback_seconds
from skfleet_worker.bench import Workbench
from skfleet_worker.chunk import run_chunk
from skfleet_worker.completion import SCORING, close_chunk, fail_job, failed_commit, moot, was_closed
from skfleet_worker.deadline import LeaseLost
from skfleet_worker.holders import Holders
from skfleet_worker.outcomes import Blame, Failure, frames_of, is_out_of_memory, weigh
from skfleet_worker.protocol import Assignment, Ending, Finished
from skfleet_worker.publish import give_up_publishing, run_publish
from skfleet_worker.troubles import put_trouble
from skfleet_worker.turn import NotYourTurn

ACKED = Finished(Ending.ACK)
#: How many times as many attempts are made while another worker holds a copy.
PATIENCE = 2

log = structlog.get_logger()


def carry_out(assignment: Assignment, bench: Workbench) -> Finished:
    """Do what the message asks for, and say what is to become of its delivery. Never raises."""
    bench = bench.laid_out(assignment)
    message = assignment.message
    bound = {"job": message.job, "run": message.run, "attempt_number": assignment.attempts}
    if isinstance(message, ChunkMessage):
        bound["chunk"] = message.chunk.number
    with structlog.contextvars.bound_contextvars(**bound):
        try:
            return _carry_out(assignment, bench)
        except Exception as error:  # noqa: BLE001  (the worker's one: whatever it is, the delivery must not be lost)
            return _after(error, assignment, bench)


def _carry_out(assignment: Assignment, bench: Workbench) -> Finished:
    message = assignment.message
    if why := moot(bench.cloud, message):
        log.info("message.moot", why=why)
        return ACKED
    if isinstance(message, PublishMessage):
        _publish(assignment, message, bench)
    else:
        return _chunk(assignment, message, bench)
    return ACKED


def _chunk(assignment: Assignment, message: ChunkMessage, bench: Workbench) -> Finished:
    if was_closed(bench.cloud, message):
        return ACKED
    if reason := assignment.give_up_because:
        bench.check_lease()
        if _is_in_other_hands(assignment, message, bench):
            return _again(assignment)
        _fail_chunk(message, bench, Failure(Blame.CHUNK, reason))
        return ACKED
    log.info("chunk.started", rows=message.chunk.rows)
    run_chunk(message, bench)
    return ACKED


def _publish(assignment: Assignment, message: PublishMessage, bench: Workbench) -> None:
    if reason := assignment.give_up_because:
        give_up_publishing(message, bench, reason=f"Publishing failed: {reason}.")
        return
    run_publish(message, bench)


def _after(error: Exception, assignment: Assignment, bench: Workbench) -> Finished:
    """Record a failure that is final, release what may yet succeed."""
    message = assignment.message
    try:
        # What a worker meets after its lease, be it an error, is no longer its to record.
        bench.check_lease()
    except LeaseLost:
        log.warning("attempt.lease_lost", frames=frames_of(error))
        return Finished(Ending.LOST)
    if isinstance(message, ChunkMessage) and is_out_of_memory(error) and not assignment.give_up_because:
        log.warning("attempt.out_of_memory", batch_rows=bench.batch_rows, frames=frames_of(error))
        return Finished(Ending.SMALLER)
    failure = weigh(
        error,
        attempt=assignment.attempt,
        max_attempts=bench.settings.max_attempts,
        setbacks=assignment.setbacks,
        # All chunks are scored: somebody who reads the old table for an hour must not cost that.
        is_patient=isinstance(message, PublishMessage),
    )
    log.warning("attempt.failed", blame=failure.blame.value, reason=failure.reason, frames=frames_of(error))
    if failure.blame in {Blame.CHUNK, Blame.JOB}:
        try:
            if not (failure.is_last and _is_in_other_hands(assignment, message, bench)):
                _record(failure, message, bench)
                return ACKED
        except LeaseLost:
            return Finished(Ending.LOST)
        except Exception as exc:  # noqa: BLE001  (as above; the failure is recorded at the next delivery)
            log.warning("failure.not_recorded", frames=frames_of(exc))
    put_trouble(
        bench.cloud, message, attempts=assignment.attempts, worker=bench.worker, reason=failure.reason
    )
    return _tried_again(failure, error, assignment)


def _tried_again(failure: Failure, error: Exception, assignment: Assignment) -> Finished:
    if failure.blame is Blame.SURROUNDINGS:
        return Finished(Ending.SETBACK, delay_seconds=setback_seconds(assignment.setbacks + 1))
    if failure.blame is Blame.NOBODY:
        return Finished(Ending.LATER, delay_seconds=_patience_seconds(error, assignment))
    return _again(assignment)


def _again(assignment: Assignment) -> Finished:
    return Finished(Ending.RELEASE, delay_seconds=backoff_seconds(assignment.attempt))


def _patience_seconds(error: Exception, assignment: Assignment) -> int:
    """Give how long to wait for what passes by itself; the queue's own count is the only one that grows."""
    seconds = backoff_seconds(assignment.receive_count)
    return min(seconds, TURN_SECONDS) if isinstance(error, NotYourTurn) else seconds


def _is_in_other_hands(
    assignment: Assignment, message: ChunkMessage | PublishMessage, bench: Workbench
) -> bool:
    """Whether a copy of what failed for the last time here may succeed elsewhere.

    What workers announce is a moment old, and two may wait for each other; so not for ever.
    """
    if assignment.attempt >= PATIENCE * bench.settings.max_attempts:
        return False
    others = [worker for worker in bench.cloud.tracker.workers() if worker.worker != bench.worker]
    if not Holders(others).of(message):
        return False
    log.info("chunk.in_other_hands")
    return True


def _record(failure: Failure, message: ChunkMessage | PublishMessage, bench: Workbench) -> None:
    if isinstance(message, PublishMessage):
        give_up_publishing(message, bench, reason=failure.reason, naming=failure.naming)
        return
    if failure.blame is Blame.JOB:
        # Before the climb: from here on the job's other messages are moot.
        fail_job(
            bench.cloud,
            message.job,
            message.run,
            reason=failure.reason,
            naming=failure.naming,
            only_from=SCORING,
        )
    _fail_chunk(message, bench, failure)


def _fail_chunk(message: ChunkMessage, bench: Workbench, failure: Failure) -> None:
    commit = failed_commit(
        message, worker=bench.worker, attempts=bench.attempts, reason=failure.reason, trouble=bench.trouble
    ).model_copy(update={"rows_quarantined": failure.rows_quarantined, "rejects_key": failure.rejects_key})
    close_chunk(bench.cloud, message, commit)

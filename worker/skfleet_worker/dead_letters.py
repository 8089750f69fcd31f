"""Dead letters, read back: each is attributed to its chunk and job, so that no job waits for it for ever.

| dead letter                        | what becomes of it                                            |
| ---------------------------------- | ------------------------------------------------------------- |
| of no job, an ended one, other run | deleted                                                       |
| of a chunk with a commit           | its climb is repeated, then it is deleted                     |
| of a chunk that a worker holds     | left alone: another message of the chunk may yet succeed      |
| of another chunk                   | the chunk is closed as failed, then it is deleted             |
| of a publication                   | sent afresh a few times; after that the job is given up       |
| of a newer version                 | left for a newer worker or `skfleet redrive`                  |
| that nobody can read               | attributed as far as it names its job, and left for a person  |

What is left alone stays hidden for a lease, so that those behind it are read. All of it may be done by
two workers at once, or half, and again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import structlog

from skfleet_common.aws.creation import MAX_RECEIVES
from skfleet_common.aws.queue import Delivery
from skfleet_common.aws.run_messages import RunMessages
from skfleet_common.aws.session import Cloud
from skfleet_common.aws.tracker import NoSuchJob
from skfleet_common.contracts.errors import NewerMessage, SkfleetError, UnreadableMessage
from skfleet_common.contracts.messages import ChunkMessage, PublishMessage, decode, encode
from skfleet_common.contracts.states import JobState
from skfleet_common.contracts.workers import WorkerPresence
from skfleet_common.settings import Settings
from skfleet_worker.clock import host_seconds
from skfleet_worker.clues import Clue, clue_in
from skfleet_worker.completion import close_chunk, failed_commit, moot, was_closed
from skfleet_worker.lease import Lease
from skfleet_worker.protocol import Assignment
from skfleet_worker.troubles import put_message_trouble
from skfleet_worker.work import Work

#: Receives of one round; what is left waits for the next one, or for another worker's.
CALLS_A_ROUND = 20
#: A wait of any length makes SQS ask all of its servers (SQS developer guide, long polling).
WAIT_SECONDS = 1
#: Publish messages of a run that may become dead letters before its publication is given up.
PUBLISH_RENEWALS = 3

#: Unreadable messages that a worker knows again.
REMEMBERED = 10_000

log = structlog.get_logger()


class DeadLetters:
    """The dead-letter queue as a caretaker reads it."""

    def __init__(
        self, cloud: Cloud, settings: Settings, *, worker: str, entrust: Callable[[Work], None]
    ) -> None:
        self._cloud = cloud
        self._settings = settings
        self._worker = worker
        #: Gives work to the supervisor that only a scorer can do.
        self._entrust = entrust
        #: Digests of unreadable messages that this worker has attributed: they come again and again.
        self._attributed: set[str] = set()

    def read(self, workers: Sequence[WorkerPresence]) -> None:
        """Settle what can be settled; ``workers`` say who is at work on a chunk."""
        held = {
            (holding.job, holding.run, holding.chunk) for worker in workers for holding in worker.holdings
        }
        for _ in range(CALLS_A_ROUND):
            deliveries = self._cloud.dead_letters.receive(wait_seconds=WAIT_SECONDS)
            if not deliveries:
                return
            for delivery in deliveries:
                try:
                    self._settle(delivery, held)
                except SkfleetError as exc:
                    # It is read again when its lease has run out.
                    log.warning("dead_letter.not_settled", message_id=delivery.message_id, error=str(exc))

    def attribute(self, delivery: Delivery) -> None:
        """Tell the job that an unreadable message names, as far as it names one; it stays a dead letter."""
        name = _digest(delivery.body)
        if name in self._attributed:
            return
        clue = clue_in(delivery.body)
        if clue is not None:
            self._attribute(clue, delivery)
        if len(self._attributed) >= REMEMBERED:
            self._attributed.clear()
        self._attributed.add(name)

    def _attribute(self, clue: Clue, delivery: Delivery) -> None:
        try:
            record = self._cloud.tracker.job(clue.job)
        except NoSuchJob:
            return
        if record.state.is_terminal or clue.run not in {None, record.run}:
            return
        if clue.run is not None and clue.chunk is not None:
            message = RunMessages(self._cloud, record).of(clue.chunk)
            if message is not None:
                self._fail(
                    message,
                    attempts=delivery.receive_count,
                    reason="Its message could not be read, and lies with the dead letters; retry the job.",
                )
                return
        elif clue.run is not None and clue.is_publish:
            self._renew(PublishMessage(job=clue.job, run=clue.run), message_id=_digest(delivery.body))
            return
        self._tell(clue, run=record.run, delivery=delivery)

    def _settle(self, delivery: Delivery, held: set[tuple[str, int, int | None]]) -> None:
        try:
            message = decode(delivery.body)
        except NewerMessage as exc:
            log.info("dead_letter.newer", message_id=delivery.message_id, error=str(exc))
            return
        except UnreadableMessage:
            # Whoever laid it here may have died before it was attributed.
            self.attribute(delivery)
            return
        if why := moot(self._cloud, message):
            log.info("dead_letter.moot", job=message.job, why=why)
        elif isinstance(message, PublishMessage):
            if not self._renew(message, message_id=delivery.message_id):
                return
        elif (message.job, message.run, message.chunk.number) in held:
            if not was_closed(self._cloud, message):
                log.info("dead_letter.held", job=message.job, chunk=message.chunk.number)
                return
        else:
            self._fail(message, attempts=message.failures + MAX_RECEIVES, reason=self._reason(message))
        self._cloud.dead_letters.ack(delivery)

    def _fail(self, message: ChunkMessage, *, attempts: int, reason: str) -> None:
        """Close a chunk as failed, unless it has its commit."""
        with structlog.contextvars.bound_contextvars(
            job=message.job, run=message.run, chunk=message.chunk.number
        ):
            if was_closed(self._cloud, message):
                return
            log.warning("chunk.given_up", reason=reason)
            commit = failed_commit(message, worker=self._worker, attempts=attempts, reason=reason)
            close_chunk(self._cloud, message, commit)

    def _reason(self, message: ChunkMessage) -> str:
        """Say what is known of why no attempt finished."""
        reason = f"Its message was delivered {MAX_RECEIVES} times and never finished"
        last = self._cloud.tracker.trouble(message.job, message.run, message.chunk.number)
        return f"{reason}; the last trouble: {last.reason}" if last else f"{reason}; its workers were lost."

    def _renew(self, message: PublishMessage, *, message_id: str) -> bool:
        """Send a publish message afresh, or give the publication up; True when its letter may go."""
        if self._cloud.tracker.job(message.job).state is not JobState.PUBLISHING:
            # Whoever completes the run asks for its publication.
            return True
        lost = self._cloud.tracker.count_renewal(message.job, message.run, message_id)
        if lost <= PUBLISH_RENEWALS:
            self._cloud.queue.send([encode(message)])
            log.warning("publish.renewed", job=message.job, run=message.run, lost=lost)
            return True
        # Only the warehouse knows whether it has happened: a scorer asks. Once the job has ended, the
        # letter is moot; if the scorer or this worker dies first, it is read again.
        reason = f"{lost} messages for it were each delivered {MAX_RECEIVES} times and never finished"
        log.warning("publish.given_up", job=message.job, run=message.run, reason=reason)
        self._entrust(self._work_of(message, reason))
        return False

    def _work_of(self, message: PublishMessage, reason: str) -> Work:
        """Give work under a lease that no keeper holds: there is nothing to extend, ack or release."""
        now = host_seconds()
        nothing = Delivery(body=encode(message), receipt="", receive_count=1, message_id="")
        return Work(
            lease=Lease(
                delivery=nothing,
                received_at=now,
                expires_at=float("inf"),
                allowance_seconds=self._settings.allowance_seconds + self._settings.statement_seconds,
            ),
            assignment=Assignment(message=message, receive_count=1, give_up_because=reason),
        )

    def _tell(self, clue: Clue, *, run: int, delivery: Delivery) -> None:
        log.warning("message.of_a_job_unreadable", job=clue.job)
        put_message_trouble(
            self._cloud,
            clue.job,
            run,
            attempts=delivery.receive_count,
            worker=self._worker,
            reason="A message of the job could not be read; `skfleet redrive` shows the dead letters.",
        )


def _digest(body: str) -> str:
    """Name a message by what it says: as a dead letter it has another id than it had before."""
    return hashlib.sha256(body.encode(errors="surrogatepass")).hexdigest()

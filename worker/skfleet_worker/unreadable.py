"""Unreadable messages: told at once to the job that they name; their chunk is closed once nothing else helps.

A garbled message may be one of several of its chunk. So the chunk is given up only when nobody holds it and
the job is quiet: then no other message of it can be on its way, or none that anybody will come for.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import structlog

from skfleet_common.aws.queue import Delivery
from skfleet_common.aws.run_messages import RunMessages
from skfleet_common.aws.session import Cloud
from skfleet_common.aws.tracker import NoSuchJob
from skfleet_common.contracts.jobs import JobRecord
from skfleet_common.contracts.messages import ChunkMessage, PublishMessage
from skfleet_common.contracts.stalls import quiet_seconds
from skfleet_common.settings import Settings
from skfleet_worker.clues import Clue, clue_in
from skfleet_worker.completion import was_closed
from skfleet_worker.holders import Holders
from skfleet_worker.lost_chunks import close_lost
from skfleet_worker.renewals import Renewals
from skfleet_worker.troubles import put_message_trouble

#: Messages that a worker knows again.
REMEMBERED = 10_000
GARBLED = "A message of the job could not be read; `skfleet redrive` shows the dead letters."

log = structlog.get_logger()


class Unreadable:
    """The messages that one worker cannot read."""

    def __init__(self, cloud: Cloud, settings: Settings, renewals: Renewals, *, worker: str) -> None:
        self._cloud = cloud
        self._settings = settings
        self._renewals = renewals
        self._worker = worker
        #: Digests of messages that were told to their jobs, and of those from which nothing more follows:
        #: they come again and again.
        self._told: set[str] = set()
        self._settled: set[str] = set()

    def tell(self, delivery: Delivery, *, reason: str) -> None:
        """Tell the job that a message names, as far as it names one; each message is told of once."""
        if _digest(delivery.body) in self._told:
            return
        clue = clue_in(delivery.body)
        record = self._live(clue) if clue else None
        if clue and record:
            self._tell(clue, record, delivery, reason=reason)

    def settle(self, delivery: Delivery, holders: Holders) -> bool:
        """Do what follows from a dead letter that nobody can read; True once nothing more ever does."""
        name = _digest(delivery.body)
        if name in self._settled:
            return True
        clue = clue_in(delivery.body)
        record = self._live(clue) if clue else None
        if clue and record and not self._attribute(clue, record, delivery, holders):
            return False
        _remember(self._settled, name)
        return True

    def _attribute(self, clue: Clue, record: JobRecord, delivery: Delivery, holders: Holders) -> bool:
        if clue.run is not None and clue.is_publish:
            message = PublishMessage(job=clue.job, run=clue.run)
            return self._renewals.renew(message, holders, message_id=_digest(delivery.body))
        chunk = clue.chunk if clue.run is not None else None
        lost = None if chunk is None else RunMessages(self._cloud, record).of(chunk)
        if lost is not None and was_closed(self._cloud, lost):
            return True
        self._tell(clue, record, delivery, reason=GARBLED)
        if lost is None:
            return True
        if not self._is_forsaken(lost, record, holders):
            log.info("dead_letter.held", job=clue.job, chunk=chunk)
            return False
        reason = "Its message could not be read, and lies with the dead letters; retry the job."
        close_lost(self._cloud, lost, attempts=delivery.receive_count, reason=reason)
        return True

    def _is_forsaken(self, message: ChunkMessage, record: JobRecord, holders: Holders) -> bool:
        """Whether no other message of the chunk may yet succeed."""
        if holders.of(message):
            return False
        progress = self._cloud.tracker.progress(record.job, record.run, record.run_chunks)
        quiet = quiet_seconds(record, last_at=progress.last_at, now=datetime.now(UTC))
        if quiet > self._settings.stall_seconds:
            return True
        return quiet > self._settings.lease_seconds and self._cloud.queue.approximate_depth().total == 0

    def _live(self, clue: Clue) -> JobRecord | None:
        """Give the record of the run that a message is of, unless it is over."""
        try:
            record = self._cloud.tracker.job(clue.job)
        except NoSuchJob:
            return None
        return None if record.state.is_terminal or clue.run not in {None, record.run} else record

    def _tell(self, clue: Clue, record: JobRecord, delivery: Delivery, *, reason: str) -> None:
        name = _digest(delivery.body)
        if name in self._told:
            return
        log.warning("message.of_a_job_unreadable", job=clue.job)
        put_message_trouble(
            self._cloud,
            clue.job,
            record.run,
            clue.chunk if clue.run is not None and (clue.chunk or 0) < record.chunks else None,
            attempts=delivery.receive_count,
            worker=self._worker,
            reason=reason,
        )
        _remember(self._told, name)


def _remember(names: set[str], name: str) -> None:
    if len(names) >= REMEMBERED:
        names.clear()
    names.add(name)


def _digest(body: str) -> str:
    """Name a message by what it says: as a dead letter it has another id than it had before."""
    return hashlib.sha256(body.encode(errors="surrogatepass")).hexdigest()

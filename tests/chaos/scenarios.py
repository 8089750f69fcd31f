"""The table of faults, and what a seed makes of it: each alone, then mixtures at random."""

from __future__ import annotations

import random
from dataclasses import dataclass

from tests.chaos.fault import Fault
from tests.chaos.faults import (
    bundles,
    circumstances,
    clocks,
    cloud,
    deliveries,
    disk,
    operators,
    outputs,
    processes,
    rivals,
    rows,
    servers,
    stops,
)

FAULTS: dict[str, type[Fault]] = {
    "scorer killed": processes.ScorerKilled,
    "scorer killed between its output and its commit": processes.ScorerKilledBeforeCommit,
    "scorer killed between its commit and the tree": processes.ScorerKilledBeforeClimb,
    "scorer killed before it asks for the publication": processes.ScorerKilledBeforePublishMessage,
    "supervisor killed": processes.SupervisorKilled,
    "producer killed while sending": processes.ProducerKilled,
    "publisher killed in mid-swap": processes.PublisherKilled,
    "publisher and its supervisor killed in mid-swap": processes.PublishersWorkerKilled,
    "publisher killed after its commit": processes.PublisherKilledAfterCommit,
    "scorer stopped for good": stops.ScorerStopped,
    "scorer stopped past its lease": stops.ScorerWakesFirst,
    "supervisor stopped past its lease": stops.SupervisorStopped,
    "worker stopped past its lease": stops.WorkerStopped,
    "a write arrives after its attempt was given up": stops.LateWrite,
    "SQS: duplicates": deliveries.Duplicates,
    "SQS: out of order": deliveries.OutOfOrder,
    "SQS: empty polls": deliveries.EmptyPolls,
    "SQS: a stale receipt fails": deliveries.StaleReceiptFails,
    "SQS: a stale receipt deletes": deliveries.StaleReceiptDeletes,
    **{
        f"{service}: {words}": cloud.on(kind, service.lower())
        for service in ("SQS", "S3", "DynamoDB")
        for words, kind in (
            ("throttling", cloud.Throttled),
            ("5xx", cloud.Failing),
            ("resets", cloud.Reset),
            ("replies cut in mid-body", cloud.Truncated),
            ("replies lost after the call was applied", cloud.Lost),
        )
    },
    "emulator stopped and started": servers.EmulatorRestarted,
    "PostgreSQL restarted": servers.PostgresRestarted,
    "PostgreSQL restarted in mid-swap": servers.PostgresRestartedInSwap,
    "a reader's connection killed": servers.ConnectionKilled,
    "the publisher's connection killed in mid-swap": servers.ConnectionKilledInSwap,
    "a statement timed out": servers.StatementTimedOut,
    "scratch disk full": disk.DiskFull,
    "bundle deleted": bundles.BundleDeleted,
    "bundle altered": bundles.BundleAltered,
    "rows inserted ahead of the readers": rows.RowsInserted,
    "rows deleted ahead of the readers": rows.RowsDeleted,
    "rows inserted ahead of the readers, on-drift warn": rows.RowsInsertedKnowingly,
    "rows deleted ahead of the readers, on-drift warn": rows.RowsDeletedKnowingly,
    "rows inserted behind the readers": rows.RowsInsertedBehind,
    "rows rejected under --max-rejects": circumstances.RowsRejected,
    "a row that cannot be scored": circumstances.RowsRefused,
    "a view on the output, --cascade-views": circumstances.ViewsCascade,
    "an output altered before it is published": outputs.OutputAltered,
    "an output deleted before it is published": outputs.OutputDeleted,
    "another job publishes to the table": rivals.Rival,
    "cancelled from two terminals, submitted again": operators.Cancelled,
    "clean-up in mid-job": operators.CleanUp,
    "clean-up in mid-swap": operators.CleanUpInSwap,
    "dead letters redriven": operators.Redriven,
    "clock jumps an hour ahead": clocks.ClockForward,
    "clock jumps an hour back": clocks.ClockBack,
}

MOST_IN_A_MIXTURE = 3


@dataclass(frozen=True)
class Scenario:
    """One run: its faults by name, and where its randomness comes from."""

    number: int
    seed: int
    faults: tuple[str, ...]

    @property
    def rng(self) -> random.Random:
        """Give the run's own random numbers: the same for the same seed and number, whatever runs before."""
        return random.Random(f"{self.seed}/{self.number}")

    @property
    def is_alone(self) -> bool:
        """Whether it has one fault."""
        return len(self.faults) == 1

    def make(self) -> tuple[list[Fault], random.Random]:
        """Give the faults, with everything random about them drawn, and the rest of the randomness."""
        rng = self.rng
        return [FAULTS[name](random.Random(rng.random())) for name in self.faults], rng

    def __str__(self) -> str:
        """Give number and faults."""
        return f"run {self.number}: {' + '.join(self.faults) or 'no fault'}"


def drawn(seed: int, number: int) -> Scenario:
    """Give one run of a seed: the first ones go through the faults, the others mix them."""
    names = list(FAULTS)
    if number < len(names):
        return Scenario(number, seed, (names[number],))
    rng = random.Random(f"{seed}/{number}/mixture")
    while True:
        mixture = tuple(rng.sample(names, rng.randint(2, MOST_IN_A_MIXTURE)))
        if _go_together([FAULTS[name] for name in mixture]):
            return Scenario(number, seed, mixture)


def _go_together(faults: list[type[Fault]]) -> bool:
    asked = [(name, value) for fault in faults for name, value in fault.asks.items()]
    return sum(fault.changes_rows for fault in faults) <= 1 and len(set(asked)) == len(dict(asked))

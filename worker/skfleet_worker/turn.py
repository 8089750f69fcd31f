"""The turn to publish to a table: jobs with the same output load and swap one after the other."""

from __future__ import annotations

from skfleet_common.contracts.chunks import TableName
from skfleet_common.contracts.errors import TryAgain
from skfleet_common.contracts.messages import PublishMessage
from skfleet_worker.bench import Workbench


class NotYourTurn(TryAgain):
    """Another job is publishing to the table. Nobody acts, unless that one stands still."""


def take_turn(message: PublishMessage, table: TableName, bench: Workbench) -> None:
    """Take the turn for a job that is PUBLISHING; it keeps it until it has ended.

    Raises:
        NotYourTurn: another job is publishing to the table.
    """
    holder = bench.cloud.tracker.hold_table(
        table, address=bench.warehouse.address, job=message.job, run=message.run
    )
    if holder != message.job:
        raise NotYourTurn(
            f"Job {holder} is publishing to {table}, so this one waits for it; if it stands still: "
            f"skfleet resume {holder}"
        )


def give_turn_back(message: PublishMessage, table: TableName, bench: Workbench) -> None:
    """Let the next job have the turn; a job that dies before this loses it by having ended."""
    bench.cloud.tracker.release_table(
        table, address=bench.warehouse.address, job=message.job, run=message.run
    )

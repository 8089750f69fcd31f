"""Worker presences: one item a worker, written with its heartbeats, expired by DynamoDB itself."""

from __future__ import annotations

from datetime import UTC, datetime

from skfleet_common.aws.faults import cloud_faults
from skfleet_common.aws.tracker_table import (
    LISTING_INDEX,
    TTL_ATTRIBUTE,
    TrackerTable,
    from_item,
    readable_shapes,
    shape_item,
    to_item,
    worker_key,
)
from skfleet_common.contracts.workers import WorkerPresence

#: One index partition lists all workers: at a heartbeat every 40 s it bears 40,000 of them
#: (1,000 writes a second for one partition, DynamoDB quotas page).
LISTING = "workers"


class Presences(TrackerTable):
    """The workers in the tracker."""

    def announce(self, worker: WorkerPresence, *, ttl_seconds: float) -> None:
        """Write what a worker says of itself; without another call it is gone after ``ttl_seconds``."""
        facts = {
            "listing": LISTING,
            "listed_at": worker.seen_at.astimezone(UTC).isoformat(timespec="microseconds"),
            TTL_ATTRIBUTE: int(worker.seen_at.timestamp() + ttl_seconds),
        }
        with cloud_faults(self.target):
            self.client.put_item(
                TableName=self.name, Item=shape_item(worker) | worker_key(worker.worker) | to_item(facts)
            )

    def workers(self, *, now: datetime | None = None) -> list[WorkerPresence]:
        """Give the workers that are there, as the index shows them: a moment late, by the reader's clock.

        For display and for the preflight's advice; nothing is decided by it. Workers whose presence this
        version cannot read are left out.
        """
        second = (now or datetime.now(UTC)).timestamp()
        with cloud_faults(self.target):
            pages = self.client.get_paginator("query").paginate(
                TableName=self.name,
                IndexName=LISTING_INDEX,
                KeyConditionExpression="listing = :listing",
                ExpressionAttributeValues=to_item({":listing": LISTING}),
            )
            # DynamoDB deletes expired items late, up to days.
            present = (
                item
                for page in pages
                for item in page["Items"]
                if from_item({"at": item[TTL_ATTRIBUTE]})["at"] > second
            )
            return list(readable_shapes(WorkerPresence, present))

    def retire(self, worker: str) -> None:
        """Remove a worker that has ended."""
        with cloud_faults(self.target):
            self.client.delete_item(TableName=self.name, Key=worker_key(worker))

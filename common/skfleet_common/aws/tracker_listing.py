"""The listing of jobs: the index shows them by month, a moment late; for people, nothing is decided by it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice

from skfleet_common.aws.faults import cloud_faults
from skfleet_common.aws.tracker_table import (
    LISTING_INDEX,
    TrackerTable,
    attribute_names,
    readable_shapes,
    to_item,
)
from skfleet_common.contracts.chunks import TableName
from skfleet_common.contracts.jobs import JobRecord
from skfleet_common.contracts.states import JobState

#: How far back ``jobs`` looks when there are few of them; each month is one query.
LISTED_MONTHS = 24
#: The same for jobs that are not over: SQS forgets their messages after 14 days.
LIVE_MONTHS = 2

WRITES_TO = "#output_table.#schema_name = :schema AND #output_table.#name = :name"


class JobListing(TrackerTable):
    """The jobs in the index."""

    def jobs(self, limit: int, *, now: datetime | None = None) -> list[JobRecord]:
        """Give the newest jobs, newest first, as the index shows them: a moment late.

        Jobs that this version cannot read are left out, so there may be fewer than ``limit``; :meth:`job`
        says why.
        """
        newest: list[JobRecord] = []
        for month in _months_back(now or datetime.now(UTC)):
            with cloud_faults(self.target):
                pages = self.client.get_paginator("query").paginate(
                    TableName=self.name,
                    IndexName=LISTING_INDEX,
                    KeyConditionExpression="listing = :listing",
                    ExpressionAttributeValues=to_item({":listing": f"jobs#{month}"}),
                    ScanIndexForward=False,
                    PaginationConfig={"MaxItems": limit - len(newest)},
                )
                newest += readable_shapes(JobRecord, (item for page in pages for item in page["Items"]))
            if len(newest) >= limit:
                break
        return newest

    def live_jobs_writing_to(self, table: TableName, *, now: datetime | None = None) -> list[JobRecord]:
        """Give the jobs that have not ended and will publish to ``table``, in whatever warehouse."""
        live = {f":{state.value}": state.value for state in JobState if not state.is_terminal}
        condition = f"#state IN ({', '.join(live)}) AND {WRITES_TO}"
        found: list[JobRecord] = []
        for month in islice(_months_back(now or datetime.now(UTC)), LIVE_MONTHS):
            with cloud_faults(self.target):
                pages = self.client.get_paginator("query").paginate(
                    TableName=self.name,
                    IndexName=LISTING_INDEX,
                    KeyConditionExpression="listing = :listing",
                    FilterExpression=condition,
                    ExpressionAttributeNames=attribute_names(condition),
                    ExpressionAttributeValues=to_item(
                        {":listing": f"jobs#{month}", ":schema": table.schema_name, ":name": table.name}
                        | live
                    ),
                    ScanIndexForward=False,
                )
                found += readable_shapes(JobRecord, (item for page in pages for item in page["Items"]))
        return found


def _months_back(now: datetime) -> Iterator[str]:
    """Give months like ``2026-11`` from tomorrow's backwards: another host's clock may be ahead."""
    day = now.astimezone(UTC) + timedelta(days=1)
    for _ in range(LISTED_MONTHS):
        yield f"{day:%Y-%m}"
        day = day.replace(day=1) - timedelta(days=1)

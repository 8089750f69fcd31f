"""Troubles and copies: what went wrong in a run, and what was sent a second time because of it.

| item     | pk                             | sk                                    |
| -------- | ------------------------------ | ------------------------------------- |
| trouble  | ``job#<job>#run#<r>#troubles`` | ``chunk#0000123``, ``publish``, ``message`` |
| copy     | ``job#<job>#run#<r>#copies``   | ``copy#0000123``                      |
| renewals | ``job#<job>#run#<r>#copies``   | ``publish``                           |

None of it is written while all goes well, and a commit is decided by none of it. All expires by itself.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from skfleet_common.aws.faults import cloud_faults
from skfleet_common.aws.tracker_table import (
    ITEM_VERSION,
    TTL_ATTRIBUTE,
    Item,
    TrackerTable,
    attribute_names,
    from_item,
    readable_shapes,
    shape_item,
    to_item,
)
from skfleet_common.contracts.troubles import Trouble

#: No message lives longer (SQS quotas page, retention), so no trouble with it matters longer.
KEPT: Final = timedelta(days=14)
#: A listing reads no more items than this: after a bad hour of a large job, most are of chunks that healed.
READ_AT_MOST = 1_000

ABSENT = "attribute_not_exists(#pk)"
ADD_RENEWED = "SET #v = :v, #expires_at = :expires ADD #messages :message"

PUBLISH = "publish"
#: A message whose chunk nobody can tell.
MESSAGE = "message"


class Troubles(TrackerTable):
    """The troubles and copies in the tracker."""

    def put_trouble(self, trouble: Trouble, *, is_publish: bool = True) -> None:
        """Write the last thing that went wrong with a chunk; what was written before is gone.

        Without a chunk it is the publication's, or else that of a message which names no more than its job.
        """
        sk = _chunk_sk(trouble.chunk) if trouble.chunk is not None else PUBLISH if is_publish else MESSAGE
        key = to_item({"pk": _troubles_pk(trouble.job, trouble.run), "sk": sk})
        expiry = to_item({TTL_ATTRIBUTE: _expiry(trouble.at)})
        with cloud_faults(self.target):
            self.client.put_item(TableName=self.name, Item=shape_item(trouble) | key | expiry)

    def troubles(self, job: str, run: int) -> list[Trouble]:
        """Give the troubles of a run in chunk order, also those of chunks that are committed by now."""
        with cloud_faults(self.target):
            pages = self.client.get_paginator("query").paginate(
                TableName=self.name,
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues=to_item({":pk": _troubles_pk(job, run)}),
                PaginationConfig={"MaxItems": READ_AT_MOST},
            )
            return list(readable_shapes(Trouble, (item for page in pages for item in page["Items"])))

    def trouble(self, job: str, run: int, chunk: int) -> Trouble | None:
        """Give the last trouble with a chunk, if there was any that this version can read."""
        item = self.get(to_item({"pk": _troubles_pk(job, run), "sk": _chunk_sk(chunk)}))
        return next(readable_shapes(Trouble, [item] if item else []), None)

    def claim_copy(self, job: str, run: int, chunk: int, *, now: datetime | None = None) -> bool:
        """Say that a second message for a chunk is about to be sent; True for one caller alone, for ever.

        Whoever dies between this and the sending leaves the chunk without a copy, as it was before.
        """
        facts = to_item({"v": ITEM_VERSION, TTL_ATTRIBUTE: _expiry(now or datetime.now(UTC))})
        key = _copies_key(job, run, f"copy#{chunk:07d}")
        return self.put_if(key | facts, ABSENT, {}) is None

    def count_renewal(self, job: str, run: int, message_id: str, *, now: datetime | None = None) -> int:
        """Note that a publish message became a dead letter; gives how many did, each counted once."""
        with cloud_faults(self.target):
            answer = self.client.update_item(
                TableName=self.name,
                Key=_copies_key(job, run, PUBLISH),
                UpdateExpression=ADD_RENEWED,
                ExpressionAttributeNames=attribute_names(ADD_RENEWED),
                ExpressionAttributeValues=to_item(
                    {
                        ":v": ITEM_VERSION,
                        ":expires": _expiry(now or datetime.now(UTC)),
                        ":message": {message_id},
                    }
                ),
                ReturnValues="ALL_NEW",
            )
        return len(from_item(answer["Attributes"])["messages"])


def _troubles_pk(job: str, run: int) -> str:
    return f"job#{job}#run#{run}#troubles"


def _copies_key(job: str, run: int, sk: str) -> Item:
    return to_item({"pk": f"job#{job}#run#{run}#copies", "sk": sk})


def _chunk_sk(chunk: int) -> str:
    return f"chunk#{chunk:07d}"


def _expiry(at: datetime) -> int:
    return int((at + KEPT).timestamp())

"""The tracker's one table: its keys, how shapes become items, and the two conditional writes.

| item     | pk                                 | sk                 |
| -------- | ---------------------------------- | ------------------ |
| job      | ``job#<job>``                      | ``job``            |
| token    | ``token#<token>``                  | ``token``          |
| commit   | ``job#<job>#block#<chunk // 200>`` | ``commit#0000123`` |
| node     | ``job#<job>#run#<r>#node#<l>#<i>`` | ``node``           |
| turn     | ``turn#[<address>,<schema>,<t>]``  | ``turn``           |
| seat     | ``seats#<address>``                | ``seat#0003``      |
| trouble  | ``job#<job>#run#<r>#troubles``     | ``chunk#0000123``  |
| copy     | ``job#<job>#run#<r>#copies``       | ``copy#0000123``   |
| worker   | ``worker#<worker>``                | ``worker``         |

Every item carries ``v``, the schema version of what it holds, and expires some time after it was last
written: nothing lives on that nobody needs. The index ``listing`` finds jobs by
month and workers at all. No partition takes more than a node's or block's few hundred writes.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

from skfleet_common.aws.faults import cloud_faults, error_code
from skfleet_common.contracts.chunks import TableName
from skfleet_common.contracts.shapes import NewerShape, StoredShape, UnreadableShape
from skfleet_common.contracts.tree import FAN_IN, Node

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

#: Finds jobs by ``jobs#2026-11`` and workers by ``workers``, in the order of ``listed_at``.
LISTING_INDEX = "listing"
#: DynamoDB deletes an item some time after this second of the epoch.
TTL_ATTRIBUTE = "expires_at"
#: How long a job's items are kept where nobody says otherwise.
RETENTION_DAYS = 90
DAY_SECONDS = 86_400
#: Commits of neighbouring chunks share a partition: one query reads them all.
BLOCK_CHUNKS = 200
#: Version of the items that hold no stored shape: tokens, nodes, turns and seats.
ITEM_VERSION = 1

#: An item, or part of one, as DynamoDB's own typed values.
Item: TypeAlias = dict[str, Any]
_Shape = TypeVar("_Shape", bound=StoredShape)


def job_key(job: str) -> Item:
    """Give the key of a job's record."""
    return to_item({"pk": f"job#{job}", "sk": "job"})


def token_key(token: str) -> Item:
    """Give the key of a submission token."""
    return to_item({"pk": f"token#{token}", "sk": "token"})


def block_pk(job: str, block: int) -> str:
    """Give the partition that holds the commits of a block of chunks."""
    return f"job#{job}#block#{block}"


def commit_sk(chunk: int) -> str:
    """Give the sort key of a chunk's commit; text order is chunk order."""
    return f"commit#{chunk:07d}"


def node_key(job: str, run: int, node: Node) -> Item:
    """Give the key of a node of a run's completion tree."""
    return to_item({"pk": f"job#{job}#run#{run}#node#{node.level}#{node.index}", "sk": "node"})


def turn_key(address: str, table: TableName) -> Item:
    """Give the key of the turn to publish to a table; names may hold any character, so JSON parts them."""
    return to_item({"pk": f"turn#{json.dumps([address, table.schema_name, table.name])}", "sk": "turn"})


def seats_pk(address: str) -> str:
    """Give the partition of the seats at a warehouse: a query reads them all."""
    return f"seats#{address}"


def seat_key(address: str, number: int) -> Item:
    """Give the key of a seat."""
    return to_item({"pk": seats_pk(address), "sk": f"seat#{number:04d}"})


def worker_key(worker: str) -> Item:
    """Give the key of a worker's presence."""
    return to_item({"pk": f"worker#{worker}", "sk": "worker"})


def to_item(values: Mapping[str, Any]) -> Item:
    """Give plain values as DynamoDB's typed ones; what is None is left out."""
    serializer = TypeSerializer()
    return {name: serializer.serialize(value) for name, value in values.items() if value is not None}


def from_item(item: Mapping[str, Any]) -> dict[str, Any]:
    """Give an item's plain values; numbers are Decimal."""
    deserializer = TypeDeserializer()
    return {name: deserializer.deserialize(value) for name, value in item.items()}


def shape_item(shape: StoredShape) -> Item:
    """Give a shape's fields as item attributes; its schema version is ``v``."""
    values = json.loads(shape.to_json(), parse_float=Decimal)
    return to_item(values | {"v": values.pop("schema_version")})


def shape_of(cls: type[_Shape], item: Mapping[str, Any]) -> _Shape:
    """Read the shape that an item holds, with the checks of :meth:`StoredShape.from_json`."""
    values = from_item(item)
    return cls.from_json(json.dumps(values | {"schema_version": values.pop("v", None)}, default=_number))


def readable_shapes(cls: type[_Shape], items: Iterable[Mapping[str, Any]]) -> Iterator[_Shape]:
    """Read what a listing shows, but for what a newer skfleet wrote: one such item must not hide the rest."""
    for item in items:
        try:
            yield shape_of(cls, item)
        except (NewerShape, UnreadableShape):
            continue


def _number(value: object) -> int | float:
    if not isinstance(value, Decimal):
        raise TypeError(f"A tracker item holds a {type(value).__name__}.")
    return int(value) if value == value.to_integral_value() else float(value)


@dataclass(frozen=True)
class TrackerTable:
    """The table and the two writes that everything in it is made of."""

    client: DynamoDBClient
    name: str
    where: str
    fan_in: int = FAN_IN
    #: Days after which a job's item expires, unless it is written again.
    retention_days: int = RETENTION_DAYS
    clock: Callable[[], float] = time.time

    @property
    def expiry(self) -> int:
        """The second of the epoch after which what is written now may be deleted."""
        return int(self.clock() + self.retention_days * DAY_SECONDS)

    @property
    def target(self) -> str:
        """How messages to people name the table."""
        return f"tracker {self.name} at {self.where}"

    def get(self, key: Item) -> Item | None:
        """Give an item as it stands after every write that was acknowledged."""
        with cloud_faults(self.target):
            return self.client.get_item(TableName=self.name, Key=key, ConsistentRead=True).get("Item")

    def put_if(self, item: Item, condition: str, values: Mapping[str, Any]) -> Item | None:
        """Put an item if ``condition`` holds: None when it did, else the item that stands (empty: none)."""
        with cloud_faults(self.target):
            try:
                self.client.put_item(
                    TableName=self.name,
                    Item=item,
                    ConditionExpression=condition,
                    ExpressionAttributeNames=attribute_names(condition),
                    ExpressionAttributeValues=to_item(values),
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
            except ClientError as exc:
                return standing_item(exc)
        return None

    def update_if(self, key: Item, update: str, condition: str, values: Mapping[str, Any]) -> Item | None:
        """Update an item if ``condition`` holds; gives what :meth:`put_if` gives."""
        with cloud_faults(self.target):
            try:
                self.client.update_item(
                    TableName=self.name,
                    Key=key,
                    UpdateExpression=update,
                    ConditionExpression=condition,
                    ExpressionAttributeNames=attribute_names(f"{update} {condition}"),
                    ExpressionAttributeValues=to_item(values),
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
            except ClientError as exc:
                return standing_item(exc)
        return None

    def delete_if(self, key: Item, condition: str, values: Mapping[str, Any]) -> Item | None:
        """Delete an item if ``condition`` holds; gives what :meth:`put_if` gives."""
        with cloud_faults(self.target):
            try:
                self.client.delete_item(
                    TableName=self.name,
                    Key=key,
                    ConditionExpression=condition,
                    ExpressionAttributeNames=attribute_names(condition),
                    ExpressionAttributeValues=to_item(values),
                )
            except ClientError as exc:
                return standing_item(exc)
        return None


def attribute_names(expression: str) -> dict[str, str]:
    """Give the names that an expression uses as ``#name``: many plain ones are reserved words."""
    return {f"#{name}": name for name in re.findall(r"#(\w+)", expression)}


def standing_item(error: ClientError) -> Item:
    """Give the item that made a condition fail; any other error is raised again."""
    if error_code(error) != "ConditionalCheckFailedException":
        raise error
    standing: Item = error.response.get("Item", {})  # type: ignore[assignment]
    return standing

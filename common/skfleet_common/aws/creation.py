"""Creation of a fleet's bucket, queues and tracker on an emulator; on AWS, Terraform does it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from skfleet_common.aws.clients import Clients, open_clients
from skfleet_common.aws.faults import cloud_faults, error_code
from skfleet_common.aws.tracker_table import LISTING_INDEX, TTL_ATTRIBUTE
from skfleet_common.contracts.errors import EnvironmentFault
from skfleet_common.contracts.names import FleetNames
from skfleet_common.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import LifecycleRuleTypeDef

#: Every spot loss raises the receive count, so that fewer would dead-letter healthy messages.
MAX_RECEIVES = 10
#: The longest that SQS keeps a message (SQS quotas page).
RETENTION_SECONDS = 14 * 24 * 3600


def create_fleet(settings: Settings) -> None:
    """Make what the fleet lacks: bucket, queue with dead letters, tracker table. Safe to repeat.

    Raises:
        EnvironmentFault: no emulator or bucket is set, or it cannot be reached.
    """
    if settings.aws_endpoint_url is None or settings.bucket is None:
        raise EnvironmentFault(
            "skfleet itself creates only an emulator's fleet; set SKFLEET_AWS_ENDPOINT_URL and "
            "SKFLEET_BUCKET, or use Terraform on AWS."
        )
    names = FleetNames(settings.fleet)
    clients = open_clients(settings)
    with cloud_faults(f"the fleet {settings.fleet} at {clients.where}"):
        _create_bucket(clients, settings.bucket)
        _expire_jobs(clients, settings.bucket, names, days=settings.retention_days)
        dead = _create_queue(clients, names.dead_letter_queue, lease_seconds=settings.lease_seconds)
        dead_arn = clients.sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])
        _create_queue(
            clients,
            names.queue,
            lease_seconds=settings.lease_seconds,
            dead_letters_arn=dead_arn["Attributes"]["QueueArn"],
        )
        _create_tracker(clients, names.tracker)


def _create_bucket(clients: Clients, bucket: str) -> None:
    try:
        # Outside us-east-1, S3 wants the region named; an emulator's has no meaning.
        if clients.s3.meta.region_name == "us-east-1":
            clients.s3.create_bucket(Bucket=bucket)
        else:
            clients.s3.create_bucket(
                Bucket=bucket,
                CreateBucketConfiguration={"LocationConstraint": clients.s3.meta.region_name},  # type: ignore[typeddict-item]
            )
    except ClientError as exc:
        if error_code(exc) != "BucketAlreadyOwnedByYou":
            raise


def _expire_jobs(clients: Clients, bucket: str, names: FleetNames, *, days: int) -> None:
    """Let S3 remove what jobs left behind; rules of other fleets in the bucket stay."""
    ours: LifecycleRuleTypeDef = {
        "ID": f"skfleet-{names.fleet}-jobs",
        "Status": "Enabled",
        "Filter": {"Prefix": names.jobs_prefix()},
        "Expiration": {"Days": days},
    }
    others: list[LifecycleRuleTypeDef] = []
    try:
        others = clients.s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]  # type: ignore[assignment]
    except ClientError as exc:
        if error_code(exc) != "NoSuchLifecycleConfiguration":
            raise
    rules = [ours, *(rule for rule in others if rule.get("ID") != ours["ID"])]
    clients.s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": rules})


def _create_queue(
    clients: Clients, name: str, *, lease_seconds: int, dead_letters_arn: str | None = None
) -> str:
    """Give the queue's URL; one that is there already gets the same attributes."""
    url = clients.sqs.create_queue(QueueName=name)["QueueUrl"]
    attributes = {
        "VisibilityTimeout": str(lease_seconds),
        "MessageRetentionPeriod": str(RETENTION_SECONDS),
    }
    if dead_letters_arn is not None:
        attributes["RedrivePolicy"] = json.dumps(
            {"deadLetterTargetArn": dead_letters_arn, "maxReceiveCount": MAX_RECEIVES}
        )
    clients.sqs.set_queue_attributes(QueueUrl=url, Attributes=attributes)  # type: ignore[arg-type]
    return url


def _create_tracker(clients: Clients, table: str) -> None:
    try:
        clients.dynamodb.create_table(
            TableName=table,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[
                {"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", "listing", "listed_at")
            ],
            KeySchema=[
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": LISTING_INDEX,
                    "KeySchema": [
                        {"AttributeName": "listing", "KeyType": "HASH"},
                        {"AttributeName": "listed_at", "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": "ALL"},
                }
            ],
        )
    except ClientError as exc:
        if error_code(exc) != "ResourceInUseException":
            raise
    clients.dynamodb.get_waiter("table_exists").wait(TableName=table, WaiterConfig={"Delay": 1})
    expiry = clients.dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
    if expiry.get("TimeToLiveStatus") not in {"ENABLED", "ENABLING"}:
        clients.dynamodb.update_time_to_live(
            TableName=table, TimeToLiveSpecification={"Enabled": True, "AttributeName": TTL_ATTRIBUTE}
        )

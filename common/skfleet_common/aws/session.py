"""The session: from the settings to the fleet's store, queues and tracker."""

from __future__ import annotations

from dataclasses import dataclass

from skfleet_common.aws.clients import Clients, open_clients
from skfleet_common.aws.creation import create_fleet
from skfleet_common.aws.faults import cloud_faults
from skfleet_common.aws.queue import Queue
from skfleet_common.aws.store import ObjectStore
from skfleet_common.aws.tracker import Tracker
from skfleet_common.contracts.errors import EnvironmentFault
from skfleet_common.contracts.names import FleetNames
from skfleet_common.settings import Settings

__all__ = ["Cloud", "connect_cloud", "create_fleet"]


@dataclass(frozen=True)
class Cloud:
    """One fleet's parts in AWS or an emulator of it."""

    store: ObjectStore
    queue: Queue
    dead_letters: Queue
    tracker: Tracker
    names: FleetNames

    def close(self) -> None:
        """Close every connection; before a fork, or at the end."""
        self.store.client.close()
        self.queue.client.close()
        self.queue.control.close()
        self.tracker.client.close()


def connect_cloud(settings: Settings) -> Cloud:
    """Connect to the fleet that the settings name; its queues must be there.

    Raises:
        EnvironmentFault: no fleet is set, it cannot be reached, or it does not exist.
    """
    # The bucket has no default: without it, a shell with AWS credentials would reach real AWS by accident.
    if settings.bucket is None:
        raise EnvironmentFault(
            "No fleet is set; start the local stack with `skfleet local up`, or set SKFLEET_BUCKET "
            "(and SKFLEET_AWS_ENDPOINT_URL for an emulator)."
        )
    names = FleetNames(settings.fleet)
    clients = open_clients(settings)
    return Cloud(
        store=ObjectStore(clients.s3, settings.bucket, clients.where),
        queue=_queue(clients, names.queue, settings.lease_seconds),
        dead_letters=_queue(clients, names.dead_letter_queue, settings.lease_seconds),
        tracker=Tracker(
            clients.dynamodb, names.tracker, clients.where, retention_days=settings.retention_days
        ),
        names=names,
    )


def _queue(clients: Clients, name: str, lease_seconds: int) -> Queue:
    with cloud_faults(f"queue {name} at {clients.where}"):
        url = clients.sqs.get_queue_url(QueueName=name)["QueueUrl"]
    return Queue(clients.sqs, clients.sqs_control, url, name, clients.where, lease_seconds)

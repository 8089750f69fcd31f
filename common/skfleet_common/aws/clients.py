"""Clients: boto3's, made from the settings alone, with every time-out set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, overload

import boto3
import botocore.session
from botocore.config import Config

from skfleet_common.aws.faults import cloud_faults
from skfleet_common.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sqs import SQSClient

CONNECT_SECONDS = 5
READ_SECONDS = 30
#: boto3's own tries of one request, the first included.
ATTEMPTS = 5
#: The same for what keeps or ends a lease: a call that hangs must not cost the leases that wait behind it.
CONTROL_CONNECT_SECONDS = 2
CONTROL_READ_SECONDS = 5
CONTROL_ATTEMPTS = 2
#: An answer to a long poll may come this much later than the poll ends.
POLL_GRACE_SECONDS = 10

#: Emulators take any credentials; these are the ones that AWS never issues.
EMULATOR_CREDENTIALS = ("test", "test")
EMULATOR_REGION = "us-east-1"

#: botocore's variables that let a user's files or AWS_PROFILE into a session. With an emulator they have
#: no say: a profile that does not exist must not stop it, and one that does must not lead to real AWS.
_NO_USER_FILES = {
    "profile": (None, None, None, None),
    "config_file": (None, None, "", None),
    "credentials_file": (None, None, "", None),
}


#: The services whose endpoint may be another than that of all others.
_REDSHIFT = ("redshift", "redshift-serverless")


@dataclass(frozen=True)
class Clients:
    """The clients of one process; threads may share them, processes must not."""

    s3: S3Client
    sqs: SQSClient
    #: For calls that SQS answers at once: it gives up early.
    sqs_control: SQSClient
    dynamodb: DynamoDBClient
    #: How messages to people name the cloud: the emulator's endpoint, or AWS and its region.
    where: str


def open_clients(settings: Settings) -> Clients:
    """Make the clients, without a request.

    Raises:
        EnvironmentFault: boto3 finds no region, or a profile that does not exist.
    """
    endpoint = settings.aws_endpoint_url
    with cloud_faults(f"the fleet {settings.fleet} at {endpoint or 'AWS'}"):
        session = _session(settings)
        config = _config(READ_SECONDS, emulated=endpoint is not None)
        control = config.merge(
            Config(
                connect_timeout=CONTROL_CONNECT_SECONDS,
                read_timeout=CONTROL_READ_SECONDS,
                retries={"mode": "standard", "total_max_attempts": CONTROL_ATTEMPTS},
            )
        )
        polling = _config(settings.poll_seconds + POLL_GRACE_SECONDS, emulated=endpoint is not None)
        return Clients(
            s3=session.client("s3", endpoint_url=endpoint, config=config),
            sqs=session.client("sqs", endpoint_url=endpoint, config=polling),
            sqs_control=session.client("sqs", endpoint_url=endpoint, config=control),
            dynamodb=session.client("dynamodb", endpoint_url=endpoint, config=config),
            where=endpoint or f"AWS {session.region_name}",
        )


@overload
def open_client(settings: Settings, service: Literal["kms"], *, region: str | None = None) -> KMSClient: ...
@overload
def open_client(
    settings: Settings, service: Literal["secretsmanager"], *, region: str | None = None
) -> SecretsManagerClient: ...
@overload
def open_client(
    settings: Settings, service: Literal["redshift", "redshift-serverless"], *, region: str | None = None
) -> Any: ...
def open_client(settings: Settings, service: Any, *, region: str | None = None) -> Any:
    """Make the client of a service that only some fleets use, without a request."""
    endpoint = settings.aws_endpoint_url
    if service in _REDSHIFT and settings.redshift_api_url is not None:
        endpoint = settings.redshift_api_url
    with cloud_faults(f"{service} at {endpoint or 'AWS'}"):
        config = _config(READ_SECONDS, emulated=settings.aws_endpoint_url is not None)
        return _session(settings).client(service, endpoint_url=endpoint, config=config, region_name=region)


def _session(settings: Settings) -> boto3.Session:
    emulated = settings.aws_endpoint_url is not None
    return _emulator_session(settings.region) if emulated else boto3.Session(region_name=settings.region)


def _emulator_session(region: str | None) -> boto3.Session:
    key, secret = EMULATOR_CREDENTIALS
    return boto3.Session(
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        region_name=region or EMULATOR_REGION,
        botocore_session=botocore.session.Session(session_vars=_NO_USER_FILES),
    )


def _config(read_seconds: int, *, emulated: bool) -> Config:
    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=read_seconds,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
    )
    if not emulated:
        return config
    # An emulator has no bucket host names, and a proxy from the environment cannot reach a loopback address.
    return config.merge(Config(s3={"addressing_style": "path"}, proxies={}))

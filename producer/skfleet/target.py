"""Which fleet a command talks to: what ``SKFLEET_*`` says, else the running local stack, else none."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from skfleet.local.stack import running_settings
from skfleet_common.contracts.errors import EnvironmentFault
from skfleet_common.settings import Settings

if TYPE_CHECKING:
    from skfleet_common.tables.port import Warehouse


def resolve_target(settings: Settings) -> Settings:
    """Complete ``settings`` from the running local stack where they name no fleet of their own.

    Raises:
        EnvironmentFault: nothing names a fleet. AWS itself is never a default.
    """
    if settings.bucket is not None:
        return settings
    local = running_settings(settings)
    if local is None:
        raise EnvironmentFault(
            "No fleet to talk to: no local stack is up here; start one with: skfleet local up "
            "(or set SKFLEET_BUCKET and SKFLEET_WAREHOUSE_URL)."
        )
    return local


def describe_target(settings: Settings) -> str:
    """Say in words for a person which fleet ``settings`` name."""
    where = settings.aws_endpoint_url or f"AWS {settings.region or 'default region'}"
    named = without_credentials(settings.warehouse_url) if settings.warehouse_url else "none"
    return f"fleet {settings.fleet} at {where}, bucket {settings.bucket}, warehouse {named}"


def without_credentials(url: str) -> str:
    """Give a warehouse's address as it may be shown: scheme, host, port and database."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"


def warehouse_url(settings: Settings) -> str:
    """Give the warehouse's URL.

    Raises:
        EnvironmentFault: nothing names a warehouse.
    """
    if settings.warehouse_url is None:
        raise EnvironmentFault(
            "No warehouse is named; set SKFLEET_WAREHOUSE_URL=postgresql://user:password@host:port/database."
        )
    return settings.warehouse_url


def open_target_warehouse(settings: Settings) -> Warehouse:
    """Give the warehouse that ``settings`` name; nothing is connected before its first use.

    Raises:
        EnvironmentFault: they name none.
    """
    from skfleet_common.aws.logins import RedshiftLogins  # noqa: PLC0415  (boto3: --help need not wait)
    from skfleet_common.tables import open_warehouse  # noqa: PLC0415  (pyarrow: likewise)

    return open_warehouse(
        warehouse_url(settings),
        statement_seconds=settings.statement_seconds,
        logins=RedshiftLogins(settings),
        iam_role=settings.redshift_iam_role,
    )

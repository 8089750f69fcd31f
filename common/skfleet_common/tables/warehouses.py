"""Which warehouse an address names."""

from __future__ import annotations

from skfleet_common.contracts.errors import UsageError
from skfleet_common.contracts.logins import Logins
from skfleet_common.tables.port import Warehouse

_POSTGRES_SCHEMES = ("postgresql", "postgres")
_REDSHIFT_SCHEMES = ("redshift", "redshift+iam", "redshift+secret")


def open_warehouse(
    url: str, *, statement_seconds: int, logins: Logins | None = None, iam_role: str | None = None
) -> Warehouse:
    """Give the warehouse at ``url``; nothing is connected before its first use.

    Args:
        url: Its address.
        statement_seconds: The longest that one statement may run there.
        logins: Where an address that has no password gets its logins from.
        iam_role: With which Redshift reads and writes the fleet's bucket: an ARN, or ``default``.

    Raises:
        UsageError: the address is malformed, or of a warehouse that skfleet does not know.
    """
    scheme = url.partition("://")[0] if "://" in url else ""
    # Only the driver that the address names is loaded: it costs a worker's start and memory.
    if scheme in _REDSHIFT_SCHEMES:
        from skfleet_common.tables.redshift.warehouse import open_redshift  # noqa: PLC0415

        return open_redshift(url, statement_seconds=statement_seconds, logins=logins, iam_role=iam_role)
    if scheme not in _POSTGRES_SCHEMES:
        named = f"{scheme}://" if scheme.isidentifier() else "without a scheme"
        raise UsageError(
            f"The warehouse address is {named}, but skfleet reads PostgreSQL and Redshift; set "
            "SKFLEET_WAREHOUSE_URL to postgresql://user:password@host:port/database or redshift://…"
        )
    from skfleet_common.tables.postgres.warehouse import open_postgres  # noqa: PLC0415

    return open_postgres(url, statement_seconds=statement_seconds)

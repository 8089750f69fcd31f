"""Which warehouse an address names."""

from __future__ import annotations

from skfleet_common.contracts.errors import UsageError
from skfleet_common.tables.port import Warehouse

_POSTGRES_SCHEMES = ("postgresql", "postgres")


def open_warehouse(url: str, *, statement_seconds: int) -> Warehouse:
    """Give the warehouse at ``url``; nothing is connected before its first use.

    ``statement_seconds`` is the longest that one statement may run there.

    Raises:
        UsageError: the address is malformed, or of a warehouse that skfleet does not know.
    """
    scheme = url.partition("://")[0] if "://" in url else ""
    if scheme not in _POSTGRES_SCHEMES:
        named = f"{scheme}://" if scheme.isidentifier() else "without a scheme"
        raise UsageError(
            f"The warehouse address is {named}, but skfleet reads PostgreSQL; "
            "set SKFLEET_WAREHOUSE_URL to postgresql://user:password@host:port/database."
        )
    # Only the driver that the address names is loaded: it costs a worker's start and memory.
    from skfleet_common.tables.postgres.warehouse import open_postgres  # noqa: PLC0415

    return open_postgres(url, statement_seconds=statement_seconds)

"""A publisher in a process of its own, which a test kills, freezes or cuts off from its database.

Arguments: address, schema, how long the server lets it idle. It loads five rows, says so
and waits for a line.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pyarrow as pa
from tests.contract.publications import REPLACEMENT, part
from tests.contract.warehouse_place import Streamed

from skfleet_common.contracts.chunks import TableName
from skfleet_common.contracts.errors import TryAgain
from skfleet_common.tables import open_warehouse
from skfleet_common.tables.port import Publication
from skfleet_common.tables.postgres import publisher

#: The exit code of a publisher whose work somebody has to do again.
TRY_AGAIN = 75


def parts() -> Iterator[pa.RecordBatch]:
    """Give ten rows in two parts, the second when the test says so."""
    yield part(0, 5)
    print("loading", flush=True)  # noqa: T201  (to the test)
    sys.stdin.readline()
    yield part(5, 10)


def main() -> int:
    """Publish once."""
    url, schema, idle_seconds = sys.argv[1:]
    publisher.IDLE_SECONDS = int(idle_seconds)
    table = TableName(schema_name=schema, name="scores")
    try:
        done = open_warehouse(url, statement_seconds=60).publisher.publish(
            Publication(table=table, **REPLACEMENT), Streamed(parts())
        )
    except TryAgain as exc:
        print(exc, flush=True)  # noqa: T201
        return TRY_AGAIN
    print(done, flush=True)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Plans of split keys of every kind: how equal the chunks are, after how many scans and seconds.

    python -m benchmarks.planning --rows 1000000 --chunks 100

plans a table for each kind of key in a PostgreSQL of its own, then in a PostgreSQL behind the tests' Redshift
server: its seconds are that server's, its statements those that Redshift is sent. Exits with 1 where the
largest chunk has more than 1.2 times the rows of the mean one, or a plan took more than two scans.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.contract.planned_keys import KINDS, make_keys, plan_keys
from tests.contract.private_postgres import private_postgres
from tests.contract.warehouse_place import Place, RedshiftSchema, open_redshift_at
from tests.redshift.place import RedshiftPlace, private_redshift

from skfleet_common.tables import open_warehouse

SCHEMA = "planning"
#: Planning asks nothing of S3.
NO_S3 = "http://127.0.0.1:9"


@contextmanager
def a_postgres() -> Iterator[Place]:
    """Start a PostgreSQL, and make a schema there."""
    with private_postgres() as server:
        place = Place(server, SCHEMA, open_warehouse(server.url, statement_seconds=600))
        place.sql(f"CREATE SCHEMA {SCHEMA}")
        yield place


@contextmanager
def a_redshift() -> Iterator[Place]:
    """Start the Redshift of the tests, and make a schema there."""
    with private_redshift(NO_S3) as (server, _):
        redshift = RedshiftPlace(server=server, schema=SCHEMA, bucket=SCHEMA)
        redshift.sql(f"CREATE SCHEMA {SCHEMA}")
        yield RedshiftSchema(None, SCHEMA, open_redshift_at(redshift), redshift=redshift)


def main() -> int:
    """Plan each kind, and print its figures; 0 if all keep the limits."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--chunks", type=int, default=100)
    asked = parser.parse_args()
    chunk_rows = -(-asked.rows // asked.chunks)
    print(f"{asked.rows:,} rows, {chunk_rows:,} a chunk")
    print("| warehouse | keys | chunks | max/mean | scans | seconds |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    bad = 0
    for warehouse, opened in (("postgres", a_postgres), ("redshift", a_redshift)):
        with opened() as place:
            for kind in KINDS:
                make_keys(place, kind, rows=asked.rows, warehouse=warehouse)
                began = time.perf_counter()
                planned = plan_keys(place, chunk_rows=chunk_rows)
                seconds = time.perf_counter() - began
                place.seed("DROP TABLE keys")
                assert planned.plan.rows == asked.rows
                bad += not planned.is_good
                chunks, unequal = len(planned.plan.chunks), planned.inequality
                print(
                    f"| {warehouse} | {kind} | {chunks} | {unequal:.3f} | {planned.scans} | {seconds:.1f} |",
                    flush=True,
                )
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())

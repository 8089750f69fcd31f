"""Kinds of split keys that plans are judged by, as columns of one table, and what came of a plan."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import NamedTuple

from tests.contract.warehouse_place import Place

from skfleet.plan import plan_chunks
from skfleet_common.contracts.chunks import ChunkPlan

#: The largest chunk may have so many times the rows of the mean one.
MOST_UNEQUAL = 1.2
MOST_SCANS = 2


class Kind(NamedTuple):
    """The key of row g of so many as SQL, and its type in PostgreSQL and in Redshift."""

    postgres: str
    redshift: str
    expression: str


#: Each as ``--split-column``, beside an id that tells rows of one key apart.
KINDS = {
    "sequential": Kind("bigint", "bigint", "g"),
    "clustered": Kind("bigint", "bigint", "(g * g % 7) * 1000000000000 + g"),
    "lognormal": Kind("bigint", "bigint", "exp(20 + 3 * random_normal())::bigint"),
    # Redshift has no type for it.
    "uuid": Kind("uuid", "char(36)", "md5(g::text)::uuid"),
    "text": Kind("text", "varchar(64)", "'customer ' || g * g % 97 || ', ' || md5(g::text)"),
    # Twenty rows each.
    "timestamp": Kind(
        "timestamp",
        "timestamp",
        "timestamp '2024-02-29' + interval '1.5 second' * (g * 7919 % ({rows} / 20))",
    ),
    # Half of the rows have the key 1, a sixth the key 2, a twelfth the key 3 …
    "zipf": Kind("bigint", "bigint", "trunc({rows}::float8 / g)::bigint"),
}


def make_keys(place: Place, kind: str, *, rows: int, warehouse: str) -> None:
    """Make the table ``keys`` with an id and a key."""
    of = KINDS[kind]
    spelled = of.postgres if warehouse == "postgres" else of.redshift
    place.seed(f"CREATE TABLE keys (id bigint, key {spelled})")
    key = of.expression.format(rows=rows)
    place.seed(
        "SELECT setseed(0.5); "  # the same keys every time
        f"INSERT INTO keys SELECT g, {key} FROM generate_series(1::bigint, {rows}) g"
    )


@dataclass(frozen=True)
class PlannedKeys:
    """A plan, and the scans that it took."""

    plan: ChunkPlan
    scans: int

    @property
    def inequality(self) -> float:
        """The largest chunk's rows, of the mean one's."""
        sizes = [chunk.rows for chunk in self.plan.chunks]
        return max(sizes) / statistics.mean(sizes)

    @property
    def is_good(self) -> bool:
        """Whether it keeps the limits."""
        return self.inequality <= MOST_UNEQUAL and self.scans <= MOST_SCANS


def plan_keys(place: Place, *, chunk_rows: int) -> PlannedKeys:
    """Plan the chunks of ``keys``, and count the statements that read it."""
    source = place.rows_of("keys")
    with place.statements() as statements:
        histogram = place.warehouse.keys.histogram(source, "key", chunk_rows=chunk_rows, hash_columns=["id"])
    plan = plan_chunks(histogram, chunk_rows=chunk_rows)
    return PlannedKeys(plan, "\n".join(statements).count(f'FROM "{place.schema}"."keys"'))

"""Plans of every kind of key, in both warehouses: chunks of nearly equal size, after two scans at most."""

from __future__ import annotations

import pytest
from tests.contract.planned_keys import KINDS, MOST_SCANS, MOST_UNEQUAL, make_keys, plan_keys
from tests.contract.warehouse_place import Place

ROWS = 12_000

CASES = pytest.mark.parametrize(
    ("place", "warehouse"),
    [pytest.param(warehouse, warehouse, id=warehouse) for warehouse in ("postgres", "redshift")],
    indirect=["place"],
)


@CASES
@pytest.mark.parametrize("chunk_rows", [100, 1_000])
@pytest.mark.parametrize("kind", KINDS)
def test_chunks_are_nearly_equal_after_two_scans_at_most(
    place: Place, warehouse: str, kind: str, chunk_rows: int
) -> None:
    make_keys(place, kind, rows=ROWS, warehouse=warehouse)
    planned = plan_keys(place, chunk_rows=chunk_rows)
    assert planned.plan.rows == ROWS
    assert len(planned.plan.chunks) == ROWS / chunk_rows
    assert planned.inequality <= MOST_UNEQUAL
    assert 1 <= planned.scans <= MOST_SCANS

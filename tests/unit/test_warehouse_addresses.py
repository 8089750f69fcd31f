"""Addresses of warehouses, with passwords that nobody percent-encoded."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skfleet_common.contracts.errors import UsageError
from skfleet_common.tables.warehouses import open_warehouse

#: Letters that no other part of the addresses below has, between what ends a part of an address.
PASSWORDS = st.text("XYZ12@/?#:[]%&=,", min_size=1, max_size=12).filter(lambda text: set(text) & set("XYZ"))


@pytest.mark.parametrize("scheme", ["postgresql", "redshift"])
@given(password=PASSWORDS)
def test_no_part_of_a_password_is_taken_for_host_or_database(scheme: str, password: str) -> None:
    shown = ""
    try:
        warehouse = open_warehouse(f"{scheme}://ana:{password}@db.example:5439/dev", statement_seconds=5)
        shown = warehouse.address
    except UsageError as refusal:
        shown = str(refusal).replace("SKFLEET_WAREHOUSE_URL", "")
    assert not set("XYZ") & set(shown.replace("NAME", ""))


@pytest.mark.parametrize("scheme", ["postgresql", "redshift"])
@given(password=PASSWORDS)
def test_a_password_that_is_percent_encoded_may_hold_anything(scheme: str, password: str) -> None:
    url = f"{scheme}://ana:{quote(password, safe='')}@db.example:5439/d%40v"
    assert open_warehouse(url, statement_seconds=5).address == "db.example:5439/d@v"

"""Types and defaults of Redshift's columns, as publishing understands them."""

from __future__ import annotations

import pytest

from skfleet_common.contracts.errors import Refused
from skfleet_common.contracts.jobs import OutputColumn
from skfleet_common.tables.redshift.obstacles import is_identity
from skfleet_common.tables.redshift.output_types import spelled_type, type_of


@pytest.mark.parametrize(
    "spelled", ["\"identity\"(1234, 0, '1,1'::text)", "\"default_identity\"(1, 0, '1,1')"]
)
def test_a_column_that_numbers_rows_is_known_by_its_default(spelled: str) -> None:
    assert is_identity(spelled)
    assert not is_identity("identity_of(1)")


def column(warehouse_type: str) -> OutputColumn:
    return OutputColumn(name="a", warehouse_type=warehouse_type, source="carried")


@pytest.mark.parametrize(
    ("written", "spelled"),
    [("text", "character varying(65535)"), ("VARCHAR(12)", "character varying(12)"), ("int8", "bigint"),
     ("numeric(10, 2)", "numeric(10,2)"), ("timestamptz", "timestamp with time zone")],
)  # fmt: skip
def test_a_type_has_one_name_however_it_is_written(written: str, spelled: str) -> None:
    assert str(type_of(column(written))) == spelled


@pytest.mark.parametrize(
    "written",
    ["int; DROP TABLE t", "int)", "geometry", "hllsketch", "varbyte(9)", "int4range", "numeric", ""],
)
def test_what_is_no_type_that_text_becomes_is_refused(written: str) -> None:
    with pytest.raises(Refused):
        type_of(column(written))


@pytest.mark.parametrize(
    ("given", "has", "goes"),
    [
        ("varchar(9)", "varchar(9)", True),
        ("varchar(9)", "varchar(10)", True),
        ("varchar(9)", "varchar(8)", False),
        ("text", "varchar(8)", True),
        ("numeric(9,2)", "numeric(10,2)", False),
        ("integer", "bigint", False),
        ("real", "float4", True),
    ],
)
def test_what_goes_into_a_column_is_neither_cut_nor_rounded(given: str, has: str, *, goes: bool) -> None:
    assert type_of(column(given)).goes_into(spelled_type(has)) is goes

"""Names of tables as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skfleet_common.contracts.errors import Refused, UsageError
from skfleet_common.tables import open_warehouse
from skfleet_common.tables.sql.names import NameLimit, read_name

LIMIT = NameLimit("PostgreSQL", 63)

NAMES = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=15
).filter(lambda name: len(name.encode()) <= LIMIT.most_bytes)


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@given(NAMES, NAMES)
def test_quoted_parts_are_taken_as_they_are(schema: str, name: str) -> None:
    written = read_name(f"{quoted(schema)}.{quoted(name)}", LIMIT)
    assert written.schema is not None
    assert (written.schema.spellings, written.name.spellings) == ([schema], [name])
    assert written.name.spelling_if_new == name


def test_unquoted_parts_are_looked_for_as_written_and_then_folded() -> None:
    written = read_name("Public.My Table; DROP TABLE x", LIMIT)
    assert written.schema is not None
    assert written.schema.spellings == ["Public", "public"]
    assert written.name.spellings == ["My Table; DROP TABLE x", "my table; drop table x"]


def test_a_new_name_is_folded_only_where_sql_would_fold_it() -> None:
    assert read_name("Flight_Scores", LIMIT).name.spelling_if_new == "flight_scores"
    assert read_name("Flight Scores", LIMIT).name.spelling_if_new == "Flight Scores"
    assert read_name('"Flight_Scores"', LIMIT).name.spelling_if_new == "Flight_Scores"


@pytest.mark.parametrize(
    "text", ["", " ", ".", "a.", ".a", "a..b", "a.b.c", '"a', 'a"b', '"a"b', '""', "a\0b"]
)
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="is no table name"):
        read_name(text, LIMIT)


def test_a_name_that_postgresql_would_cut_is_refused() -> None:
    with pytest.raises(Refused, match="longer than the 63 bytes"):
        read_name("public." + "é" * 32, LIMIT)


@pytest.mark.parametrize(
    "url", ["mysql://me:secret@host/db", "redshift+x://me:secret@host/db", "me:secret@host", ""]
)
def test_an_address_of_another_warehouse_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(UsageError, match=r"postgresql://") as refusal:
        open_warehouse(url, statement_seconds=5)
    assert "secret" not in str(refusal.value)


def test_a_malformed_address_is_refused_without_its_password() -> None:
    with pytest.raises(UsageError, match="cannot be read") as refusal:
        open_warehouse("postgresql://me:secret@host:port/db?x=y", statement_seconds=5)
    assert "secret" not in str(refusal.value)


def test_the_address_shown_to_people_has_no_credentials() -> None:
    warehouse = open_warehouse("postgres://me:secret@db.example:6543/sales", statement_seconds=5)
    assert warehouse.address == "db.example:6543/sales"

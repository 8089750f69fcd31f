"""How the test server reads statements: what stands in quotes is never taken for SQL."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.redshift.dialect import Dialect, Forwarded
from tests.redshift.lexicon import statements_of, tokens_of

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


def literal(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def identifier(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


@given(TEXTS)
def test_a_string_is_read_as_the_text_that_it_stands_for(text: str) -> None:
    [token] = tokens_of(literal(text))
    assert token.value == text


@given(st.lists(TEXTS, min_size=1, max_size=5))
def test_semicolons_in_quotes_part_no_statements(texts: list[str]) -> None:
    written = [f"SELECT {literal(text)} AS {identifier(text or 'x')} /* ; */" for text in texts]
    assert statements_of(";".join(written)) == written


@given(TEXTS, st.text("AbÄ \"'.;", max_size=15))
def test_a_forwarded_statement_differs_only_in_the_case_of_its_names(text: str, name: str) -> None:
    sql = f"SELECT {literal(text)} AS {identifier(name)} -- {identifier('A')}\nFROM t"
    read = Dialect().read(sql)
    assert isinstance(read, Forwarded)
    folded = name.replace("A", "a")
    assert read.sql == sql.replace(f"AS {identifier(name)}", f"AS {identifier(folded)}", 1)
    assert Dialect(case_sensitive=True).read(sql).sql == sql

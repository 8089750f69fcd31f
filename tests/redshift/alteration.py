"""ALTER TABLE: one action a statement, and what PostgreSQL does not know of is remembered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tests.redshift.columns import column_definition
from tests.redshift.ddl import Definition, sort_key, split_at_commas
from tests.redshift.dialect import Performed
from tests.redshift.lexicon import Token, name_at, starts_with
from tests.redshift.refusal import Refusal, syntax_error

if TYPE_CHECKING:
    from tests.redshift.session import Session

#: Constraints are not enforced, and so neither added nor dropped.
_INFORMATIONAL = {"constraint", "primary", "unique", "foreign"}


def alter_table(session: Session, read: Performed) -> None:
    """Carry out the action of an ALTER TABLE.

    Raises:
        Refusal: Redshift has no such action, or not within a transaction.
    """
    after = name_at(read.tokens, 2).after
    rest = read.tokens[after:]
    words = [token.word for token in rest]
    _refuse_more(read.tokens, rest)

    def render(part: Sequence[Token]) -> str:
        return session.dialect.render(read.sql, part)

    made = Definition(table=render(read.tokens[2:after]), render=render)
    if words[0] == "append":
        _append(session, made.table, render(rest[2:]))
    elif _reads_traits(rest, words, made):
        _note(session, made)
    elif words[:2] == ["alter", "column"] and "type" in words:
        _widen(session, made, rest, render(read.tokens))
    elif words[0] == "add" and words[1] not in _INFORMATIONAL:
        item = rest[2:] if words[1] == "column" else rest[1:]
        text = column_definition(item, table=made.table, render=render, traits=made.traits)
        session.run_sql(f"ALTER TABLE {made.table} ADD COLUMN {text}")
        _note(session, made)
    elif words[:2] == ["rename", "column"]:
        names = (made.fold(rest[2]), made.fold(rest[4]))
        session.run_sql("SELECT redshift.rename_column(%s::regclass, %s, %s)", (made.table, *names))
        session.run_sql(render(read.tokens))
    elif words[0] in {"rename", "owner", "drop"} and words[1] not in _INFORMATIONAL:
        session.run_sql(render(read.tokens))
    elif words[0] not in {"add", "drop"}:
        raise syntax_error(rest[0].text)


def _refuse_more(tokens: Sequence[Token], rest: Sequence[Token]) -> None:
    if starts_with(tokens[2:], "if"):
        raise syntax_error("IF")
    if len(split_at_commas(rest)) > 1:
        raise syntax_error(",")


def _note(session: Session, made: Definition) -> None:
    session.run_sql("SELECT redshift.note_traits(%s::regclass, %s)", (made.table, made.said))


def _reads_traits(rest: Sequence[Token], words: Sequence[str], made: Definition) -> bool:
    """Read what ALTER DISTKEY, DISTSTYLE, SORTKEY or ENCODE changes; tell whether it is one of them."""
    if words[:2] == ["alter", "diststyle"]:
        made.traits["diststyle"] = words[2].upper()
        if "distkey" in words:
            made.traits["distkey"] = made.fold(rest[words.index("distkey") + 1])
    elif words[:2] == ["alter", "distkey"]:
        made.traits |= {"diststyle": "KEY", "distkey": made.fold(rest[2])}
    elif words[0] == "alter" and "sortkey" in words:
        sort_key(rest, words.index("sortkey") + 1, made)
    elif words[0] == "alter" and words[3:4] == ["encode"]:
        made.traits["encodings"] = {made.fold(rest[2]): words[4]}
    else:
        return words[:3] == ["alter", "encode", "auto"]
    return True


def _append(session: Session, target: str, source: str) -> None:
    if session.in_transaction:
        raise Refusal("ALTER TABLE APPEND cannot run inside a transaction block", sqlstate="25001")
    session.run_sql(f"INSERT INTO {target} SELECT * FROM {source}")
    session.run_sql(f"DELETE FROM {source}")


def _widen(session: Session, made: Definition, rest: Sequence[Token], sql: str) -> None:
    """Change the size of a VARCHAR, which is all that ALTER COLUMN … TYPE does, never in a transaction."""
    if session.in_transaction:
        raise Refusal("ALTER TABLE ALTER COLUMN cannot run inside a transaction block", sqlstate="25001")
    found = session.run_sql(
        "SELECT format_type(atttypid, NULL) FROM pg_catalog.pg_attribute "
        "WHERE attrelid = %s::regclass AND attname = %s",
        (made.table, made.fold(rest[2])),
    )
    if found != [("character varying",)] or rest[4].word not in {"varchar", "character"}:
        raise Refusal(f'cannot alter type of column "{rest[2].name}"')
    session.run_sql(sql)

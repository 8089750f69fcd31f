"""Statements that are carried out here, on the session's own backend connection."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from tests.redshift.alteration import alter_table
from tests.redshift.dialect import Performed
from tests.redshift.lexicon import Token, name_at
from tests.redshift.load import load, read_load
from tests.redshift.refusal import Refusal
from tests.redshift.storage import Storage, check_authorization
from tests.redshift.unload import spelled_type
from tests.redshift.unload_statement import read_unload

if TYPE_CHECKING:
    from tests.redshift.session import Session

#: A notice to the client, which may be empty, and the command's tag.
Outcome = tuple[str, str]


def perform(session: Session, read: Performed) -> Outcome:
    """Carry a statement out, whole or not at all."""
    command = _COMMANDS[read.kind]
    if session.in_transaction or read.kind == "VACUUM":
        return command(session, read)
    session.run_sql("BEGIN")
    try:
        outcome = command(session, read)
    except BaseException:
        if not session.backend.closed:
            session.run_sql("ROLLBACK")
        raise
    session.run_sql("COMMIT")
    return outcome


def _storage(session: Session, tokens: Sequence[Token], region: str | None, *, writing: bool) -> Storage:
    check_authorization(tokens, roles=session.server.roles, user=session.user)
    refused = frozenset(session.server.refused_actions)
    return Storage(session.server.s3_endpoint, refused=refused, region=region, writing=writing)


def _unload(session: Session, read: Performed) -> Outcome:
    statement = read_unload(read.tokens)
    storage = _storage(session, read.tokens, statement.region, writing=True)
    rows = session.server.unloading.run(statement, session.backend, storage, session.dialect)
    session.run_sql("SELECT set_config('redshift.unload_count', %s, false)", (str(rows),))
    return f"UNLOAD completed, {rows} record(s) unloaded successfully.", "UNLOAD"


def _copy(session: Session, read: Performed) -> Outcome:
    statement = read_load(read.tokens)
    storage = _storage(session, read.tokens, statement.region, writing=False)
    table = session.dialect.render(read.sql, read.tokens[1 : statement.table.after])
    fold = str if session.dialect.case_sensitive else str.lower
    columns = [fold(name) for name in statement.columns]
    try:
        rows = load(statement, session.backend, storage, quoted_table=table, columns=columns)
    except Refusal as refusal:
        session.server.note_load_error(str(statement.source), refusal)
        raise
    session.run_sql("SELECT set_config('redshift.copy_count', %s, false)", (str(rows),))
    name = statement.table.parts[-1]
    return f"Load into table '{name}' completed, {rows} record(s) loaded successfully.", "COPY"


def _create_table(session: Session, read: Performed) -> Outcome:
    made = read.definition
    assert made is not None
    [(before,)] = session.run_sql("SELECT to_regclass(%s)::oid", (made.table,))
    with session.backend.cursor() as cursor:
        cursor.execute(made.sql)
        tag = str(cursor.statusmessage)
    [(after,)] = session.run_sql("SELECT %s::regclass::oid", (made.table,))
    if before != after:
        if made.like:
            session.run_sql("SELECT redshift.inherit_traits(%s, %s::regclass)", (after, made.like))
        session.run_sql("SELECT redshift.note_traits(%s, %s)", (after, made.said))
    return "", tag


def _truncate(session: Session, read: Performed) -> Outcome:
    session.run_sql(session.dialect.render(read.sql, read.tokens))
    if session.in_transaction:
        # "TRUNCATE commits the transaction in which it is run" (TRUNCATE, usage notes).
        session.run_sql("COMMIT")
    return "", "TRUNCATE TABLE"


def _alter_table(session: Session, read: Performed) -> Outcome:
    alter_table(session, read)
    return "", "ALTER TABLE"


def _late_binding_view(session: Session, read: Performed) -> Outcome:
    tokens = read.tokens[:-4]
    words = [token.word for token in tokens]
    view = name_at(tokens, words.index("view") + 1)
    body = words.index("as", view.after) + 1
    query = session.dialect.render(read.sql, tokens[body:])
    with session.backend.cursor() as cursor:
        cursor.execute(f"SELECT * FROM ({query}) described LIMIT 0")
        described = list(cursor.description)
        types = [spelled_type(cursor, column) for column in described]
    given = [token.name for token in tokens[view.after + 1 : body - 2] if token.text != ","]
    names = given or [column.name.replace('"', '""') for column in described]
    columns = ", ".join(
        f'"{name}" {"varbyte" if kind.startswith("binary") else kind}'
        for name, kind in zip(names, types, strict=True)
    )
    literal = "'" + query.replace("\\", "\\\\").replace("'", "''") + "'"
    head = session.dialect.render(read.sql, tokens[: view.after])
    session.run_sql(f"{head} AS SELECT * FROM redshift.late_rows({literal}) AS late({columns})")
    return "", "CREATE VIEW"


def _maintain(session: Session, read: Performed) -> Outcome:
    """Run ANALYZE or VACUUM; what they are to look at beside a table's name is of no consequence here."""
    skipped = {"full", "sort", "delete", "only", "reindex", "recluster", "verbose"}
    at = next((i for i, token in enumerate(read.tokens) if i and token.word not in skipped), None)
    if at is None:
        session.run_sql(read.kind)
        return "", read.kind
    name = session.dialect.render(read.sql, read.tokens[at : name_at(read.tokens, at).after])
    session.run_sql(f"{read.kind} {name}")
    said: dict[str, Any] = {"stats_off": 0} if read.kind == "ANALYZE" else {"unsorted": 0, "deleted_rows": 0}
    session.run_sql("SELECT redshift.note_traits(%s::regclass, %s)", (name, json.dumps(said)))
    return "", read.kind


_COMMANDS: dict[str, Callable[[Session, Performed], Outcome]] = {
    "UNLOAD": _unload, "COPY": _copy, "CREATE TABLE": _create_table, "TRUNCATE TABLE": _truncate,
    "ALTER TABLE": _alter_table, "CREATE VIEW": _late_binding_view, "ANALYZE": _maintain, "VACUUM": _maintain,
}  # fmt: skip

"""Statements that are carried out here, on the session's own backend connection."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from tests.redshift.ddl import Definition, column_definition, split_at_commas
from tests.redshift.dialect import Performed
from tests.redshift.lexicon import Token, closing, name_at, starts_with
from tests.redshift.load import load, read_load
from tests.redshift.refusal import Refusal, syntax_error
from tests.redshift.storage import Storage, check_authorization
from tests.redshift.unload import read_unload, spelled_type

if TYPE_CHECKING:
    from tests.redshift.session import Session

#: A notice to the client, which may be empty, and the command's tag.
Outcome = tuple[str, str]


def perform(session: Session, read: Performed) -> Outcome:
    """Carry a statement out, whole or not at all."""
    command = _COMMANDS[read.kind]
    if session.in_transaction or read.kind == "VACUUM":
        return command(session, read)
    _run(session, "BEGIN")
    try:
        outcome = command(session, read)
    except BaseException:
        _run(session, "ROLLBACK")
        raise
    _run(session, "COMMIT")
    return outcome


def _run(session: Session, sql: str, values: Sequence[Any] | None = None) -> Any:
    with session.backend.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchone() if cursor.description else cursor.rowcount


def _storage(session: Session, tokens: Sequence[Token], region: str | None, *, writing: bool) -> Storage:
    check_authorization(tokens, roles=session.server.roles, user=session.user)
    refused = frozenset(session.server.refused_actions)
    return Storage(session.server.s3_endpoint, refused=refused, region=region, writing=writing)


def _unload(session: Session, read: Performed) -> Outcome:
    statement = read_unload(read.tokens)
    storage = _storage(session, read.tokens, statement.region, writing=True)
    rows = session.server.unloading.run(statement, session.backend, storage, session.dialect)
    _run(session, "SELECT set_config('redshift.unload_count', %s, false)", (str(rows),))
    return f"UNLOAD completed, {rows} record(s) unloaded successfully.", "UNLOAD"


def _copy(session: Session, read: Performed) -> Outcome:
    statement = read_load(read.tokens)
    storage = _storage(session, read.tokens, statement.region, writing=False)
    table = session.dialect.render(read.sql, read.tokens[1 : statement.table.after])
    fold = str if session.dialect.case_sensitive else str.lower
    try:
        rows = load(
            statement,
            session.backend,
            storage,
            quoted_table=table,
            columns=[fold(name) for name in statement.columns],
        )
    except Refusal as refusal:
        session.server.note_load_error(str(statement.source), refusal)
        raise
    _run(session, "SELECT set_config('redshift.copy_count', %s, false)", (str(rows),))
    return (
        f"Load into table '{statement.table.parts[-1]}' completed, {rows} record(s) loaded successfully.",
        "COPY",
    )


def _create_table(session: Session, read: Performed) -> Outcome:
    made = read.definition
    assert made is not None
    at = next(i for i, token in enumerate(read.tokens) if token.word == "table") + 1
    at += 3 * starts_with(read.tokens[at:], "if", "not", "exists")
    name = session.dialect.render(read.sql, read.tokens[at : made.table.after])
    (before,) = _run(session, "SELECT to_regclass(%s)::oid", (name,))
    with session.backend.cursor() as cursor:
        cursor.execute(made.sql)
        tag = cursor.statusmessage
    (after,) = _run(session, "SELECT %s::regclass::oid", (name,))
    if before != after:
        if made.like is not None:
            _run(
                session, "SELECT redshift.inherit_traits(%s, %s::regclass)", (after, made.like.quoted.lower())
            )
        if made.traits:
            _run(session, "SELECT redshift.note_traits(%s, %s)", (after, made.said))
    return "", tag


def _truncate(session: Session, read: Performed) -> Outcome:
    _run(session, read.sql)
    if session.in_transaction:
        # "TRUNCATE commits the transaction in which it is run" (TRUNCATE, usage notes).
        _run(session, "COMMIT")
    return "", "TRUNCATE TABLE"


def _alter_table(session: Session, read: Performed) -> Outcome:
    if starts_with(read.tokens[2:], "if"):
        raise syntax_error("IF")
    table = name_at(read.tokens, 2)
    rest = read.tokens[table.after :]
    name = session.dialect.render(read.sql, read.tokens[2 : table.after])
    words = [token.word for token in rest]
    if words[0] != "append" and len(split_at_commas(rest)) > 1:
        raise syntax_error(",")
    traits = _altered_traits(rest, words)
    if words[0] == "append":
        _append(session, name, session.dialect.render(read.sql, rest[2:]))
    elif traits is not None:
        _run(session, "SELECT redshift.note_traits(%s::regclass, %s)", (name, json.dumps(traits)))
    elif words[:2] in (
        ["add", "constraint"],
        ["add", "primary"],
        ["add", "unique"],
        ["add", "foreign"],
        ["drop", "constraint"],
    ):
        pass  # informational only
    elif words[0] == "add":
        made = Definition(table=table, sql="")
        item = rest[2:] if words[1] == "column" else rest[1:]
        text = column_definition(item, made, lambda part: session.dialect.render(read.sql, part))
        _run(session, f"ALTER TABLE {name} ADD COLUMN {text}")
        if made.traits:
            _run(session, "SELECT redshift.note_traits(%s::regclass, %s)", (name, made.said))
    elif words[:2] == ["alter", "column"] and "type" in words:
        _widen(session, read, name, rest)
    elif words[0] in {"rename", "owner", "drop"}:
        if words[:2] == ["rename", "column"]:
            old, new = rest[2].name.lower(), rest[4].name.lower()
            _run(session, "SELECT redshift.rename_column(%s::regclass, %s, %s)", (name, old, new))
        _run(session, session.dialect.render(read.sql, read.tokens))
    else:
        raise syntax_error(rest[0].text)
    return "", "ALTER TABLE"


def _altered_traits(rest: Sequence[Token], words: Sequence[str]) -> dict[str, Any] | None:
    if words[0] != "alter":
        return None
    if words[1] == "diststyle":
        key = rest[4].name.lower() if "distkey" in words else None
        return {"diststyle": words[2].upper()} | ({"distkey": key} if key else {})
    if words[1] == "distkey":
        return {"diststyle": "KEY", "distkey": rest[2].name.lower()}
    if "sortkey" in words:
        at = words.index("sortkey") + 1
        if words[at] in {"auto", "none"}:
            return {"sortstyle": words[at].upper(), "sortkeys": []}
        keys = [token.name.lower() for token in rest[at + 1 : closing(rest, at)] if token.text != ","]
        return {"sortstyle": "COMPOUND", "sortkeys": keys}
    if words[1:3] == ["encode", "auto"]:
        return {}
    return {"encodings": {rest[2].name.lower(): words[4]}} if words[3:4] == ["encode"] else None


def _append(session: Session, target: str, source: str) -> None:
    if session.in_transaction:
        raise Refusal("ALTER TABLE APPEND cannot run inside a transaction block", sqlstate="25001")
    _run(session, f"INSERT INTO {target} SELECT * FROM {source}")
    _run(session, f"DELETE FROM {source}")


def _widen(session: Session, read: Performed, name: str, rest: Sequence[Token]) -> None:
    """Change the size of a VARCHAR, which is all that ALTER COLUMN … TYPE does, and never in a transaction."""
    if session.in_transaction:
        raise Refusal("ALTER TABLE ALTER COLUMN cannot run inside a transaction block", sqlstate="25001")
    (found,) = _run(
        session,
        "SELECT format_type(atttypid, NULL) FROM pg_catalog.pg_attribute WHERE attrelid = %s::regclass AND attname = %s",
        (name, rest[2].name.lower()),
    ) or ("",)
    if found != "character varying" or rest[4].word not in {"varchar", "character"}:
        raise Refusal(f'cannot alter type of column "{rest[2].name}"')
    _run(session, session.dialect.render(read.sql, read.tokens))


def _late_binding_view(session: Session, read: Performed) -> Outcome:
    words = [token.word for token in read.tokens]
    view = name_at(read.tokens, words.index("view") + 1)
    body = words.index("as", view.after) + 1
    query = session.dialect.render(read.sql, read.tokens[body:])
    with session.backend.cursor() as cursor:
        cursor.execute(f"SELECT * FROM ({query}) described LIMIT 0")
        names = [column.name.replace('"', '""') for column in cursor.description]
        types = [spelled_type(cursor, column) for column in list(cursor.description)]
    given = [token.name for token in read.tokens[view.after + 1 : body - 2] if token.text != ","]
    columns = ", ".join(
        f'"{name}" {"varbyte" if kind.startswith("binary") else kind}'
        for name, kind in zip(given or names, types, strict=True)
    )
    literal = "'" + query.replace("\\", "\\\\").replace("'", "''") + "'"
    head = session.dialect.render(read.sql, read.tokens[: view.after])
    _run(session, f"{head} AS SELECT * FROM redshift.late_rows({literal}) AS late({columns})")
    return "", "CREATE VIEW"


def _maintain(session: Session, read: Performed) -> Outcome:
    skipped = {"full", "sort", "delete", "only", "reindex", "recluster", "verbose"}
    at = next((i for i, t in enumerate(read.tokens) if i and t.word not in skipped), None)
    name = (
        ""
        if at is None
        else session.dialect.render(read.sql, read.tokens[at : name_at(read.tokens, at).after])
    )
    _run(session, f"{read.kind} {name}")
    if name:
        said = {"stats_off": 0} if read.kind == "ANALYZE" else {"unsorted": 0, "deleted_rows": 0}
        _run(session, "SELECT redshift.note_traits(%s::regclass, %s)", (name, json.dumps(said)))
    return "", read.kind


_COMMANDS: dict[str, Callable[[Session, Performed], Outcome]] = {
    "UNLOAD": _unload, "COPY": _copy, "CREATE TABLE": _create_table, "TRUNCATE TABLE": _truncate,
    "ALTER TABLE": _alter_table, "CREATE VIEW": _late_binding_view, "ANALYZE": _maintain, "VACUUM": _maintain,
}  # fmt: skip

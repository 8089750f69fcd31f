"""What a database says of people's SQL, as one sentence: of a condition or a query that it does not accept.

No row has been read when it is said, so that the database's words quote nothing but the SQL.
"""

from __future__ import annotations

import re

import psycopg2
from psycopg2 import errorcodes

from skfleet_common.contracts.columns import SourceTable
from skfleet_common.contracts.errors import Refused, nearest

_NO_COLUMN = re.compile(r'column (?:"(?P<quoted>.+)"|(?P<bare>\S+)) does not exist')
_WRONG_TYPE = re.compile(r"must be type boolean, not type (?P<type>.+)$")

#: Classes of SQLSTATEs: a literal that its type does not take, a name or a syntax that does not exist …
_OWN_WORDS = frozenset({"22", "42", "0A", "21", "3F", "25"})


def condition_refusal(exc: psycopg2.Error, table: SourceTable, *, warehouse: str) -> Refused | None:
    """Give the sentence for an error that --where's own words caused."""
    said = _said(exc)
    if exc.pgcode == errorcodes.UNDEFINED_COLUMN and (found := _NO_COLUMN.search(said)):
        name = found["quoted"] or found["bare"]
        known = [column.name for column in table.columns]
        return Refused(f"--where asks for a column {name}, but {table.name} has none{nearest(name, known)}")
    if found := _WRONG_TYPE.search(said):
        return Refused(f"--where is of type {found['type']}, not a condition; compare it with something.")
    if exc.pgcode is not None and exc.pgcode[:2] in _OWN_WORDS:
        return Refused(f"--where is not accepted by {warehouse}: {said}.")
    return None


def query_refusal(exc: psycopg2.Error, *, warehouse: str) -> Refused | None:
    """Give the sentence for an error that --query's own words caused."""
    if exc.pgcode == errorcodes.INSUFFICIENT_PRIVILEGE:
        return Refused("--query reads what the warehouse role may not; grant it SELECT there.")
    if exc.pgcode is not None and exc.pgcode[:2] in _OWN_WORDS:
        return Refused(f"--query is not accepted by {warehouse}: {_said(exc).rstrip('.')}.")
    return None


def _said(exc: psycopg2.Error) -> str:
    return str(exc.diag.message_primary or "")

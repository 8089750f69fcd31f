"""Statements for Redshift: those that were sent, those that the code has, and those that are documented."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import sqlglot
from sqlglot import exp

_TABLES = Path(__file__).parents[2] / "common" / "skfleet_common" / "tables"

#: What the Amazon Redshift guide documents ("SQL commands": BEGIN, FETCH, LOCK, SHOW, ALTER TABLE) and
#: sqlglot has no grammar for; of BEGIN it knows READ WRITE alone. Only names are composed into them.
_KNOWN = re.compile(
    r'BEGIN READ ONLY|FETCH FORWARD \d+ FROM skfleet_rows|LOCK TABLE "[^"]+"\."([^"]|"")+"|'
    r'SHOW statement_timeout|ALTER TABLE "[^"]+"\."([^"]|"")+" OWNER TO "([^"]|"")+"'
)
#: What stands before a SELECT that is parsed by itself.
_BEFORE = re.compile(r"(DECLARE skfleet_rows CURSOR FOR|EXPLAIN) ")
#: UNLOAD takes its SELECT as a text, in which quotes and backslashes are doubled.
_UNLOAD = re.compile(
    r"UNLOAD \('(?P<select>.*)'\) TO 's3://[^']+' IAM_ROLE ('arn:[^']+'|default) FORMAT AS PARQUET "
    r"MANIFEST VERBOSE MAXFILESIZE \d+ MB ROWGROUPSIZE \d+ MB",
    re.DOTALL,
)

_VERBS = re.compile(
    r"(ALTER|BEGIN|COMMENT|COPY|CREATE|DECLARE|DELETE|DROP|EXPLAIN|FETCH|GRANT|INSERT|LOCK|REVOKE|SELECT|SET|SHOW|"
    r"TRUNCATE|UNLOAD|UPDATE)\s+\S+"
)

_NAME = r'"(?:[^"]|"")+"'


def parsed(statement: str) -> exp.Expression | None:
    """Parse a statement; None for one that only Redshift's manual knows.

    Raises:
        SqlglotError: it is not of Redshift's dialect.
        AssertionError: sqlglot did not understand it, either.
    """
    statement = statement.strip()
    if _KNOWN.fullmatch(statement):
        return None
    unload = _UNLOAD.fullmatch(statement)
    if unload is not None:
        statement = unload["select"].replace("''", "'").replace("\\\\", "\\")
    found = sqlglot.parse(_BEFORE.sub("", statement), dialect="redshift")
    # A view's definition ends with a semicolon.
    assert [one for one in found[1:] if one is not None] == [], statement
    assert found[0] is not None, statement
    assert not isinstance(found[0], exp.Command | exp.Alias), statement
    return found[0]


def system_names(statements: Iterable[str]) -> set[str]:
    """Give the system relations and functions that statements name."""
    names = set()
    for statement in statements:
        tree = parsed(statement)
        if tree is None:
            continue
        names |= {table.name for table in tree.find_all(exp.Table)}
        names |= {call.name for call in tree.find_all(exp.Anonymous)}
    return {name for name in names if re.match(r"pg_|svv_|stv_|stl_|sys_|has_|current_|format_", name)}


def documented(page: str) -> list[re.Pattern[str]]:
    """Give the statements of the page's tables, in which … stands for anything."""
    cells = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    texts = [text for cell in cells for text in re.findall(r"`([^`]+)`", cell)]
    statements = [text for text in texts if re.match(r"(?:[A-Z]{3,}\b)", text)]
    return [
        re.compile(".*".join(re.escape(part.strip(" ")) for part in text.split("…")), re.DOTALL)
        for text in statements
    ]


def as_documented(statement: str) -> str:
    """Spell a statement as the page does: ``t`` is a table, besides skfleet's own."""
    said = " ".join(statement.split()).replace("pg_catalog.", "")
    said = re.sub(rf'{_NAME}\."skfleet_publications"', "skfleet_publications", said)
    said = re.sub(rf'{_NAME}\."skfleet_staging_\w+"', "staging", said)
    said = re.sub(r'"skfleet_load_\w+"', "loaded", said)
    return re.sub(rf"{_NAME}\.{_NAME}", "t", said)


def composed() -> Iterator[re.Pattern[str]]:
    """Give what the code has of statements, each with anything in the place of what is put in."""
    for path in sorted([*(_TABLES / "redshift").glob("*.py"), *(_TABLES / "sql").glob("*.py")]):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and _is_sql(node.value):
                text = " ".join(node.value.split()).replace("%%", "%")
                parts = re.split(r"\{\w*\}|%\(\w+\)s|%s", text)
                yield re.compile(".*".join(map(re.escape, parts)), re.DOTALL)


def _is_sql(text: str) -> bool:
    return _VERBS.match(text.strip()) is not None

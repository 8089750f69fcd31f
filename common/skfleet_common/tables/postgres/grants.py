"""Owner and grants: who may do what with a table, and with which of its columns."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg2 import sql

from skfleet_common.contracts.chunks import TableName
from skfleet_common.tables.postgres.connect import Cursor
from skfleet_common.tables.sql.keeping import keep
from skfleet_common.tables.sql.selection import qualified

# A table without an access list is its owner's alone.
_RIGHTS = """
SELECT pg_catalog.pg_get_userbyid(c.relowner)::text, c.relacl IS NULL
FROM pg_catalog.pg_class c WHERE c.oid = %s
"""

_GRANTS = """
SELECT DISTINCT e.attname::text,
       CASE g.grantee WHEN 0 THEN NULL ELSE pg_catalog.pg_get_userbyid(g.grantee)::text END,
       g.privilege_type, g.is_grantable
FROM (SELECT NULL::name AS attname, c.relacl AS acl FROM pg_catalog.pg_class c WHERE c.oid = %(oid)s
      UNION ALL
      SELECT a.attname, a.attacl FROM pg_catalog.pg_attribute a
      WHERE a.attrelid = %(oid)s AND NOT a.attisdropped) e,
     pg_catalog.aclexplode(e.acl) g
ORDER BY 1 NULLS FIRST, 2 NULLS FIRST, 3, 4
"""


@dataclass(frozen=True)
class Grant:
    """One privilege of one role on a table, or on one of its columns; the role None is PUBLIC."""

    column: str | None
    role: str | None
    privilege: str
    is_grantable: bool


@dataclass(frozen=True)
class Rights:
    """Whose a table is, and what others and its owner may do with it."""

    owner: str
    #: Whether nothing was ever granted or revoked on the table itself.
    is_default: bool
    grants: tuple[Grant, ...]


def rights_of(cursor: Cursor, oid: int) -> Rights:
    """Read owner and grants; who granted is not kept, the owner grants anew."""
    cursor.execute(_RIGHTS, (oid,))
    ((owner, is_default),) = cursor.fetchall()
    cursor.execute(_GRANTS, {"oid": oid})
    return Rights(owner, is_default, tuple(Grant(*found) for found in cursor.fetchall()))


def give_rights(cursor: Cursor, staging: TableName, rights: Rights, columns: set[str]) -> None:
    """Give a table the owner and exactly the grants of another; default privileges gave it some already."""
    target = qualified(staging)
    cursor.execute("SELECT current_user::text = %s", (rights.owner,))
    (is_mine,) = cursor.fetchone() or (False,)
    if not is_mine:
        keep(
            cursor,
            f"its owner {rights.owner}",
            sql.SQL("ALTER TABLE {} OWNER TO {}").format(target, sql.Identifier(rights.owner)),
        )
    _revoke_all(cursor, staging, of_owner=not rights.is_default)
    for grant in rights.grants:
        if grant.column is not None and grant.column not in columns:
            continue
        on_column = (
            sql.SQL("") if grant.column is None else sql.SQL(" ({})").format(sql.Identifier(grant.column))
        )
        keep(
            cursor,
            f"the grants to {grant.role or 'PUBLIC'}",
            sql.SQL("GRANT {}{} ON {} TO {}{}").format(
                sql.SQL(grant.privilege),
                on_column,
                target,
                _role(grant.role),
                sql.SQL(" WITH GRANT OPTION" if grant.is_grantable else ""),
            ),
        )


def _revoke_all(cursor: Cursor, staging: TableName, *, of_owner: bool) -> None:
    """Take away what default privileges gave."""
    cursor.execute("SELECT %s::regclass::oid", (qualified(staging).as_string(cursor.connection),))
    ((oid,),) = cursor.fetchall()
    standing = rights_of(cursor, oid)
    roles = {grant.role for grant in standing.grants} - {standing.owner}
    if of_owner:
        roles.add(standing.owner)
    for role in sorted(roles, key=str):
        cursor.execute(sql.SQL("REVOKE ALL ON {} FROM {}").format(qualified(staging), _role(role)))


def _role(name: str | None) -> sql.Composable:
    return sql.SQL("PUBLIC") if name is None else sql.Identifier(name)

"""Owner and grants: who may do what with a table, and with which of its columns."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from psycopg2 import sql

from skfleet_common.contracts.chunks import TableName
from skfleet_common.contracts.errors import Refused
from skfleet_common.tables.redshift.connect import Cursor
from skfleet_common.tables.sql.keeping import keep
from skfleet_common.tables.sql.selection import qualified

_OWNER = """
SELECT pg_catalog.pg_get_userbyid(c.relowner), c.relacl FROM pg_catalog.pg_class c WHERE c.oid = %s
"""

# "SVV_RELATION_PRIVILEGES" and "SVV_COLUMN_PRIVILEGES" (Amazon Redshift guide): groups and roles, too.
_GRANTS = """
SELECT privilege_type, identity_name, identity_type, admin_option FROM svv_relation_privileges
WHERE namespace_name = %s AND relation_name = %s
"""
_COLUMN_GRANTS = """
SELECT column_name, privilege_type, identity_name, identity_type FROM svv_column_privileges
WHERE namespace_name = %s AND relation_name = %s
"""

#: What GRANT takes; of what ALL gives besides (RULE, TRIGGER) nothing can be used in Redshift.
_PRIVILEGES = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "DROP", "REFERENCES", "ALTER", "TRUNCATE"})

#: An entry of an access list, ``"group my readers=r/owner"``; PUBLIC's begins with the equals sign.
_ENTRY = re.compile(r'"((?:[^"\\]|\\.)*)"|([^,"{}]+)')


@dataclass(frozen=True, order=True)
class Grant:
    """One privilege of a user, group or role on a table, or on one of its columns."""

    column: str | None
    privilege: str
    #: user, group, role or public.
    kind: str
    name: str
    is_grantable: bool = False

    @property
    def grantee(self) -> sql.Composable:
        """Who has it, as GRANT takes it."""
        if self.kind == "public":
            return sql.SQL("PUBLIC")
        word = {"group": "GROUP ", "role": "ROLE "}.get(self.kind, "")
        return sql.SQL(word + "{}").format(sql.Identifier(self.name))


@dataclass(frozen=True)
class Rights:
    """Whose a table is, and what others may do with it."""

    owner: str
    grants: frozenset[Grant]


def may_act_as(cursor: Cursor, owner: str) -> bool:
    """Whether the warehouse role may do what the owner of something may."""
    cursor.execute("SELECT current_user, usesuper FROM pg_catalog.pg_user WHERE usename = current_user")
    ((user, is_superuser),) = cursor.fetchall()
    return bool(user == owner or is_superuser)


def rights_of(cursor: Cursor, table: TableName, oid: int) -> Rights:
    """Read owner and grants; who granted is not kept, the owner grants anew.

    Raises:
        Refused: others have rights that the warehouse role may not see.
    """
    cursor.execute(_OWNER, (oid,))
    ((owner, acl),) = cursor.fetchall()
    cursor.execute(_GRANTS, (table.schema_name, table.name))
    found = {
        Grant(None, what.upper(), kind, name, bool(again)) for what, name, kind, again in cursor.fetchall()
    }
    unseen = sorted(
        _grantees(acl) - {"" if grant.kind == "public" else grant.name for grant in found} - {owner}
    )
    if unseen:
        raise Refused(
            f"The warehouse role may not see the rights that {unseen[0] or 'PUBLIC'} has on {table}, which a "
            "new one must have, too; give it a role with the system permission ACCESS SYSTEM TABLE, or use "
            "--if-exists append."
        )
    cursor.execute(_COLUMN_GRANTS, (table.schema_name, table.name))
    found |= {Grant(column, what.upper(), kind, name) for column, what, name, kind in cursor.fetchall()}
    return Rights(
        owner,
        frozenset(
            grant
            for grant in found
            if grant.privilege in _PRIVILEGES and not (grant.kind == "user" and grant.name == owner)
        ),
    )


def give_rights(cursor: Cursor, table: TableName, rights: Rights, columns: Iterable[str]) -> None:
    """Give a table the owner and exactly the grants of another; default privileges gave it some already."""
    cursor.execute(
        "SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = %s AND c.relname = %s",
        (table.schema_name, table.name),
    )
    ((oid,),) = cursor.fetchall()
    standing = rights_of(cursor, table, oid)
    target = qualified(table)
    for grantee in sorted({(grant.kind, grant.name) for grant in standing.grants - rights.grants}):
        one = Grant(None, "", *grantee)
        cursor.execute(sql.SQL("REVOKE ALL ON TABLE {} FROM {}").format(target, one.grantee))
    kept = set(columns)
    for grant in sorted(rights.grants, key=str):
        if grant.column is not None and grant.column not in kept:
            continue
        on_column = (
            sql.SQL("") if grant.column is None else sql.SQL(" ({})").format(sql.Identifier(grant.column))
        )
        keep(
            cursor,
            f"the grants to {grant.name or 'PUBLIC'}",
            sql.SQL("GRANT {}{} ON TABLE {} TO {}{}").format(
                sql.SQL(grant.privilege),
                on_column,
                target,
                grant.grantee,
                sql.SQL(" WITH GRANT OPTION" if grant.is_grantable else ""),
            ),
        )
    if standing.owner != rights.owner:
        keep(
            cursor,
            f"its owner {rights.owner}",
            sql.SQL("ALTER TABLE {} OWNER TO {}").format(target, sql.Identifier(rights.owner)),
        )


def _grantees(acl: str | None) -> set[str]:
    """Give the names in an access list, which everybody may read."""
    names = set()
    for quoted, bare in _ENTRY.findall(acl or ""):
        name = re.sub(r"\\(.)", r"\1", quoted) if quoted else bare
        name = name.rpartition("=")[0].removeprefix("group ").removeprefix("role ")
        names.add(name[1:-1].replace('""', '"') if name.startswith('"') else name)
    return names

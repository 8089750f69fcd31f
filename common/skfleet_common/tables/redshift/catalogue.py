"""The catalogue: which tables there are, their columns and types, and what a role may do with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from skfleet_common.contracts.chunks import TableName
from skfleet_common.contracts.columns import SourceTable
from skfleet_common.contracts.errors import Refused
from skfleet_common.contracts.jobs import IfExists, OutputColumn
from skfleet_common.tables.port import Selection
from skfleet_common.tables.query import check_query
from skfleet_common.tables.redshift.conditions import check_condition_in
from skfleet_common.tables.redshift.connect import Server
from skfleet_common.tables.redshift.outputs import NO_ROLE, refuse_output
from skfleet_common.tables.redshift.queries import describe_query
from skfleet_common.tables.redshift.relations import (
    NAME_LIMIT,
    columns_of,
    find_relation,
    no_table,
    schemas_of,
)
from skfleet_common.tables.sql.names import read_name
from skfleet_common.tables.where import check_condition


@dataclass(frozen=True)
class RedshiftCatalogue:
    """The :class:`~skfleet_common.tables.port.Catalogue` of Redshift."""

    server: Server
    #: With which Redshift reads the fleet's bucket; without one nothing can be published.
    iam_role: str | None = None

    def find_table(self, text: str) -> SourceTable:
        """Give the table, view or external table that ``text`` names.

        Raises:
            Refused: there is none, or the role may not read it.
        """
        written = read_name(text, NAME_LIMIT)
        with self.server.transaction(f"looking up {written}") as cursor:
            schemas = schemas_of(cursor, written)
            relation = find_relation(cursor, written, schemas)
            if relation is None:
                raise no_table(cursor, written, schemas)
            if not relation.is_readable:
                raise Refused(
                    f"The warehouse role may not read {relation.name}; grant it SELECT on the table and "
                    "USAGE on its schema."
                )
            return SourceTable(
                name=relation.name,
                columns=columns_of(cursor, relation),
                estimated_rows=relation.estimated_rows,
                can_sample=False,
            )

    def resolve_output(self, text: str) -> TableName:
        """Give the name of an output table: of the one that is there, else of the new one.

        Raises:
            Refused: its schema does not exist.
        """
        written = read_name(text, NAME_LIMIT)
        with self.server.transaction(f"looking up {written}") as cursor:
            schema = schemas_of(cursor, written)[0]
            found = find_relation(cursor, written, [schema])
            return found.name if found else TableName(schema_name=schema, name=written.name.spelling_if_new)

    def describe_query(self, text: str) -> Selection:
        """Give what ``text`` selects, with its columns, if it is exactly one query that only reads.

        Raises:
            Refused: it is not, or the database does not accept it.
        """
        query = check_query(text, dialect="redshift")
        with self.server.transaction("checking --query") as cursor:
            return describe_query(cursor, query)

    def check_where(self, table: SourceTable, text: str) -> str:
        """Give ``text`` rebuilt, if it is exactly one boolean expression over ``table``.

        Raises:
            Refused: it is not, or would not give the same answer each time.
        """
        condition = check_condition(text, dialect="redshift")
        with self.server.transaction(f"checking --where on {table.name}") as cursor:
            check_condition_in(cursor, table, condition)
        return condition.text

    def check_output(
        self,
        table: TableName,
        columns: Sequence[OutputColumn],
        *,
        if_exists: IfExists,
        cascade_views: bool = False,
    ) -> None:
        """Refuse an output table that publishing would not be able to make, append to or replace."""
        if self.iam_role is None:
            raise Refused(NO_ROLE)
        with self.server.transaction(f"checking the output table {table}") as cursor:
            refuse_output(cursor, table, columns, if_exists=if_exists, cascade_views=cascade_views)

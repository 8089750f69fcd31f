"""Unloading with ``--read unload``: one statement, one snapshot; workers read files instead of Redshift."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from psycopg2 import sql

from skfleet_common.contracts.columns import SourceTable
from skfleet_common.contracts.errors import Refused, UnreadableValue
from skfleet_common.contracts.file_sources import FileColumn
from skfleet_common.tables.port import Selection
from skfleet_common.tables.redshift.connect import Server
from skfleet_common.tables.redshift.unload_faults import unload_faults
from skfleet_common.tables.redshift.unload_statement import unload_statement
from skfleet_common.tables.redshift.unloaded_columns import UnloadedColumns
from skfleet_common.tables.sql.interruptible import run_interruptibly
from skfleet_common.tables.sql.selection import from_selection
from skfleet_common.tables.unload_sizes import UnloadSizes

_NO_ROLE = (
    "Redshift unloads with an IAM role of its own, and none is named; set SKFLEET_REDSHIFT_IAM_ROLE to its "
    "ARN, or to default, or use --read select."
)


@dataclass(frozen=True)
class RedshiftUnloader:
    """The :class:`~skfleet_common.tables.port.Unloader` of Redshift."""

    server: Server
    #: With which Redshift writes to the fleet's bucket: an ARN, or ``default``.
    iam_role: str | None

    @property
    def has_role(self) -> bool:
        """Whether there is a role to unload with."""
        return self.iam_role is not None

    def columns(
        self, table: SourceTable, *, features: Sequence[str], verbatim: Sequence[str]
    ) -> tuple[FileColumn, ...]:
        """Give what the files' columns will be.

        Raises:
            Refused: a column cannot be written, or no IAM role is set.
        """
        if self.iam_role is None:
            raise Refused(_NO_ROLE)
        return UnloadedColumns.of(table, features=features, verbatim=verbatim).files

    def sizes(
        self, table: SourceTable, *, features: Sequence[str], verbatim: Sequence[str], chunk_rows: int
    ) -> UnloadSizes:
        """Give how large files and row groups will be, for chunks of about so many rows."""
        chosen = UnloadedColumns.of(table, features=features, verbatim=verbatim)
        return UnloadSizes.of(chunk_rows, row_bytes=chosen.row_bytes)

    def unload(
        self,
        source: Selection,
        *,
        features: Sequence[str],
        verbatim: Sequence[str],
        to: str,
        sizes: UnloadSizes,
        alive: Callable[[], None],
    ) -> int:
        """Write the rows of a selection below ``to``, and ``manifest`` beside them; gives how many there are.

        Interrupted, the statement is cancelled; what it had written stays.

        Raises:
            PlaceTaken: there are files below ``to`` already.
            Refused: a right is missing, which the sentence names, or a value cannot be given.
            TryAgain: S3 did not answer, or the connection broke.
        """
        if self.iam_role is None:
            raise Refused(_NO_ROLE)
        chosen = UnloadedColumns.of(source.table, features=features, verbatim=verbatim)
        query = sql.SQL("SELECT {} {}").format(chosen.select_list(), from_selection(source))
        try:
            # Not read-only: what Redshift thinks of UNLOAD there, the Amazon Redshift guide does not say.
            with self.server.transaction(f"unloading {source.table.name}", read_only=False) as cursor:
                statement = unload_statement(cursor, query, to=to, iam_role=self.iam_role, sizes=sizes)
                with unload_faults(source.table.name, to=to, iam_role=self.iam_role):
                    run_interruptibly(cursor.connection, lambda: cursor.execute(statement), alive=alive)
                cursor.execute("SELECT pg_last_unload_count()")
                ((rows,),) = cursor.fetchall()
        except UnreadableValue as error:
            raise Refused(
                f"Redshift cannot give a value of {source.table.name} ({error.condition}), and UNLOAD fails "
                "for one; mend the rows, or use --read select, which sets them aside."
            ) from error
        return int(rows)

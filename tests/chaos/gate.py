"""The gate: reads of a trial's view wait where it is shut, so that faults hit at a defined point.

The view takes a shared advisory lock for the chunk of each row; whoever holds that chunk's lock exclusively
stops the reader. Held by chunks, a gate can be moved on without letting anybody slip through.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812  (a class with a lower-case name)

#: The first of the two advisory keys; the second is the chunk.
CLASS = 4711
#: Chunks at most; one more lock does no harm.
MOST_CHUNKS = 64


def view(name: str, table: str, first_ids: Sequence[int] = ()) -> str:
    """Give the statement that makes the view; without ``first_ids`` of chunks, nothing ever waits."""
    where = ""
    if first_ids:
        bounds = ", ".join(str(first) for first in first_ids)
        chunk = f"width_bucket(id, ARRAY[{bounds}]::bigint[]) - 1"
        where = f" WHERE pg_advisory_xact_lock_shared({CLASS}, {chunk})::text IS NOT NULL"
    return f"CREATE OR REPLACE VIEW {name} AS SELECT * FROM {table}{where}"


class Gate:
    """Holds the chunks from one number on."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session: Connection | None = None
        self._held: list[int] = []

    def shut(self, first: int, chunks: int) -> None:
        """Stop the reads of chunk ``first`` and of those after it."""
        self.open()
        self._session = psycopg2.connect(self._url)
        self._session.autocommit = True
        self._held = list(range(first, chunks))
        with self._session.cursor() as cursor:
            for chunk in self._held:
                cursor.execute("SELECT pg_advisory_lock(%s, %s)", (CLASS, chunk))

    def shut_again(self) -> bool:
        """Stop the same chunks once more after a restart of the server; False while it takes no sessions."""
        held = self._held
        try:
            self.shut(held[0], held[-1] + 1)
        except psycopg2.OperationalError:
            self._held = held
            return False
        return True

    def move(self, first: int) -> None:
        """Let the chunks before ``first`` go on."""
        passing = [chunk for chunk in self._held if chunk < first]
        self._held = [chunk for chunk in self._held if chunk >= first]
        if self._session is None:
            return
        # The server may have been restarted, which opens every gate.
        with suppress(psycopg2.Error), self._session.cursor() as cursor:
            for chunk in passing:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", (CLASS, chunk))

    @property
    def held(self) -> list[int]:
        """The chunks that nobody can read to their end."""
        return list(self._held)

    def open(self) -> None:
        """Let all go on."""
        if self._session is not None:
            self._session.close()
        self._session = None
        self._held = []

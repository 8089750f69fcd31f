"""Rows that come and go while the job reads: the plan's counts no longer hold."""

from __future__ import annotations

from tests.chaos.fault import Fault
from tests.chaos.trial import Trial


class RowsInserted(Fault):
    """Rows appear in a chunk that nobody has read."""

    reason = "rows were planned"

    def strike(self, trial: Trial) -> None:
        # Ids are even, so there is room between them.
        first = trial.first_ids()[trial.an_unread_chunk()]
        trial.place.sql(
            f"INSERT INTO {trial.table} SELECT {first} + 1 + 2 * n, 200, 'UA', true"
            " FROM generate_series(0, 2) AS n"
        )

    def mend(self, trial: Trial) -> None:
        trial.place.sql(f"DELETE FROM {trial.table} WHERE id % 2 = 1")


class RowsDeleted(Fault):
    """Rows vanish from a chunk that nobody has read."""

    reason = "rows were planned"

    def strike(self, trial: Trial) -> None:
        first = trial.first_ids()[trial.an_unread_chunk()]
        some = f"{trial.table} WHERE id BETWEEN {first} AND {first + 4}"
        trial.place.sql(f"CREATE TABLE {trial.table}_kept AS SELECT * FROM {some}; DELETE FROM {some}")

    def mend(self, trial: Trial) -> None:
        trial.place.sql(
            f"INSERT INTO {trial.table} SELECT * FROM {trial.table}_kept ON CONFLICT DO NOTHING;"
            f" DROP TABLE {trial.table}_kept"
        )


class RowsInsertedBehind(Fault):
    """Rows appear where the job has read already: it scored the table as it was, and must succeed."""

    def strike(self, trial: Trial) -> None:
        trial.place.sql(
            f"INSERT INTO {trial.table} SELECT 3 + 2 * n, 200, 'UA', true FROM generate_series(0, 2) AS n"
        )

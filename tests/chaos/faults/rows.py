"""Rows that come and go while the job reads: the plan's counts no longer hold."""

from __future__ import annotations

from typing import ClassVar

import pandas as pd
from tests.chaos.fault import Fault
from tests.chaos.trial import Trial

from skfleet_common.contracts.jobs import OnDrift

ROWS = 3
#: Ids of the table are even, so there is room between them.
STEP = 2


def _insert(trial: Trial, first: int) -> pd.DataFrame:
    """Insert rows between those from an id on, and give them."""
    ids = [first + 1 + STEP * number for number in range(ROWS)]
    for new in ids:
        trial.place.sql(f"INSERT INTO {trial.table} VALUES (%s, 200, 'UA', true)", new)
    return pd.DataFrame({"id": ids, "miles": 200.0, "carrier": "UA"})


class RowsInserted(Fault):
    """Rows appear in a chunk that nobody has read."""

    reason = "rows were planned"
    changes_rows = True

    def strike(self, trial: Trial) -> None:
        self.inserted = _insert(trial, trial.first_ids()[trial.an_unread_chunk()])

    def mend(self, trial: Trial) -> None:
        for new in self.inserted["id"]:
            trial.place.sql(f"DELETE FROM {trial.table} WHERE id = %s", int(new))


class RowsDeleted(Fault):
    """Rows vanish from a chunk that nobody has read."""

    reason = "rows were planned"
    changes_rows = True

    def strike(self, trial: Trial) -> None:
        first = trial.first_ids()[trial.an_unread_chunk()]
        self.some = (first, first + STEP * ROWS - 1)
        within = f"{trial.table} WHERE id BETWEEN {self.some[0]} AND {self.some[1]}"
        trial.place.sql(f"CREATE TABLE {trial.table}_kept AS SELECT * FROM {within}; DELETE FROM {within}")

    def mend(self, trial: Trial) -> None:
        trial.place.sql(
            f"INSERT INTO {trial.table} SELECT * FROM {trial.table}_kept ON CONFLICT DO NOTHING;"
            f" DROP TABLE {trial.table}_kept"
        )


class RowsInsertedKnowingly(RowsInserted):
    """The same, and the request says that it may happen: they are scored, and the certificate names them."""

    reason = None
    asks: ClassVar = {"on_drift": OnDrift.WARN}

    def strike(self, trial: Trial) -> None:
        super().strike(trial)
        both = pd.concat([trial.expected, self.inserted])
        trial.expected = both.sort_values("id", ignore_index=True)

    def mend(self, trial: Trial) -> None:
        """They stay."""


class RowsDeletedKnowingly(RowsDeleted):
    """The same, and the request says that it may happen."""

    reason = None
    asks: ClassVar = {"on_drift": OnDrift.WARN}

    def strike(self, trial: Trial) -> None:
        super().strike(trial)
        is_gone = trial.expected["id"].between(*self.some)
        trial.expected = trial.expected[~is_gone].reset_index(drop=True)

    def mend(self, trial: Trial) -> None:
        trial.place.sql(f"DROP TABLE {trial.table}_kept")


class RowsInsertedBehind(Fault):
    """Rows appear where the job has read already: it scored the table as it was, and must succeed."""

    changes_rows = True

    def strike(self, trial: Trial) -> None:
        committed = trial.wait_for(trial.commits, "a chunk is committed")[0]
        _insert(trial, trial.first_ids()[committed.chunk])

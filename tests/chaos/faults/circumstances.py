"""What a job may ask for or meet without anything being broken, and what must be true of it in the end."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import ClassVar

import pyarrow.parquet as pq
from tests.chaos.fault import Circumstance, Fault
from tests.chaos.trial import Trial

from skfleet_common.contracts.jobs import IfExists

MOST_REJECTS = 5
#: The rows of a view over the output that is replaced.
VIEW = "SELECT count(*), min(id) FROM {}"


class RowsRejected(Circumstance):
    """Some rows cannot be scored, and --max-rejects allows for them: they are listed, each once."""

    asks: ClassVar = {"max_rejects": MOST_REJECTS}
    changes_rows = True

    def prepare(self, trial: Trial) -> None:
        self.ids = {int(id_) for id_ in self.rng.sample(list(trial.expected["id"]), MOST_REJECTS)}
        for id_ in sorted(self.ids):
            spoil_row(trial, id_)
        is_rejected = trial.expected["id"].isin(self.ids)
        trial.expected = trial.expected[~is_rejected].reset_index(drop=True)
        trial.quarantined = len(self.ids)

    def problems(self, trial: Trial) -> Iterable[str]:
        store = trial.place.cloud.store
        listed: list[int] = []
        for commit in trial.commits():
            if commit.rejects_key is not None:
                rows = pq.read_table(io.BytesIO(store.get(commit.rejects_key))).to_pylist()
                listed += [int(row["id"]) for row in rows if row["quarantined"] and row["reason"]]
        if sorted(listed) != sorted(self.ids):
            yield f"the rejects list {sorted(listed)}, not exactly {sorted(self.ids)}"


class RowsRefused(Fault):
    """A row ahead of the readers cannot be scored, and none may be rejected: the job fails and names it."""

    reason = "cannot be read or scored"
    changes_rows = True

    def strike(self, trial: Trial) -> None:
        self.id = trial.first_ids()[trial.an_unread_chunk()]
        spoil_row(trial, self.id)

    def mend(self, trial: Trial) -> None:
        record = trial.place.cloud.tracker.job(trial.job)
        #: Of several faults that end a job, another may have been faster.
        self.is_named = f"id={self.id}" in str(record.reason) or "cannot be read" not in str(record.reason)
        miles = float(trial.expected.set_index("id").loc[self.id, "miles"])
        trial.place.sql(f"UPDATE {trial.table} SET miles = %s WHERE id = %s", miles, self.id)

    def problems(self, trial: Trial) -> Iterable[str]:
        if not self.is_named:
            yield f"the failure does not name the row that cannot be scored, id={self.id}"


def spoil_row(trial: Trial, id_: int) -> None:
    """Make a row one that no model can score."""
    trial.place.sql(f"UPDATE {trial.table} SET miles = 'Infinity' WHERE id = %s", id_)


class ViewsCascade(Circumstance):
    """A view over the output that is replaced; --cascade-views points it at the successor."""

    asks: ClassVar = {"if_exists": IfExists.REPLACE, "cascade_views": True}

    def prepare(self, trial: Trial) -> None:
        self.view = f"{trial.name}_seen"
        trial.place.sql(f"CREATE VIEW {self.view} AS SELECT * FROM {trial.output}")

    def problems(self, trial: Trial) -> Iterable[str]:
        seen, published = (trial.place.sql(VIEW.format(name)) for name in (self.view, trial.output))
        if seen != published:
            yield f"the view over the output shows {seen}, and the output has {published}"

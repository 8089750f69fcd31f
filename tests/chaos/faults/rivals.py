"""Another job that writes to the same table at the same time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import numpy as np
import pandas as pd
from tests.chaos.faults.swap import InSwap
from tests.chaos.trial import Trial
from tests.chaos.verbs import insist

from skfleet.request import PredictRequest
from skfleet_common.contracts.errors import JobFailed, WaitTimedOut
from skfleet_common.contracts.jobs import IfExists

ROWS = 100
#: Beyond all ids of a trial's own table.
FIRST_ID = 1_000_001
#: A job of one chunk that has to wait for its turn.
END_SECONDS = 45.0
WAITS = "so this one waits for it"


class Rival(InSwap):
    """While a job is in mid-swap, another comes to append to its table: it waits, and both have effect."""

    asks: ClassVar = {"if_exists": IfExists.APPEND}

    def strike(self, trial: Trial) -> None:
        self.swap.wait_for_backend()
        table = f"{trial.name}_rival"
        trial.place.sql(
            f"CREATE TABLE {table} AS SELECT n::bigint AS id, (n % 1000)::double precision AS miles,"
            f" 'UA'::text AS carrier FROM generate_series({FIRST_ID}, {FIRST_ID + ROWS - 1}) AS n;"
            f" ALTER TABLE {table} ADD PRIMARY KEY (id)"
        )
        asked = PredictRequest(
            model=trial.request.model,
            table=f"public.{table}",
            id_columns=("id",),
            output_table=trial.request.output_table,
            if_exists=IfExists.APPEND,
            token=table,
        )
        self.job = insist(trial, lambda: trial.place.fleet.submit(asked))
        trial.say("the other job is submitted")
        trial.publications += 1
        trial.wait_for(lambda: _is_told(trial, self.job.id), "the other job waits for its turn")
        trial.say("the other job waits for its turn")

    def problems(self, trial: Trial) -> Iterable[str]:
        try:
            self.job.wait(END_SECONDS)
        except (JobFailed, WaitTimedOut) as exc:
            yield f"the other job has not succeeded: {exc}"
        where = f"FROM {trial.output} WHERE id >= {FIRST_ID}"
        rows = trial.place.sql(f"SELECT * {where} ORDER BY id")
        ids = list(range(FIRST_ID, FIRST_ID + ROWS))
        if [row[0] for row in rows] != ids:
            yield f"the other job has {len(rows)} rows in the table, not exactly its {ROWS}"
            return
        frame = pd.DataFrame({"miles": [float(id_ % 1000) for id_ in ids], "carrier": "UA"})
        _, probabilities = trial.place.predict(frame)
        if not np.array_equal(np.array([row[2:] for row in rows]), probabilities):
            yield "the other job's probabilities are not those of the model"
        # The rest of the verdict is about the trial's own rows.
        trial.place.sql(f"DELETE {where}")


def _is_told(trial: Trial, job: str) -> bool:
    return any(
        entry.get("job") == job and WAITS in str(entry.get("reason"))
        for worker in trial.place.workers
        for entry in worker.entries(since=trial.logs_from[worker.name])
    )

"""The demo's steps: stack, table, model, job, and how well the scores rank flights nobody has shown it."""

from __future__ import annotations

import time
from pathlib import Path

import psycopg2
from pydantic import BaseModel, ConfigDict
from sklearn.metrics import roc_auc_score

from skfleet.api import Fleet, connect
from skfleet.flights import TABLE, load_flights
from skfleet.local.home import find_home
from skfleet.local.stack import Stack
from skfleet.progress import Steps
from skfleet.target import warehouse_url
from skfleet_common.contracts.errors import JobFailed
from skfleet_common.settings import Settings

MODEL = "flights-delay"
OUTPUT_TABLE = "public.flight_scores"

#: Known only once the flight has arrived, so no features for a prediction at departure.
KNOWN_TOO_LATE = ("arr_time", "arr_delay", "air_time")

LEARN_FROM = "month <= 9"


class DemoFigures(BaseModel):
    """What the demo has to show."""

    model_config = ConfigDict(frozen=True)

    job: str
    rows_in: int
    rows_out: int
    rows_rejected: int
    chunks: int
    rows_per_second: float
    job_seconds: float
    seconds: float
    roc_auc: float
    output_table: str
    warehouse: str
    bucket: str
    model_key: str
    job_key: str
    state_dir: Path


def run_demo(*, workers: int, steps: Steps) -> DemoFigures:
    """Run the main job on the local stack, which stays up."""
    began = time.monotonic()
    settings = Settings.load()
    Stack(find_home(settings), settings).up(workers=workers, steps=steps)
    fleet = connect(settings, steps=steps)
    load_flights(warehouse_url(fleet.settings), steps)
    trained = fleet.train(
        table=TABLE,
        target="arr_late",
        id_column="id",
        name=MODEL,
        where=LEARN_FROM,
        exclude=KNOWN_TOO_LATE,
    )
    job = fleet.predict(
        model=f"{MODEL}@{trained.digest}",
        table=TABLE,
        id_column="id",
        output_table=OUTPUT_TABLE,
        if_exists="replace",
    )
    status = job.wait(steps=steps)
    if status.rows_scored is None or status.rows_rejected is None:
        raise JobFailed(f"Job {job.id} succeeded without saying how many rows it scored; look at its status.")
    return DemoFigures(
        job=job.id,
        rows_in=status.rows,
        rows_out=status.rows_scored,
        rows_rejected=status.rows_rejected,
        chunks=status.chunks,
        rows_per_second=status.rows / max(status.seconds, 1e-9),
        job_seconds=status.seconds,
        seconds=time.monotonic() - began,
        roc_auc=judge(fleet),
        output_table=OUTPUT_TABLE,
        warehouse=fleet.warehouse.address,
        bucket=str(fleet.settings.bucket),
        model_key=fleet.cloud.names.bundle_file(MODEL, trained.digest, ""),
        job_key=fleet.cloud.names.job_prefix(job.id),
        state_dir=find_home(settings),
    )


def judge(fleet: Fleet) -> float:
    """Give the area under the ROC curve of the published scores, on months that the model has not seen."""
    connection = psycopg2.connect(warehouse_url(fleet.settings))
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT arr_late, proba_true FROM public.flights JOIN public.flight_scores USING (id) "
                "WHERE arr_late IS NOT NULL AND month >= 10"
            )
            late, scores = zip(*cursor.fetchall(), strict=True)
    finally:
        connection.close()
    return float(roc_auc_score(late, scores))

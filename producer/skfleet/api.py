"""The Python API: a fleet, on which models are trained, tables scored and jobs watched.

fleet = skfleet.connect()
job = fleet.predict(
model="flights-delay", table="public.flights", id_column="id", output_table="public.flight_scores"
)
job.wait()
"""

from __future__ import annotations

from functools import cached_property
from typing import Unpack

from skfleet.cleanup import OLDER_THAN_DAYS, CleanUp, clean_up
from skfleet.files.uploads import frame_file
from skfleet.job import Job, find_job, newest_jobs
from skfleet.predict_request import PredictKeywords, predict_request
from skfleet.preflight import Prepared
from skfleet.progress import Silent, Steps
from skfleet.redrive import Redriven, redrive
from skfleet.register import register_model
from skfleet.register_request import RegisterKeywords, register_request
from skfleet.registry import Registry
from skfleet.request import PredictRequest
from skfleet.submissions import Submissions
from skfleet.target import describe_target, open_target_warehouse, resolve_target
from skfleet.train_request import TrainKeywords, train_request
from skfleet.training import TrainedModel, TrainingPlan, plan_training, train_model
from skfleet_common.aws.session import Cloud, connect_cloud
from skfleet_common.aws.trust import Trust
from skfleet_common.aws.user_files import UserFiles
from skfleet_common.contracts.errors import UsageError
from skfleet_common.contracts.jobs import JobRecord
from skfleet_common.model.bundle import Bundle
from skfleet_common.settings import Settings
from skfleet_common.tables.port import Publisher, Warehouse


class Fleet:
    """One fleet: its bucket, queue, tracker, warehouse and models."""

    def __init__(self, settings: Settings, *, steps: Steps | None = None) -> None:
        self.settings = settings
        self._steps = steps or Silent()

    @cached_property
    def cloud(self) -> Cloud:
        """The fleet's queue, store and tracker."""
        return connect_cloud(self.settings)

    @cached_property
    def warehouse(self) -> Warehouse:
        """The warehouse that ``SKFLEET_WAREHOUSE_URL`` names."""
        return open_target_warehouse(self.settings)

    @cached_property
    def registry(self) -> Registry:
        """The fleet's models."""
        return Registry(self.cloud.store, self.cloud.names, Trust.of(self.settings))

    @property
    def target(self) -> str:
        """Which fleet this is, in words for a person."""
        return describe_target(self.settings)

    def train(self, **asked: Unpack[TrainKeywords]) -> TrainedModel:
        """Fit preprocessing and estimator in memory, and register the bundle.

        The keyword arguments are those of :class:`~skfleet.train_request.TrainKeywords`: ``target`` and
        ``name``, one of ``table``, ``query``, ``csv``, ``parquet`` and ``frame``, and what shapes the fit.

        Raises:
            Refused: the source, its columns or values do not make a model; the sentence says why.
        """
        return train_model(
            train_request(**asked),
            open_warehouse=lambda: self.warehouse,
            open_files=self._user_files,
            registry=self.registry,
            steps=self._steps,
        )

    def plan_training(self, **asked: Unpack[TrainKeywords]) -> TrainingPlan:
        """Say what :meth:`train` would learn from: columns, types, roles and rows; nothing is fitted.

        Raises:
            Refused: what :meth:`train` would refuse before the fit.
        """
        return plan_training(
            train_request(**asked),
            open_warehouse=lambda: self.warehouse,
            open_files=self._user_files,
            steps=self._steps,
        )

    def register(self, **asked: Unpack[RegisterKeywords]) -> TrainedModel:
        """Register a model that was fitted elsewhere; a sample of rows gives it manifest and golden rows.

        The keyword arguments are those of :class:`~skfleet.register_request.RegisterKeywords`: ``model`` and
        ``name``, and ``sample`` or ``table``.

        Raises:
            Refused: model and sample do not make a bundle that every worker can reproduce.
        """
        return register_model(
            register_request(**asked),
            open_warehouse=lambda: self.warehouse,
            open_files=self._user_files,
            registry=self.registry,
            allow_joblib=self.settings.allow_joblib,
            steps=self._steps,
        )

    def load(self, reference: str) -> Bundle:
        """Give the verified bundle of ``NAME`` or ``NAME@<digest prefix>``; it predicts on DataFrames."""
        return self.registry.open(reference)

    def plan(self, request: PredictRequest) -> Prepared:
        """Run the preflight and cut the chunks, and send nothing.

        Files of this host are uploaded for it, and removed again.
        """
        return self._submissions.plan(request)

    def submit(self, request: PredictRequest) -> Job:
        """Submit the request; the same request again, while its job lives, gives that job."""
        return self._job(self._submissions.submit(request))

    def predict(self, **asked: Unpack[PredictKeywords]) -> Job:
        """Score a table, files or a frame on the fleet; gives the job at once.

        The keyword arguments are those of :class:`~skfleet.predict_request.PredictKeywords`: ``model``, one
        of ``table``, ``csv``, ``parquet`` and ``frame``, and ``output_table`` or ``output``.

        Raises:
            Refused: the preflight refuses, before anything is sent.
        """
        frame = asked.pop("frame", None)
        if frame is None:
            return self.submit(predict_request(**asked))
        if any(asked.get(name) for name in ("table", "csv", "parquet")):
            raise UsageError("Name one thing to score: table, csv, parquet or frame.")
        with frame_file(frame) as path:
            asked["parquet"] = path
            return self.submit(predict_request(**asked))

    def jobs(self, limit: int = 20) -> list[Job]:
        """Give the newest jobs, newest first."""
        return newest_jobs(self.cloud, limit, open_publisher=self._publisher)

    def job(self, job: str) -> Job:
        """Give a job by its id.

        Raises:
            Refused: there is none.
        """
        return find_job(
            self.cloud, job, stall_seconds=self.settings.stall_seconds, open_publisher=self._publisher
        )

    def redrive(self, *, limit: int | None = None, dry_run: bool = False) -> Redriven:
        """Send dead letters back to the queue, at most ``limit``; those whose job has ended are dropped."""
        return redrive(self.cloud, limit=limit, dry_run=dry_run, steps=self._steps)

    def clean_up(self, *, older_than_days: float = OLDER_THAN_DAYS, dry_run: bool = False) -> CleanUp:
        """Remove what ended jobs left in bucket and warehouse; what a live job needs is never touched."""
        return clean_up(
            self.cloud,
            older_than_days=older_than_days,
            dry_run=dry_run,
            steps=self._steps,
            open_publisher=self._publisher if self.settings.warehouse_url else None,
        )

    @property
    def _submissions(self) -> Submissions:
        return Submissions(
            cloud=self.cloud,
            fleet=self.settings.fleet,
            registry=self.registry,
            open_warehouse=lambda: self.warehouse,
            steps=self._steps,
        )

    def _job(self, record: JobRecord) -> Job:
        return Job(
            record,
            self.cloud,
            stall_seconds=self.settings.stall_seconds,
            open_publisher=self._publisher,
        )

    def _user_files(self) -> UserFiles:
        return UserFiles(self.cloud.store.client, self.cloud.store.where)

    def _publisher(self) -> Publisher:
        return self.warehouse.publisher


def connect(settings: Settings | None = None, *, steps: Steps | None = None) -> Fleet:
    """Give the fleet that ``settings`` name: by default the environment's, else the running local stack's.

    Raises:
        UsageError: a setting is unknown or not allowed.
        EnvironmentFault: nothing names a fleet.
    """
    return Fleet(resolve_target(settings or Settings.load()), steps=steps)


def load(reference: str) -> Bundle:
    """Give the verified bundle of a registered model, from the fleet of :func:`connect`."""
    return connect().load(reference)

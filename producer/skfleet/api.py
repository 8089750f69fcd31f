"""The Python API: a fleet, on which models are trained, tables scored and jobs watched.

fleet = skfleet.connect()
job = fleet.predict(
model="flights-delay", table="public.flights", id_column="id", output_table="public.flight_scores"
)
job.wait()
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from functools import cached_property
from typing import TypeVar, Unpack

from skfleet.cleanup import OLDER_THAN_DAYS, CleanUp, clean_up
from skfleet.fit_keywords import several
from skfleet.job import Job, find_job, newest_jobs
from skfleet.preflight import Prepared, check_others, prepare
from skfleet.progress import Silent, Steps
from skfleet.redrive import Redriven, redrive
from skfleet.register import register_model
from skfleet.register_request import RegisterKeywords, register_request
from skfleet.registry import Registry
from skfleet.request import PredictRequest
from skfleet.submit import find_submitted, send_messages, submit
from skfleet.target import describe_target, open_target_warehouse, resolve_target
from skfleet.train_request import TrainKeywords, train_request
from skfleet.training import TrainedModel, TrainingPlan, plan_training, train_model
from skfleet_common.aws.session import Cloud, connect_cloud
from skfleet_common.aws.trust import Trust
from skfleet_common.aws.user_files import UserFiles
from skfleet_common.contracts.errors import UsageError
from skfleet_common.contracts.jobs import IfExists, JobRecord, OnDrift
from skfleet_common.contracts.states import JobState
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
        """Run the preflight and cut the chunks, and send nothing."""
        self._resolved(request)
        bundles: list[Bundle] = []
        with self._steps.step("Opening the model", unit="bundles", total=len(request.models)) as step:
            for reference in request.models:
                bundles.append(self.registry.open(reference))
                step.reach(len(bundles))
        prepared = prepare(
            request,
            bundles=bundles,
            warehouse=self.warehouse,
            workers=self.cloud.tracker.workers(),
            steps=self._steps,
        )
        others = self.cloud.tracker.live_jobs_writing_to(prepared.output_table)
        return replace(prepared, warnings=(*prepared.warnings, *check_others(prepared.output_table, others)))

    def submit(self, request: PredictRequest) -> Job:
        """Submit the request; the same request again, while its job lives, gives that job."""
        digests = self._resolved(request)
        asks = request.asks(self.settings.fleet)
        token = request.token or request.derived_token(fleet=self.settings.fleet, digests=digests)
        record = find_submitted(self.cloud, request, token=token, asks=asks)
        if record is not None:
            self._steps.note(f"The same request is job {record.job} already; going on with it.")
            if record.state is JobState.SUBMITTING:
                send_messages(record, cloud=self.cloud, steps=self._steps)
            return self._job(record)
        prepared = self.plan(request)
        for warning in prepared.warnings:
            self._steps.note(f"Note: {warning}")
        record = submit(
            request,
            prepared,
            cloud=self.cloud,
            fleet=self.settings.fleet,
            token=token,
            asks=asks,
            steps=self._steps,
        )
        return self._job(record)

    def predict(
        self,
        *,
        table: str,
        id_column: str | Sequence[str],
        output_table: str,
        model: str | None = None,
        models: Sequence[str] = (),
        outputs: str | Sequence[str] = (),
        split_column: str | None = None,
        if_exists: str = "fail",
        where: str | None = None,
        columns: Sequence[str] = (),
        chunk_rows: int | None = None,
        allow_all_null: Sequence[str] = (),
        on_drift: str = "fail",
        max_rejects: int = 0,
        cascade_views: bool = False,
        max_drift: float | None = None,
        token: str | None = None,
    ) -> Job:
        """Score a table on the fleet; gives the job at once.

        Args:
            table: ``schema.name`` of the table or view to score.
            id_column: One or several columns that identify rows: never NULL, unique.
            output_table: ``schema.name`` of the table to publish.
            model: ``NAME`` (its newest bundle) or ``NAME@<digest prefix>``.
            models: Several of them instead: each scores what is read once, and its columns begin with its
                name.
            outputs: What to write of ``predict``, ``proba``, ``decision`` and ``transform``; by default what
                the model gives of the first two, or decision values without probabilities.
            split_column: The column whose ranges cut the table; the first id column by default.
            if_exists: ``fail``, ``append`` or ``replace``.
            where: A boolean expression in the warehouse's dialect.
            columns: Output columns to write, and columns of the table to carry along.
            chunk_rows: Rows a chunk; chosen from the model's speed by default.
            allow_all_null: Features that may be NULL in every row.
            on_drift: ``fail``, or ``warn`` to publish a table whose rows changed while the job ran.
            max_rejects: Rows that may be set aside because they cannot be read or scored, before the job
                fails. Rows that a policy of the model rejects are not counted.
            cascade_views: Make views that depend on a replaced output table anew on its successor.
            max_drift: Fail, and publish nothing, if a column or a score has drifted from the training rows by
                more than this population stability index. None measures it all the same.
            token: Makes requests with the same token one job.

        Raises:
            Refused: the preflight refuses, before anything is sent.
        """
        asked = [model, *models] if model is not None else [*models]
        if not asked or (model is not None and models):
            raise UsageError("Give either model or models, and name one at least.")
        return self.submit(
            PredictRequest(
                model=str(asked[0]),
                more_models=tuple(asked[1:]),
                outputs=several(outputs.split(",") if isinstance(outputs, str) else outputs),
                table=table,
                id_columns=several(id_column),
                output_table=output_table,
                split_column=split_column,
                if_exists=_one_of(IfExists, "if_exists", if_exists),
                where=where,
                columns=tuple(columns),
                chunk_rows=chunk_rows,
                allow_all_null=tuple(allow_all_null),
                on_drift=_one_of(OnDrift, "on_drift", on_drift),
                max_rejects=max_rejects,
                cascade_views=cascade_views,
                max_drift=max_drift,
                token=token,
            )
        )

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

    def _resolved(self, request: PredictRequest) -> list[str]:
        """Give the digests of the bundles that are asked for.

        Raises:
            UsageError: one is asked for twice.
        """
        digests = [self.registry.resolve(reference)[1] for reference in request.models]
        for place, digest in enumerate(digests):
            if digest in digests[:place]:
                first = request.models[digests.index(digest)]
                raise UsageError(
                    f"{request.models[place]} is the same bundle as {first}; name each model once, or "
                    "another of its bundles as NAME@DIGEST_PREFIX."
                )
        return digests

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


_Choice = TypeVar("_Choice", bound=StrEnum)


def _one_of(choices: type[_Choice], name: str, text: str) -> _Choice:
    try:
        return choices(text)
    except ValueError as exc:
        raise UsageError(f"{name} must be {', '.join(choices)}, not {text!r}.") from exc


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

"""Submissions: a request is checked and planned, its files are uploaded, and it becomes a job."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace

from skfleet.files.opening import open_files
from skfleet.files.uploads import uploaded, with_content
from skfleet.opening_table import open_table
from skfleet.preflight import Prepared, check_others, live_scorers, prepare
from skfleet.progress import Steps
from skfleet.registry import Registry
from skfleet.request import PredictRequest
from skfleet.score_target import open_target
from skfleet.submit import find_submitted, new_job, send_messages, submit
from skfleet.unloads import kept_unload
from skfleet_common.aws.session import Cloud
from skfleet_common.aws.user_files import ObjectUrl, UserFiles
from skfleet_common.aws.user_objects import UserObjects
from skfleet_common.contracts.errors import UsageError
from skfleet_common.contracts.jobs import JobRecord
from skfleet_common.contracts.states import JobState
from skfleet_common.model.bundle import Bundle
from skfleet_common.tables.port import Warehouse


@dataclass(frozen=True)
class Submissions:
    """Where requests of one fleet become jobs."""

    cloud: Cloud
    fleet: str
    registry: Registry
    open_warehouse: Callable[[], Warehouse]
    steps: Steps

    def plan(self, request: PredictRequest) -> Prepared:
        """Run the preflight and cut the chunks, and send nothing."""
        job = new_job()
        with uploaded(request, self.cloud, job=job, steps=self.steps) as there, ExitStack() as stack:
            if there is not request:
                stack.callback(self._remove, there)
            return self._prepared(there, job=job, is_dry_run=True)

    def submit(self, request: PredictRequest) -> JobRecord:
        """Submit the request; the same request again, while its job lives, gives that job."""
        digests = self._resolved(request)
        request = with_content(request)
        asks = request.asks(self.fleet)
        token = request.token or request.derived_token(fleet=self.fleet, digests=digests)
        record = find_submitted(self.cloud, request, token=token, asks=asks)
        if record is not None:
            self.steps.note(f"The same request is job {record.job} already; going on with it.")
            if record.state is JobState.SUBMITTING:
                send_messages(record, cloud=self.cloud, steps=self.steps)
            return record
        job = new_job()
        with kept_unload(self.cloud, job):
            with uploaded(request, self.cloud, job=job, steps=self.steps) as there:
                prepared = self._prepared(there, job=job)
            for warning in prepared.warnings:
                self.steps.note(f"Note: {warning}")
            return submit(
                request,
                prepared,
                cloud=self.cloud,
                fleet=self.fleet,
                token=token,
                asks=asks,
                steps=self.steps,
                job=job,
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

    def _prepared(self, request: PredictRequest, *, job: str, is_dry_run: bool = False) -> Prepared:
        self._resolved(request)
        bundles: list[Bundle] = []
        with self.steps.step("Opening the model", unit="bundles", total=len(request.models)) as step:
            for reference in request.models:
                bundles.append(self.registry.open(reference))
                step.reach(len(bundles))
        objects = UserObjects(UserFiles(self.cloud.store.client, self.cloud.store.where))
        workers = self.cloud.tracker.workers()
        prepared = prepare(
            request,
            bundles=bundles,
            open_source=lambda manifests: (
                open_files(request, objects, manifests)
                if request.files
                else open_table(
                    request,
                    self.open_warehouse(),
                    manifests,
                    cloud=self.cloud,
                    job=job,
                    scorers=live_scorers(workers),
                    steps=self.steps,
                    is_dry_run=is_dry_run,
                )
            ),
            open_target=lambda: open_target(
                request, open_warehouse=self.open_warehouse, open_objects=lambda: objects
            ),
            workers=workers,
            steps=self.steps,
        )
        others = self.cloud.tracker.live_jobs_writing_to(prepared.output_table)
        return replace(prepared, warnings=(*prepared.warnings, *check_others(prepared.output_table, others)))

    def _remove(self, request: PredictRequest) -> None:
        """Remove what was uploaded for a request that is not submitted."""
        prefix = f"s3://{self.cloud.store.bucket}/{self.cloud.names.jobs_prefix()}"
        keys = [ObjectUrl.parse(name).key for name in request.files if name.startswith(prefix)]
        self.cloud.store.delete(keys)

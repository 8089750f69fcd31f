"""The preflight: everything that can be refused is refused here, before the first message."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from skfleet.output_columns import choose_output_columns
from skfleet.progress import Steps
from skfleet.request import PredictRequest
from skfleet.score_target import ScoreTarget
from skfleet.scored_source import ReadFrom, ScoredSource
from skfleet.sizing import choose_chunk_rows, estimate_seconds, rows_per_second_of
from skfleet_common.contracts.chunks import ChunkPlan, TableName
from skfleet_common.contracts.columns import Column
from skfleet_common.contracts.errors import Refused
from skfleet_common.contracts.file_sources import FilesOutput
from skfleet_common.contracts.jobs import JobRecord, OutputColumn
from skfleet_common.contracts.kinds import kinds_of
from skfleet_common.contracts.workers import WorkerPresence
from skfleet_common.model.bundle import Bundle
from skfleet_common.model.manifest import FeatureManifest
from skfleet_common.model.model_file import check_format
from skfleet_common.model.versions import check_versions

#: Other jobs with the same output that a note names.
NAMED_JOBS = 3


@dataclass(frozen=True)
class Prepared:
    """A request that has passed the preflight: what is known now and was not before."""

    #: In the order of the request's models.
    bundles: tuple[Bundle, ...]
    source: ReadFrom
    id_columns: tuple[Column, ...]
    output_table: TableName
    output_columns: tuple[OutputColumn, ...]
    plan: ChunkPlan
    warnings: tuple[str, ...]
    scorers: int
    estimated_seconds: float | None
    output_files: FilesOutput | None = None


def prepare(
    request: PredictRequest,
    *,
    bundles: Sequence[Bundle],
    open_source: Callable[[Sequence[FeatureManifest]], ScoredSource],
    open_target: Callable[[], ScoreTarget],
    workers: Sequence[WorkerPresence],
    steps: Steps,
) -> Prepared:
    """Check the request against models, source and output, and cut the source into chunks.

    Raises:
        Refused: the sentence says what does not fit, and what to do.
    """
    manifests = [bundle.manifest for bundle in bundles]
    check_baselines(request, bundles)
    scorers = live_scorers(workers)
    warnings = check_workers(manifests, workers)
    with steps.step("Checking the request", unit="checks", total=3) as step:
        source = open_source(manifests)
        output_columns = choose_output_columns(
            manifests,
            source.table,
            ids=source.id_columns,
            asked=request.columns,
            kinds=kinds_of(request.outputs),
        )
        # What cannot be read is refused here; how much there is to read, the plan knows.
        source.read_from(output_columns)
        target = open_target()
        output_table = target.check(output_columns, source=source.table.name)
        step.reach(1)
        source.check_ids()
        step.reach(2)
        warnings += source.check_features(manifests, allow_all_null=request.allow_all_null)
        step.reach(3)
    rows_per_second = rows_per_second_of([manifest.hints.rows_per_second_per_core for manifest in manifests])
    with steps.step("Planning chunks") as step:
        plan = source.plan(
            lambda rows: (
                request.chunk_rows
                or choose_chunk_rows(rows, rows_per_second=rows_per_second, scorers=scorers)
            )
        )
        step.reach(plan.rows, plan.rows)
    return Prepared(
        bundles=tuple(bundles),
        source=source.read_from(output_columns),
        id_columns=source.id_columns,
        output_table=output_table,
        output_columns=output_columns,
        plan=plan,
        warnings=(*warnings, *source.notes),
        scorers=scorers,
        estimated_seconds=estimate_seconds(
            plan.rows, rows_per_second=rows_per_second, scorers=scorers, chunks=len(plan.chunks)
        ),
        output_files=target.files,
    )


def live_scorers(workers: Sequence[WorkerPresence]) -> int:
    """Give how many processes score now; one where nobody does."""
    return max(1, sum(len(worker.scorer_pids) for worker in workers))


def check_baselines(request: PredictRequest, bundles: Sequence[Bundle]) -> None:
    """Refuse a limit for drift that nobody could tell."""
    without = [bundle.manifest.name for bundle in bundles if bundle.sketcher is None]
    if request.max_drift is not None and without:
        raise Refused(
            f"{without[0]} has no baselines of its training rows, so nobody can tell how far other rows have "
            "drifted from them; train it again, or leave --max-drift out."
        )


def check_workers(manifests: Sequence[FeatureManifest], workers: Sequence[WorkerPresence]) -> list[str]:
    """Refuse bundles that no live worker can reproduce; say if none is live, or only some can.

    Raises:
        Refused: every live worker has versions that a bundle's skew policy does not allow, or reads no
            pickles where a bundle is one.
    """
    if not workers:
        return ["No worker is live now; the job waits until one is."]
    unfit = [reason for worker in workers if (reason := _why_unfit(worker, manifests))]
    if len(unfit) == len(workers):
        names = " and ".join(manifest.name for manifest in manifests)
        raise Refused(f"No live worker can score with {names}. {unfit[0]}")
    return [f"{len(unfit)} of {len(workers)} live workers cannot score with it. {unfit[0]}"] if unfit else []


def _why_unfit(worker: WorkerPresence, manifests: Sequence[FeatureManifest]) -> str | None:
    for manifest in manifests:
        try:
            check_versions(manifest.versions, policy=manifest.skew_policy, here=worker.versions)
            check_format(manifest.format, allow_joblib=worker.allow_joblib)
        except Refused as refusal:
            which = f" ({manifest.name})" if len(manifests) > 1 else ""
            return f"{worker.worker}{which}: {refusal}"
    return None


def check_others(output: TableName, others: Sequence[JobRecord]) -> list[str]:
    """Say which jobs that have not ended publish to the same table: they take turns, in no certain order."""
    if not others:
        return []
    named = ", ".join(record.job for record in others[:NAMED_JOBS])
    more = f" and {len(others) - NAMED_JOBS} more" if len(others) > NAMED_JOBS else ""
    return [
        f"{output} is also the output of {named}{more}, not ended yet; they publish one after the other, "
        "in no certain order."
    ]

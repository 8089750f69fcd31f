"""The preflight: everything that can be refused is refused here, before the first message."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from skfleet.layout import check_layout
from skfleet.naming import find_column, find_columns, names_of
from skfleet.output_columns import choose_output_columns
from skfleet.plan import plan_chunks
from skfleet.progress import Steps
from skfleet.request import PredictRequest
from skfleet.sizing import choose_chunk_rows, estimate_seconds, rows_per_second_of
from skfleet_common.contracts.chunks import ChunkPlan, TableName
from skfleet_common.contracts.columns import Column, SourceTable
from skfleet_common.contracts.errors import Refused, UsageError
from skfleet_common.contracts.jobs import JobRecord, OutputColumn
from skfleet_common.contracts.kinds import kinds_of
from skfleet_common.contracts.workers import WorkerPresence
from skfleet_common.model.bundle import Bundle
from skfleet_common.model.manifest import FeatureManifest
from skfleet_common.model.model_file import check_format
from skfleet_common.model.preflight import check_source
from skfleet_common.model.versions import check_versions
from skfleet_common.tables.port import FeatureCounts, Selection, Warehouse

#: Other jobs with the same output that a note names.
NAMED_JOBS = 3


@dataclass(frozen=True)
class Prepared:
    """A request that has passed the preflight: what is known now and was not before."""

    #: In the order of the request's models.
    bundles: tuple[Bundle, ...]
    source: Selection
    id_columns: tuple[Column, ...]
    split_column: Column
    output_table: TableName
    output_columns: tuple[OutputColumn, ...]
    plan: ChunkPlan
    warnings: tuple[str, ...]
    scorers: int
    estimated_seconds: float | None


def prepare(
    request: PredictRequest,
    *,
    bundles: Sequence[Bundle],
    warehouse: Warehouse,
    workers: Sequence[WorkerPresence],
    steps: Steps,
) -> Prepared:
    """Check the request against models, source and output, and cut the source into chunks.

    Raises:
        Refused: the sentence says what does not fit, and what to do.
    """
    manifests = [bundle.manifest for bundle in bundles]
    check_baselines(request, bundles)
    scorers = max(1, sum(len(worker.scorer_pids) for worker in workers))
    warnings = check_workers(manifests, workers)
    with steps.step("Checking the request", unit="checks", total=3) as step:
        table = warehouse.catalogue.find_table(request.table)
        ids = find_columns(table.columns, request.id_columns, flag="--id-column", source=table.name)
        split = (
            find_column(table.columns, request.split_column, flag="--split-column", source=table.name)
            if request.split_column
            else ids[0]
        )
        where = warehouse.catalogue.check_where(table, request.where) if request.where is not None else None
        source = Selection(table=table, where=where)
        output_columns = choose_output_columns(
            manifests, table, ids=ids, asked=request.columns, kinds=kinds_of(request.outputs)
        )
        output_table = check_output(request, warehouse, table=table, columns=output_columns)
        step.reach(1)
        warehouse.keys.check_ids(source, [column.name for column in ids])
        step.reach(2)
        warnings += check_features(request, manifests, warehouse=warehouse, source=source)
        step.reach(3)
    rows_per_second = rows_per_second_of([manifest.hints.rows_per_second_per_core for manifest in manifests])
    with steps.step("Planning chunks") as step:
        layout = warehouse.keys.layout(source)
        rows = table.estimated_rows if layout is None or layout.rows is None else layout.rows
        size = request.chunk_rows or choose_chunk_rows(rows, rows_per_second=rows_per_second, scorers=scorers)
        histogram = warehouse.keys.histogram(
            source,
            split.name,
            chunk_rows=size,
            # What tells the rows of one key apart.
            hash_columns=[column.name for column in ids if column.name != split.name],
        )
        size = request.chunk_rows or choose_chunk_rows(
            histogram.rows, rows_per_second=rows_per_second, scorers=scorers
        )
        plan = plan_chunks(histogram, chunk_rows=size)
        step.reach(plan.rows, plan.rows)
    warnings += check_layout(layout, table=table.name, split=split.name, chunks=len(plan.chunks))
    return Prepared(
        bundles=tuple(bundles),
        source=source,
        id_columns=ids,
        split_column=split,
        output_table=output_table,
        output_columns=output_columns,
        plan=plan,
        warnings=tuple(warnings),
        scorers=scorers,
        estimated_seconds=estimate_seconds(
            plan.rows, rows_per_second=rows_per_second, scorers=scorers, chunks=len(plan.chunks)
        ),
    )


def check_output(
    request: PredictRequest, warehouse: Warehouse, *, table: SourceTable, columns: tuple[OutputColumn, ...]
) -> TableName:
    """Refuse an output table that is the source, or that publishing could not make, append to or replace."""
    output = warehouse.catalogue.resolve_output(request.output_table)
    if output == table.name:
        raise UsageError(f"The output table {output} is the source itself; name another with --output-table.")
    warehouse.catalogue.check_output(
        output, columns, if_exists=request.if_exists, cascade_views=request.cascade_views
    )
    return output


def check_features(
    request: PredictRequest, manifests: Sequence[FeatureManifest], *, warehouse: Warehouse, source: Selection
) -> list[str]:
    """Refuse a source from which the features of a model cannot be rebuilt; give what is tolerated."""
    columns = source.table.columns
    allowed = names_of(
        find_columns(columns, request.allow_all_null, flag="--allow-all-null", source=source.table.name)
    )
    for manifest in manifests:
        _check_source(manifest, source)
    # One look at the table for all of them.
    counts = warehouse.keys.feature_counts(
        source,
        _each(column for manifest in manifests for column in manifest.feature_columns),
        categorical=_each(column for manifest in manifests for column in manifest.categorical_columns),
    )
    warnings: list[str] = []
    for manifest in manifests:
        found = _check_source(manifest, source, counts, allowed=allowed)
        warnings += found if len(manifests) == 1 else [f"{manifest.name}: {warning}" for warning in found]
    return warnings


def _check_source(
    manifest: FeatureManifest,
    source: Selection,
    counts: FeatureCounts | None = None,
    *,
    allowed: Sequence[str] = (),
) -> list[str]:
    try:
        return check_source(manifest, source.table.columns, counts, allow_all_null=allowed)
    except Refused as refusal:
        raise Refused(f"{source.table.name} cannot be scored with {manifest.name}: {refusal}") from refusal


def _each(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


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

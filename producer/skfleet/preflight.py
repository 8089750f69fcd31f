"""The preflight: everything that can be refused is refused here, before the first message."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from skfleet.naming import find_column, find_columns, names_of
from skfleet.plan import plan_chunks
from skfleet.progress import Steps
from skfleet.request import PredictRequest, split_names
from skfleet.sizing import choose_chunk_rows, estimate_seconds
from skfleet_common.contracts.chunks import ChunkPlan, TableName
from skfleet_common.contracts.columns import Column, SourceTable
from skfleet_common.contracts.errors import Refused, UsageError
from skfleet_common.contracts.jobs import JobRecord, OutputColumn
from skfleet_common.contracts.workers import WorkerPresence
from skfleet_common.model.bundle import Bundle
from skfleet_common.model.manifest import FeatureManifest
from skfleet_common.model.model_file import check_format
from skfleet_common.model.preflight import check_source
from skfleet_common.model.versions import check_versions
from skfleet_common.tables.port import Selection, Warehouse

#: Other jobs with the same output that a note names.
NAMED_JOBS = 3


@dataclass(frozen=True)
class Prepared:
    """A request that has passed the preflight: what is known now and was not before."""

    bundle: Bundle
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
    bundle: Bundle,
    warehouse: Warehouse,
    workers: Sequence[WorkerPresence],
    steps: Steps,
) -> Prepared:
    """Check the request against model, source and output, and cut the source into chunks.

    Raises:
        Refused: the sentence says what does not fit, and what to do.
    """
    manifest = bundle.manifest
    check_baselines(request, bundle)
    scorers = max(1, sum(len(worker.scorer_pids) for worker in workers))
    warnings = check_workers(manifest, workers)
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
        output_columns = choose_output_columns(manifest, table, ids=ids, asked=request.columns)
        output_table = check_output(request, warehouse, table=table, columns=output_columns)
        step.reach(1)
        warehouse.keys.check_ids(source, [column.name for column in ids])
        step.reach(2)
        warnings += check_features(request, manifest, warehouse=warehouse, source=source)
        step.reach(3)
    rows_per_second = manifest.hints.rows_per_second_per_core
    with steps.step("Planning chunks") as step:
        size = request.chunk_rows or choose_chunk_rows(
            table.estimated_rows, rows_per_second=rows_per_second, scorers=scorers
        )
        histogram = warehouse.keys.histogram(source, split.name, chunk_rows=size)
        size = request.chunk_rows or choose_chunk_rows(
            histogram.rows, rows_per_second=rows_per_second, scorers=scorers
        )
        plan = plan_chunks(histogram, chunk_rows=size)
        step.reach(plan.rows, plan.rows)
    return Prepared(
        bundle=bundle,
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


def choose_output_columns(
    manifest: FeatureManifest, table: SourceTable, *, ids: Iterable[Column], asked: tuple[str, ...]
) -> tuple[OutputColumn, ...]:
    """Give the output table's columns: the ids, columns carried along, then what the model gives.

    ``asked`` may name outputs of the model (then only those are written) and columns of the table
    (which are carried along).
    """
    of_model = manifest.output_columns()
    names_of_model = {column.name for column in of_model}
    named = [name for text in asked for name in ((text,) if table.column(text) else split_names(text))]
    wanted = {name for name in named if name in names_of_model} or names_of_model
    id_columns = list(ids)
    carried = [
        find_column(table.columns, name, flag="--columns", source=table.name)
        for name in dict.fromkeys(named)
        if name not in names_of_model and name not in {column.name for column in id_columns}
    ]
    columns = (
        *(_from_table(column, source="id") for column in id_columns),
        *(_from_table(column, source="carried") for column in carried),
        *(column for column in of_model if column.name in wanted),
    )
    seen: set[str] = set()
    for column in columns:
        if column.name in seen:
            raise Refused(
                f"The output table would have two columns called {column.name}; "
                "leave one out of --columns, or rename the column in a view of the source."
            )
        seen.add(column.name)
    return columns


def _from_table(column: Column, *, source: str) -> OutputColumn:
    return OutputColumn(
        name=column.name,
        warehouse_type=column.warehouse_type,
        source=source,
        nullable=column.nullable if source == "carried" else False,
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
    request: PredictRequest, manifest: FeatureManifest, *, warehouse: Warehouse, source: Selection
) -> list[str]:
    """Refuse a source from which the model's features cannot be rebuilt; give what is tolerated."""
    columns = source.table.columns
    allowed = names_of(
        find_columns(columns, request.allow_all_null, flag="--allow-all-null", source=source.table.name)
    )
    try:
        check_source(manifest, columns)
        counts = warehouse.keys.feature_counts(
            source, manifest.feature_columns, categorical=manifest.categorical_columns
        )
        return check_source(manifest, columns, counts, allow_all_null=allowed)
    except Refused as refusal:
        raise Refused(f"{source.table.name} cannot be scored with {manifest.name}: {refusal}") from refusal


def check_baselines(request: PredictRequest, bundle: Bundle) -> None:
    """Refuse a limit for drift that nobody could tell."""
    if request.max_drift is not None and bundle.sketcher is None:
        raise Refused(
            f"{bundle.manifest.name} has no baselines of its training rows, so nobody can tell how far other "
            "rows have drifted from them; train it again, or leave --max-drift out."
        )


def check_workers(manifest: FeatureManifest, workers: Sequence[WorkerPresence]) -> list[str]:
    """Refuse a bundle that no live worker can reproduce; say if none is live, or only some can.

    Raises:
        Refused: every live worker has versions that the bundle's skew policy does not allow, or reads no
            pickles where the bundle is one.
    """
    if not workers:
        return ["No worker is live now; the job waits until one is."]
    unfit: list[str] = []
    for worker in workers:
        try:
            check_versions(manifest.versions, policy=manifest.skew_policy, here=worker.versions)
            check_format(manifest.format, allow_joblib=worker.allow_joblib)
        except Refused as refusal:
            unfit.append(f"{worker.worker}: {refusal}")
    if len(unfit) == len(workers):
        raise Refused(f"No live worker can score with {manifest.name}. {unfit[0]}")
    return [f"{len(unfit)} of {len(workers)} live workers cannot score with it. {unfit[0]}"] if unfit else []


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

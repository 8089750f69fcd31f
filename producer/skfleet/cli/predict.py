"""``skfleet predict``."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skfleet.cli.fleet import assignments, open_fleet
from skfleet.cli.jobs import detaching, wait_for
from skfleet.cli.output import count, duration, emit_facts, emit_json, stderr, stdout
from skfleet.files.slicing import slice_bytes
from skfleet.read_modes import ReadMode
from skfleet.request import PredictRequest, split_names
from skfleet_common.contracts.file_sources import FileFormat
from skfleet_common.contracts.jobs import IfExists, OnDrift

if TYPE_CHECKING:
    from skfleet.preflight import Prepared


def predict(
    model: Annotated[
        list[str],
        typer.Option(
            help="NAME (its newest bundle) or NAME@DIGEST_PREFIX; repeat it to score with several models "
            "what is read once."
        ),
    ],
    table: Annotated[str, typer.Option(help="Table or view to score: schema.name.")] = "",
    csv: Annotated[
        list[str] | None,
        typer.Option(
            help="CSV files to score: a file, a prefix (s3://BUCKET/KEYS/), a pattern or a manifest on S3, "
            "or a path here, which is uploaded; may repeat."
        ),
    ] = None,
    parquet: Annotated[
        list[str] | None, typer.Option(help="Parquet files to score, named like those of --csv.")
    ] = None,
    id_column: Annotated[
        list[str] | None,
        typer.Option(
            help="Column that identifies rows; repeat or separate by commas. Files need none: by default "
            "their rows are told apart by file and row number."
        ),
    ] = None,
    output_table: Annotated[str, typer.Option(help="Table to publish: schema.name.")] = "",
    output: Annotated[
        str, typer.Option(help="Prefix to publish files below, instead of a table: s3://BUCKET/PREFIX/.")
    ] = "",
    output_format: Annotated[
        FileFormat | None, typer.Option(help="With --output: what the files are; parquet by default.")
    ] = None,
    one_file: Annotated[bool, typer.Option("--one-file", help="With --output: write one file.")] = False,
    delimiter: Annotated[
        str | None, typer.Option(help="With --csv: one character, or tab; told from the first file.")
    ] = None,
    encoding: Annotated[
        str | None, typer.Option(help="With --csv: UTF-8 by default, or what a byte-order mark says.")
    ] = None,
    null_text: Annotated[
        list[str] | None, typer.Option(help="With --csv: a text that means NULL; may repeat.")
    ] = None,
    types: Annotated[
        list[str] | None,
        typer.Option("--type", help="With --csv: COLUMN=TYPE, what an id or carried column is; may repeat."),
    ] = None,
    whole_files: Annotated[
        bool,
        typer.Option(
            "--whole-files",
            help="With --csv: read each file whole, where quotes do not tell where records end.",
        ),
    ] = False,
    split_column: Annotated[
        str | None, typer.Option(help="Column whose ranges cut the table; by default the first id column.")
    ] = None,
    if_exists: Annotated[
        IfExists,
        typer.Option(help="What to do when the output table exists, or the prefix of --output holds files."),
    ] = IfExists.FAIL,
    read: Annotated[
        ReadMode,
        typer.Option(
            help="How workers read a table of Redshift: select (a range of rows each), unload (files that "
            "Redshift writes to S3 once), or auto, which decides and says why."
        ),
    ] = ReadMode.AUTO,
    where: Annotated[str | None, typer.Option(help="Only rows that satisfy this SQL expression.")] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option(help="Outputs to write (all by default), and columns of the source to carry along."),
    ] = None,
    outputs: Annotated[
        list[str] | None,
        typer.Option(
            help="Kinds of output to write, separated by commas: predict, proba, decision, transform. By "
            "default predictions with probabilities, or with decision values where there are none."
        ),
    ] = None,
    chunk_rows: Annotated[
        int | None, typer.Option(help="Rows a chunk; by default from the model's speed.")
    ] = None,
    allow_all_null: Annotated[
        list[str] | None, typer.Option(help="Features that may be NULL in every row.")
    ] = None,
    on_drift: Annotated[
        OnDrift,
        typer.Option(
            help="What to do when chunks have other rows than planned: fail, or publish and name them."
        ),
    ] = OnDrift.FAIL,
    max_rejects: Annotated[
        int,
        typer.Option(
            help="Rows of the whole job that may be set aside because they cannot be read or scored; what a "
            "policy of the model rejects is not counted."
        ),
    ] = 0,
    cascade_views: Annotated[
        bool, typer.Option("--cascade-views", help="Make views on a replaced table anew on its successor.")
    ] = False,
    max_drift: Annotated[
        float | None,
        typer.Option(
            help="Publish nothing if a column or a score has drifted from the training rows by more than "
            "this (population stability index; 0.25 is much)."
        ),
    ] = None,
    token: Annotated[str | None, typer.Option(help="Requests with the same token are one job.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and plan, and send nothing.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the job has ended.")] = False,
    timeout: Annotated[float | None, typer.Option(help="With --wait: seconds to wait at most.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Score a table or files on the fleet, and publish the scores."""
    request = PredictRequest(
        model=model[0],
        more_models=tuple(model[1:]),
        outputs=tuple(name for text in outputs or () for name in split_names(text)),
        table=table,
        csv=tuple(csv or ()),
        parquet=tuple(parquet or ()),
        id_columns=tuple(id_column or ()),
        output_table=output_table,
        output=output,
        output_format=output_format,
        one_file=one_file,
        delimiter=delimiter,
        encoding=encoding,
        null_text=tuple(null_text or ()),
        types=tuple(assignments(types, flag="--type").items()),
        whole_files=whole_files,
        split_column=split_column,
        if_exists=if_exists,
        read=None if read is ReadMode.AUTO else read,
        where=where,
        columns=tuple(columns or ()),
        chunk_rows=chunk_rows,
        allow_all_null=tuple(allow_all_null or ()),
        on_drift=on_drift,
        max_rejects=max_rejects,
        cascade_views=cascade_views,
        max_drift=max_drift,
        token=token,
    )
    fleet = open_fleet()
    if dry_run:
        _show_plan(fleet.plan(request), as_json=as_json)
        return
    job = fleet.submit(request)
    if wait:
        with detaching(job.id):
            wait_for(job, timeout, as_json=as_json)
    elif as_json:
        emit_json("skfleet.submitted/1", {"job": job.id})
    else:
        stderr.print(f"Submitted; wait for it with: skfleet wait {job.id}")
        stdout.print(job.id)


def _spread(sizes: Sequence[int]) -> dict[str, float] | None:
    """Give what ``--chunk-rows`` means for text files; None of others."""
    return {"min": min(sizes), "mean": fmean(sizes), "max": max(sizes)} if sizes else None


def _in_words(spread: dict[str, float] | None) -> str | None:
    return None if spread is None else ", ".join(f"{word} {round(size):,}" for word, size in spread.items())


def _show_plan(prepared: Prepared, *, as_json: bool) -> None:
    sizes = [chunk.rows for chunk in prepared.plan.chunks]
    facts: dict[str, Any] = {
        "rows": prepared.plan.rows,
        "rows_are_exact": prepared.plan.rows_are_exact,
        "chunks": len(sizes),
        "min_chunk_rows": min(sizes, default=0),
        "mean_chunk_rows": fmean(sizes) if sizes else 0.0,
        "max_chunk_rows": max(sizes, default=0),
        "scorers": prepared.scorers,
        "estimated_seconds": prepared.estimated_seconds,
        "model": prepared.bundles[0].manifest.name,
        "digest": prepared.bundles[0].digest,
        "models": [{"name": it.manifest.name, "digest": it.digest} for it in prepared.bundles],
        "output_table": str(prepared.output_table),
        "output_columns": [column.name for column in prepared.output_columns],
        "read": None if prepared.source.reading is None else prepared.source.reading.mode.value,
        "read_why": None if prepared.source.reading is None else prepared.source.reading.why,
        "warnings": list(prepared.warnings),
        "chunk_bytes": _spread(slice_bytes(prepared.plan)),
    }
    if as_json:
        emit_json("skfleet.plan/1", facts)
        return
    for warning in prepared.warnings:
        stderr.print(f"Note: {warning}", markup=False, soft_wrap=True)
    emit_facts(
        {
            "rows": count(facts["rows"]) + ("" if prepared.plan.rows_are_exact else " (estimated)"),
            "chunks": count(facts["chunks"]),
            "rows a chunk": f"min {count(facts['min_chunk_rows'])}, mean {facts['mean_chunk_rows']:,.1f}, "
            f"max {count(facts['max_chunk_rows'])}",
            "bytes a chunk": _in_words(facts["chunk_bytes"]),
            "estimated time": f"{duration(facts['estimated_seconds']) or 'unknown'} "
            f"on {facts['scorers']} scoring processes",
            "output": f"{facts['output_table']} ({', '.join(facts['output_columns'])})",
            "sent": "nothing (dry run)",
        }
    )

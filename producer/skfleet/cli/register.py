"""``skfleet register``."""

from __future__ import annotations

from typing import Annotated

import typer

from skfleet.cli.fleet import open_fleet, pairs
from skfleet.cli.output import emit_facts, emit_json


def register(
    model: Annotated[str, typer.Argument(help="File of the fitted model: .skops, .joblib or .pkl.")],
    name: Annotated[str, typer.Option(help="Name of the model in the registry.")],
    sample: Annotated[
        str | None,
        typer.Option(help="Rows as the model is to score them: a Parquet or CSV file, here or on S3."),
    ] = None,
    table: Annotated[str | None, typer.Option(help="The same in a table: schema.name.")] = None,
    where: Annotated[
        str | None, typer.Option(help="Only rows of the table that satisfy this SQL expression.")
    ] = None,
    target: Annotated[
        list[str] | None, typer.Option(help="Columns that the model predicts, in its order.")
    ] = None,
    id_column: Annotated[
        list[str] | None, typer.Option(help="Columns that identify rows; the model does not take them.")
    ] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="Columns that the model does not take.")] = None,
    takes: Annotated[
        str | None,
        typer.Option(help="What the model is called with, if it does not say: frame or array."),
    ] = None,
    null_policy: Annotated[
        list[str] | None,
        typer.Option(help="missing, error or reject_row for every column, or COLUMN=POLICY; may repeat."),
    ] = None,
    skew_policy: Annotated[
        str | None, typer.Option(help="How far versions may differ: exact, patch (the default) or warn.")
    ] = None,
    model_format: Annotated[
        str | None,
        typer.Option("--format", help="skops (the default), or joblib if your workers allow pickles."),
    ] = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="Read a pickle, which can run any code: you know who made it.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Register a model that was fitted elsewhere, with a sample of the rows that it is to score."""
    registered = open_fleet().register(
        model=model,
        name=name,
        sample=sample,
        table=table,
        where=where,
        target=target,
        id_column=id_column,
        exclude=exclude,
        takes=takes,
        null_policy=pairs(null_policy),
        skew_policy=skew_policy,
        format=model_format,
        trust=trust,
    )
    manifest = registered.manifest
    if as_json:
        emit_json(
            "skfleet.registered/1",
            {
                "name": registered.name,
                "digest": registered.digest,
                "model": manifest.model,
                "takes": manifest.takes,
                "features": list(manifest.feature_columns),
                "outputs": [column.name for column in manifest.output_columns()],
                "warnings": list(registered.warnings),
            },
        )
        return
    emit_facts(
        {
            "model": f"{registered.name}@{registered.digest[:12]}",
            "kind": manifest.model,
            "takes": manifest.takes,
            "columns": ", ".join(manifest.feature_columns),
            "outputs": ", ".join(column.name for column in manifest.output_columns()),
        }
    )

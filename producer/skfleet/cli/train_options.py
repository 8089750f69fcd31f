"""The options of ``skfleet train``, in the groups that ``--help`` shows.

A new one is an alias here, a parameter of :func:`skfleet.cli.train.train`, and a key of ``FitKeywords``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_SOURCE, _COLUMNS, _MODEL, _POLICIES = "What to learn from", "Columns", "Model", "Nulls and unseen levels"

# What to learn from
Table = Annotated[
    str | None,
    typer.Option(help="A table: schema.name, parts may be double-quoted.", rich_help_panel=_SOURCE),
]
Query = Annotated[
    str | None, typer.Option(help="A query: one SELECT, in place of a table.", rich_help_panel=_SOURCE)
]
Csv = Annotated[
    list[str] | None,
    typer.Option(
        help="A CSV file, here or s3://BUCKET/KEY, plain or compressed; may repeat, and hold *.",
        rich_help_panel=_SOURCE,
    ),
]
Parquet = Annotated[
    list[str] | None,
    typer.Option(
        help="A Parquet file, here or s3://BUCKET/KEY; may repeat, and hold *.", rich_help_panel=_SOURCE
    ),
]
Where = Annotated[
    str | None,
    typer.Option(help="Only rows of the table that satisfy this SQL expression.", rich_help_panel=_SOURCE),
]

Sample = Annotated[
    int | None,
    typer.Option(
        help="Learn from this many rows, drawn by --seed (and --id-column, from a table).",
        rich_help_panel=_SOURCE,
    ),
]
Delimiter = Annotated[
    str | None,
    typer.Option(
        help="What separates the fields of the CSV file, if it is not to be told from it; tab for a tab.",
        rich_help_panel=_SOURCE,
    ),
]
Encoding = Annotated[
    str | None,
    typer.Option(help="Encoding of the CSV file: utf-8, cp1252, latin-1 …", rich_help_panel=_SOURCE),
]
NullText = Annotated[
    list[str] | None,
    typer.Option(
        help="A text that means NULL wherever it stands in the CSV file; may repeat.",
        rich_help_panel=_SOURCE,
    ),
]

# Columns
Target = Annotated[
    str,
    typer.Option(help="Column to learn; rows where it is NULL are left out.", rich_help_panel=_COLUMNS),
]
IdColumn = Annotated[
    list[str] | None,
    typer.Option(
        help="Column that identifies rows, no feature; repeat or separate by commas.",
        rich_help_panel=_COLUMNS,
    ),
]
Exclude = Annotated[
    list[str] | None, typer.Option(help="Columns that are no features.", rich_help_panel=_COLUMNS)
]
Type = Annotated[
    list[str] | None,
    typer.Option(
        help="COLUMN=integer|float|decimal|boolean|text|date|time|timestamp|timestamptz, where the source "
        "says otherwise; may repeat.",
        rich_help_panel=_COLUMNS,
    ),
]
Categorical = Annotated[
    list[str] | None,
    typer.Option(help="Integer columns whose values are levels, not amounts.", rich_help_panel=_COLUMNS),
]
Features = Annotated[
    Path | None,
    typer.Option(
        help="YAML that says what single columns are to be: kind, fill, scale, parts, rare levels, policies.",
        rich_help_panel=_COLUMNS,
    ),
]

# Model
Name = Annotated[str, typer.Option(help="Name of the model in the registry.")]
Model = Annotated[
    str | None,
    typer.Option(
        help="gradient_boosting (the default), random_forest, extra_trees, logistic_regression, "
        "linear_regression, ridge; with _classifier or _regressor behind it to force the kind.",
        rich_help_panel=_MODEL,
    ),
]
Seed = Annotated[int, typer.Option(help="Makes the fit repeatable.", rich_help_panel=_MODEL)]

# Nulls and unseen levels
NullPolicy = Annotated[
    list[str] | None,
    typer.Option(
        help="missing, error or reject_row for every feature, or COLUMN=POLICY; may repeat.",
        rich_help_panel=_POLICIES,
    ),
]
UnseenPolicy = Annotated[
    list[str] | None,
    typer.Option(
        help="other, error or reject_row for every category, or COLUMN=POLICY; may repeat.",
        rich_help_panel=_POLICIES,
    ),
]
ToleratedUnseen = Annotated[
    float | None,
    typer.Option(
        help="Share of rows with an unseen level that policy other lets pass; half by default.",
        rich_help_panel=_POLICIES,
    ),
]

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say columns, types, roles and rows; fit and register nothing.")
]

"""The options of ``skfleet train``, in the groups that ``--help`` shows.

A new one is an alias here, a parameter of :func:`skfleet.cli.train.train`, and a key of ``FitKeywords``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_SOURCE, _COLUMNS, _MODEL, _POLICIES = "What to learn from", "Columns", "Model", "Nulls and unseen levels"
_SEARCH = "Search for parameters"

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
    list[str],
    typer.Option(
        help="Column to learn, several may be; rows where it is NULL are left out.", rich_help_panel=_COLUMNS
    ),
]
Weight = Annotated[
    str | None, typer.Option(help="Column of sample weights, no feature.", rich_help_panel=_COLUMNS)
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
Types = Annotated[
    list[str] | None,
    typer.Option(
        "--type",
        help="COLUMN=integer|float|real|decimal|boolean|text|date|time|timestamp|timestamptz, where the "
        "source says otherwise; may repeat.",
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
        help="A predefined model such as gradient_boosting (the default), random_forest or "
        "sparse_logistic; a class of scikit-learn, LightGBM or XGBoost by its name; or your own as "
        "module:attribute or as a .joblib or .skops file. See docs/estimators.md.",
        rich_help_panel=_MODEL,
    ),
]
Params = Annotated[
    list[str] | None,
    typer.Option(
        help="Parameters of the estimator: NAME=VALUE, a JSON object or @FILE; may repeat.",
        rich_help_panel=_MODEL,
    ),
]
Calibrate = Annotated[
    str | None,
    typer.Option(help="Calibrate probabilities: sigmoid or isotonic.", rich_help_panel=_MODEL),
]
CrossValidate = Annotated[
    int | None,
    typer.Option(
        help="Measure by cross-validation in this many parts, instead of a fifth held out.",
        rich_help_panel=_MODEL,
    ),
]
OosOutput = Annotated[
    str | None,
    typer.Option(
        help="Write predictions of rows by models that did not see them: schema.table, or a file that ends "
        "in .csv or .parquet.",
        rich_help_panel=_MODEL,
    ),
]
OosIfExists = Annotated[
    str | None,
    typer.Option(
        help="What becomes of an --oos-output that is there: fail (the default), replace or append.",
        rich_help_panel=_MODEL,
    ),
]
Seed = Annotated[int, typer.Option(help="Makes the fit repeatable.", rich_help_panel=_MODEL)]

SkewPolicy = Annotated[
    str | None,
    typer.Option(
        help="How far the versions of who uses it may differ: exact, patch (the default) or warn.",
        rich_help_panel=_MODEL,
    ),
]
Format = Annotated[
    str | None,
    typer.Option(
        "--format",
        help="skops (the default), or joblib for models that it cannot hold; workers and clients then need "
        "SKFLEET_ALLOW_JOBLIB=true.",
        rich_help_panel=_MODEL,
    ),
]

# Search
Search = Annotated[
    str | None,
    typer.Option(help="Look for better parameters: grid, random or halving.", rich_help_panel=_SEARCH),
]
SearchSpace = Annotated[
    list[str] | None,
    typer.Option(
        help="What to try: NAME=[VALUES], a JSON object or @FILE; the model's own space by default.",
        rich_help_panel=_SEARCH,
    ),
]
SearchIterations = Annotated[
    int | None,
    typer.Option(help="Candidates that a random search tries; 20 by default.", rich_help_panel=_SEARCH),
]
SearchScoring = Annotated[
    str | None,
    typer.Option(
        help="scikit-learn's name of what makes a candidate better, such as roc_auc.", rich_help_panel=_SEARCH
    ),
]
SearchFolds = Annotated[
    int | None,
    typer.Option(
        help="Parts that the rows are split in to compare candidates; 4 by default.", rich_help_panel=_SEARCH
    ),
]

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

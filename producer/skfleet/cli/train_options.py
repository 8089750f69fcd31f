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
Where = Annotated[
    str | None,
    typer.Option(help="Only rows of the table that satisfy this SQL expression.", rich_help_panel=_SOURCE),
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

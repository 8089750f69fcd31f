"""``skfleet train``."""

from __future__ import annotations

from typing import Annotated

import typer

from skfleet.cli.fleet import open_fleet, pairs
from skfleet.cli.output import count, emit_facts, emit_json
from skfleet_common.model.policies import DEFAULT_TOLERATED_UNSEEN


def train(
    table: Annotated[str, typer.Option(help="Table to learn from: schema.name, parts may be double-quoted.")],
    target: Annotated[str, typer.Option(help="Column to learn; rows where it is NULL are left out.")],
    id_column: Annotated[
        list[str], typer.Option(help="Column that identifies rows; repeat or separate by commas.")
    ],
    name: Annotated[str, typer.Option(help="Name of the model in the registry.")],
    model: Annotated[
        str,
        typer.Option(
            help="gradient_boosting, random_forest, extra_trees, logistic_regression, linear_regression, "
            "ridge; with _classifier or _regressor behind it to force the kind."
        ),
    ] = "gradient_boosting",
    where: Annotated[str | None, typer.Option(help="Only rows that satisfy this SQL expression.")] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="Columns that are no features.")] = None,
    categorical: Annotated[
        list[str] | None, typer.Option(help="Integer columns whose values are levels, not amounts.")
    ] = None,
    null_policy: Annotated[
        list[str] | None,
        typer.Option(help="missing, error or reject_row for every feature, or COLUMN=POLICY; may repeat."),
    ] = None,
    unseen_policy: Annotated[
        list[str] | None,
        typer.Option(help="other, error or reject_row for every category, or COLUMN=POLICY; may repeat."),
    ] = None,
    tolerated_unseen: Annotated[
        float, typer.Option(help="Share of rows with an unseen level that policy other lets pass.")
    ] = DEFAULT_TOLERATED_UNSEEN,
    seed: Annotated[int, typer.Option(help="Makes the fit repeatable.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Fit a model in memory and register its bundle."""
    trained = open_fleet().train(
        table=table,
        target=target,
        name=name,
        id_column=tuple(id_column),
        model=model,
        where=where,
        exclude=tuple(exclude or ()),
        categorical=tuple(categorical or ()),
        null_policy=pairs(null_policy),
        unseen_policy=pairs(unseen_policy),
        tolerated_unseen=tolerated_unseen,
        seed=seed,
    )
    if as_json:
        emit_json(
            "skfleet.trained/1",
            {
                "name": trained.name,
                "digest": trained.digest,
                "metrics": trained.metrics,
                "features": list(trained.manifest.feature_columns),
                "warnings": list(trained.warnings),
                "rows": trained.manifest.provenance.rows,
            },
        )
        return
    emit_facts(
        {
            "model": f"{trained.name}@{trained.digest[:12]}",
            "rows": count(trained.manifest.provenance.rows),
            "features": ", ".join(trained.manifest.feature_columns),
            **{
                f"held-out {name}": f"{value:.4f}"
                for name, value in trained.metrics.items()
                if isinstance(value, float)
            },
        }
    )

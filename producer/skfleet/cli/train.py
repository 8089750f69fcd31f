"""``skfleet train``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skfleet.cli import train_options as given
from skfleet.cli.fleet import open_fleet, pairs
from skfleet.cli.output import count, emit_facts, emit_json

if TYPE_CHECKING:
    from skfleet.training import TrainedModel


def train(
    target: given.Target,
    name: given.Name,
    table: given.Table = None,
    where: given.Where = None,
    id_column: given.IdColumn = None,
    exclude: given.Exclude = None,
    categorical: given.Categorical = None,
    features: given.Features = None,
    model: given.Model = None,
    seed: given.Seed = 0,
    null_policy: given.NullPolicy = None,
    unseen_policy: given.UnseenPolicy = None,
    tolerated_unseen: given.ToleratedUnseen = None,
    as_json: given.AsJson = False,
) -> None:
    """Fit a model in memory and register its bundle."""
    trained = open_fleet().train(
        target=target,
        name=name,
        table=table,
        where=where,
        id_column=id_column,
        exclude=exclude,
        categorical=categorical,
        features=features,
        model=model,
        seed=seed,
        null_policy=pairs(null_policy),
        unseen_policy=pairs(unseen_policy),
        tolerated_unseen=tolerated_unseen,
    )
    _show(trained, as_json=as_json)


def _show(trained: TrainedModel, *, as_json: bool) -> None:
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

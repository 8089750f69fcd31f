"""``skfleet train``."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from skfleet.cli import train_options as given
from skfleet.cli.fleet import assignments, open_fleet, pairs
from skfleet.cli.output import count, emit_facts, emit_json, emit_table

if TYPE_CHECKING:
    from skfleet.train_request import TrainKeywords
    from skfleet.training import TrainedModel, TrainingPlan


def train(
    target: given.Target,
    name: given.Name,
    table: given.Table = None,
    query: given.Query = None,
    csv: given.Csv = None,
    parquet: given.Parquet = None,
    where: given.Where = None,
    sample: given.Sample = None,
    delimiter: given.Delimiter = None,
    encoding: given.Encoding = None,
    null_text: given.NullText = None,
    id_column: given.IdColumn = None,
    exclude: given.Exclude = None,
    types: given.Types = None,
    categorical: given.Categorical = None,
    features: given.Features = None,
    model: given.Model = None,
    params: given.Params = None,
    weight: given.Weight = None,
    calibrate: given.Calibrate = None,
    cross_validate: given.CrossValidate = None,
    oos_output: given.OosOutput = None,
    oos_if_exists: given.OosIfExists = None,
    search: given.Search = None,
    search_space: given.SearchSpace = None,
    search_iterations: given.SearchIterations = None,
    search_scoring: given.SearchScoring = None,
    search_folds: given.SearchFolds = None,
    seed: given.Seed = 0,
    skew_policy: given.SkewPolicy = None,
    model_format: given.Format = None,
    null_policy: given.NullPolicy = None,
    unseen_policy: given.UnseenPolicy = None,
    tolerated_unseen: given.ToleratedUnseen = None,
    dry_run: given.DryRun = False,
    as_json: given.AsJson = False,
) -> None:
    """Fit a model in memory and register its bundle."""
    asked: TrainKeywords = {
        "target": target,
        "name": name,
        "table": table,
        "query": query,
        "csv": csv,
        "parquet": parquet,
        "where": where,
        "sample": sample,
        "delimiter": delimiter,
        "encoding": encoding,
        "null_text": null_text,
        "types": assignments(types, flag="--type"),
        "id_column": id_column,
        "exclude": exclude,
        "categorical": categorical,
        "features": features,
        "model": model,
        "params": params,
        "weight": weight,
        "calibrate": calibrate,
        "cross_validate": cross_validate,
        "oos_output": oos_output,
        "oos_if_exists": oos_if_exists,
        "search": search,
        "search_space": search_space,
        "search_iterations": search_iterations,
        "search_scoring": search_scoring,
        "search_folds": search_folds,
        "seed": seed,
        "skew_policy": skew_policy,
        "format": model_format,
        "null_policy": pairs(null_policy),
        "unseen_policy": pairs(unseen_policy),
        "tolerated_unseen": tolerated_unseen,
    }
    if dry_run:
        _show_plan(open_fleet().plan_training(**asked), as_json=as_json)
    else:
        _show(open_fleet().train(**asked), as_json=as_json)


def _show_plan(plan: TrainingPlan, *, as_json: bool) -> None:
    if as_json:
        emit_json(
            "skfleet.training_plan/1",
            {
                "source": plan.source,
                "rows": plan.rows,
                "columns": [
                    {
                        "name": column.name,
                        "type": column.dtype,
                        "source_type": column.warehouse_type,
                        "role": column.role,
                        "reason": column.reason,
                    }
                    for column in plan.columns
                ],
                "notes": list(plan.notes),
            },
        )
        return
    emit_facts(
        {
            "source": plan.source,
            "rows": "not known" if plan.rows is None else count(plan.rows),
            "fitted": "nothing (dry run)",
        }
    )
    emit_table(
        ["column", "type", "source type", "role", "why"],
        (
            (column.name, column.dtype, column.warehouse_type, column.role, column.reason)
            for column in plan.columns
        ),
    )


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
                "notices": [asdict(notice) for notice in trained.notices],
                "rows": trained.manifest.provenance.rows,
                "rows_out_of_sample": trained.rows_out_of_sample,
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

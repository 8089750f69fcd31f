"""Words: how a report names figures and writes numbers."""

from __future__ import annotations

from typing import Any

from skfleet_common.model.baselines import QUANTILES
from skfleet_common.model.manifest import Feature, FeatureKind

#: Levels that the report names by feature.
_TOLD = 5

#: The figures of a target in the order in which they are read, by their name in metrics.json.
FIGURES = {
    "roc_auc": "ROC AUC",
    "average_precision": "average precision",
    "log_loss": "log loss",
    "brier": "Brier score",
    "accuracy": "accuracy",
    "r2": "R²",
    "rmse": "RMSE",
    "mae": "mean absolute error",
    "medae": "median absolute error",
}


def feature_row(feature: Feature, *, rows: int) -> dict[str, str]:
    """Give what the report says of a feature."""
    known, observed, baseline = feature.known_levels, feature.observed, feature.baseline
    extent = f"{len(known):,} levels" if known else ""
    if not known and observed is not None:
        extent = f"{number(observed[0])} to {number(observed[1])}"
    usual = ""
    if baseline is not None and baseline.top_levels:
        usual = ", ".join(f"{top.level} ({top.share:.0%})" for top in baseline.top_levels[:_TOLD])
    elif baseline is not None and baseline.quantiles and feature.kind is not FeatureKind.MOMENT:
        usual = ", ".join(number(baseline.quantiles[QUANTILES.index(at)]) for at in (0.05, 0.5, 0.95))
    return {
        "column": feature.column,
        "kind": feature.kind,
        "extent": extent,
        "usual": usual,
        "nulls": f"{feature.training_nulls / rows:.1%}" if rows else "",
        "null_policy": feature.nulls,
        "unseen": feature.unseen or "",
    }


def number(value: Any) -> str:
    """Give a value as a person reads it: four significant digits, thousands set apart, a dash for nothing."""
    if value is None:
        return "-"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int) or value.is_integer():
        return f"{value:,.0f}"
    return f"{value:,.4g}" if abs(value) < 10_000 else f"{value:,.0f}"  # noqa: PLR2004  (four digits)

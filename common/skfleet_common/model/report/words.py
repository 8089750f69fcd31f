"""Words: how a report names figures and writes numbers."""

from __future__ import annotations

from typing import Any

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


def number(value: Any) -> str:
    """Give a value as a person reads it: four significant digits, thousands set apart, a dash for nothing."""
    if value is None:
        return "-"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int) or value.is_integer():
        return f"{value:,.0f}"
    return f"{value:,.4g}" if abs(value) < 10_000 else f"{value:,.0f}"  # noqa: PLR2004  (four digits)

"""Plots: what people expect to see of a classification, a regression and an importance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes

from skfleet_common.model.report.drawing import CYCLE, GREY, INK, PALE, short, svg

#: Columns whose importance is drawn; the table has them all.
_BARS = 20


def roc(figures: Mapping[str, Any], key: str) -> Markup:
    """Draw the ROC curve of each class."""

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1)
        for position, curve in enumerate(figures["roc_curve"]):
            axes.plot(
                curve["false_positive_rate"],
                curve["true_positive_rate"],
                color=CYCLE[position % len(CYCLE)],
                label=short(curve["class"]),
            )
        _unit_square(axes, "false positive rate", "true positive rate")
        _legend(axes, figures["roc_curve"])

    alt = f"ROC curve; the area under it is {figures['roc_auc']:.3f}, and 0.5 is chance."
    return svg(f"{key} roc", draw, alt=alt)


def precision_recall(figures: Mapping[str, Any], key: str) -> Markup:
    """Draw the precision-recall curve of each class."""

    def draw(axes: Axes) -> None:
        for position, curve in enumerate(figures["precision_recall_curve"]):
            color = CYCLE[position % len(CYCLE)]
            axes.plot(curve["recall"], curve["precision"], color=color, label=short(curve["class"]))
        _unit_square(axes, "recall", "precision")
        _legend(axes, figures["precision_recall_curve"])

    alt = f"Precision-recall curve; average precision is {figures['average_precision']:.3f}."
    return svg(f"{key} precision recall", draw, alt=alt)


def calibration(figures: Mapping[str, Any], key: str) -> Markup:
    """Draw how often it happened against how likely it was said to be."""
    bins = figures["calibration"]

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1)
        known = [part for part in bins if part["predicted"] is not None]
        axes.plot(
            [part["predicted"] for part in known],
            [part["observed"] for part in known],
            color=INK,
            marker="o",
            markersize=4,
        )
        _unit_square(axes, "predicted probability", "observed share")

    return svg(f"{key} calibration", draw, alt="Calibration curve; its points stand in the table below.")


def deciles(figures: Mapping[str, Any], key: str) -> Markup:
    """Draw the share of positives by tenths of the score."""
    table = figures["deciles"]

    def draw(axes: Axes) -> None:
        places = [row["decile"] for row in table]
        axes.bar(places, [row["positives"] for row in table], color=INK)
        axes.set_xticks(places)
        axes.set_xlabel("tenth of the rows, highest scores first")
        axes.set_ylabel("share of positives")

    return svg(f"{key} deciles", draw, alt="Share of positives by decile; it stands in the table below.")


def residuals(figures: Mapping[str, Any], key: str) -> Markup:
    """Draw how residuals are distributed."""
    histogram = figures["residual_histogram"]

    def draw(axes: Axes) -> None:
        axes.stairs(histogram["weights"], histogram["edges"], fill=True, color=INK)
        axes.axvline(0, color=GREY, linewidth=1)
        axes.set_xlabel("actual less predicted")
        axes.set_ylabel("rows")

    return svg(
        f"{key} residuals", draw, alt="Histogram of residuals; their quantiles stand in the table below."
    )


def predicted_against_actual(figures: Mapping[str, Any], key: str) -> Markup:
    """Draw what was there against what was predicted, by twentieths of the prediction."""
    bins = figures["predicted_vs_actual"]

    def draw(axes: Axes) -> None:
        predicted = np.array([part["predicted"] for part in bins])
        ends = [predicted.min(), predicted.max()]
        axes.plot(ends, ends, color=GREY, linestyle="--", linewidth=1)
        axes.fill_between(
            predicted, [part["low"] for part in bins], [part["high"] for part in bins], color=PALE
        )
        axes.plot(predicted, [part["actual"] for part in bins], color=INK, marker="o", markersize=4)
        axes.set_xlabel("predicted (mean of a bin)")
        axes.set_ylabel("actual (mean; 10 % to 90 %)")

    return svg(
        f"{key} predicted actual", draw, alt="Actual against predicted amounts, in bins of equal size."
    )


def scores(histogram: Mapping[str, Any], key: str) -> Markup:
    """Draw how an output is distributed."""

    def draw(axes: Axes) -> None:
        axes.stairs(histogram["shares"], histogram["edges"], fill=True, color=INK)
        axes.set_xlabel(short(histogram["output"]))
        axes.set_ylabel("share of rows")

    return svg(f"{key} scores", draw, alt=f"Histogram of the output {histogram['output']}.", height=2.4)


def importance(columns: Sequence[Mapping[str, Any]], score: str, key: str) -> Markup:
    """Draw by how much the score falls when a column is permuted."""
    shown = [column for column in columns if column["loss"] is not None][:_BARS][::-1]

    def draw(axes: Axes) -> None:
        places = range(len(shown))
        losses, spreads = [c["loss"] for c in shown], [c["spread"] for c in shown]
        axes.barh(places, losses, xerr=spreads, color=INK, error_kw={"ecolor": GREY})
        axes.set_yticks(places, [short(column["column"]) for column in shown])
        axes.set_xlabel(f"worsening of {score} when the column is permuted")

    height = 0.9 + 0.24 * max(len(shown), 3)
    return svg(
        f"{key} importance", draw, alt="Permutation importance; it stands in the table.", height=height
    )


def _unit_square(axes: Axes, across: str, up: str) -> None:
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlabel(across)
    axes.set_ylabel(up)


def _legend(axes: Axes, curves: Sequence[Any]) -> None:
    if len(curves) > 1:
        axes.legend(fontsize=8)

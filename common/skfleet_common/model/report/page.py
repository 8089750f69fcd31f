"""Page: a bundle's report, one HTML file that asks nobody for anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from skfleet_common.model.manifest import FeatureManifest, Target
from skfleet_common.model.report import plots
from skfleet_common.model.report.words import FIGURES, feature_row, number

#: By what must be in the figures, the plots to draw and what stands below them.
_PLOTS: tuple[tuple[str, str, Callable[[Mapping[str, Any], str], Markup]], ...] = (
    ("roc_curve", "ROC curve", plots.roc),
    ("precision_recall_curve", "Precision and recall", plots.precision_recall),
    ("calibration", "Calibration", plots.calibration),
    ("deciles", "Deciles", plots.deciles),
    ("predicted_vs_actual", "Predicted against actual", plots.predicted_against_actual),
    ("residual_histogram", "Residuals", plots.residuals),
)

_ENVIRONMENT = Environment(
    loader=PackageLoader("skfleet_common.model.report", "."),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters["number"] = number


def render_report(manifest: FeatureManifest, metrics: Mapping[str, Any], *, notes: Sequence[str]) -> bytes:
    """Give the page. The same bundle gives the same bytes."""
    by_target: Mapping[str, Any] = metrics.get("targets") or {manifest.target.column: metrics}
    page = _ENVIRONMENT.get_template("page.html.j2").render(
        manifest=manifest,
        metrics=metrics,
        notes=notes,
        sections=[
            _section(target, by_target.get(target.column, {}), key=f"target {place}")
            for place, target in enumerate(manifest.targets)
        ],
        scores=[
            {"output": histogram["output"], "plot": plots.scores(histogram, f"output {place}")}
            for place, histogram in enumerate(_histograms(manifest))
        ],
        importance=_importance(metrics.get("importance")),
        features=[feature_row(feature, rows=manifest.provenance.rows) for feature in manifest.features],
        search=metrics.get("search"),
    )
    return page.encode()


def _section(target: Target, figures: Mapping[str, Any], *, key: str) -> dict[str, Any]:
    return {
        "target": target,
        "figures": figures,
        "summary": [
            (label, figures[name]) for name, label in FIGURES.items() if isinstance(figures.get(name), float)
        ],
        "plots": [(title, draw(figures, key)) for name, title, draw in _PLOTS if figures.get(name)],
    }


def _importance(found: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if not found or not found["columns"]:
        return None
    return {**found, "plot": plots.importance(found["columns"], found["score"], "all")}


def _histograms(manifest: FeatureManifest) -> list[dict[str, Any]]:
    return [histogram.model_dump() for histogram in manifest.scores]

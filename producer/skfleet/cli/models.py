"""``skfleet models``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from skfleet.cli.fleet import open_fleet
from skfleet.cli.output import count, emit_json, emit_table, when


def models(
    name: Annotated[str | None, typer.Argument(help="Show this model's bundles.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """List the registered models, or the bundles of one."""
    registry = open_fleet().registry
    listed = [registry.resolve(name)[0]] if name else registry.models()
    described: list[dict[str, Any]] = []
    for model in listed:
        latest = registry.latest_digest(model)
        for digest in registry.digests(model) if name else [latest]:
            manifest = registry.manifest(model, digest)
            described.append(
                {
                    "name": model,
                    "digest": digest,
                    "latest": digest == latest,
                    "created_at": manifest.created_at,
                    "model": manifest.model,
                    "target": manifest.target.column,
                    "rows": manifest.provenance.rows,
                    "features": list(manifest.feature_columns),
                    "classes": None if manifest.target.classes is None else manifest.target.classes.values,
                    "outputs": [column.name for column in manifest.output_columns()],
                    "versions": manifest.versions,
                }
            )
    described.sort(key=lambda model: (model["name"], model["created_at"]), reverse=True)
    if as_json:
        emit_json("skfleet.models/1", {"models": described})
        return
    emit_table(
        ["model", "newest", "trained", "kind", "target", "rows", "features"],
        (
            (
                f"{model['name']}@{model['digest'][:12]}",
                "yes" if model["latest"] else "",
                when(model["created_at"]),
                model["model"],
                model["target"],
                count(model["rows"]),
                len(model["features"]),
            )
            for model in described
        ),
    )

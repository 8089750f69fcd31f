"""``skfleet models``: list what is registered, show a bundle and its report, sign one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from skfleet.cli.fleet import open_fleet
from skfleet.cli.output import count, emit_facts, emit_json, emit_table, when

#: Columns that ``show`` names by their importance; --json and the report have them all.
_MOST_IMPORTANT = 10


class _ModelsGroup(TyperGroup):
    """Takes ``models`` and ``models NAME`` for ``models list``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        asks_for_help = any(word in args for word in ctx.help_option_names)
        first = next((word for word in args if not word.startswith("-")), None)
        if first not in self.commands and not (asks_for_help and first is None):
            args = ["list", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_ModelsGroup,
    help="List the registered models, or show or sign a bundle; `models NAME` is `models list NAME`.",
    no_args_is_help=False,
)


@app.command("list")
def list_models(
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
                    "target": next(iter(manifest.target_columns), None),
                    "targets": list(manifest.target_columns),
                    "rows": manifest.provenance.rows,
                    "features": list(manifest.feature_columns),
                    "classes": None if manifest.target.classes is None else manifest.target.classes.values,
                    "outputs": [column.name for column in manifest.output_columns()],
                    "more_outputs": [column.name for column in manifest.more_outputs],
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
                ", ".join(model["targets"]),
                count(model["rows"]),
                len(model["features"]),
            )
            for model in described
        ),
    )


@app.command("show")
def show_model(
    name: Annotated[str, typer.Argument(help="NAME (its newest bundle) or NAME@<digest prefix>.")],
    html: Annotated[
        Path | None, typer.Option("--html", help="Write the bundle's report into this file.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print manifest and figures as one object.")
    ] = False,
) -> None:
    """Show what a bundle is, how well it does, and what matters to it."""
    from skfleet.model_card import read_card, write_report  # noqa: PLC0415  (scikit-learn: --help need not wait)

    registry = open_fleet().registry
    card = read_card(registry, name)
    if html is not None:
        write_report(registry, card, html)
    manifest = card.manifest
    if as_json:
        emit_json(
            "skfleet.model/1",
            {
                "name": card.name,
                "digest": card.digest,
                "signed_with": card.signed_with,
                "report": None if html is None else str(html),
                "metrics": card.metrics,
                "manifest": manifest.model_dump(mode="json"),
            },
        )
        return
    emit_facts(
        {
            "model": f"{card.name}@{card.digest[:12]}",
            "made": f"{when(manifest.created_at)} by {manifest.creator}",
            "kind": f"{manifest.model} ({manifest.target.learning}), takes {manifest.takes}",
            "target": ", ".join(manifest.target_columns) or None,
            "source": manifest.provenance.source or None,
            "where": manifest.provenance.where,
            "rows": count(manifest.provenance.rows),
            "features": ", ".join(manifest.feature_columns),
            "outputs": ", ".join(column.name for column in manifest.output_columns()),
            "if asked for": ", ".join(column.name for column in manifest.more_outputs) or None,
            "signed with": card.signed_with or "nothing",
            **card.figures(),
            "report": None if html is None else str(html),
        }
    )
    most = card.importance()[:_MOST_IMPORTANT]
    if most:
        typer.echo()
        emit_table(
            ["column", "worsening when permuted"], ((row["column"], f"{row['loss']:.4f}") for row in most)
        )
    for note in card.notes:
        typer.echo(f"Note: {note}")


@app.command("sign")
def sign_model(
    name: Annotated[str, typer.Argument(help="NAME (its newest bundle) or NAME@<digest prefix>.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Sign a bundle that is registered already with SKFLEET_SIGNING_KEY."""
    registry = open_fleet().registry
    model, digest = registry.resolve(name)
    signature = registry.sign(model, digest)
    facts = {
        "model": f"{model}@{digest[:12]}",
        "signed_with": signature.key,
        "algorithm": signature.algorithm,
    }
    if as_json:
        emit_json("skfleet.signed/1", {**facts, "name": model, "digest": digest})
        return
    emit_facts({"model": facts["model"], "signed with": signature.key, "algorithm": signature.algorithm})

"""``skfleet demo``: the main job on real data, from nothing, on one machine."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from skfleet.cli.output import count, duration, emit_facts, emit_json, stderr, stdout
from skfleet.progress import Terminal


def demo(
    workers: Annotated[int, typer.Option(min=1, help="Worker processes to start.")] = 2,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Start a local stack, train on nine months of real flights, and score all 336,776 of them."""
    from skfleet.demonstration import run_demo  # noqa: PLC0415  (imports scikit-learn)

    figures = run_demo(workers=workers, steps=Terminal(stderr))
    if as_json:
        emit_json("skfleet.demo/1", figures)
        return
    home = os.path.relpath(figures.state_dir)
    stdout.print()
    emit_facts(
        {
            "rows in": count(figures.rows_in),
            "rows out": count(figures.rows_out),
            "rejected": count(figures.rows_rejected),
            "chunks": count(figures.chunks),
            "rows/s": f"{count(round(figures.rows_per_second))} "
            f"({duration(figures.job_seconds)} from submission to published table)",
            "ROC AUC": f"{figures.roc_auc:.4f} on October-December, which the model has not seen",
            "took": duration(figures.seconds),
        }
    )
    stdout.print()
    emit_facts(
        {
            "scores": f"table {figures.output_table} at {figures.warehouse}",
            "model": f"s3://{figures.bucket}/{figures.model_key}",
            "chunk outputs": f"s3://{figures.bucket}/{figures.job_key}",
            "state and logs": home,
        }
    )
    stdout.print(
        "\nThe stack is still up. Try next:\n"
        f"{_activation()}"
        "  skfleet models flights-delay\n"
        f"  skfleet status {figures.job}\n"
        "  skfleet predict --model flights-delay --table public.flights --id-column id \\\n"
        "    --where \"carrier = 'UA'\" --output-table public.united_scores --dry-run\n"
        '  eval "$(skfleet local env)"    # then any boto3 script or skfleet-worker joins it\n'
        "  skfleet local down             # stops it; tables, models and jobs stay",
        markup=False,
    )


def _activation() -> str:
    """Give the line that puts ``skfleet`` on the PATH, if it is not."""
    bin_folder = Path(sys.executable).parent
    if shutil.which("skfleet") == str(bin_folder / "skfleet"):
        return ""
    return f"  . {os.path.relpath(bin_folder / 'activate')}\n"

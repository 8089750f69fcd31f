"""``skfleet local``: the stack on this machine, up and down."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from skfleet.cli.output import emit_facts, emit_json, stderr
from skfleet.local.stack import Stack, find_home
from skfleet.local.status import STATUS_SCHEMA, StackStatus
from skfleet.progress import Terminal
from skfleet.target import without_credentials
from skfleet_common.contracts.errors import EnvironmentFault
from skfleet_common.settings import Settings

#: Name and version of the variables in JSON.
ENVIRONMENT_SCHEMA = "skfleet.local-env/1"

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

app = typer.Typer(
    help="Run a whole fleet on this machine: an AWS emulator, PostgreSQL and workers, under .skfleet/.",
    no_args_is_help=True,
)


@app.command()
def up(
    *,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Worker processes; 0 for none.  [default: 2, or as they are in a running stack]",
            show_default=False,
        ),
    ] = None,
    foreground: Annotated[
        bool, typer.Option("--foreground", help="Stay until Ctrl-C, and stop everything then.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Start what does not run yet, and return when all is ready."""
    stack = _stack()
    status = stack.up(workers=workers, steps=Terminal(stderr))
    # Its notices were said while it came up.
    _show(status if as_json else status.model_copy(update={"notices": ()}), as_json=as_json)
    if foreground:
        stderr.print("Ctrl-C stops the stack.")
        stack.stay(steps=Terminal(stderr))


@app.command()
def status(*, as_json: AsJson = False) -> None:
    """Show what runs; exit code 4 if the stack is not up."""
    found = _stack().status()
    _show(found, as_json=as_json)
    if not found.running:
        raise typer.Exit(EnvironmentFault.exit_code)


@app.command()
def down(*, as_json: AsJson = False) -> None:
    """Drain the workers and stop everything. Tables, queues, objects and jobs stay for the next up."""
    stack = _stack()
    was_up = stack.status().has_parts
    notices = stack.down(steps=Terminal(stderr))
    found = stack.status()
    if as_json:
        emit_json(STATUS_SCHEMA, found.model_copy(update={"notices": tuple(notices)}))
    elif was_up:
        stderr.print(f"The stack is down; {found.state_dir} keeps its state.", markup=False, soft_wrap=True)
    else:
        stderr.print(f"No stack was up in {found.state_dir}.", markup=False, soft_wrap=True)


@app.command()
def env(*, as_json: AsJson = False) -> None:
    """Print the variables with which any process joins the stack; for eval "$(skfleet local env)"."""
    variables = _stack().environment()
    if as_json:
        emit_json(ENVIRONMENT_SCHEMA, {"variables": variables})
        return
    for name, value in variables.items():
        # Not through a console, which would wrap and colour what a shell is to read.
        typer.echo(f"export {name}={shlex.quote(value)}")


def _stack() -> Stack:
    settings = Settings.load()
    return Stack(find_home(settings), settings)


def _show(found: StackStatus, *, as_json: bool) -> None:
    if as_json:
        emit_json(STATUS_SCHEMA, found)
        return
    if not found.running:
        stderr.print(
            f"The local stack of {found.state_dir} is not up; start it with: skfleet local up",
            markup=False,
            soft_wrap=True,
        )
    emit_facts(
        {
            "state folder": found.state_dir,
            "fleet": found.fleet,
            "database": found.postgres_dsn and without_credentials(found.postgres_dsn),
            "AWS endpoint": found.aws_endpoint_url,
            "bucket": found.bucket,
        }
        | {
            it.worker: f"{it.state}, supervisor {it.supervisor_pid}, "
            f"scorers {', '.join(map(str, it.scorer_pids)) or 'none'}"
            for it in found.workers
        }
    )
    for notice in found.notices:
        stderr.print(notice, markup=False, soft_wrap=True)

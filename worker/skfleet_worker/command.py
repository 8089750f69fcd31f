"""The worker's command line: one sentence an error, and the exit code of its class."""

from __future__ import annotations

from typing import Annotated

import structlog
import typer

from skfleet_common.aws.session import connect_cloud
from skfleet_common.contracts.errors import SkfleetError
from skfleet_common.retry import cloud_calls
from skfleet_common.settings import Settings
from skfleet_common.telemetry import configure_logs
from skfleet_worker.folders import Scratch, cache_folder
from skfleet_worker.identity import worker_id
from skfleet_worker.loop import Supervisor

log = structlog.get_logger()

cli = typer.Typer(
    add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None
)


@cli.callback()
def _worker() -> None:
    """Work for a skfleet fleet."""


@cli.command()
def run(
    *, debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False
) -> None:
    """Score chunks until told to stop (SIGTERM or Ctrl-C drains; a second one stops at once)."""
    try:
        _run()
    except SkfleetError as exc:
        if debug:
            raise
        typer.echo(f"skfleet-worker: {exc}", err=True)
        raise typer.Exit(exc.exit_code) from exc


def _run() -> None:
    settings = Settings.load()
    configure_logs(settings.log_level)
    for attempt in cloud_calls():
        with attempt:
            cloud = connect_cloud(settings)
    worker = worker_id()
    with Scratch(cache_folder(settings), worker).held():
        log.info("worker.started", worker=worker, fleet=settings.fleet)
        Supervisor(settings, cloud, worker=worker).run()
        log.info("worker.drained", worker=worker)


def app() -> None:
    """Run the command."""
    cli(prog_name="skfleet-worker")

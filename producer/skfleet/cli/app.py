"""The command's entry: its sub-commands, and how errors become one sentence and an exit code."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from skfleet.cli import demo, jobs, local, models, predict, train
from skfleet.cli.output import emit_json, stderr
from skfleet_common.contracts.errors import SkfleetError

INTERRUPTED = 130

app = typer.Typer(
    name="skfleet",
    help="Score tables of any size with scikit-learn models on a fleet of queue workers.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(demo.demo)
app.add_typer(local.app, name="local")
app.command()(train.train)
app.command()(models.models)
app.command()(predict.predict)
app.command()(jobs.jobs)
app.command()(jobs.status)
app.command()(jobs.wait)


def _version(asked: bool) -> None:
    if asked:
        from skfleet import __version__  # noqa: PLC0415  (avoids an import cycle)

        typer.echo(f"skfleet {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    _version_asked: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    _debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False,
) -> None:
    """Score tables of any size with scikit-learn models on a fleet of queue workers."""


def main() -> None:
    """Run the command line; exits 0, 1, 2, 3, 4, 124 or 130 as documented in docs/reference.md."""
    # OpenMP threads that spin while they wait make training five times slower on a busy machine (measured
    # with gradient boosting at twice as many busy processes as cores); read once, when scikit-learn loads.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    arguments = [word for word in sys.argv[1:] if word != "--debug"]
    debug = len(arguments) < len(sys.argv) - 1
    try:
        code = app(args=arguments, standalone_mode=False)
    except typer.TyperException as exc:
        stderr.print(
            f"skfleet: {exc.format_message()} See: skfleet {_command(arguments)}--help", markup=False
        )
        code = exc.exit_code
    except (KeyboardInterrupt, typer.Abort):
        stderr.print("Interrupted.")
        code = INTERRUPTED
    except SkfleetError as exc:
        if debug:
            raise
        _report(exc, as_json="--json" in arguments)
        code = exc.exit_code
    except Exception as exc:
        if debug:
            raise
        stderr.print(
            f"skfleet: an unexpected {type(exc).__name__} ended the command; "
            "run it again with --debug for the traceback, and report it.",
            markup=False,
        )
        code = 1
    sys.exit(code if isinstance(code, int) else 0)


def _command(arguments: list[str]) -> str:
    """Give the sub-command that was asked for, with a space behind it, or nothing."""
    return f"{arguments[0]} " if arguments and not arguments[0].startswith("-") else ""


def _report(error: SkfleetError, *, as_json: bool) -> None:
    stderr.print(f"skfleet: {error}", markup=False, soft_wrap=True)
    if as_json:
        emit_json("skfleet.error/1", {"error": str(error), "exit_code": error.exit_code})

"""The command's entry: its sub-commands, and how errors become one sentence and an exit code."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from skfleet.cli import demo, jobs, local, models, operations, predict, register, train
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
app.command()(register.register)
app.add_typer(models.app, name="models")
app.command()(predict.predict)
app.command()(jobs.jobs)
app.command()(jobs.status)
app.command()(jobs.wait)
app.command()(jobs.rejects)
app.command()(operations.cancel)
app.command()(operations.retry)
app.command()(operations.resume)
app.command()(operations.redrive)
app.command()(operations.gc)


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
    as_json = "--json" in arguments
    debug = len(arguments) < len(sys.argv) - 1
    try:
        code = app(args=arguments, standalone_mode=False)
    except typer.TyperException as exc:
        sentence = f"{exc.format_message()} See: skfleet {_command(arguments)}--help"
        code = _report(sentence, exit_code=exc.exit_code, as_json=as_json)
    except (KeyboardInterrupt, typer.Abort):
        stderr.print("Interrupted.")
        code = INTERRUPTED
    except SkfleetError as exc:
        if debug:
            raise
        code = _report(str(exc), exit_code=exc.exit_code, as_json=as_json)
    except Exception as exc:
        if debug:
            raise
        sentence = (
            f"an unexpected {type(exc).__name__} ended the command; "
            "run it again with --debug for the traceback, and report it."
        )
        code = _report(sentence, exit_code=1, as_json=as_json)
    sys.exit(code if isinstance(code, int) else 0)


def _command(arguments: list[str]) -> str:
    """Give the sub-command that was asked for, with a space behind it, or nothing."""
    known = {
        command.name or command.callback.__name__ for command in app.registered_commands if command.callback
    }
    return f"{arguments[0]} " if arguments and arguments[0] in known else ""


def _report(sentence: str, *, exit_code: int, as_json: bool) -> int:
    """Print an error as one line on stderr, and as an object on stdout for machines; give its exit code."""
    stderr.print(f"skfleet: {sentence}", markup=False)
    if as_json:
        emit_json("skfleet.error/1", {"error": sentence, "exit_code": exit_code})
    return exit_code

"""Running ``skfleet`` many times: each command is a process of its own, forked from one that has all imports.

Importing pandas and scikit-learn takes longer than most commands; a test run starts hundreds of them. What a
user starts, with its imports, is run by the tests of the README and of the local stack.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
from multiprocessing.context import ForkServerProcess
from multiprocessing.synchronize import Barrier
from pathlib import Path

PRELOAD = ["tests.e2e.command", "skfleet.cli", "skfleet.api", "skfleet.demonstration"]

_forked = multiprocessing.get_context("forkserver")
_forked.set_forkserver_preload(PRELOAD)


def run_forked(
    words: list[str], *, cwd: Path, environment: dict[str, str], timeout: float
) -> tuple[int, str, str]:
    """Run a command and give its exit code, stdout and stderr."""
    (answer,) = run_together([words], cwd=cwd, environment=environment, timeout=timeout)
    return answer


def run_together(
    commands: list[list[str]], *, cwd: Path, environment: dict[str, str], timeout: float
) -> list[tuple[int, str, str]]:
    """Run commands that begin at the same moment, and give what :func:`run_forked` gives of each."""
    gate = _forked.Barrier(len(commands))
    with tempfile.TemporaryDirectory(prefix="skfleet-command-") as folder:
        started = []
        for number, words in enumerate(commands):
            out, err = Path(folder) / f"{number}.out", Path(folder) / f"{number}.err"
            process = _forked.Process(
                target=_become,
                args=(gate,),
                kwargs={
                    "words": words,
                    "cwd": str(cwd),
                    "environment": environment,
                    "out": str(out),
                    "err": str(err),
                },
            )
            process.start()
            started.append((process, words, out, err))
        try:
            return [
                (_wait(process, words, timeout), out.read_text("utf-8"), err.read_text("utf-8"))
                for process, words, out, err in started
            ]
        finally:
            for process, *_ in started:
                process.kill()
                process.join()
                process.close()


def _wait(process: ForkServerProcess, words: list[str], timeout: float) -> int:
    process.join(timeout)
    if process.exitcode is None:
        raise TimeoutError(f"skfleet {' '.join(words)} took more than {timeout:g} seconds")
    return process.exitcode


def _become(
    gate: Barrier, *, words: list[str], cwd: str, environment: dict[str, str], out: str, err: str
) -> None:
    """Be the command: its folder, environment, arguments, input and output, in a session of its own."""
    from skfleet.cli import main  # noqa: PLC0415  (the tests' own process needs no command line)

    os.setsid()
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    for number, path, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, out, os.O_WRONLY | os.O_CREAT),
        (2, err, os.O_WRONLY | os.O_CREAT),
    ):
        opened = os.open(path, flags, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    sys.argv = ["skfleet", *words]
    gate.wait()
    main()

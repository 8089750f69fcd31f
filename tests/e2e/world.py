"""The whole of skfleet on a local stack of the tests' own, driven by its command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg2

from skfleet.api import Fleet
from skfleet.local.stack import Stack
from tests.e2e.command import run_forked

SKFLEET = [sys.executable, "-m", "skfleet"]


@dataclass(frozen=True)
class Answer:
    """What a command printed and returned."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """Stdout as the one JSON object that it must be."""
        return json.loads(self.out)

    @property
    def sentence(self) -> str:
        """The error's line on stderr."""
        return next(line for line in self.err.splitlines() if line.startswith("skfleet: "))


def clean_environment() -> dict[str, str]:
    """The environment without anything that could lead to another fleet."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("SKFLEET_", "AWS_"))}


def run_skfleet(
    words: list[str], *, cwd: Path, timeout: float = 240, environment: dict[str, str] | None = None
) -> Answer:
    """Run a command in a folder, in a clean environment."""
    done = subprocess.run(
        [*SKFLEET, *words],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        env=clean_environment() | (environment or {}),
    )
    return Answer(done.returncode, done.stdout, done.stderr)


@dataclass(frozen=True, eq=False)
class World:
    """A running stack, with the command line and the database at hand."""

    home: Path
    fleet: Fleet
    dsn: str

    @property
    def environment(self) -> dict[str, str]:
        """What leads a command to this stack."""
        return {"SKFLEET_HOME": str(self.home)}

    def scale(self, workers: int) -> None:
        """Run that many workers."""
        Stack(self.home).up(workers=workers, durable=False)

    def cli(self, *words: str, timeout: float = 240, **environment: str) -> Answer:
        """Run a command against this stack."""
        given = clean_environment() | self.environment | environment
        return Answer(*run_forked(list(words), cwd=self.home.parent, environment=given, timeout=timeout))

    def sql(self, text: str) -> list[tuple[Any, ...]]:
        """Run a statement as the warehouse's user and give its rows."""
        connection = psycopg2.connect(self.dsn)
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(text)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def frame(self, text: str) -> pd.DataFrame:
        """Read a query as a data scientist would: plain psycopg2 rows in a DataFrame."""
        connection = psycopg2.connect(self.dsn)
        try:
            with connection.cursor() as cursor:
                cursor.execute(text)
                names = [part.name for part in cursor.description or ()]
                return pd.DataFrame(cursor.fetchall(), columns=names)
        finally:
            connection.close()

    def queue_is_empty(self) -> bool:
        """Whether no message is left, visible or in flight."""
        return self.fleet.cloud.queue.approximate_depth().total == 0

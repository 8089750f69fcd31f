"""The wire: what lies between the fleet and its cloud, where faults are put by rules over HTTP.

::

    workers, producer ─▶ courier ─▶ microburst ─▶ the emulator
    the suite's own looks ─────────────────────────▲
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from skfleet.local.ports import LOOPBACK, free_port

START_SECONDS = 30.0


class Wire:
    """Two proxies in a row. Without rules they change nothing."""

    def __init__(self, upstream: str, *, environment: Mapping[str, str], folder: Path) -> None:
        self._upstream = upstream
        self._environment = environment
        self._folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []
        self._microburst_port = free_port()
        self._courier_port = free_port(taken=[self._microburst_port])

    @property
    def url(self) -> str:
        """The endpoint that the fleet is told."""
        return f"http://{LOOPBACK}:{self._courier_port}"

    @property
    def pids(self) -> list[int]:
        """Both processes."""
        return [process.pid for process in self._processes]

    def start(self) -> None:
        """Start both and wait until they answer."""
        microburst, courier = str(self._microburst_port), str(self._courier_port)
        self._run("microburst", "-m", "microburst", "--upstream", self._upstream, "--port", microburst)
        behind = f"http://{LOOPBACK}:{microburst}"
        self._run("courier", "-m", "tests.chaos.courier", "--upstream", behind, "--port", courier)
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self._ask(self._microburst_port, "GET", "/_microburst/health")
                self._ask(self._courier_port, "GET", "/_courier/rules")
            except OSError:
                assert time.monotonic() < deadline, f"no proxy answers; see the logs in {self._folder}"
                time.sleep(0.05)
            else:
                return

    def stop(self) -> None:
        """End both."""
        for process in self._processes:
            process.kill()
            process.wait()

    def add_errors(self, *rules: dict[str, Any]) -> None:
        """Add rules of microburst's."""
        self._ask(self._microburst_port, "PATCH", "/_microburst/rules", list(rules))

    def errors_fired(self, service: str) -> int:
        """Give how many calls of a service microburst has failed since :meth:`clear`."""
        path = f"/_microburst/fired?limit=2000&service={service}"
        return len(self._ask(self._microburst_port, "GET", path))

    def add(self, kind: str, service: str, *operations: str, **more: Any) -> int:
        """Add a rule of the courier's and give its number."""
        rule = {"kind": kind, "service": service, "operations": list(operations), **more}
        number: int = self._ask(self._courier_port, "POST", "/_courier/rules", rule)["id"]
        return number

    def rule(self, number: int) -> dict[str, Any]:
        """Give how a rule of the courier's stands; its counts are 0 once it is cleared."""
        rules: list[dict[str, Any]] = self._ask(self._courier_port, "GET", "/_courier/rules")
        return next(
            (rule for rule in rules if rule["id"] == number),
            {"taken": 0, "met": 0, "waiting": 0, "client_port": 0},
        )

    def let(self, number: int, verdict: str) -> None:
        """Decide what becomes of the calls that a rule holds, now and from now on."""
        self._ask(self._courier_port, "POST", f"/_courier/rules/{number}/let", {"verdict": verdict})

    def clear(self) -> None:
        """Remove all rules; calls that wait go on."""
        self._ask(self._courier_port, "DELETE", "/_courier/rules")
        self._ask(self._microburst_port, "DELETE", "/_microburst/rules", [])
        self._ask(self._microburst_port, "DELETE", "/_microburst/fired")

    def _run(self, name: str, *words: str) -> None:
        with (self._folder / f"{name}.log").open("ab") as log:
            self._processes.append(
                subprocess.Popen(
                    [sys.executable, *words],
                    env=dict(self._environment),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            )

    def _ask(self, port: int, method: str, path: str, body: object = None) -> Any:
        connection = http.client.HTTPConnection(LOOPBACK, port, timeout=10)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        assert answer.status < http.HTTPStatus.BAD_REQUEST, f"{method} {path}: {text.decode()}"
        return json.loads(text)

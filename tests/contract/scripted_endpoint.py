"""An HTTP endpoint of scripted answers, for what an emulator does not do: leave entries over, cut bodies."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Answer:
    """One answer; ``promised`` bytes are announced, and the connection ends after ``body``."""

    body: bytes
    status: int = 200
    promised: int | None = None
    #: The server's clock, as the Date header writes it; None is this host's.
    date: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_json(cls, value: object, *, status: int = 200) -> Answer:
        return cls(json.dumps(value).encode(), status)


@dataclass
class ScriptedEndpoint:
    """Where it listens, and what it got: JSON requests, and the bodies of others."""

    url: str = ""
    requests: list[Any] = field(default_factory=list)
    bodies: list[str] = field(default_factory=list)


@contextmanager
def scripted_endpoint(answers: Sequence[Answer]) -> Iterator[ScriptedEndpoint]:
    """Give each request the next answer, and keep what JSON requests said."""
    endpoint = ScriptedEndpoint()
    left = list(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer()

        def do_HEAD(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            if body.startswith("{"):
                endpoint.requests.append(json.loads(body))
            else:
                endpoint.bodies.append(body)
            self._answer()

        def _answer(self) -> None:
            answer = left.pop(0)
            self.send_response_only(answer.status)
            self.send_header("Date", answer.date or self.date_time_string())
            self.send_header(
                "Content-Length", str(len(answer.body) if answer.promised is None else answer.promised)
            )
            self.send_header("ETag", '"1"')
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    endpoint.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield endpoint
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

"""EC2's instance metadata, played over a real socket: version 2, so every question needs a token."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SPOT = "/latest/meta-data/spot/instance-action"
REBALANCE = "/latest/meta-data/events/recommendations/rebalance"
#: By the service's own clock, which is not this host's.
DATE = "Wed, 01 Jan 2020 00:00:00 GMT"


@dataclass
class Instance:
    """What stands at which path, and what was asked; the tokens that are good."""

    url: str = ""
    bodies: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)

    def take_away(self, time: str = "2020-01-01T00:01:30Z") -> None:
        self.bodies[SPOT] = json.dumps({"action": "terminate", "time": time})

    def recommend_rebalance(self) -> None:
        self.bodies[REBALANCE] = json.dumps({"noticeTime": "2020-01-01T00:00:00Z"})


@contextmanager
def played_instance() -> Iterator[Instance]:
    """Serve until the context is left."""
    instance = Instance()

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            instance.asked.append(f"PUT {self.path}")
            if self.path != "/latest/api/token" or not self.headers["X-aws-ec2-metadata-token-ttl-seconds"]:
                self._answer(400, "")
                return
            instance.tokens.append(f"token-{len(instance.asked)}")
            self._answer(200, instance.tokens[-1])

        def do_GET(self) -> None:
            instance.asked.append(f"GET {self.path}")
            if self.headers["X-aws-ec2-metadata-token"] not in instance.tokens:
                self._answer(401, "")
            elif self.path in instance.bodies:
                self._answer(200, instance.bodies[self.path])
            else:
                self._answer(404, "<html>Not Found</html>")

        def _answer(self, status: int, body: str) -> None:
            self.send_response_only(status)
            self.send_header("Date", DATE)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    instance.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield instance
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

"""A proxy before the emulator that counts what is asked of each service."""

from __future__ import annotations

import http.client
import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

#: What a worker does because time passes, not because there are chunks.
HEARTBEATS = ("SQS heartbeat", "DynamoDB presence")
#: SQS bills each 64 KB of a request as one (SQS pricing page).
BILLED_BYTES = 64 * 1024


@dataclass
class CountingProxy:
    """Where it listens, and how often each operation of SQS and DynamoDB was called."""

    url: str
    calls: Counter[str] = field(default_factory=Counter)
    #: Requests as they are billed, and items written; heartbeats have names of their own.
    requests: Counter[str] = field(default_factory=Counter)
    writes: Counter[str] = field(default_factory=Counter)

    def note(self, target: str, body: bytes) -> None:
        """Count a request by what it asks for."""
        service, operation = target.removeprefix("Amazon").split(".")
        self.calls[operation] += 1
        asked = json.loads(body or b"{}")
        if service == "SQS":
            name = (
                "heartbeat"
                if asked.get("VisibilityTimeout", 0) > 0 and "ReceiptHandle" in asked
                else operation
            )
            self.requests[f"SQS {name}"] += -(-len(body) // BILLED_BYTES) or 1
        elif written := _written(operation, asked):
            for key in written:
                name = "presence" if key.startswith("worker#") else operation
                self.writes[f"DynamoDB {name}"] += 1


def _written(operation: str, asked: dict[str, Any]) -> list[str]:
    """Give the partition keys of the items that a DynamoDB request writes."""
    if operation == "TransactWriteItems":
        parts = [part for entry in asked["TransactItems"] for part in entry.values()]
    elif operation == "BatchWriteItem":
        entries = [entry for table in asked["RequestItems"].values() for entry in table]
        parts = [part for entry in entries for part in entry.values()]
    elif operation in {"PutItem", "UpdateItem", "DeleteItem"}:
        parts = [asked]
    else:
        parts = []
    return [(part.get("Item") or part["Key"])["pk"]["S"] for part in parts]


@contextmanager
def counting_proxy(upstream: str) -> Iterator[CountingProxy]:
    """Pass every request on to ``upstream``, one connection a request."""
    target = urlsplit(upstream).netloc

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if operation := self.headers.get("X-Amz-Target"):
                proxy.note(operation, body)
            with closing(http.client.HTTPConnection(target, timeout=60)) as connection:
                connection.request(self.command, self.path, body, dict(self.headers))
                answer = connection.getresponse()
                content = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in {
                    "content-length",
                    "transfer-encoding",
                    "connection",
                    "date",
                    "server",
                }:
                    self.send_header(name, value)
            length = answer.getheader("Content-Length") if self.command == "HEAD" else None
            self.send_header("Content-Length", length or str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            pass

    for verb in ("GET", "POST", "PUT", "HEAD", "DELETE"):
        setattr(Handler, f"do_{verb}", Handler._pass_on)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    # A client that was killed hears its answer no more.
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    proxy = CountingProxy(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

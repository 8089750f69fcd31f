"""An S3 that holds one CSV file of any size, makes up its bytes when they are asked for, and counts them."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HEADER = b"id,miles,carrier\n"
ROW_BYTES = 64
ETAG = '"5f5f"'


def row(number: int) -> bytes:
    """Give a row of the file; all are of one size."""
    start = b'%d,%d.25,"' % (number, 100 + number % 977)
    return start + b"UA".ljust(ROW_BYTES - len(start) - 2) + b'"\n'


@dataclass
class SparseStore:
    """Where it listens, how large its file is, and what it gave."""

    rows: int
    header: bytes = HEADER
    #: Gives a row by its number; all are of one size.
    row: Callable[[int], bytes] = row
    row_bytes: int = ROW_BYTES
    url: str = ""
    etag: str = ETAG
    sent_bytes: int = 0
    requests: list[str] = field(default_factory=list)

    @property
    def size_bytes(self) -> int:
        return len(self.header) + self.rows * self.row_bytes

    def content(self, first: int, stop: int) -> bytes:
        """Give the bytes ``[first, stop)`` of the file."""
        header = len(self.header)
        begin = max(0, (first - header) // self.row_bytes)
        end = (stop - header) // self.row_bytes + 1
        rows = b"".join(self.row(number) for number in range(begin, max(begin, end)))
        start = header + begin * self.row_bytes if begin else 0
        whole = rows if begin else self.header + rows
        return whole[first - start : stop - start]


@contextmanager
def sparse_store(
    rows: int,
    *,
    header: bytes = HEADER,
    row: Callable[[int], bytes] = row,
    row_bytes: int = ROW_BYTES,
) -> Iterator[SparseStore]:
    """Serve the file under every key."""
    store = SparseStore(rows, header, row, row_bytes)
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            with lock:
                store.requests.append(f"HEAD {self.path}")
            self._head(200, store.size_bytes)

        def do_GET(self) -> None:
            asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
            with lock:
                store.requests.append(f"GET {self.path} {self.headers.get('Range')}")
            if asked is None or self.headers.get("If-Match") != store.etag:
                self._head(412, 0)
                return
            first, stop = int(asked[1]), min(int(asked[2]) + 1, store.size_bytes)
            self._head(206, stop - first)
            for begin in range(first, stop, 1 << 20):
                block = store.content(begin, min(begin + (1 << 20), stop))
                self.wfile.write(block)
                with lock:
                    store.sent_bytes += len(block)

        def _head(self, status: int, size: int) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(size))
            self.send_header("ETag", store.etag)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    store.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield store
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

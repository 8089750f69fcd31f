"""An S3 that gives the files of a folder, in ranges, and holds none of them in memory."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_BLOCK_BYTES = 1024 * 1024


@contextmanager
def disk_store(folder: Path) -> Iterator[str]:
    """Serve the files under every bucket, by the last part of their keys; gives the endpoint."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._head(200, self._file.stat().st_size)

        def do_GET(self) -> None:
            asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
            assert asked is not None
            first, stop = int(asked[1]), min(int(asked[2]) + 1, self._file.stat().st_size)
            self._head(206, stop - first)
            with self._file.open("rb") as file:
                file.seek(first)
                for begin in range(first, stop, _BLOCK_BYTES):
                    self.wfile.write(file.read(min(_BLOCK_BYTES, stop - begin)))

        @property
        def _file(self) -> Path:
            return folder / self.path.rpartition("/")[2]

        def _head(self, status: int, size: int) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(size))
            self.send_header("ETag", '"5f5f"')
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

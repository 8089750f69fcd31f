"""The backend's answers on their way to the client."""

from __future__ import annotations

import select
from collections.abc import Callable
from dataclasses import dataclass

from tests.redshift.wire import Gone, Stream, as_of_8_0, texts

#: What ends the answer to one message of the extended protocol.
_ENDS = b"123CIsnT"
#: Parameters that are reported when they change.
_REPORTED = {"client_encoding", "DateStyle"}


@dataclass(frozen=True)
class Answers:
    """Frames from a backend to a client; ``cancel`` ends what the backend does."""

    backend: Stream
    client: Stream
    cancel: Callable[[], None]

    def pass_on(self, *, expected: int, silent: bool, ready: bool) -> tuple[bool, bytes]:
        """Pass answers on until the backend is ready, or has given as many as ``expected``.

        Tells if none was an error, and the transaction's status if the backend is ready; the client is told
        nothing if ``silent``, and not that the backend is ready unless ``ready``.
        """
        succeeded = True
        while True:
            if not self.backend.has_frame:
                self.client.flush()
                self._wait()
            frame = self.backend.frame()
            if frame.kind == b"Z":
                if ready and not silent:
                    self.client.hold(frame.encoded())
                self.client.flush()
                return succeeded, frame.body
            if frame.kind in {b"E", b"N"}:
                succeeded &= frame.kind != b"E"
                frame = as_of_8_0(frame)
            is_told = frame.kind != b"S" or texts(frame.body)[0] in _REPORTED
            if is_told and not silent:
                self.client.hold(frame.encoded())
            expected -= frame.kind in _ENDS
            if (expected == 0 and frame.kind in _ENDS) or (expected > 0 and frame.kind == b"E"):
                self.client.flush()
                return succeeded, b""

    def _wait(self) -> None:
        """Wait for the backend, and for the client to go: what a client left behind is cancelled."""
        watched = [self.backend.raw, self.client.raw]
        while True:
            readable, _, _ = select.select(watched, [], [])
            if self.backend.raw in readable:
                return
            if self.client.is_gone:
                self.cancel()
                raise Gone
            watched = [self.backend.raw]

"""Frames of the PostgreSQL protocol (version 3)."""

from __future__ import annotations

import socket
import ssl
import struct
from contextlib import suppress
from dataclasses import dataclass

from tests.redshift.refusal import Refusal

SSL_REQUEST = 80_877_103
GSS_REQUEST = 80_877_104
CANCEL_REQUEST = 80_877_102

#: Fields of an error that a server of version 8.0 sends.
_FIELDS_OF_8_0 = b"SCMDHPFLR"


class Gone(Exception):
    """The other side closed the connection."""


@dataclass(frozen=True)
class Frame:
    """One message; ``kind`` is its single letter, empty for a startup packet."""

    kind: bytes
    body: bytes

    def encoded(self) -> bytes:
        return self.kind + struct.pack("!I", len(self.body) + 4) + self.body


class Stream:
    """A socket's frames, in and out, with buffers on both ways."""

    def __init__(self, raw: socket.socket) -> None:
        self.raw = raw
        self._read = bytearray()
        self._held = bytearray()

    @property
    def is_encrypted(self) -> bool:
        return isinstance(self.raw, ssl.SSLSocket)

    @property
    def is_gone(self) -> bool:
        """Whether the other side has closed, asked without taking what it may have sent."""
        try:
            return socket.socket.recv(self.raw, 1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    @property
    def has_frame(self) -> bool:
        return len(self._read) >= 5 and len(self._read) > struct.unpack_from("!I", self._read, 1)[0]

    def encrypt(self, context: ssl.SSLContext | None) -> None:
        """Go on under TLS."""
        assert context is not None
        self.raw = context.wrap_socket(self.raw, server_side=True)

    def frame(self, *, typed: bool = True) -> Frame:
        """Read one message; startup packets have no type."""
        head = 5 if typed else 4
        self._need(head)
        (length,) = struct.unpack_from("!I", self._read, head - 4)
        size = head - 4 + length
        self._need(size)
        found = Frame(bytes(self._read[: head - 4]), bytes(self._read[head:size]))
        del self._read[:size]
        return found

    def _need(self, size: int) -> None:
        while len(self._read) < size:
            try:
                part = self.raw.recv(1 << 16)
            except OSError as exc:
                raise Gone from exc
            if not part:
                raise Gone
            self._read += part

    def hold(self, data: bytes) -> None:
        """Send later, with what comes next."""
        self._held += data
        if len(self._held) > 1 << 17:
            self.flush()

    def send(self, data: bytes) -> None:
        """Send what was held, and this."""
        self._held += data
        self.flush()

    def flush(self) -> None:
        """Send what was held."""
        if self._held:
            try:
                self.raw.sendall(self._held)
            except OSError as exc:
                raise Gone from exc
            self._held.clear()

    def close(self) -> None:
        """Close, for this side and the other."""
        with suppress(OSError):
            self.raw.shutdown(socket.SHUT_RDWR)
        self.raw.close()


def texts(body: bytes) -> list[str]:
    """Give the zero-terminated strings of a body."""
    return [part.decode() for part in body.split(b"\0")[:-1]]


def text_frame(kind: bytes, *values: str) -> Frame:
    """Give a message of zero-terminated strings."""
    return Frame(kind, b"".join(value.encode() + b"\0" for value in values))


def fields_of(body: bytes) -> dict[str, str]:
    """Give the fields of an error or notice."""
    return {part[:1].decode(): part[1:].decode() for part in body.split(b"\0") if part}


def error_frame(refusal: Refusal, *, severity: str = "ERROR") -> Frame:
    """Give the error response that says a refusal."""
    fields = {
        "S": severity, "C": refusal.sqlstate, "M": refusal.message, "D": refusal.detail, "H": refusal.hint,
    }  # fmt: skip
    body = b"".join(key.encode() + text.encode() + b"\0" for key, text in fields.items() if text)
    return Frame(b"E", body + b"\0")


def notice_frame(severity: str, message: str) -> Frame:
    """Give a notice."""
    return Frame(b"N", f"S{severity}\0C00000\0M{message}\0\0".encode())


def as_of_8_0(frame: Frame) -> Frame:
    """Take from an error what only later servers say, such as the constraint's name; 40001 is XX000 there."""
    fields = fields_of(frame.body)
    if fields.get("C") == "40001":
        fields |= {"C": "XX000", "M": "1023", "D": "Serializable isolation violation on table in Redshift"}
    kept = b"".join(
        key.encode() + text.encode() + b"\0" for key, text in fields.items() if key.encode() in _FIELDS_OF_8_0
    )
    return Frame(frame.kind, kept + b"\0")

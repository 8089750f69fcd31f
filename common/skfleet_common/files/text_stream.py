"""Text streams: bytes as UTF-8, decompressed, each of them checked on the way."""

from __future__ import annotations

import codecs
import io
from typing import Any, Protocol

import pyarrow as pa

from skfleet_common.contracts.errors import Refused, UsageError

_BLOCK_BYTES = 1024 * 1024

#: By their first bytes, whatever the file is called.
_COMPRESSED = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bz2",
    b"\x04\x22\x4d\x18": "lz4",
}
_NO_TEXT = {
    b"PAR1": "a Parquet file; read it with --parquet",
    b"PK\x03\x04": "a zip archive or an Excel workbook; unpack it, or save it as CSV",
    b"\xfd7zXZ": "compressed with xz; decompress it, or use gzip or zstd",
    b"\xd0\xcf\x11\xe0": "an Excel workbook; save it as CSV",
    b"%PDF": "a PDF; save its table as CSV",
}
_LONGEST_MAGIC = 8

#: UTF-32's mark begins with UTF-16's.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

_USUAL = "utf-8, cp1252, latin-1 or utf-16"


def check_encoding(name: str) -> str:
    """Give Python's own name of a text encoding.

    Raises:
        UsageError: there is none of that name.
    """
    try:
        found = codecs.lookup(name)
    except (LookupError, ValueError) as exc:
        raise UsageError(f"There is no encoding {name!r}; use {_USUAL}.") from exc
    if not found._is_text_encoding:  # the standard library's own test
        raise UsageError(f"{name!r} encodes no text; use {_USUAL}.")
    return found.name


class Raw(Protocol):
    """Bytes as they are stored."""

    def read(self, size: int = -1, /) -> bytes:
        """Give the next bytes, at most ``size``; none at the end."""

    def close(self) -> None:
        """Close it."""


class _Unread(io.RawIOBase):
    """Bytes, the first of which have been looked at."""

    def __init__(self, start: bytes, raw: Raw) -> None:
        super().__init__()
        self._start = start
        self._raw = raw

    def readable(self) -> bool:
        """It is there to be read."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Give the next bytes."""
        start, self._start = (self._start, b"") if size < 0 else (self._start[:size], self._start[size:])
        return start + self._raw.read(size - len(start) if size >= 0 else size)


class TextStream(io.RawIOBase):
    """Text in UTF-8 without a byte-order mark; what is no text in the encoding is refused.

    Args:
        raw: The bytes as they are stored, from their first one on unless ``is_start`` is false.
        label: What sentences call them.
        encoding: What they are written in; by default what a byte-order mark says, or UTF-8.
        is_start: Whether a file begins with them, and so perhaps a compression or a mark.
    """

    def __init__(self, raw: Raw, *, label: str, encoding: str | None = None, is_start: bool = True) -> None:
        super().__init__()
        self._label = label
        self._raw = raw
        start = _first_bytes(raw) if is_start else b""
        self._source: Raw = self._decompressed(start)
        head = self._read_source(_BLOCK_BYTES)
        # The mark is inside the compression.
        marked = next((name for mark, name in _MARKS if is_start and head.startswith(mark)), None)
        self._given = encoding is not None
        self.encoding = encoding or marked or "utf-8"
        self._as_it_is = self.encoding == "utf-8"
        self._decoder = codecs.getincrementaldecoder(self.encoding)()
        self._ready = bytearray()
        self._decoded_bytes = 0
        self.line = 1
        self._ended = False
        if is_start and self._as_it_is:
            head = head.removeprefix(codecs.BOM_UTF8)
        self._take(head, first=True, is_start=is_start)

    @property
    def decoded_bytes(self) -> int:
        """Bytes decompressed so far."""
        return self._decoded_bytes

    def peek(self, size: int = 0) -> bytes:
        """Give what was decoded and not asked for, at least ``size`` bytes where there are so many."""
        self._fill(size)
        return bytes(self._ready)

    def readable(self) -> bool:
        """It is there to be read."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Give the next ``size`` bytes of UTF-8, fewer only at the end."""
        self._fill(size)
        wanted = len(self._ready) if size < 0 else size
        block = bytes(self._ready[:wanted])
        del self._ready[:wanted]
        return block

    def readinto(self, buffer: Any) -> int:
        """Fill ``buffer``; the standard library's text layer asks so."""
        block = self.read(len(buffer))
        buffer[: len(block)] = block
        return len(block)

    def close(self) -> None:
        """Close the bytes."""
        self._raw.close()
        super().close()

    def _fill(self, size: int) -> None:
        while not self._ended and (size < 0 or len(self._ready) < size):
            self._take(self._read_source(_BLOCK_BYTES))

    def _decompressed(self, start: bytes) -> Raw:
        whole = _Unread(start, self._raw)
        for magic, problem in _NO_TEXT.items():
            if start.startswith(magic):
                raise Refused(f"{self._label} is {problem}.")
        if codec := compression_of(start):
            opened: Raw = pa.CompressedInputStream(pa.PythonFile(whole, mode="r"), codec)
            return opened
        return whole

    def _read_source(self, size: int) -> bytes:
        try:
            block = self._source.read(size)
        except OSError as exc:  # Arrow's own, of damaged compression
            what = "ends too early" if "Truncated" in str(exc) else "is damaged"
            raise Refused(f"{self._label} is compressed and {what}; copy or compress it anew.") from exc
        return block

    def _take(self, block: bytes, *, first: bool = False, is_start: bool = True) -> None:
        """Decode a block, and keep it in UTF-8; an empty one is the end."""
        pending = len(self._decoder.getstate()[0])
        try:
            text = self._decoder.decode(block, final=not block and not first)
        except UnicodeDecodeError as exc:
            raise self._undecodable(exc, pending) from exc
        if first and is_start:
            text = text.removeprefix("\ufeff")
        if "\0" in text:
            line = self.line + text[: text.index("\0")].count("\n")
            raise Refused(
                f"{self._label} holds a NUL byte in line {line:,}; it is damaged, or text in UTF-16 "
                "(--encoding utf-16)."
            )
        encoded = block if self._as_it_is else text.encode()
        self.line += encoded.count(b"\n")
        self._decoded_bytes += len(block)
        self._ready += encoded
        self._ended = not block and not first

    def _undecodable(self, exc: UnicodeDecodeError, pending: int) -> Refused:
        before = exc.object[: exc.start].decode(self.encoding, errors="ignore")
        position = self._decoded_bytes - pending + exc.start
        found = f"byte 0x{exc.object[exc.start]:02X} in line {self.line + before.count(chr(10)):,}"
        remedy = "name another" if self._given else "name its encoding with --encoding, such as cp1252"
        return Refused(
            f"{self._label} is not {self.encoding.upper()}: {found} (position {position:,}) is no text; "
            f"{remedy}{'' if self._given else ', latin-1 or utf-16'}."
        )


def compression_of(start: bytes) -> str | None:
    """Give how a file that begins so is compressed, as Arrow calls it; None if it is not."""
    return next((codec for magic, codec in _COMPRESSED.items() if start.startswith(magic)), None)


def _first_bytes(raw: Raw) -> bytes:
    """Read what tells a compression."""
    start = b""
    while len(start) < _LONGEST_MAGIC and (block := raw.read(_LONGEST_MAGIC - len(start))):
        start += block
    return start

"""Heads: the beginning of a text file on S3, and what it says of the whole."""

from __future__ import annotations

import io
from dataclasses import dataclass

from skfleet_common.aws.user_objects import UserObject, UserObjects
from skfleet_common.files.text_stream import TextStream, compression_of

#: What a header has to fit into, and dialect and types are told from.
HEAD_BYTES = 256 * 1024


@dataclass(frozen=True)
class Head:
    """The beginning of a file's text, in UTF-8 without a byte-order mark."""

    text: bytes
    #: Python's name of what the file is written in.
    encoding: str
    is_compressed: bool
    #: Whether that is all of it.
    is_whole: bool
    #: Bytes of text that a byte of the file holds, about.
    expansion: float = 1.0

    @property
    def decoded(self) -> str:
        """The text; of a letter that was cut, nothing."""
        return self.text.decode(errors="ignore")


def read_head(objects: UserObjects, found: UserObject, *, encoding: str = "") -> Head:
    """Read a file's beginning, and no more of it than that; a compressed one is read in blocks.

    Raises:
        SourceChanged: the object is another one by now, or gone.
        Refused: it is no text.
    """
    start = objects.bytes_of(found, 0, min(found.size_bytes, HEAD_BYTES)) if found.size_bytes else b""
    is_all = len(start) == found.size_bytes
    if compression_of(start) is None:
        with TextStream(io.BytesIO(start), label=str(found), encoding=encoding or None) as text:
            return Head(text.peek(), text.encoding, is_compressed=False, is_whole=is_all)
    with objects.stream(found) as raw, TextStream(raw, label=str(found), encoding=encoding or None) as text:
        head = text.read(HEAD_BYTES)
        return Head(
            head,
            text.encoding,
            is_compressed=True,
            is_whole=len(head) < HEAD_BYTES,
            expansion=text.decoded_bytes / max(1, raw.position),
        )

"""Headers: the first line of a CSV file, which names its columns."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass

from skfleet_common.contracts.errors import Refused

#: Python's own limit is 128 kB a field.
LARGEST_FIELD = 2**31 - 1


@dataclass(frozen=True)
class Header:
    """The names of a file's columns, and where its rows begin."""

    names: tuple[str, ...]
    #: Bytes of UTF-8 without a byte-order mark, blank lines included.
    text_bytes: int


def read_header(head: str, *, delimiter: str, label: str) -> Header:
    """Read the header from the beginning of a file's text.

    Raises:
        Refused: there is none.
    """
    csv.field_size_limit(LARGEST_FIELD)
    text = io.StringIO(head, newline="")
    for fields in csv.reader(text, delimiter=delimiter):
        if fields:
            read = head[: text.tell()]
            return Header(names=tuple(name.strip() for name in fields), text_bytes=len(read.encode()))
    raise Refused(f"{label} has no line of column names; name a file that has one and rows.")

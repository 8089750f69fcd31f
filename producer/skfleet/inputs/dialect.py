"""Dialects: a CSV file's delimiter and the names in its first line."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from dataclasses import dataclass

from skfleet.inputs.file_text import FileText
from skfleet.inputs.files import InputFile
from skfleet_common.contracts.errors import Refused, UsageError, shown

#: The first one wins where nothing speaks for another.
_DELIMITERS = (",", ";", "\t", "|")
_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_WRITTEN = {"\\t": "\t", "tab": "\t"}

#: What the delimiter is told from.
_HEAD_BYTES = 256 * 1024
_HEAD_ROWS = 200

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")

#: Python's own limit is 128 kB a field.
LARGEST_FIELD = 2**31 - 1


@dataclass(frozen=True)
class Dialect:
    """How a CSV file is written."""

    delimiter: str
    #: The columns' names, in order.
    names: tuple[str, ...]
    #: Blank lines above them.
    blank_lines: int = 0
    #: Whether there is anything below them.
    has_rows: bool = True

    @property
    def note(self) -> str | None:
        """What a person should know of it; None if it is the usual one."""
        if self.delimiter == ",":
            return None
        return f"separated by {spoken(self.delimiter)}"


def spoken(delimiter: str) -> str:
    """Give a delimiter in words."""
    return _NAMES.get(delimiter, repr(delimiter))


def check_delimiter(text: str) -> str:
    r"""Give the one character that ``--delimiter`` names; ``tab`` and ``\t`` are written for a tab.

    Raises:
        UsageError: it is not one character, or one that delimits nothing.
    """
    delimiter = _WRITTEN.get(text, text)
    if len(delimiter) != 1 or not delimiter.isascii() or delimiter in '"\r\n\0':
        raise UsageError(f"--delimiter takes one ASCII character, or tab, not {shown(text)!r}.")
    return delimiter


def read_dialect(file: InputFile, *, encoding: str | None, delimiter: str | None) -> Dialect:
    """Tell the delimiter from the first rows, unless it is given, and read the header.

    Raises:
        Refused: there is no header, or its names cannot tell columns apart.
    """
    with FileText(file, encoding=encoding) as stream:
        head = stream.read(_HEAD_BYTES)
    whole = len(head) < _HEAD_BYTES
    return dialect_of(head.decode(errors="ignore"), delimiter=delimiter, label=file.label, whole=whole)


def dialect_of(text: str, *, delimiter: str | None, label: str, whole: bool) -> Dialect:
    """Tell the dialect from the beginning of a text, or from the ``whole`` of it.

    Raises:
        Refused: there is no header, or its names cannot tell columns apart.
    """
    rows = {mark: _rows(text, mark, whole=whole) for mark in ((delimiter,) if delimiter else _DELIMITERS)}
    best = max(rows, key=lambda mark: _agreement(rows[mark]))
    if not rows[best]:
        raise Refused(f"{label} has no line of column names; name a file that has one and rows.")
    names = tuple(name.strip() for name in rows[best][0])
    _check_names(names, label, delimiter=best)
    return Dialect(
        delimiter=best,
        names=names,
        blank_lines=len(re.findall(r"\r\n|\r|\n", text[: len(text) - len(text.lstrip("\r\n"))])),
        has_rows=len(rows[best]) > 1 or not whole,
    )


def _rows(text: str, delimiter: str, *, whole: bool) -> list[list[str]]:
    """Give the first rows; the last one may be cut, and is left out, unless the text is ``whole``."""
    csv.field_size_limit(LARGEST_FIELD)
    rows: list[list[str]] = []
    for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
        if row:
            rows.append(row)
        if len(rows) > _HEAD_ROWS:
            return rows[:-1]
    return rows if whole or len(rows) == 1 else rows[:-1]


def _agreement(rows: list[list[str]]) -> tuple[bool, float, int]:
    """Give how well the rows agree with the header: any delimiter is better than none."""
    if not rows:
        return False, 0.0, 0
    width = len(rows[0])
    same = sum(len(row) == width for row in rows) / len(rows)
    return width > 1, same, width


def _check_names(names: tuple[str, ...], label: str, *, delimiter: str) -> None:
    for position, name in enumerate(names, start=1):
        if not name:
            why = " (an index that pandas wrote: index=False leaves it out)" if position == 1 else ""
            raise Refused(
                f"{label} has no name for its column {position}{why}; write one into the first line."
            )
    repeated = [name for name, times in Counter(names).items() if times > 1]
    if repeated:
        raise Refused(
            f"{label} has {Counter(names)[repeated[0]]} columns called {shown(repeated[0])!r}; "
            "rename all but one in the first line."
        )
    if all(_NUMBER.fullmatch(name) for name in names):
        raise Refused(
            f"{label} begins with numbers ({shown(delimiter.join(names))}), not with column names; "
            "write a first line that names the columns."
        )

"""Watched texts: text whose quotes are looked at while Arrow reads it."""

from __future__ import annotations

from typing import Protocol

from skfleet_common.files.quotes import QuoteCheck


class Text(Protocol):
    """Text in UTF-8 that can be read once."""

    def read(self, size: int = -1, /) -> bytes:
        """Give the next bytes."""


class WatchedText:
    """A text as Arrow reads a file, and the check of its quotes."""

    def __init__(self, text: Text, check: QuoteCheck) -> None:
        self._text = text
        self._check = check
        self.closed = False

    def skip(self, size: int) -> None:
        """Leave out what is before the rows."""
        if size:
            self._text.read(size)

    def read(self, size: int = -1) -> bytes:
        """Give the next bytes."""
        block = self._text.read(size)
        self._check.take(block)
        return block

    def readable(self) -> bool:
        """It is there to be read."""
        return True

    def close(self) -> None:
        """Whoever opened the text closes it."""
        self.closed = True

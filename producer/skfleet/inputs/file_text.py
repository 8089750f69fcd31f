"""Texts of files on this host, whose bytes are counted and hashed while they are read."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable

from skfleet.inputs.files import InputFile
from skfleet_common.contracts.errors import Refused
from skfleet_common.files.text_stream import TextStream


class RawFile(io.RawIOBase):
    """A file's bytes as they lie on the disk, counted and hashed while they are read."""

    def __init__(self, file: InputFile, on_bytes: Callable[[int], None] = lambda _: None) -> None:
        super().__init__()
        self._label = file.label
        self._on_bytes = on_bytes
        self._digest = hashlib.sha256()
        self._file = file.path.open("rb", buffering=0)
        self.done = 0

    @property
    def sha256(self) -> str:
        """The SHA-256 of what was read; of the file, once all was."""
        return self._digest.hexdigest()

    def readable(self) -> bool:
        """It is there to be read."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Give the next bytes."""
        try:
            block: bytes = self._file.read(size)
        except OSError as exc:
            raise Refused(f"{self._label} cannot be read to its end ({exc.strerror}); copy it anew.") from exc
        self.done += len(block)
        self._digest.update(block)
        self._on_bytes(self.done)
        return block

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


class FileText(TextStream):
    """A file's text in UTF-8."""

    def __init__(
        self,
        file: InputFile,
        *,
        encoding: str | None = None,
        on_bytes: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.raw_file = RawFile(file, on_bytes)
        super().__init__(self.raw_file, label=file.label, encoding=encoding)

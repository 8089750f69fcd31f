"""An object on S3 as a file that can be read anywhere, by ranged requests."""

from __future__ import annotations

import io

from skfleet_common.aws.user_objects import UserObject, UserObjects


class RangedFile(io.RawIOBase):
    """An object as Arrow reads Parquet: a request for each read, and none for the rest."""

    def __init__(self, objects: UserObjects, found: UserObject) -> None:
        super().__init__()
        self._objects = objects
        self._found = found
        self._position = 0

    def readable(self) -> bool:
        """It is there to be read."""
        return True

    def seekable(self) -> bool:
        """Any byte may be the next."""
        return True

    def tell(self) -> int:
        """Give the next byte's place."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a byte."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._found.size_bytes}[whence]
        self._position = start + offset
        return self._position

    def read(self, size: int = -1) -> bytes:
        """Give the next bytes."""
        stop = self._found.size_bytes if size < 0 else min(self._position + size, self._found.size_bytes)
        if stop <= self._position:
            return b""
        block = self._objects.bytes_of(self._found, self._position, stop)
        self._position = stop
        return block

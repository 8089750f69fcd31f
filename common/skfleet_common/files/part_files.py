"""Part files: the files of one attempt at publishing, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pyarrow as pa

from skfleet_common.aws.user_files import ObjectUrl
from skfleet_common.aws.user_writes import Upload, UserWrites
from skfleet_common.contracts.file_sources import FilesOutput
from skfleet_common.files.published import FileEntry, FileMeta
from skfleet_common.files.writers import RowWriter, open_writer

#: Where one file ends and the next begins: what COPY and Spark read well (64 MB and more).
FILE_BYTES = 128 * 1024**2


@dataclass
class PartFiles:
    """The files of one attempt, one after the other."""

    writes: UserWrites
    bucket: str
    stem: str
    output: FilesOutput
    alive: Callable[[], None]
    entries: list[FileEntry] = field(default_factory=list)
    _upload: Upload | None = None
    _writer: RowWriter | None = None
    _rows: int = 0

    @property
    def is_open(self) -> bool:
        """Whether a file is being written."""
        return self._upload is not None

    @contextmanager
    def written(self) -> Iterator[None]:
        """Finish the last file at the end; after an error, let go of it."""
        try:
            yield
            self._finish()
        except BaseException:
            if self._upload is not None:
                self._upload.give_up()
            raise

    def write(self, rows: pa.RecordBatch) -> None:
        """Add rows; a file that is large enough is followed by another."""
        if self._upload is None or self._writer is None:
            self._upload = Upload(self.writes, ObjectUrl(self.bucket, self._key))
            self._writer = open_writer(self._upload, rows.schema, self.output.format)
        self._writer.write(rows)
        self._rows += rows.num_rows
        if self._upload.size_bytes >= FILE_BYTES and not self.output.one_file:
            self._finish()

    @property
    def _key(self) -> str:
        return f"{self.stem}-{len(self.entries):05d}.{self.output.format.value}"

    def _finish(self) -> None:
        if self._upload is None or self._writer is None:
            return
        self._writer.close()
        self._upload.finish()
        self.alive()
        meta = FileMeta(content_length=self._upload.size_bytes, record_count=self._rows)
        self.entries.append(FileEntry(url=str(ObjectUrl(self.bucket, self._key)), meta=meta))
        self._upload = self._writer = None
        self._rows = 0

"""Rows at hand: a publication's rows in this process's memory, stored only where a warehouse fetches them."""

from __future__ import annotations

import hashlib
import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from skfleet_common.aws.load_list import ListedObject, load_list
from skfleet_common.aws.store import ObjectStore
from skfleet_common.contracts.errors import SkfleetError


@dataclass(frozen=True)
class RowsAtHand:
    """Batches as :class:`~skfleet_common.tables.port.Parts`; they are taken once."""

    rows: Iterable[pa.RecordBatch]
    store: ObjectStore
    #: Gives the key of an object of this publication, by the object's name.
    key: Callable[[str], str]

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Give the batches."""
        yield from self.rows

    @contextmanager
    def files(self) -> Iterator[str | None]:
        """Store the rows in one file, listed for COPY; both are gone after the block."""
        name = uuid.uuid4().hex
        listed: list[ListedObject] = []
        with tempfile.TemporaryDirectory(prefix="skfleet-rows-") as folder:
            path = Path(folder) / name
            if self._write(path):
                listed.append(ListedObject(self.key(f"{name}.parquet"), path.stat().st_size))
                with path.open("rb") as file:
                    sha256 = hashlib.file_digest(file, "sha256").hexdigest()
                self.store.put_file_new(listed[0].key, path, sha256=sha256)
        try:
            with load_list(self.store, self.key(f"{name}.manifest"), listed) as url:
                yield url
        finally:
            # Clean-up finds what stays behind.
            with suppress(SkfleetError):
                self.store.delete([found.key for found in listed])

    def _write(self, path: Path) -> bool:
        """Write the rows, if there are any; give whether there are."""
        writer: pq.ParquetWriter | None = None
        try:
            for batch in self.rows:
                if batch.num_rows == 0:
                    continue
                if writer is None:
                    # What UNLOAD writes, COPY reads ("UNLOAD" in the Amazon Redshift guide).
                    writer = pq.ParquetWriter(path, batch.schema, compression="snappy")
                writer.write_batch(batch)
        finally:
            if writer is not None:
                writer.close()
        return writer is not None

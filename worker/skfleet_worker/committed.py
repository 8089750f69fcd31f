"""Committed rows: the outputs that a job's commits name, streamed through this host or named to a warehouse.

Either way each object is proven to hold the bytes that were committed, by their SHA-256. Streamed, they are
hashed here. Named, S3 says it: it took the checksum when the object arrived, and an attempt's key is written
once. A look costs a request or two where a copy costs all the bytes; a second one after the load rules out
that an object was exchanged while the warehouse read it. What drift needs stands in a file's footer.
"""

from __future__ import annotations

import hashlib
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from skfleet_common.aws.glimpse import Glimpse, glimpse, tail_of
from skfleet_common.aws.load_list import ListedObject, load_list
from skfleet_common.aws.store import NoSuchObject
from skfleet_common.contracts.errors import JobFailed
from skfleet_common.contracts.jobs import Commit
from skfleet_worker.bench import Workbench
from skfleet_worker.shift import Gathered

#: Looks at a time: one takes tens of milliseconds, nearly all of it waiting.
LOOKS = 16

#: Of a file's end: most footers with their sketches are smaller.
_FOOTER_BYTES = 64 * 1024
#: The length of the footer, and PAR1 (Parquet's format).
_TAIL_BYTES = 8


@dataclass(frozen=True)
class _Looked:
    """An object as S3 describes it, and what its footer says."""

    commit: Commit
    key: str
    head: Glimpse
    metadata: Mapping[bytes, bytes]


@dataclass(frozen=True)
class CommittedParts:
    """A job's outputs as :class:`~skfleet_common.tables.port.Parts`."""

    job: str
    commits: Sequence[Commit]
    bench: Workbench
    gathered: Gathered

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Stream the committed outputs; one file at a time is on this host.

        Raises:
            JobFailed: the rows are farther from the training rows than the job allows, or outputs are lost.
        """
        rows = 0
        for commit in self.commits:
            if (key := commit.output_key) is None:
                self.gathered.take_rejects(commit)
                continue
            with tempfile.TemporaryDirectory(dir=self.bench.scratch) as folder:
                path = Path(folder) / "part.parquet"
                self._fetch(key, path, commit)
                with pq.ParquetFile(path) as part:
                    self.gathered.take(part.metadata.metadata, rows=commit.rows_scored)
                    for batch in part.iter_batches(batch_size=self.bench.settings.batch_rows):
                        yield batch
                        rows += batch.num_rows
                        self.bench.report(rows)
        self._settle()

    @contextmanager
    def files(self) -> Iterator[str | None]:
        """Prove and list the committed outputs, and prove them again after the block.

        Raises:
            JobFailed: as for :meth:`batches`.
        """
        looked: list[_Looked] = []
        rows = 0
        with ThreadPoolExecutor(max_workers=LOOKS, thread_name_prefix="look") as pool:
            for found in pool.map(self._look, self._with_rows()):
                looked.append(found)
                rows += found.commit.rows_scored
                self.gathered.take(found.metadata, rows=found.commit.rows_scored)
                self.bench.report(rows)
        for commit in self.commits:
            if commit.output_key is None:
                self.gathered.take_rejects(commit)
        self._settle()
        key = self.bench.cloud.names.load(self.job, f"{uuid.uuid4().hex}.manifest")
        listed = [ListedObject(found.key, found.head.size_bytes) for found in looked]
        with load_list(self.bench.cloud.store, key, listed) as url:
            yield url
        with ThreadPoolExecutor(max_workers=LOOKS, thread_name_prefix="look") as pool:
            for _ in pool.map(self._look_again, looked):
                self.bench.report(rows)

    def _with_rows(self) -> list[Commit]:
        return [commit for commit in self.commits if commit.output_key is not None]

    def _settle(self) -> None:
        # What has been looked through is about to take effect.
        self.bench.check_lease()
        self.gathered.settle()

    def _fetch(self, key: str, path: Path, commit: Commit) -> None:
        """Copy a chunk's output here, as it was committed.

        Raises:
            JobFailed: it is not in the store any more.
        """
        # A second copy tells what was damaged on its way from what is damaged there.
        for _ in range(2):
            try:
                self.bench.cloud.store.download(key, path)
            except NoSuchObject as exc:
                raise _lost(commit, "was deleted") from exc
            with path.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() == commit.output_sha256:
                    return
        raise _lost(commit, "is not what was committed")

    def _look(self, commit: Commit) -> _Looked:
        """Look at a chunk's output, and read its footer.

        Raises:
            JobFailed: it is not in the store any more, or not what was committed.
        """
        key = commit.output_key or ""
        head = self._head(commit, key)
        if head.sha256 != commit.output_sha256:
            raise _lost(commit, "is not what was committed")
        try:
            metadata = self._footer(key, head)
        except (NoSuchObject, pa.ArrowException) as exc:
            raise _lost(commit, "is not what was committed") from exc
        if metadata.num_rows != commit.rows_scored:
            raise _lost(commit, "is not what was committed")
        return _Looked(commit, key, head, metadata.metadata or {})

    def _look_again(self, looked: _Looked) -> None:
        """Make sure that an object is the one that was looked at before."""
        if self._head(looked.commit, looked.key) != looked.head:
            raise _lost(looked.commit, "was exchanged while the warehouse read it")

    def _head(self, commit: Commit, key: str) -> Glimpse:
        try:
            return glimpse(self.bench.cloud.store, key)
        except NoSuchObject as exc:
            raise _lost(commit, "was deleted") from exc

    def _footer(self, key: str, head: Glimpse) -> pq.FileMetaData:
        store = self.bench.cloud.store
        tail = tail_of(store, key, min(_FOOTER_BYTES, head.size_bytes), etag=head.etag)
        needed = int.from_bytes(tail[-_TAIL_BYTES:-4], "little") + _TAIL_BYTES
        if len(tail) < needed <= head.size_bytes:
            tail = tail_of(store, key, needed, etag=head.etag)
        return pq.read_metadata(pa.BufferReader(tail))


def _lost(commit: Commit, what: str) -> JobFailed:
    return JobFailed(
        f"The stored output of chunk {commit.chunk} {what}; nothing was published. Score it again with: "
        f"skfleet retry {commit.job}"
    )

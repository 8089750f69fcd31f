"""The publisher of files: absent or whole, at most once a job, told by one conditional write.

Files are written under names of this attempt's own, which nobody counts. Then the decision, with the names of
all of them, is put into the fleet's bucket, if there is none yet: from there on the publication stands, and
whoever finds the decision carries it out: the manifest, what it replaces removed, ``_SUCCESS`` last.
"""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from skfleet_common.aws.store import NoSuchObject, ObjectStore
from skfleet_common.aws.user_files import ObjectUrl, UserFiles
from skfleet_common.aws.user_objects import UserObjects
from skfleet_common.aws.user_writes import Upload, UserWrites
from skfleet_common.contracts.chunks import TableName
from skfleet_common.contracts.errors import JobFailed
from skfleet_common.contracts.file_sources import FilesOutput
from skfleet_common.contracts.names import FleetNames
from skfleet_common.files.published import (
    MANIFEST,
    SUCCESS,
    Decision,
    FileEntry,
    FileMeta,
    OutputManifest,
    check_vacant,
    part_prefix,
)
from skfleet_common.files.unique_ids import UniqueIds
from skfleet_common.files.writers import RowWriter, empty_rows, open_writer, typed_rows
from skfleet_common.tables.port import Leftover, Parts, Publication, Published

#: Where one file ends and the next begins: what COPY and Spark read well (64 MB and more).
FILE_BYTES = 128 * 1024**2


@dataclass(frozen=True)
class FilesPublisher:
    """Publishes to files; the decisions are in the fleet's own bucket."""

    store: ObjectStore
    names: FleetNames
    output: FilesOutput
    #: Where ids are looked through.
    scratch: Path | None = None

    def publish(
        self,
        publication: Publication,
        parts: Parts,
        *,
        alive: Callable[[], None] = lambda: None,
    ) -> Published:
        """Write ``parts`` into files, decide, and carry it out.

        Raises:
            Refused: the prefix holds what is not to be replaced.
            JobFailed: the rows are not those that were promised, ids repeat, or the run was given up.
        """
        decided = self._decision(publication.job, publication.run)
        if decided is not None:
            return self._carried_out(decided, is_new=False)
        url = ObjectUrl.parse(self.output.uri)
        standing = check_vacant(self._objects, url, if_exists=publication.if_exists, job=publication.job)
        entries = self._write(publication, parts.batches(), alive)
        manifest = OutputManifest(
            job=publication.job,
            run=publication.run,
            format=self.output.format,
            rows=publication.rows,
            columns=tuple(column.name for column in publication.columns),
            published_at=datetime.now(UTC),
            entries=tuple(entries),
        )
        replaced = () if standing is None else tuple(entry.url for entry in standing.entries)
        mine = Decision(job=publication.job, run=publication.run, manifest=manifest, replaced=replaced)
        is_new = self.store.put_new(self._key(publication.job, publication.run), mine.to_json())
        return self._carried_out(self._decision(publication.job, publication.run) or mine, is_new=is_new)

    def abandon(self, table: TableName, *, job: str, run: int) -> bool:
        """Rule out that a run ever publishes; False, with nothing done, when it has."""
        del table
        given_up = Decision(job=job, run=run)
        if not self.store.put_new(self._key(job, run), given_up.to_json()):
            decided = self._decision(job, run)
            if decided is not None and decided.manifest is not None:
                return False
        self.sweep(job, keeping=())
        return True

    def leftovers(self) -> Sequence[Leftover]:
        """Nothing: it makes no tables."""
        return ()

    def remove(self, leftover: Leftover) -> None:
        """Nothing: it makes no tables."""

    def sweep(self, job: str, *, keeping: Iterable[str]) -> int:
        """Remove what attempts of a job left below the prefix, but for the files to keep; gives how many."""
        url = ObjectUrl.parse(self.output.uri)
        prefix = ObjectUrl(url.bucket, part_prefix(url, job))
        kept = {ObjectUrl.parse(it).key for it in keeping}
        left = [it.url.key for it in self._objects.everything(prefix) if it.url.key not in kept]
        self._writes.delete(url.bucket, left)
        self._writes.abort_uploads(prefix)
        return len(left)

    def sweep_unpublished(self, job: str, *, runs: int) -> None:
        """Remove what a job left that is over, but for what a run of it has published all the same."""
        decisions = [self._decision(job, run) for run in range(1, runs + 1)]
        manifests = [it.manifest for it in decisions if it is not None and it.manifest is not None]
        self.sweep(job, keeping=[entry.url for manifest in manifests for entry in manifest.entries])

    def _carried_out(self, decision: Decision, *, is_new: bool) -> Published:
        """Let a decided publication be seen; doing it twice changes nothing."""
        manifest = decision.manifest
        if manifest is None:
            raise JobFailed(
                f"Publishing job {decision.job} was given up before, by a worker or by skfleet cancel; "
                f"nothing was published. Take it up again with: skfleet retry {decision.job}"
            )
        url = ObjectUrl.parse(self.output.uri)
        if decision.replaced:
            self._writes.delete(url.bucket, [url.key + SUCCESS])
        self._writes.put(ObjectUrl(url.bucket, url.key + MANIFEST), manifest.to_json())
        kept = [entry.url for entry in manifest.entries]
        self._writes.delete(url.bucket, [ObjectUrl.parse(it).key for it in decision.replaced])
        self.sweep(decision.job, keeping=kept)
        self._writes.put(ObjectUrl(url.bucket, url.key + SUCCESS), b"")
        return Published(rows=manifest.rows, is_new=is_new)

    def _write(
        self, publication: Publication, parts: Iterable[pa.RecordBatch], alive: Callable[[], None]
    ) -> list[FileEntry]:
        url = ObjectUrl.parse(self.output.uri)
        suffix = self.output.format.value
        stem = f"{part_prefix(url, publication.job)}{publication.run}-{uuid.uuid4().hex[:8]}"
        files = _Files(self._writes, url.bucket, stem, suffix, self.output, alive)
        with tempfile.TemporaryDirectory(dir=self.scratch) as folder, files.written():
            ids = UniqueIds(Path(folder))
            rows = 0
            for part in parts:
                ids.take(part.select(list(publication.id_columns)))
                files.write(typed_rows(publication.columns, part))
                rows += part.num_rows
                alive()
            if not files.entries and not files.is_open:
                files.write(empty_rows(publication.columns))
            if rows != publication.rows:
                raise JobFailed(
                    f"The output of job {publication.job} has {rows:,} rows where {publication.rows:,} were "
                    "scored; nothing was published: run the job again."
                )
            repeated = ids.repeated() if publication.id_columns else 0
            if repeated:
                raise JobFailed(
                    f"{repeated:,} rows have ids ({', '.join(publication.id_columns)}) that another row has; "
                    "nothing was published. Name columns that tell the rows apart, or leave --id-column out."
                )
        return files.entries

    def _decision(self, job: str, run: int) -> Decision | None:
        try:
            return Decision.from_json(self.store.get(self._key(job, run)))
        except NoSuchObject:
            return None

    def _key(self, job: str, run: int) -> str:
        return self.names.publication(job, run)

    @property
    def _files(self) -> UserFiles:
        return UserFiles(self.store.client, self.store.where)

    @property
    def _objects(self) -> UserObjects:
        return UserObjects(self._files)

    @property
    def _writes(self) -> UserWrites:
        return UserWrites(self._files)


@dataclass
class _Files:
    """The files of one attempt, one after the other."""

    writes: UserWrites
    bucket: str
    stem: str
    suffix: str
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
        return f"{self.stem}-{len(self.entries):05d}.{self.suffix}"

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

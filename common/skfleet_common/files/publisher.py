"""The publisher of files: absent or whole, at most once a job, told by one conditional write.

Files are written under names of this attempt's own, which nobody counts. Then the decision, with the names of
all of them, is put into the fleet's bucket, if there is none yet: from there on nobody gives the run up, and
whoever finds the decision carries it out. The manifest is written only where that one still stands (or none)
which stood when the files were written: this write is the publication. What it replaces goes then, and
``_SUCCESS`` comes last.
"""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from skfleet_common.aws.store import NoSuchObject, ObjectStore
from skfleet_common.aws.user_files import ObjectUrl, UserFiles
from skfleet_common.aws.user_objects import UserObjects
from skfleet_common.aws.user_writes import UserWrites
from skfleet_common.contracts.chunks import TableName
from skfleet_common.contracts.errors import JobFailed
from skfleet_common.contracts.file_sources import FilesOutput
from skfleet_common.contracts.names import FleetNames
from skfleet_common.files.part_files import PartFiles
from skfleet_common.files.published import (
    MANIFEST,
    SUCCESS,
    Decision,
    FileEntry,
    OutputManifest,
    check_vacant,
    job_of_part,
    part_prefix,
    standing_manifest,
)
from skfleet_common.files.unique_ids import UniqueIds
from skfleet_common.files.writers import empty_rows, typed_rows
from skfleet_common.tables.port import Leftover, Parts, Publication, Published


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
        """Write ``parts`` into files, decide, and carry it out; what a job has published stays as it is.

        Raises:
            Refused: the prefix holds what is not to be replaced.
            JobFailed: the rows are not those that were promised, ids repeat, the run was given up, or
                another job has published below the prefix meanwhile.
        """
        decided = self._decision(publication.job, publication.run)
        if decided is None:
            done = self._done(publication.job)
            if done is not None:
                return done
            decided = self._decide(publication, parts, alive)
        return self._carried_out(decided)

    def abandon(self, table: TableName, *, job: str, run: int) -> bool:
        """Rule out that a run ever publishes; False when it has, or had decided to and now has."""
        del table
        given_up = Decision(job=job, run=run)
        if not self.store.put_new(self._key(job, run), given_up.to_json()):
            decided = self._decision(job, run)
            if decided is not None and self._put(decided) is not None:
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
        url = self._url
        prefix = ObjectUrl(url.bucket, part_prefix(url, job))
        kept = {ObjectUrl.parse(it).key for it in keeping}
        keys = [it.url.key for it in self._objects.everything(prefix)]
        left = [key for key in keys if key not in kept and job_of_part(key.removeprefix(url.key)) == job]
        self._writes.delete(url.bucket, left)
        self._writes.abort_uploads(prefix)
        return len(left)

    def sweep_unpublished(self, job: str, *, runs: int) -> None:
        """Remove what a job left that is over, but for what a run of it has published all the same."""
        decisions = [self._decision(job, run) for run in range(1, runs + 1)]
        manifests = [it.manifest for it in decisions if it is not None and it.manifest is not None]
        self.sweep(job, keeping=[entry.url for manifest in manifests for entry in manifest.entries])

    def _done(self, job: str) -> Published | None:
        """Give what a job has published, in whichever run."""
        standing = standing_manifest(self._objects, self._url)
        rows = None if standing is None else standing.manifest.rows_of(job)
        return None if rows is None else Published(rows=rows, is_new=False)

    def _decide(self, publication: Publication, parts: Parts, alive: Callable[[], None]) -> Decision:
        vacancy = check_vacant(self._objects, self._url, if_exists=publication.if_exists, job=publication.job)
        standing = vacancy.standing
        entries = self._write(publication, parts.batches(), alive)
        manifest = OutputManifest(
            job=publication.job,
            run=publication.run,
            format=self.output.format,
            rows=publication.rows,
            columns=tuple(column.name for column in publication.columns),
            published_at=datetime.now(UTC),
            entries=tuple(entries),
            replaced=vacancy.replaced,
            earlier=() if standing is None else standing.earlier,
        )
        mine = Decision(
            job=publication.job,
            run=publication.run,
            manifest=manifest,
            standing=None if standing is None else standing.etag,
        )
        self.store.put_new(self._key(publication.job, publication.run), mine.to_json())
        return self._decision(publication.job, publication.run) or mine

    def _carried_out(self, decision: Decision) -> Published:
        """Let a decided publication be seen; doing it again changes nothing."""
        if decision.manifest is None:
            raise JobFailed(
                f"Publishing job {decision.job} was given up before, by a worker or by skfleet cancel; "
                f"nothing was published. Take it up again with: skfleet retry {decision.job}"
            )
        published = self._put(decision)
        if published is None:
            self.sweep(decision.job, keeping=())
            raise JobFailed(
                f"Another job published to {self.output.uri} while job {decision.job} did; nothing of "
                "this one was. Replace the files there with --if-exists replace, or name another prefix."
            )
        return published

    def _put(self, decision: Decision) -> Published | None:
        """Let a decided publication be seen; None if there is none, or the place of it is taken."""
        url, mine = self._url, decision.manifest
        if mine is None:
            return None
        at = ObjectUrl(url.bucket, url.key + MANIFEST)
        is_new = self._writes.put_if(at, mine.to_json(), etag=decision.standing)
        standing = standing_manifest(self._objects, url)
        if standing is None or (rows := standing.manifest.rows_of(decision.job)) is None:
            return None
        if standing.manifest.job == decision.job:
            self._settle(standing.manifest)
        return Published(rows=rows, is_new=is_new)

    def _settle(self, manifest: OutputManifest) -> None:
        """Remove what a publication that stands replaced, and what attempts at it left."""
        url = self._url
        self._writes.delete(url.bucket, [url.key + name for name in manifest.replaced])
        self.sweep(manifest.job, keeping=[entry.url for entry in manifest.entries])
        self._writes.put(ObjectUrl(url.bucket, url.key + SUCCESS), b"")

    def _write(
        self, publication: Publication, parts: Iterable[pa.RecordBatch], alive: Callable[[], None]
    ) -> list[FileEntry]:
        stem = f"{part_prefix(self._url, publication.job)}{publication.run}-{uuid.uuid4().hex[:8]}"
        files = PartFiles(self._writes, self._url.bucket, stem, self.output, alive)
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
    def _url(self) -> ObjectUrl:
        return ObjectUrl.parse(self.output.uri)

    @property
    def _files(self) -> UserFiles:
        return UserFiles(self.store.client, self.store.where)

    @property
    def _objects(self) -> UserObjects:
        return UserObjects(self._files)

    @property
    def _writes(self) -> UserWrites:
        return UserWrites(self._files)

"""Sources: what jobs were asked to read, and whether it still is there as it was planned."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Protocol

from skfleet_common.aws.session import Cloud
from skfleet_common.aws.user_files import UserFiles
from skfleet_common.aws.user_objects import UserObjects
from skfleet_common.contracts.chunks import Chunk
from skfleet_common.contracts.jobs import JobSpec
from skfleet_common.model.manifest import FeatureManifest
from skfleet_common.tables.port import SourceBatch, Warehouse
from skfleet_worker.file_source import FileSource
from skfleet_worker.seating import Seating
from skfleet_worker.table_source import TableSource

#: Jobs whose spec a scorer remembers.
KEPT = 8


class Source(Protocol):
    """A job's source, looked at now."""

    @property
    def spec(self) -> JobSpec:
        """What was asked for."""

    def check(self, manifests: Sequence[FeatureManifest]) -> None:
        """Refuse a source that is no longer what the job was planned on; ``manifests`` are its models'.

        Raises:
            SourceChanged: a needed column is gone or has another type.
            JobFailed: the spec asks for what its model does not give.
        """

    def read(
        self, chunk: Chunk, *, features: Sequence[str], batch_rows: int, carefully: bool
    ) -> Iterator[SourceBatch | None]:
        """Stream a chunk's rows: features, and what goes into the output as it is read.

        Read ``carefully``, values that fail the whole chunk are searched for; None is progress at that.

        Raises:
            UnreadableValue: the chunk is to be read again, carefully.
        """


class Sources:
    """The sources of jobs. A table is looked at for every chunk: it may change while its job runs.

    A job's files are pinned, and what was read of their headers is kept for its next chunk.
    """

    def __init__(self, cloud: Cloud, warehouse: Warehouse, seating: Seating | None = None) -> None:
        self._cloud = cloud
        self._warehouse = warehouse
        self._seating = seating
        self._specs: OrderedDict[str, JobSpec] = OrderedDict()
        self._files: OrderedDict[str, FileSource] = OrderedDict()

    def of(self, job: str) -> Source:
        """Give a job's source.

        Raises:
            Refused: the table is not there any more.
        """
        spec = self.spec(job)
        if spec.files is None:
            return TableSource.find(spec, self._warehouse, self._seating)
        if job not in self._files:
            files = UserFiles(self._cloud.store.client, self._cloud.store.where)
            self._files[job] = FileSource.of(spec, spec.files, UserObjects(files))
            if len(self._files) > KEPT:
                self._files.popitem(last=False)
        return self._files[job]

    def spec(self, job: str) -> JobSpec:
        """Give a job's spec, without a look at its source."""
        if job not in self._specs:
            self._specs[job] = JobSpec.from_json(self._cloud.store.get(self._cloud.names.spec(job)))
            if len(self._specs) > KEPT:
                self._specs.popitem(last=False)
        return self._specs[job]

"""Files on S3 as a job's source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skfleet_common.aws.user_objects import UserObjects
from skfleet_common.contracts.chunks import Chunk
from skfleet_common.contracts.columns import LogicalDtype
from skfleet_common.contracts.errors import JobFailed
from skfleet_common.contracts.file_sources import FilesSource
from skfleet_common.contracts.jobs import JobSpec
from skfleet_common.contracts.slices import ObjectSlice
from skfleet_common.files.reader import SliceReader
from skfleet_common.model.manifest import FeatureManifest
from skfleet_common.tables.port import SourceBatch
from skfleet_worker.asked_outputs import check_outputs, verbatim_names

_FLOATS = {LogicalDtype.FLOAT32, LogicalDtype.FLOAT64}
#: As Arrow writes it.
_NAN = "nan"


@dataclass(frozen=True)
class FileSource:
    """A job's spec, and the files that its chunks name; each is demanded as it was when it was planned."""

    spec: JobSpec
    files: FilesSource
    #: One for all chunks, for it remembers headers.
    reader: SliceReader

    @classmethod
    def of(cls, spec: JobSpec, files: FilesSource, objects: UserObjects) -> FileSource:
        """Give the source of a job that reads files."""
        return cls(spec, files, SliceReader(objects, files, spec.files_where))

    def check(self, manifests: Sequence[FeatureManifest]) -> None:
        """Refuse a spec whose files are not what its models want; of the files themselves, reading tells.

        Raises:
            JobFailed: the spec does not go with its models.
        """
        check_outputs(self.spec, manifests)
        known = {column.name: column.dtype for column in self.files.columns}
        for feature in (feature for manifest in manifests for feature in manifest.features):
            if known.get(feature.column) is not feature.dtype:
                raise JobFailed(
                    f"The job's stored spec does not read {feature.column} as its model wants it; "
                    "submit the job again."
                )

    def read(
        self, chunk: Chunk, *, features: Sequence[str], batch_rows: int, carefully: bool
    ) -> Iterator[SourceBatch | None]:
        """Stream the rows of a chunk's slice; one without an id is named as one that cannot be read.

        None stands for rows of which the job's condition let none through.
        """
        del carefully  # a value of a file fails nothing but its row
        if not isinstance(chunk.range, ObjectSlice):
            raise JobFailed("The job's stored plan is that of a table; submit the job again.")
        batches = self.reader.read(
            chunk.range, features=features, verbatim=verbatim_names(self.spec), batch_rows=batch_rows
        )
        return (self._with_ids(batch) if batch.features.num_rows else None for batch in batches)

    def _with_ids(self, batch: SourceBatch) -> SourceBatch:
        faults: dict[int, str] = {}
        for name in self.spec.id_columns:
            ids = batch.verbatim.column(name)
            for lacking, why in ((pc.is_null(ids), "is missing"), (self._is_nan(name, ids), "is NaN")):
                for place in np.flatnonzero(np.asarray(lacking)).tolist():
                    faults.setdefault(place, f"its id {name} {why}")
        return replace(batch, unreadable=faults | dict(batch.unreadable)) if faults else batch

    def _is_nan(self, name: str, ids: pa.Array) -> pa.Array:
        """Give which ids are no number in a column of numbers: they are NULL as features are."""
        dtype = next((it.carried_as or it.dtype for it in self.files.columns if it.name == name), None)
        if dtype not in _FLOATS:
            return pa.repeat(pa.scalar(value=False), len(ids))
        return pc.fill_null(pc.equal(ids, _NAN), fill_value=False)

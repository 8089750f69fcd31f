"""Shift: the sketches of a job's outputs are merged as these are loaded, and judged before that counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from itertools import zip_longest

import pyarrow.parquet as pq
import structlog

from skfleet_common.aws.session import Cloud
from skfleet_common.aws.store import NoSuchObject
from skfleet_common.contracts.errors import BundleRefused, JobFailed
from skfleet_common.contracts.jobs import Commit, JobSpec, ModelRef
from skfleet_common.contracts.shapes import NewerShape, UnreadableShape
from skfleet_common.contracts.shifts import ColumnShift, Shift
from skfleet_common.model.bundle import MANIFEST_FILE, read_manifest
from skfleet_common.model.shift import NO_ROWS, shift_of, shift_of_several
from skfleet_common.model.sketch import NO_SKETCHES, SKETCH_KEY, Sketch, Sketches
from skfleet_worker.outcomes import ShiftedTooFar

#: Columns that a job's reason names.
NAMED_AT_MOST = 3

log = structlog.get_logger()


@dataclass
class Gathered:
    """What the outputs of one job say of its rows, as far as they were looked through."""

    cloud: Cloud
    spec: JobSpec
    _merged: Sketches = NO_SKETCHES
    _rows_unknown: int = 0

    def take(self, metadata: Mapping[bytes, bytes] | None, *, rows: int) -> None:
        """Add the sketch in the metadata of an output of ``rows`` rows."""
        raw = (metadata or {}).get(SKETCH_KEY.encode())
        if raw is None:
            # Its worker was of an earlier version, or the model has no baselines.
            self._rows_unknown += rows
            return
        try:
            self._merged += Sketches.from_json(raw)
        except (NewerShape, UnreadableShape) as exc:
            log.warning("sketch.unreadable", error=str(exc))
            self._rows_unknown += rows

    def take_rejects(self, commit: Commit) -> None:
        """Add the sketch of a chunk all of whose rows were rejected."""
        if commit.rejects_key is None:
            return
        try:
            raw = self.cloud.store.get(commit.rejects_key)
        except NoSuchObject:
            # Somebody deleted the list; no row of it was scored.
            return
        with pq.ParquetFile(BytesIO(raw)) as part:
            self.take(part.metadata.metadata, rows=0)

    def settle(self) -> None:
        """Write down how far the rows are from the training rows.

        Raises:
            ShiftedTooFar: farther than the job allows.
            JobFailed: nobody can tell, and the job has a limit.
        """
        shift = self._shift()
        self.cloud.store.put(self.cloud.names.shift(self.spec.job), shift.to_json())
        log.info(
            "shift.measured",
            rows=shift.rows,
            columns=shift.columns_compared,
            most=shift.columns[0].psi if shift.columns else None,
            why_not=shift.why_not,
        )
        check_shift(self.spec, shift)

    def _shift(self) -> Shift:
        sketches = zip_longest(self.spec.models, self._merged.models[: len(self.spec.models)])
        shifts = [self._shift_of(ref, sketch or Sketch()) for ref, sketch in sketches]
        return shift_of_several(dict(zip(self.spec.model_names, shifts, strict=True)))

    def _shift_of(self, ref: ModelRef, sketch: Sketch) -> Shift:
        store, names = self.cloud.store, self.cloud.names
        try:
            raw = store.get(names.bundle_file(ref.name, ref.digest, MANIFEST_FILE))
            manifest = read_manifest(raw, digest=ref.digest)
        except (NoSuchObject, BundleRefused) as exc:
            return Shift(rows_unknown=self._rows_unknown, why_not=f"the model's manifest is gone ({exc})")
        return shift_of(manifest, sketch, rows_unknown=self._rows_unknown)


def stored_shift(cloud: Cloud, job: str) -> Shift | None:
    """Give what whoever published the job measured; None if that was an earlier version.

    What is damaged is not there: the rows are published, and this says nothing of how many they are.
    """
    try:
        return Shift.from_json(cloud.store.get(cloud.names.shift(job)))
    except (NoSuchObject, NewerShape, UnreadableShape) as exc:
        log.warning("shift.not_known", error=str(exc))
        return None


def check_shift(spec: JobSpec, shift: Shift) -> None:
    """Refuse a job whose rows are farther from the training rows than it allows.

    Raises:
        ShiftedTooFar: they are; it names the farthest columns.
        JobFailed: nobody can tell.
    """
    if spec.max_drift is None or shift.why_not == NO_ROWS:
        return
    if shift.why_not is not None:
        raise JobFailed(
            f"How far the rows are from the training rows is not known ({shift.why_not}), and --max-drift "
            "asks for it; nothing was published. Submit it again after that, or without --max-drift."
        )
    if shift.rows_unknown:
        raise JobFailed(
            f"{shift.rows_unknown:,} rows were scored by workers that are too old to compare them with the "
            "training rows, as --max-drift asks; nothing was published. Update these and submit it again."
        )
    far = shift.exceeding(spec.max_drift)
    if not far:
        return
    named = ", ".join(f"{column.named} ({column.psi:.2f})" for column in far[:NAMED_AT_MOST])
    more = len(far) - NAMED_AT_MOST
    raise ShiftedTooFar(
        f"The rows have drifted from the training rows by more than --max-drift {spec.max_drift:g} allows, "
        f"in {named}{f' and {more} more columns' if more > 0 else ''}; nothing was published. Look at them "
        f"with skfleet status {spec.job}, and train the model on rows like these, leave such rows out with "
        "--where, or submit it again with a higher --max-drift.",
        naming=" ".join(_shares(column) for column in far[:NAMED_AT_MOST]),
    )


def _shares(column: ColumnShift) -> str:
    most = column.most
    return f"{column.named}, {most.label}: {most.scored:.1%} of the rows, {most.trained:.1%} in training."

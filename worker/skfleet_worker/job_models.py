"""Job models: the bundles of one job, which score what is read once, each in its turn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
import pyarrow as pa

from skfleet_common.contracts.errors import BundleRefused, NotReproducibleHere, Refused
from skfleet_common.contracts.jobs import JobSpec, ModelRef, OutputColumn
from skfleet_common.model.bundle import Bundle
from skfleet_common.model.manifest import FeatureManifest
from skfleet_common.model.scoring import Reject, Scored
from skfleet_common.model.sketch import Sketch, Sketches
from skfleet_common.tables.port import SourceBatch
from skfleet_worker.isolation import score_batch
from skfleet_worker.models import Models


@dataclass(frozen=True)
class JobModels:
    """The bundles of a job, and which outputs of each its spec asks for."""

    bundles: tuple[Bundle, ...]
    #: What reasons call each: its name, and its digest where another has the same name.
    names: tuple[str, ...]
    outputs: tuple[tuple[OutputColumn, ...], ...]

    @classmethod
    def of(cls, spec: JobSpec, models: Models) -> JobModels:
        """Open every bundle that the job is pinned to.

        Raises:
            BundleRefused: one cannot be trusted.
            NotReproducibleHere: one cannot be reproduced on this host; another may do better.
        """
        models.keep(len(spec.models))
        given = [column for column in spec.output_columns if not column.is_verbatim]
        return cls(
            bundles=tuple(_opened(models, ref, is_only=not spec.more_models) for ref in spec.models),
            names=spec.model_names,
            outputs=tuple(
                tuple(column for column in given if column.model == place)
                for place in range(len(spec.models))
            ),
        )

    @property
    def manifests(self) -> tuple[FeatureManifest, ...]:
        """What is written of each."""
        return tuple(bundle.manifest for bundle in self.bundles)

    @property
    def feature_columns(self) -> tuple[str, ...]:
        """The columns that at least one of them needs, each once."""
        return tuple(dict.fromkeys(name for it in self.manifests for name in it.feature_columns))

    def score(self, batch: SourceBatch, *, most: int, report: Callable[[], None]) -> Scored:
        """Score a batch as read with each of them; a row that one rejects is rejected.

        As :func:`~skfleet_worker.isolation.score_batch` does it. ``report`` is called after each of several.
        """
        found = []
        for place in range(len(self.bundles)):
            found.append(self._score(place, batch, most=most, report=report))
            if len(self.bundles) > 1:
                report()
        return found[0] if len(found) == 1 else _joined(found)

    def _score(self, place: int, batch: SourceBatch, *, most: int, report: Callable[[], None]) -> Scored:
        bundle, name, columns = self.bundles[place], self.names[place], self.outputs[place]
        names = [column.of_model for column in columns]
        try:
            scored = score_batch(
                lambda rows: bundle.score(rows, names, sketcher=bundle.sketcher),
                batch,
                most=most,
                report=report,
            )
        except Refused as refusal:
            if len(self.bundles) == 1:
                raise
            raise Refused(f"{name}: {refusal}") from refusal
        if len(self.bundles) == 1:
            return scored
        rejected = [
            # What the warehouse cannot give is no model's doing.
            reject if reject.row in batch.unreadable else replace(reject, reason=f"{name}: {reject.reason}")
            for reject in scored.rejected
        ]
        called = {column.of_model: column.name for column in columns}
        outputs = scored.outputs.rename_columns([called[given] for given in scored.outputs.schema.names])
        return Scored(rejected, scored.kept, outputs, scored.sketches)


def _opened(models: Models, ref: ModelRef, *, is_only: bool) -> Bundle:
    try:
        return models.open(ref.name, ref.digest)
    except BundleRefused as refusal:
        if is_only or str(ref) in str(refusal):
            raise
        kind = NotReproducibleHere if isinstance(refusal, NotReproducibleHere) else BundleRefused
        raise kind(f"{ref}: {refusal}") from refusal


def _joined(found: Sequence[Scored]) -> Scored:
    """Put what several models gave for the same rows side by side."""
    kept = reduce(np.logical_and, [scored.kept for scored in found])
    arrays: list[pa.Array] = []
    names: list[str] = []
    for scored in found:
        here = pa.array(kept[scored.kept])
        outputs = scored.outputs if bool(kept[scored.kept].all()) else scored.outputs.filter(here)
        arrays += outputs.columns
        names += outputs.schema.names
    rejected: dict[int, Reject] = {}
    for reject in (reject for scored in found for reject in scored.rejected):
        before = rejected.get(reject.row)
        rejected[reject.row] = reject if before is None else _both(before, reject)
    outputs = pa.RecordBatch.from_arrays(arrays, names=names)
    # A model without baselines has its place, too.
    sketches = Sketches(models=tuple(s for scored in found for s in scored.sketches.models or (Sketch(),)))
    return Scored(sorted(rejected.values(), key=lambda reject: reject.row), kept, outputs, sketches)


def _both(one: Reject, other: Reject) -> Reject:
    reason = one.reason if one.reason == other.reason else f"{one.reason}; {other.reason}"
    return Reject(one.row, reason, quarantined=one.quarantined or other.quarantined)

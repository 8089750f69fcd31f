"""Sketches: the rows of a batch, a chunk or a job, counted into the bins that the manifest fixes.

A sketch is nothing but whole numbers, so those of parts add up to that of the whole, in any order.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field, NonNegativeInt

from skfleet_common.contracts.shapes import Shape, StoredShape, UnreadableShape
from skfleet_common.model.bins import Bins, Counts, bins_of
from skfleet_common.model.manifest import FeatureManifest
from skfleet_common.model.score_bins import ScoreBins

#: Features of which a sketch is kept, the first ones of the manifest: about 30 KB a chunk.
MAX_FEATURES = 500

#: Where a chunk's sketch stands among the key-value metadata of its Parquet file.
SKETCH_KEY = "skfleet.sketch"


class Sketch(Shape):
    """How many rows were in each bin of each column."""

    #: Those that the model was given, and those that were rejected before.
    rows: NonNegativeInt = 0
    rejected_rows: NonNegativeInt = 0
    #: By feature, of the rows that the model was given.
    features: dict[str, tuple[NonNegativeInt, ...]] = Field(default_factory=dict)
    #: By feature, of the rejected rows.
    rejected: dict[str, tuple[NonNegativeInt, ...]] = Field(default_factory=dict)
    #: By output.
    scores: dict[str, tuple[NonNegativeInt, ...]] = Field(default_factory=dict)

    def __add__(self, other: Sketch) -> Sketch:
        """Give the sketch of both sets of rows.

        Raises:
            UnreadableShape: they have other bins.
        """
        return Sketch(
            rows=self.rows + other.rows,
            rejected_rows=self.rejected_rows + other.rejected_rows,
            features=_sum(self.features, other.features),
            rejected=_sum(self.rejected, other.rejected),
            scores=_sum(self.scores, other.scores),
        )


class Sketches(StoredShape):
    """The sketches of the same rows as each of a job's models was given them, in their order."""

    models: tuple[Sketch, ...] = ()

    def __add__(self, other: Sketches) -> Sketches:
        """Give the sketches of both sets of rows.

        Raises:
            UnreadableShape: they have other bins.
        """
        pairs = zip_longest(self.models, other.models, fillvalue=Sketch())
        return Sketches(models=tuple(one + more for one, more in pairs))


#: What is known where nobody asked for a sketch.
NO_SKETCHES = Sketches()


class Sketcher:
    """Draws sketches of the rows that a model scores."""

    def __init__(self, manifest: FeatureManifest) -> None:
        rows = manifest.provenance.rows
        found = {
            place: bins_of(feature, rows=rows)
            for place, feature in enumerate(manifest.features[:MAX_FEATURES])
        }
        self._names = manifest.feature_columns
        #: By the feature's place.
        self.features: dict[int, Bins] = {place: bins for place, bins in found.items() if bins is not None}
        #: By output.
        self.scores = {histogram.output: ScoreBins(histogram) for histogram in manifest.scores}

    @classmethod
    def of(cls, manifest: FeatureManifest) -> Sketcher | None:
        """Give the sketcher of a bundle; None if its manifest says nothing of the training rows."""
        has_baselines = any(feature.baseline is not None for feature in manifest.features)
        return cls(manifest) if has_baselines or manifest.scores else None

    def bins(self) -> dict[str, Bins]:
        """Give the bins by feature column."""
        return {self._names[place]: bins for place, bins in self.features.items()}

    def fits(self, sketch: Sketch) -> bool:
        """Whether the sketch is of these bins, not of those that another version makes of the manifest."""
        bins: dict[str, Bins] = self.bins()
        found = ((bins, sketch.features), (bins, sketch.rejected), (self.scores, sketch.scores))
        return all(
            name in known and len(known[name].expected()) == len(counts)
            for known, of_columns in found
            for name, counts in of_columns.items()
        )

    def sketch_features(self, seen: dict[int, npt.NDArray[Any]], *, rows: int, rejected: list[int]) -> Sketch:
        """Give the sketch of a batch's features, as their bins take them, by the feature's place."""
        watched = [(self._names[place], bins, seen[place]) for place, bins in self.features.items()]
        every = {name: bins.count(values) for name, bins, values in watched}
        if not rejected:
            return Sketch(rows=rows, features=every)
        apart = {name: bins.count(values[rejected]) for name, bins, values in watched}
        return Sketch(
            rows=rows - len(rejected),
            rejected_rows=len(rejected),
            features={name: _less(counts, apart[name]) for name, counts in every.items()},
            rejected=apart,
        )

    def sketch_scores(self, outputs: pa.RecordBatch) -> Sketch:
        """Give the sketch of a batch's outputs."""
        counts = {
            name: bins.count(outputs.column(name).to_numpy())
            for name, bins in self.scores.items()
            if name in outputs.schema.names
        }
        return Sketch(scores=counts)


def _less(every: Counts, some: Counts) -> Counts:
    return tuple(int(count) for count in np.subtract(every, some))


def _sum(one: dict[str, Counts], other: dict[str, Counts]) -> dict[str, Counts]:
    if not (one and other):
        return one or other
    summed = dict(one)
    for name, counts in other.items():
        mine = summed.setdefault(name, (0,) * len(counts))
        if len(mine) != len(counts):
            raise UnreadableShape(f"Two sketches count {name!r} into different bins, so nobody can add them.")
        summed[name] = tuple(map(int.__add__, mine, counts))
    return summed

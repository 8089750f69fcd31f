"""The feature manifest: all that is needed to rebuild the feature array, and to refuse when it can't be."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from pydantic import Field, NonNegativeFloat, NonNegativeInt, StrictBool, StrictFloat, StrictInt, StrictStr

from skfleet_common.contracts.columns import LogicalDtype
from skfleet_common.contracts.jobs import OutputColumn
from skfleet_common.contracts.shapes import SchemaVersion, Shape, StoredShape
from skfleet_common.model.baselines import Baseline, ScoreHistogram
from skfleet_common.model.blanks import Blanks
from skfleet_common.model.policies import Fill, NullPolicy, Scale, UnseenPolicy
from skfleet_common.model.versions import SkewPolicy


class Role(StrEnum):
    """What a column of the training table is to the model."""

    FEATURE = "feature"
    KEY = "key"
    WEIGHT = "weight"
    TARGET = "target"
    EXCLUDED = "excluded"


class FeatureKind(StrEnum):
    """How a column becomes numbers."""

    NUMBER = "number"
    CATEGORY = "category"
    #: A date, a time or a timestamp, taken apart.
    MOMENT = "moment"
    #: Nothing is made of it: the model takes the column itself.
    RAW = "raw"


class Takes(StrEnum):
    """What a bundle's model is called with."""

    #: The feature array that skfleet builds.
    FEATURES = "features"
    #: A data frame of the columns, with the dtypes that docs/models.md lists.
    FRAME = "frame"
    #: The same columns as a plain array.
    ARRAY = "array"


class FeatureDtype(StrEnum):
    """What the feature array holds: what the estimator would cast it to by itself."""

    FLOAT32 = "float32"
    FLOAT64 = "float64"


class Learning(StrEnum):
    """What the model learned to do."""

    CLASSIFICATION = "classification"
    REGRESSION = "regression"
    #: There was no target: a clusterer, an outlier detector, or what only transforms.
    UNSUPERVISED = "unsupervised"


class InputColumn(Shape):
    """A column of the training table, in the table's order."""

    name: str
    warehouse_type: str
    dtype: LogicalDtype
    nullable: bool
    role: Role
    #: Why it is excluded.
    reason: str | None = None


class Levels(Shape):
    """What a category or a class may be: values of one type, never a mixture.

    The strict types keep ``1``, ``"1"`` and ``true`` apart when JSON is read back.
    """

    dtype: LogicalDtype
    values: tuple[StrictBool, ...] | tuple[StrictInt, ...] | tuple[StrictStr, ...]


class Feature(Shape):
    """One input column and everything that decides which numbers it becomes."""

    column: str
    dtype: LogicalDtype
    kind: FeatureKind
    nulls: NullPolicy
    #: What stands in for NULL, one a part; empty where the model itself takes missing values.
    fills: tuple[StrictInt | StrictFloat | StrictStr, ...] = ()
    #: How the fill was chosen, and how numbers are scaled; None in a manifest of version 1.
    fill: Fill | None = None
    scale: Scale | None = None
    #: The parts of a moment that were not constant in training.
    parts: tuple[str, ...] = ()
    #: The levels that have a code of their own.
    levels: Levels | None = None
    #: Those that training saw, but too rarely: they share what a level that it never saw is encoded as.
    rare_levels: Levels | None = None
    unseen: UnseenPolicy | None = None
    tolerated_unseen: float | None = None
    #: Smallest and largest value seen; a moment's in ISO 8601, a category has none.
    observed: tuple[StrictInt | StrictFloat | StrictStr, StrictInt | StrictFloat | StrictStr] | None = None
    training_nulls: NonNegativeInt = 0
    #: What blanks at the end of its texts are; None if there were none.
    blanks: Blanks | None = None
    baseline: Baseline | None = None

    @property
    def known_levels(self) -> tuple[bool | int | str, ...]:
        """The levels of a category that training saw: first those with a code of their own."""
        if self.levels is None:
            return ()
        return (*self.levels.values, *(() if self.rare_levels is None else self.rare_levels.values))


class TransformedFeature(Shape):
    """One column of the feature array."""

    name: str
    #: A :class:`FeatureDtype`, or what a column of a registered model's frame is.
    dtype: str = FeatureDtype.FLOAT64.value


class Target(Shape):
    """What the model predicts; ``classes`` are in the order of the estimator's ``classes_``.

    Of a model without a target, ``column`` says what its predictions are: ``cluster``, ``outlier``.
    """

    column: str
    dtype: LogicalDtype
    learning: Learning
    classes: Levels | None = None


class ProvenanceFile(Shape):
    """A file that training rows came from."""

    #: Its path or URL, as the user named it.
    name: str
    size: NonNegativeInt
    sha256: str


class Provenance(Shape):
    """Where the training rows came from."""

    #: The table, query or file, as people would name it.
    source: str = ""
    #: ``table``, ``query``, ``csv``, ``parquet`` or ``frame``.
    kind: str = "table"
    where: str | None = None
    query: str | None = None
    files: tuple[ProvenanceFile, ...] = ()
    #: How many rows were drawn, where not all were read.
    sampled: NonNegativeInt | None = None
    #: Texts of CSV files that were read as NULL wherever they stood.
    null_texts: tuple[str, ...] = ()
    #: Rows that the model was fitted on, after those that were left out.
    rows: NonNegativeInt = 0
    rows_without_target: NonNegativeInt = 0
    rows_rejected: NonNegativeInt = 0
    #: SHA-256 over the features and target of the fitted rows, whatever their order.
    fingerprint: str = ""
    seed: int = 0


class Hints(Shape):
    """What a planner may assume of the model; measured where it was fitted."""

    rows_per_second_per_core: NonNegativeFloat = 0.0
    #: Memory of one row as read and as a feature array.
    bytes_per_row: NonNegativeFloat = 0.0
    model_bytes: NonNegativeInt = 0
    #: How long the fit took, its twins and figures included.
    seconds_fitting: NonNegativeFloat = 0.0


class BundleFile(Shape):
    """A file of the bundle other than the manifest."""

    name: str
    size: NonNegativeInt
    sha256: str


class FeatureManifest(StoredShape):
    """Everything about a bundle that is not the fitted model itself.

    Version 2 has rare levels, fills and scales by feature, times and single-precision features, which a
    reader of version 1 would take for something else; version 3, models without a target, which a reader of
    version 2 does not know. All else is still written as version 2.
    """

    WRITES: ClassVar[int] = 3

    schema_version: SchemaVersion = 2
    name: str
    format: str = "skops"
    creator: str
    created_at: datetime
    #: The full name of the model, e.g. ``gradient_boosting_classifier``.
    model: str
    takes: Takes = Takes.FEATURES
    #: How far a replayed golden row may be off, relatively; 0 means equal.
    tolerance: NonNegativeFloat = 0.0
    versions: dict[str, str]
    skew_policy: SkewPolicy = SkewPolicy.PATCH
    columns: tuple[InputColumn, ...]
    features: tuple[Feature, ...]
    transformed: tuple[TransformedFeature, ...]
    target: Target
    #: The targets after the first one.
    further_targets: tuple[Target, ...] = ()
    outputs: tuple[OutputColumn, ...]
    #: What the model gives beside them, where a job asks for it.
    more_outputs: tuple[OutputColumn, ...] = ()
    #: How the outputs were distributed out of sample.
    scores: tuple[ScoreHistogram, ...] = ()
    provenance: Provenance = Field(default_factory=Provenance)
    hints: Hints = Field(default_factory=Hints)
    files: tuple[BundleFile, ...] = ()

    @property
    def targets(self) -> tuple[Target, ...]:
        """Every target, in the order of the outputs."""
        return (self.target, *self.further_targets)

    @property
    def target_columns(self) -> tuple[str, ...]:
        """The columns that it learned to predict; none of a model without a target."""
        is_labelled = self.target.learning is not Learning.UNSUPERVISED
        return tuple(target.column for target in self.targets) if is_labelled else ()

    @property
    def feature_columns(self) -> tuple[str, ...]:
        """The columns that a reader must give, in the order that the model wants them."""
        return tuple(feature.column for feature in self.features)

    @property
    def feature_dtype(self) -> FeatureDtype:
        """What the feature array holds."""
        own = self.takes is Takes.FEATURES and bool(self.transformed)
        return FeatureDtype(self.transformed[0].dtype) if own else FeatureDtype.FLOAT64

    @property
    def categorical_columns(self) -> tuple[str, ...]:
        """The columns whose levels a preflight must count."""
        return tuple(feature.column for feature in self.features if feature.levels is not None)

    def output_columns(self) -> tuple[OutputColumn, ...]:
        """Give the columns that the model adds to a scored table, unless others are asked for."""
        return self.outputs

    @property
    def all_outputs(self) -> tuple[OutputColumn, ...]:
        """Every column that the model can give."""
        return (*self.outputs, *self.more_outputs)

    def column(self, name: str) -> InputColumn:
        """Give the column of the training table called ``name``, which must exist."""
        return next(column for column in self.columns if column.name == name)

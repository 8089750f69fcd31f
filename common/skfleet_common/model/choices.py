"""Choices: what a user asks of a fit; what nobody chose follows from the rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from skfleet_common.model.feature_choices import NO_CHOICES, FeatureChoices
from skfleet_common.model.model_file import ModelFormat
from skfleet_common.model.policies import DEFAULT_TOLERATED_UNSEEN
from skfleet_common.model.versions import SkewPolicy


@dataclass(frozen=True, kw_only=True)
class FitChoices:
    """How one model is to be fitted; each part is checked by the module that uses it."""

    #: The columns to learn, in the order of the outputs.
    targets: tuple[str, ...]
    model: str = "gradient_boosting"
    name: str = "model"
    id_columns: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    #: Integer columns whose values are levels, not amounts.
    categorical: tuple[str, ...] = ()
    #: The column of sample weights.
    weight: str | None = None
    #: One for all features, or by column, where ``*`` speaks for the rest.
    null_policy: Mapping[str, str] | str = field(default_factory=dict)
    unseen_policy: Mapping[str, str] | str = field(default_factory=dict)
    tolerated_unseen: float = DEFAULT_TOLERATED_UNSEEN
    #: What single columns are to be; what is said by name above goes before it.
    features: FeatureChoices = NO_CHOICES
    skew_policy: SkewPolicy = SkewPolicy.PATCH
    #: Parameters of the estimator, by name; ``a__b`` is the parameter b of its part a.
    params: Mapping[str, Any] = field(default_factory=dict)
    #: How better parameters are looked for: grid, random or halving.
    search: str | None = None
    #: By parameter, the values to try, or what to draw them from; the model's own space where empty.
    search_space: Mapping[str, Any] = field(default_factory=dict)
    #: How many candidates a search that draws them tries.
    search_iterations: int = 20
    #: What makes a candidate better, by scikit-learn's name for it.
    search_scoring: str | None = None
    search_folds: int = 4
    #: How probabilities are calibrated: sigmoid or isotonic.
    calibrate: str | None = None
    #: In how many parts the rows are split, each predicted by a model of the others; None holds a fifth out.
    cross_validate: int | None = None
    #: Whether predictions of rows by models that did not see them are kept, and their ids are read.
    keep_out_of_sample: bool = False
    #: How the model is written into the bundle.
    format: ModelFormat = ModelFormat.SKOPS
    #: Makes the fit repeatable.
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class OriginFile:
    """A file that training rows came from."""

    #: Its path or URL, as the user named it.
    name: str
    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where the training rows came from, for the manifest's provenance."""

    #: The table, query or file, as people would name it.
    source: str = ""
    #: ``table``, ``query``, ``csv``, ``parquet`` or ``frame``.
    kind: str = "table"
    where: str | None = None
    query: str | None = None
    files: tuple[OriginFile, ...] = ()
    #: How many rows were drawn, where not all were read.
    sampled: int | None = None
    #: Texts of CSV files that were read as NULL wherever they stood.
    null_texts: tuple[str, ...] = ()


#: Rows that came from no place that has a name.
NOWHERE = Origin()

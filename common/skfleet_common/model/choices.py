"""Choices: what a user asks of a fit; what nobody chose follows from the rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from skfleet_common.model.feature_choices import NO_CHOICES, FeatureChoices
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


#: Rows that came from no place that has a name.
NOWHERE = Origin()

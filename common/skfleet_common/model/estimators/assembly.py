"""Assembly: the unfitted estimator of one fit, from the model that was asked for and what surrounds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cross_decomposition import CCA, PLSCanonical
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.multioutput import MultiOutputClassifier, MultiOutputRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import KBinsDiscretizer, MinMaxScaler

from skfleet_common.contracts.errors import UsageError
from skfleet_common.model.estimators.asked import AskedModel
from skfleet_common.model.estimators.parameters import set_parameters
from skfleet_common.model.estimators.steps import WeightedPipeline
from skfleet_common.model.estimators.traits import (
    SUMS_TOLERANCE,
    Traits,
    parts_of,
    runs_side_by_side,
    traits_of,
)
from skfleet_common.model.manifest import Learning

#: HistGradientBoosting bins a feature into at most 255 values, and keeps one for the missing ones.
MAX_CATEGORICAL_LEVELS = 254

#: How many classes a model that only knows categories makes of a number.
_BINS = 10

#: Parts of the rows that calibration is cross-fitted on.
CALIBRATION_FOLDS = 5

CALIBRATIONS = ("sigmoid", "isotonic")


@dataclass(frozen=True, kw_only=True)
class Assembly:
    """Puts an estimator together, the same way whenever it is asked to."""

    model: AskedModel
    learning: Learning
    targets: int = 1
    seed: int = 0
    params: Mapping[str, Any] = field(default_factory=dict)
    calibrate: str | None = None
    is_weighted: bool = False
    #: The columns of the feature array that hold few enough codes of categories.
    categorical: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        traits, asked = self.traits, self.model.asked
        if self.calibrate is not None and self.learning is not Learning.CLASSIFICATION:
            raise UsageError(
                f"{asked} predicts an amount here, and only probabilities of classes can be calibrated; "
                "leave --calibrate out."
            )
        if self.targets == 1 and not traits.takes_one_target:
            raise UsageError(
                f"{asked} learns several targets at once; name more of them with --target, or choose a model "
                "of one target."
            )
        if self.is_weighted and not traits.takes_weights:
            raise UsageError(
                f"{asked} takes no sample weights; leave --weight out, or choose a model that takes them."
            )

    @property
    def traits(self) -> Traits:
        """What the model wants, with the parameters that were set."""
        return traits_of(self._core())

    @property
    def tolerance(self) -> float:
        """How far a replayed prediction may be off, relatively; calibration only adds sums."""
        around = SUMS_TOLERANCE if self.calibrate is not None else 0.0
        return max(self.traits.tolerance, around)

    def estimator(self, found: Mapping[str, Any] | None = None) -> Any:
        """Give the unfitted estimator; ``found`` are parameters that a search chose."""
        core = self._core(found)
        inner = self._within(core)
        if self.calibrate is not None:
            inner = CalibratedClassifierCV(inner, method=self.calibrate, cv=CALIBRATION_FOLDS)
        return self._over_targets(inner, core)

    def searched(self) -> tuple[Any, str]:
        """Give what a search is to fit, uncalibrated, and what goes before the model's own parameters."""
        core = self._core()
        inner = self._within(core)
        outer = self._over_targets(inner, core)
        return outer, ("" if outer is inner else "estimator__") + ("" if inner is core else "model__")

    def _core(self, found: Mapping[str, Any] | None = None) -> Any:
        """Give the model itself, seeded, on one thread."""
        core = clone(self.model.prototypes[self.learning])
        if self.is_weighted and isinstance(core, Pipeline):
            core = WeightedPipeline(core.steps)
        if isinstance(core, (CCA, PLSCanonical)):
            # There are no more components than targets.
            core.set_params(n_components=min(core.n_components, self.targets))
        set_parameters(core, {**self.params, **(found or {})}, of=self.model.asked)
        given = core.get_params(deep=True)
        fixed: dict[str, Any] = {}
        for name, value in given.items():
            part, _, last = name.rpartition("__")
            if last == "random_state" and value is None:
                fixed[name] = self.seed
            elif last == "n_jobs" and runs_side_by_side(given.get(part, core), value):
                # A scorer has one core, and what is fitted is what is scored with.
                fixed[name] = 1
        core.set_params(**fixed)
        self._name_categories(core)
        return core

    def _name_categories(self, core: Any) -> None:
        """Tell boosting which features are codes, where nothing stands between them and it."""
        if not self.categorical or any(isinstance(part, Pipeline) for part in parts_of(core)):
            return
        for part in parts_of(core):
            is_boosting = isinstance(part, (HistGradientBoostingClassifier, HistGradientBoostingRegressor))
            if is_boosting and part.categorical_features == "from_dtype":
                part.set_params(categorical_features=list(self.categorical))

    def _within(self, core: Any) -> Any:
        """Give the model behind what makes features fit for it."""
        traits = traits_of(core)
        if traits.is_categorical:
            if core.get_params().get("min_categories", 0) is None:
                # A batch may hold what no training row held.
                core.set_params(min_categories=_BINS)
            bins = KBinsDiscretizer(n_bins=_BINS, encode="ordinal", strategy="uniform", subsample=None)
            return WeightedPipeline([("bins", bins), ("model", core)])
        if traits.is_positive_only:
            return WeightedPipeline([("scale", MinMaxScaler(clip=True)), ("model", core)])
        return core

    def _over_targets(self, inner: Any, core: Any) -> Any:
        if self.targets == 1 or (inner is core and traits_of(core).takes_several_targets):
            return inner
        many = MultiOutputClassifier if self.learning is Learning.CLASSIFICATION else MultiOutputRegressor
        return many(inner)

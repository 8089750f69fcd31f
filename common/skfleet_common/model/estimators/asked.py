"""Asked models: the words by which a model is asked for, and the unfitted estimators behind them."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from sklearn.base import ClassifierMixin
from sklearn.utils import all_estimators

from skfleet_common.contracts.errors import UsageError, nearest, shown
from skfleet_common.model.estimators.brought import bring, is_brought, is_fitted, unfitted
from skfleet_common.model.estimators.families import FAMILIES, INNER, SETTINGS, SUFFIXES
from skfleet_common.model.estimators.traits import Traits, learning_of, traits_of
from skfleet_common.model.manifest import Learning
from skfleet_common.model.preprocessing import Style

#: Classes of other libraries that may be asked for by their names alone.
SHORT_NAMES: Mapping[str, str] = {
    "LGBMClassifier": "lightgbm:LGBMClassifier",
    "LGBMRegressor": "lightgbm:LGBMRegressor",
    "XGBClassifier": "xgboost:XGBClassifier",
    "XGBRegressor": "xgboost:XGBRegressor",
    "XGBRFClassifier": "xgboost:XGBRFClassifier",
    "XGBRFRegressor": "xgboost:XGBRFRegressor",
}


@dataclass(frozen=True)
class AskedModel:
    """A model as asked for, before its rows are known."""

    asked: str
    #: The unfitted estimator, by what it would learn.
    prototypes: Mapping[Learning, Any]
    #: What it learns; None where the target decides.
    learning: Learning | None
    #: How to ask for it so that the target decides nothing, by what it learns.
    names: Mapping[Learning, str]
    #: What the user should know of it.
    notes: tuple[str, ...] = ()

    @cached_property
    def traits(self) -> Traits:
        """What it wants; the same whatever it learns."""
        return traits_of(next(iter(self.prototypes.values())))

    @property
    def style(self) -> Style:
        """What features it wants."""
        return self.traits.style

    def full(self, learning: Learning) -> str:
        """Give the name that leaves nothing to the target."""
        return self.names[learning]


def parse_model(asked: str) -> AskedModel:
    """Give the model called ``asked``.

    Raises:
        UsageError: there is none, or it is no estimator.
        EnvironmentFault: it needs a library that is not here.
    """
    if asked in SHORT_NAMES or is_brought(asked):
        return _brought(asked, SHORT_NAMES.get(asked, asked))
    if asked in known_classes():
        return _alone(asked, of_class(asked))
    learning = next((learns for suffix, learns in SUFFIXES.items() if asked.endswith(suffix)), None)
    family = asked if asked in FAMILIES or learning is None else asked[: asked.rindex("_")]
    makers = FAMILIES.get(family, {})
    if learning is not None and asked not in FAMILIES:
        makers = {learns: make for learns, make in makers.items() if learns is learning and len(makers) > 1}
    if not makers:
        known = [*known_families(), *known_classes(), *SHORT_NAMES]
        raise UsageError(
            f"There is no model {shown(asked)!r}; name a predefined one ({', '.join(FAMILIES)}), a class of "
            f"scikit-learn, or your own as module:attribute or as a file{nearest(asked, known)}"
        )
    return AskedModel(
        asked=asked,
        prototypes={learns: make() for learns, make in makers.items()},
        learning=next(iter(makers)) if len(makers) == 1 else None,
        names={learns: _full(family, learns) for learns in makers},
    )


def known_families() -> list[str]:
    """Give every predefined name."""
    names: list[str] = []
    for family, makers in FAMILIES.items():
        names += [family, *(family + suffix for suffix in SUFFIXES if len(makers) > 1)]
    return names


@cache
def known_classes() -> Mapping[str, type]:
    """Give scikit-learn's classifiers and regressors by their names."""
    return {name: made for kind in ("classifier", "regressor") for name, made in all_estimators(kind)}


def of_class(name: str) -> Any:
    """Give an unfitted estimator of scikit-learn's class called ``name``, with what it needs."""
    made = known_classes()[name]
    settings = dict(SETTINGS.get(name, {}))
    learning = Learning.CLASSIFICATION if issubclass(made, ClassifierMixin) else Learning.REGRESSION
    for parameter in inspect.signature(made).parameters.values():
        is_needed = parameter.default is inspect.Parameter.empty or name == "SelfTrainingClassifier"
        if parameter.name in INNER and is_needed:
            settings[parameter.name] = INNER[parameter.name][learning]()
    return made(**settings)


def _brought(asked: str, reference: str) -> AskedModel:
    found = bring(reference)
    notes: tuple[str, ...] = ()
    if is_fitted(found):
        notes = (
            f"{asked} is fitted already; a fresh copy of it was fitted to these rows. To keep it as it is, "
            "register it with skfleet register.",
        )
    prototype = unfitted(found, asked)
    settings = SETTINGS.get(type(prototype).__name__, {})
    given = prototype.get_params(deep=False)
    prototype.set_params(**{name: value for name, value in settings.items() if given.get(name) is None})
    return _alone(asked, prototype, notes=notes)


def _alone(asked: str, prototype: Any, *, notes: tuple[str, ...] = ()) -> AskedModel:
    learning = learning_of(prototype)
    learnings = list(Learning) if learning is None else [learning]
    return AskedModel(
        asked=asked,
        prototypes=dict.fromkeys(learnings, prototype),
        learning=learning,
        names=dict.fromkeys(learnings, asked),
        notes=notes,
    )


def _full(family: str, learning: Learning) -> str:
    if len(FAMILIES[family]) == 1:
        return family
    return family + next(suffix for suffix, learns in SUFFIXES.items() if learns is learning)

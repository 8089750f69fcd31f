"""Families: the predefined models, and what scikit-learn's classes need beyond their own defaults."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    StackingRegressor,
)
from sklearn.linear_model import LassoCV, LinearRegression, LogisticRegression, Ridge, RidgeCV
from sklearn.neural_network import MLPClassifier, MLPRegressor

from skfleet_common.model.manifest import Learning

#: What a leaf of a forest must hold: small leaves make bundles of hundreds of megabytes.
_FOREST = {"n_estimators": 100, "min_samples_leaf": 50}
# An early stop would hold rows back that stratification cannot always split.
_BOOSTING = {"early_stopping": False}
_LOGISTIC = {"max_iter": 1_000}
_PERCEPTRON = {"hidden_layer_sizes": (100,), "max_iter": 300}

CLASSIFIES, REGRESSES = Learning.CLASSIFICATION, Learning.REGRESSION
Maker = Callable[[], Any]


def _stacking_classifier() -> StackingClassifier:
    members = [
        ("gradient_boosting", HistGradientBoostingClassifier(**_BOOSTING)),
        ("random_forest", RandomForestClassifier(**_FOREST)),
        ("logistic_regression", LogisticRegression(**_LOGISTIC)),
    ]
    return StackingClassifier(members, final_estimator=LogisticRegression(**_LOGISTIC), cv=4)


def _stacking_regressor() -> StackingRegressor:
    members = [
        ("gradient_boosting", HistGradientBoostingRegressor(**_BOOSTING)),
        ("random_forest", RandomForestRegressor(**_FOREST)),
        ("ridge", Ridge()),
    ]
    return StackingRegressor(members, final_estimator=RidgeCV(), cv=4)


#: The predefined models: what makes the estimator, by what it learns.
FAMILIES: Mapping[str, Mapping[Learning, Maker]] = {
    "gradient_boosting": {
        CLASSIFIES: lambda: HistGradientBoostingClassifier(**_BOOSTING),
        REGRESSES: lambda: HistGradientBoostingRegressor(**_BOOSTING),
    },
    "random_forest": {
        CLASSIFIES: lambda: RandomForestClassifier(**_FOREST),
        REGRESSES: lambda: RandomForestRegressor(**_FOREST),
    },
    "extra_trees": {
        CLASSIFIES: lambda: ExtraTreesClassifier(**_FOREST),
        REGRESSES: lambda: ExtraTreesRegressor(**_FOREST),
    },
    "multilayer_perceptron": {
        CLASSIFIES: lambda: MLPClassifier(**_PERCEPTRON),
        REGRESSES: lambda: MLPRegressor(**_PERCEPTRON),
    },
    "stacking": {CLASSIFIES: _stacking_classifier, REGRESSES: _stacking_regressor},
    "logistic_regression": {CLASSIFIES: lambda: LogisticRegression(**_LOGISTIC)},
    "linear_regression": {REGRESSES: LinearRegression},
    "ridge": {REGRESSES: Ridge},
    # The lasso's penalty makes coefficients exactly 0.
    "sparse_logistic": {CLASSIFIES: lambda: LogisticRegression(solver="saga", l1_ratio=1.0, **_LOGISTIC)},
    "sparse_linear_regressor": {REGRESSES: lambda: LassoCV(cv=4)},
    "sparse_ridge_regressor": {REGRESSES: lambda: RidgeCV(alphas=(0.01, 0.1, 1.0, 10.0, 100.0))},
}
SUFFIXES = {"_classifier": CLASSIFIES, "_regressor": REGRESSES}

#: What a class asked for by its own name gets where it has no default of its own.
INNER: Mapping[str, Mapping[Learning, Maker]] = {
    "estimator": {CLASSIFIES: lambda: LogisticRegression(**_LOGISTIC), REGRESSES: Ridge},
    "estimators": {
        CLASSIFIES: lambda: _stacking_classifier().estimators,
        REGRESSES: lambda: _stacking_regressor().estimators,
    },
}

#: What rows must be like for a class, beyond what every model needs.
NEEDS: Mapping[str, str] = {
    "FixedThresholdClassifier": "two classes",
    "TunedThresholdClassifierCV": "two classes",
    "ClassifierChain": "two targets or more, of two classes each",
    "MultiOutputClassifier": "two targets or more",
    **dict.fromkeys(
        (
            "MultiOutputRegressor",
            "MultiTaskElasticNet",
            "MultiTaskElasticNetCV",
            "MultiTaskLasso",
            "MultiTaskLassoCV",
            "RegressorChain",
        ),
        "two targets or more",
    ),
    "IsotonicRegression": "one feature, a number",
    "GammaRegressor": "a target above 0",
    "PoissonRegressor": "a target of 0 or more",
    "NuSVC": "classes of about the same size",
    "RadiusNeighborsRegressor": "neighbours: a row without any within the radius is quarantined",
    **dict.fromkeys(("CCA", "PLSCanonical"), "as many components as targets at most, 2 by default"),
    "CategoricalNB": "categories: each feature is cut into ten bins first",
    **dict.fromkeys(("ComplementNB", "MultinomialNB"), "features of 0 or more: scaled to 0 … 1 first"),
}

ONE_THREAD: Mapping[str, Any] = {"n_jobs": 1}

#: What a class asked for by its own name needs, so that new rows can be scored at all.
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    # Values beyond those of training would be NaN.
    "IsotonicRegression": {"out_of_bounds": "clip"},
    # A row with no neighbours would raise.
    "RadiusNeighborsClassifier": {"outlier_label": "most_frequent"},
    # A vote on probabilities, so that there are some.
    "VotingClassifier": {"voting": "soft"},
    # One column a level makes the others' covariance singular.
    "QuadraticDiscriminantAnalysis": {"reg_param": 1e-3},
    # What scikit-learn 1.10 makes its defaults, and warns of until then.
    "LogisticRegressionCV": {
        "l1_ratios": (0.0,),
        "scoring": "neg_log_loss",
        "use_legacy_attributes": False,
        "max_iter": 1_000,
    },
    # Without a number, these take every core; LightGBM prints what it does.
    "LGBMClassifier": {"verbosity": -1, "n_jobs": 1},
    "LGBMRegressor": {"verbosity": -1, "n_jobs": 1},
    **dict.fromkeys(("XGBClassifier", "XGBRegressor", "XGBRFClassifier", "XGBRFRegressor"), ONE_THREAD),
}

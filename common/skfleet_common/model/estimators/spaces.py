"""Spaces: the parameters that a search tries where nobody named any, by the class that is searched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_Space = Mapping[str, Sequence[Any]]

_TREES: _Space = {
    "min_samples_leaf": [1, 5, 20, 50],
    "max_features": ["sqrt", 0.5, 1.0],
    "n_estimators": [100, 300],
}
_PENALTY: _Space = {"alpha": [1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0]}
_PERCEPTRON: _Space = {
    "hidden_layer_sizes": [(50,), (100,), (100, 50)],
    "alpha": [1e-5, 1e-4, 1e-2],
    "learning_rate_init": [1e-3, 1e-2],
}
_BOOSTING: _Space = {
    "learning_rate": [0.03, 0.1, 0.3],
    "max_leaf_nodes": [15, 31, 63],
    "min_samples_leaf": [10, 20, 50],
}
_OTHER_BOOSTING: _Space = {
    "learning_rate": [0.03, 0.1, 0.3],
    "n_estimators": [100, 300],
    "max_depth": [3, 6],
}
_LEAFWISE: _Space = {
    "learning_rate": [0.03, 0.1, 0.3],
    "num_leaves": [15, 31, 63],
    "n_estimators": [100, 300],
}
_TREE: _Space = {"max_depth": [3, 6, 12, None], "min_samples_leaf": [1, 5, 20, 50]}
_NEIGHBORS: _Space = {"n_neighbors": [3, 5, 10, 30], "weights": ["uniform", "distance"]}
_SUPPORT: _Space = {"C": [0.1, 1.0, 10.0], "gamma": ["scale", 0.01, 0.1]}

SPACES: Mapping[str, _Space] = {
    **dict.fromkeys(("HistGradientBoostingClassifier", "HistGradientBoostingRegressor"), _BOOSTING),
    **dict.fromkeys(
        ("GradientBoostingClassifier", "GradientBoostingRegressor", "XGBClassifier", "XGBRegressor"),
        _OTHER_BOOSTING,
    ),
    **dict.fromkeys(("LGBMClassifier", "LGBMRegressor"), _LEAFWISE),
    **dict.fromkeys(
        ("RandomForestClassifier", "RandomForestRegressor", "ExtraTreesClassifier", "ExtraTreesRegressor"),
        _TREES,
    ),
    **dict.fromkeys(("DecisionTreeClassifier", "DecisionTreeRegressor"), _TREE),
    **dict.fromkeys(("MLPClassifier", "MLPRegressor"), _PERCEPTRON),
    **dict.fromkeys(("KNeighborsClassifier", "KNeighborsRegressor"), _NEIGHBORS),
    **dict.fromkeys(("SVC", "SVR"), _SUPPORT),
    **dict.fromkeys(("Ridge", "RidgeClassifier", "Lasso", "ElasticNet"), _PENALTY),
    "LogisticRegression": {"C": [0.01, 0.1, 1.0, 10.0]},
    "LinearSVC": {"C": [0.01, 0.1, 1.0, 10.0]},
}

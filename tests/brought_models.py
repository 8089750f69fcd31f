"""Pipelines as a module of a user's own would make them."""

from __future__ import annotations

import importlib
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from tests.model_samples import CITY


class ShiftedByBatch(TransformerMixin, BaseEstimator):
    """Takes a share of what a statistic of the batch says off every value."""

    def __init__(self, statistic: str = "mean", share: float = 1.0) -> None:
        self.statistic = statistic
        self.share = share

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: ARG002
        self.fitted_ = True
        return self

    def transform(self, X: Any) -> Any:
        return X - self.share * getattr(np, self.statistic)(X, axis=0)


def shifted() -> Pipeline:
    return make_pipeline(ShiftedByBatch(), LinearRegression())


def boosted(library: str) -> Pipeline:
    name = {"lightgbm": "LGBMRegressor", "xgboost": "XGBRegressor"}[library]
    return make_pipeline(StandardScaler(), getattr(importlib.import_module(library), name)())


def by_lightgbm() -> Pipeline:
    return boosted("lightgbm")


def by_xgboost() -> Pipeline:
    return boosted("xgboost")


def by_name() -> Pipeline:
    columns = ColumnTransformer(
        [("numbers", SimpleImputer(), ["items", "score"]), ("city", OneHotEncoder(), [CITY])]
    )
    return make_pipeline(columns, LogisticRegression(max_iter=1_000))

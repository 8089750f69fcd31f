"""Estimators that break scikit-learn's rules, one each; a module of a user's own would hold such."""

from __future__ import annotations

import os
import sys
import threading
import warnings
from typing import Any, Self

import numpy as np
import scipy.sparse
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.ensemble import RandomForestClassifier


class _Classifier(ClassifierMixin, BaseEstimator):
    """Learns how often each class comes, and predicts the commonest."""

    def fit(self, X: Any, y: Any) -> Self:  # noqa: ARG002
        self.classes_, counts = np.unique(y, return_counts=True)
        self.shares_ = counts / counts.sum()
        return self

    def predict(self, X: Any) -> Any:
        return np.repeat(self.classes_[self.shares_.argmax()], len(X))

    def predict_proba(self, X: Any) -> Any:
        return np.tile(self.shares_, (len(X), 1))


class _Regressor(RegressorMixin, BaseEstimator):
    """Predicts the first feature."""

    def fit(self, X: Any, y: Any) -> Self:  # noqa: ARG002
        self.fitted_ = True
        return self

    def predict(self, X: Any) -> Any:
        return X[:, 0]


class Mutating(_Regressor):
    """Scales its input in place, whenever it is asked."""

    def fit(self, X: Any, y: Any) -> Self:
        X *= 2
        y *= 0
        return super().fit(X, y)

    def predict(self, X: Any) -> Any:
        X *= 2
        return X[:, 0]


class MutatingClassifier(_Classifier):
    """Says by its label whether the input was changed before."""

    def predict_proba(self, X: Any) -> Any:
        X[:] = 1e6
        return super().predict_proba(X)

    def predict(self, X: Any) -> Any:
        return np.where(X[:, 0] == 1e6, self.classes_[0], self.classes_[1])


class Unpicklable(_Regressor):
    """Holds a lock from the start."""

    def __init__(self) -> None:
        self.lock = threading.Lock()

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: ARG002
        return {}


class Talking(_Regressor):
    """Prints, from Python and below it, and warns, twice each."""

    def fit(self, X: Any, y: Any) -> Self:
        for _ in range(2):
            print("fitting now")  # noqa: T201
            os.write(1, b"from below\n")
            warnings.warn("this is odd", stacklevel=1)
        return super().fit(X, y)


class Raising(_Regressor):
    """Cannot be fitted."""

    def fit(self, X: Any, y: Any) -> Self:  # noqa: ARG002
        raise RuntimeError("no way\nat all")


class Exiting(_Regressor):
    """Ends the program."""

    def fit(self, X: Any, y: Any) -> Self:  # noqa: ARG002
        sys.exit(3)


class Short(_Regressor):
    """Forgets the last row."""

    def predict(self, X: Any) -> Any:
        return X[:-1, 0]


class Halfway(_Classifier):
    """Predicts what is no class."""

    def predict(self, X: Any) -> Any:
        return np.full(len(X), 0.5)


class Floating(_Classifier):
    """Predicts classes as floats."""

    def predict(self, X: Any) -> Any:
        return super().predict(X).astype(float)


class Narrow(_Classifier):
    """Has a probability for one class only."""

    def predict_proba(self, X: Any) -> Any:
        return super().predict_proba(X)[:, :1]


class Backwards(_Classifier):
    """Has its classes the other way round."""

    def fit(self, X: Any, y: Any) -> Self:
        super().fit(X, y)
        self.classes_, self.shares_ = self.classes_[::-1], self.shares_[::-1]
        return self


class Numbering(_Classifier):
    """Numbers its classes, whatever they are."""

    def fit(self, X: Any, y: Any) -> Self:
        super().fit(X, y)
        self.classes_ = np.arange(len(self.classes_))
        return self


class Sparse(_Classifier):
    """Gives sparse single-precision probabilities and a column of labels."""

    def predict_proba(self, X: Any) -> Any:
        return scipy.sparse.csr_matrix(super().predict_proba(X).astype(np.float32))

    def predict(self, X: Any) -> Any:
        return super().predict(X).reshape(-1, 1)


class Mute(_Classifier):
    """Has a predict_proba that says that there is none."""

    def predict_proba(self, X: Any) -> Any:
        raise NotImplementedError


class Endless(_Regressor):
    """Gives no finite number for some rows."""

    def predict(self, X: Any) -> Any:
        return np.where(X[:, 0] > 0, np.nan, X[:, 0])


class Spawning(_Regressor):
    """Works in two threads."""

    def fit(self, X: Any, y: Any) -> Self:
        threads = [threading.Thread(target=sum, args=([1, 2],)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return super().fit(X, y)


class Parallel(_Regressor):
    """Would take every core."""

    def __init__(self, n_jobs: int | None = -1) -> None:
        self.n_jobs = n_jobs


class Chancy(_Regressor):
    """Draws its predictions by lot."""

    def predict(self, X: Any) -> Any:
        return np.random.default_rng().normal(size=len(X))


class Centred(_Regressor):
    """Holds a row against the mean of the rows beside it."""

    def predict(self, X: Any) -> Any:
        return X[:, 0] - X[:, 0].mean()


class Forgetful(_Regressor):
    """Loses on its way to the disk what it learned."""

    def fit(self, X: Any, y: Any) -> Self:
        self.mean_ = float(np.mean(y))
        return super().fit(X, y)

    def predict(self, X: Any) -> Any:
        return np.full(len(X), self.mean_)

    def __getstate__(self) -> dict[str, Any]:
        return {"fitted_": True} if hasattr(self, "fitted_") else {}


class Cautious(RandomForestClassifier):
    """Says the first class unless it is certain of another, whatever its probabilities are."""

    def predict(self, X: Any) -> Any:
        return np.full(len(X), self.classes_[0])

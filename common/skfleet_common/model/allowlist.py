"""Allow-list: the types that a bundle's model may be made of, beyond what skops itself trusts.

The list lives here, in the code that reads bundles, never in a bundle. Each entry was read: loading it
runs no code that the file chooses.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import skops.io

from skfleet_common.contracts.errors import BundleRefused, NotReproducibleHere, shown

_ARRAYS = "its state is arrays and numbers, which its own __setstate__ takes apart"
_ATTRIBUTES = "a plain Python class: loading sets attributes, and no method of it runs"
_METRIC = "a distance with its two parameters; the one that would call a Python function is not here"

_FIGURE = "a function of arrays: it is looked up by name, and not called"
_BOOSTER = "its state is trees in the library's own format, which names no code"

#: The types, each with why reading one is harmless. That arrays in a forged file may lead compiled code
#: astray is no concern of this list: who can forge a bundle's digest can also train a model.
REVIEWED: Mapping[str, str] = {
    # One tree of gradient boosting, and one of a forest.
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor": _ARRAYS,
    "sklearn.tree._tree.Tree": _ARRAYS,
    "numpy.dtype": "that of an empty array, read with numpy.load and no pickles",
    # Gradient boosting with categories holds FunctionTransformer(partial(check_array, …)).
    "functools.partial": "skops makes partials only of functions that are trusted, and calls none",
    "sklearn.utils.validation.check_array": "it looks at an array and has no other effect",
    # What neighbours are looked up in, and how far they are.
    "sklearn.neighbors._kd_tree.KDTree": _ARRAYS,
    "sklearn.neighbors._ball_tree.BallTree": _ARRAYS,
    "sklearn.metrics._dist_metrics.EuclideanDistance64": _METRIC,
    "sklearn.metrics._dist_metrics.ManhattanDistance64": _METRIC,
    "sklearn.metrics._dist_metrics.MinkowskiDistance64": _METRIC,
    "sklearn.metrics._dist_metrics.ChebyshevDistance64": _METRIC,
    # The classifier and the curve of one fold.
    "sklearn.calibration._CalibratedClassifier": _ATTRIBUTES,
    "sklearn.calibration._SigmoidCalibration": _ATTRIBUTES,
    # A Gaussian process of two classes, and its kernels, which only compute.
    "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace": _ATTRIBUTES,
    "sklearn.gaussian_process.kernels.CompoundKernel": _ATTRIBUTES,
    "sklearn.gaussian_process.kernels.ConstantKernel": _ATTRIBUTES,
    "sklearn.gaussian_process.kernels.DotProduct": _ATTRIBUTES,
    "sklearn.gaussian_process.kernels.ExpSineSquared": _ATTRIBUTES,
    "sklearn.gaussian_process.kernels.Exponentiation": _ATTRIBUTES,
    "sklearn.gaussian_process.kernels.Matern": _ATTRIBUTES,
    "sklearn.gaussian_process.kernels.Product": _ATTRIBUTES,
    "sklearn.gaussian_process.kernels.RBF": _ATTRIBUTES,
    "sklearn.gaussian_process.kernels.RationalQuadratic": _ATTRIBUTES,
    "sklearn.gaussian_process.kernels.Sum": _ATTRIBUTES,
    "sklearn.gaussian_process.kernels.WhiteKernel": _ATTRIBUTES,
    # How a perceptron was fitted, which scoring does not look at.
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer": _ATTRIBUTES,
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer": _ATTRIBUTES,
    # The loss of a Tweedie regression: a power.
    "sklearn._loss.loss.HalfTweedieLossIdentity": _ATTRIBUTES,
    "sklearn._loss.loss.HalfTweedieLoss": _ATTRIBUTES,
    # The constant of a class that is always, or never, there.
    "sklearn.multiclass._ConstantPredictor": _ATTRIBUTES,
    # The members of a vote by name: a dictionary with attributes.
    "sklearn.utils._bunch.Bunch": _ATTRIBUTES,
    # What a threshold, or other parameters, were tuned by.
    "sklearn.metrics._scorer._CurveScorer": _ATTRIBUTES,
    "sklearn.metrics._scorer._PassthroughScorer": _ATTRIBUTES,
    "sklearn.metrics._scorer._Scorer": _ATTRIBUTES,
    "sklearn.utils._metadata_requests.MetadataRequest": _ATTRIBUTES,
    "sklearn.utils._metadata_requests.MethodMetadataRequest": _ATTRIBUTES,
    "sklearn.metrics._classification.accuracy_score": _FIGURE,
    "sklearn.metrics._classification.balanced_accuracy_score": _FIGURE,
    "sklearn.metrics._classification.f1_score": _FIGURE,
    "sklearn.metrics._classification.precision_score": _FIGURE,
    "sklearn.metrics._classification.recall_score": _FIGURE,
    # The boosters of the extra ``boosting``.
    "collections.OrderedDict": "a dictionary of what is read by itself",
    "lightgbm.basic.Booster": _BOOSTER,
    "lightgbm.sklearn.LGBMClassifier": _ATTRIBUTES,
    "lightgbm.sklearn.LGBMRegressor": _ATTRIBUTES,
    "xgboost.core.Booster": _BOOSTER,
    "xgboost.sklearn.XGBClassifier": _ATTRIBUTES,
    "xgboost.sklearn.XGBRegressor": _ATTRIBUTES,
    "xgboost.sklearn.XGBRFClassifier": _ATTRIBUTES,
    "xgboost.sklearn.XGBRFRegressor": _ATTRIBUTES,
    # scikit-learn's pipeline with weights.
    "skfleet_common.model.estimators.steps.WeightedPipeline": _ATTRIBUTES,
}
ALLOWED_TYPES = frozenset(REVIEWED)


def foreign_types(raw: bytes) -> list[str]:
    """Give the types in a skops file that are not on the list, in the order of their names."""
    return sorted(set(skops.io.get_untrusted_types(data=raw)) - ALLOWED_TYPES)


def load_model(raw: bytes) -> object:
    """Give the model that ``raw``, a skops file whose digest was checked, holds.

    Raises:
        BundleRefused: it holds a type that is not on the list, or is no skops file.
    """
    try:
        foreign = foreign_types(raw)
    except Exception as exc:
        raise BundleRefused("The bundle's model is no file that skops can read; train it again.") from exc
    if foreign:
        raise BundleRefused(
            f"The bundle's model holds {shown(foreign[0])}, which is not on the allow-list; "
            "train it with one of the models that skfleet names."
        )
    try:
        with warnings.catch_warnings():
            # Versions were checked against the skew policy, and golden rows will be replayed. Who fitted
            # the model was told what else its classes warn of.
            warnings.simplefilter("ignore")
            model: object = skops.io.loads(raw, trusted=sorted(ALLOWED_TYPES))
    except ImportError as exc:
        missing = exc.name or "a library that is not here"
        raise NotReproducibleHere(
            f"The bundle's model needs {missing}; install here what it was made with, for LightGBM and "
            "XGBoost with: pip install 'skfleet[boosting]'."
        ) from exc
    except Exception as exc:
        raise BundleRefused(
            "The bundle's model cannot be read with the libraries here; train it again."
        ) from exc
    return model

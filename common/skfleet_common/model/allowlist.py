"""Allow-list: the types that a bundle's model may be made of, beyond what skops itself trusts.

The list lives here, in the code that reads bundles, never in a bundle. Each entry was read: loading it
runs no code that the file chooses.
"""

from __future__ import annotations

import warnings

import skops.io
from sklearn.exceptions import InconsistentVersionWarning

from skfleet_common.contracts.errors import BundleRefused, shown

ALLOWED_TYPES = frozenset(
    {
        # One tree of gradient boosting: arrays of nodes.
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        # One tree of a forest: arrays of nodes, checked by their own __setstate__.
        "sklearn.tree._tree.Tree",
        # A dtype: that of an empty array, read with numpy.load and no pickles.
        "numpy.dtype",
        # Gradient boosting with categories holds FunctionTransformer(partial(check_array, …)). skops makes
        # partials only of functions that are themselves trusted, and calls none while it loads.
        "functools.partial",
        "sklearn.utils.validation.check_array",
    }
)


def load_model(raw: bytes) -> object:
    """Give the model that ``raw``, a skops file whose digest was checked, holds.

    Raises:
        BundleRefused: it holds a type that is not on the list, or is no skops file.
    """
    try:
        foreign = sorted(set(skops.io.get_untrusted_types(data=raw)) - ALLOWED_TYPES)
    except Exception as exc:
        raise BundleRefused("The bundle's model is no file that skops can read; train it again.") from exc
    if foreign:
        raise BundleRefused(
            f"The bundle's model holds {shown(foreign[0])}, which is not on the allow-list; "
            "train it with one of the models that skfleet names."
        )
    try:
        with warnings.catch_warnings():
            # Versions were checked against the skew policy, and golden rows will be replayed.
            warnings.simplefilter("ignore", InconsistentVersionWarning)
            model: object = skops.io.loads(raw, trusted=sorted(ALLOWED_TYPES))
    except Exception as exc:
        raise BundleRefused(
            "The bundle's model cannot be read with the libraries here; train it again."
        ) from exc
    return model

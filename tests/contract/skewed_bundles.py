"""A program: write bundles in one environment, open them in another. ``write FOLDER`` or ``open FOLDER``."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import sklearn

from model_samples import fit_shop, shop_rows
from skfleet_common.contracts.errors import BundleRefused
from skfleet_common.model.bundle import MANIFEST_FILE, digest_of, open_bundle, pack
from skfleet_common.model.versions import SkewPolicy

MODELS: dict[str, dict[str, object]] = {
    "logistic_regression": {},
    "random_forest": {"n_estimators": 5},
    "gradient_boosting": {"max_iter": 5},
}


def write(folder: Path) -> None:
    """Write a bundle for each model and policy."""
    for model, params in MODELS.items():
        fitted = fit_shop(shop_rows(120), model=model, params=params)
        for policy in SkewPolicy:
            manifest = fitted.manifest.model_copy(update={"skew_policy": policy})
            place = folder / f"{model} {policy}"
            place.mkdir(parents=True)
            for name, raw in pack(replace(fitted, manifest=manifest)).items():
                (place / name).write_bytes(raw)


def opened(place: Path) -> dict[str, object]:
    """Give what became of a bundle."""
    digest = digest_of((place / MANIFEST_FILE).read_bytes())
    try:
        bundle = open_bundle(place, digest=digest)
    except BundleRefused as refusal:
        return {"outcome": "refused", "why": type(refusal).__name__, "said": str(refusal)}
    scored = bundle.score(shop_rows(20, seed=3)).outputs.num_rows
    return {"outcome": "warned" if bundle.warnings else "allowed", "said": bundle.warnings, "scored": scored}


if __name__ == "__main__":
    action, target = sys.argv[1], Path(sys.argv[2])
    if action == "write":
        write(target)
    else:
        outcomes = {place.name: opened(place) for place in sorted(target.iterdir())}
        sys.stdout.write(json.dumps({"scikit-learn": sklearn.__version__, "bundles": outcomes}))

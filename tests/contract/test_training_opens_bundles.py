"""What training registers can be opened, or it is not registered."""

from __future__ import annotations

from typing import Any

import pytest

from model_samples import shop_rows
from skfleet.progress import Silent
from skfleet.registry import Registry
from skfleet.train_request import train_request
from skfleet.training import train_model
from skfleet_common.aws.session import Cloud
from skfleet_common.contracts.errors import NotReproducibleHere


def not_asked() -> Any:
    raise AssertionError("a data frame needs neither warehouse nor files")


def train(cloud: Cloud, model: str, **asked: Any) -> None:
    frame = shop_rows(100, nulls=0.0).select(["id", "items", "score", "amount"]).to_pandas()
    asked = {"frame": frame, "target": "amount", "id_column": "id", "format": "joblib", **asked}
    train_model(
        train_request(name="shop", model=model, **asked),
        open_warehouse=not_asked,
        open_files=not_asked,
        registry=Registry(cloud.store, cloud.names),
        steps=Silent(),
    )


def test_a_model_that_does_not_come_back_from_its_bundle_is_not_registered(cloud: Cloud) -> None:
    train(cloud, "ridge")
    registry = Registry(cloud.store, cloud.names)
    latest = registry.latest_digest("shop")
    with pytest.raises(NotReproducibleHere, match="golden rows cannot be scored here"):
        train(cloud, "tests.misbehaving:Forgetful")
    assert (registry.latest_digest("shop"), registry.digests("shop")) == (latest, [latest])

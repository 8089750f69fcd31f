"""A bundle's model is read only if every type in it is on the list: nothing of a forged file runs."""

from __future__ import annotations

import functools
import importlib
import io
import json
import operator
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest
import skops.io
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from tests.model_samples import fit_shop, shop_rows

from skfleet_common.contracts.errors import BundleRefused
from skfleet_common.model.allowlist import REVIEWED, foreign_types, load_model
from skfleet_common.model.bundle import pack


@pytest.mark.parametrize(
    ("model", "named"),
    [
        (FunctionTransformer(os.system), "posix.system"),
        (FunctionTransformer(operator.attrgetter("a")), "operator.attrgetter"),
        (FunctionTransformer(operator.methodcaller("a")), "operator.methodcaller"),
        (FunctionTransformer(functools.partial(os.system, "true")), "posix.system"),
        (Pipeline([("a", FunctionTransformer(eval)), ("b", LogisticRegression())]), "builtins.eval"),
        (FunctionTransformer(importlib.import_module), "importlib.import_module"),
        ({"a": Path("/etc")}, "PosixPath"),
    ],
)
def test_a_type_that_is_not_on_the_list_is_named_and_not_loaded(
    model: Any, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("the file was loaded")

    raw = skops.io.dumps(model)
    monkeypatch.setattr(skops.io, "loads", never)
    with pytest.raises(BundleRefused, match=named):
        load_model(raw)


def test_a_forged_type_in_a_real_bundle_is_refused() -> None:
    raw = pack(fit_shop(shop_rows(80), model="logistic_regression"))["model.skops"]
    assert foreign_types(raw) == []
    forged = _edited(raw, lambda schema: _renamed(schema, "LogisticRegression", "subprocess", "Popen"))
    with pytest.raises(BundleRefused, match=r"subprocess\.Popen, which is not on the allow-list"):
        load_model(forged)


def test_a_forged_file_that_says_that_a_type_is_another_kind_of_node_is_refused() -> None:
    raw = pack(fit_shop(shop_rows(80), model="logistic_regression"))["model.skops"]

    def forge(schema: dict[str, Any]) -> None:
        _renamed(schema, "LogisticRegression", "os", "system")
        for node in _nodes(schema):
            if (node.get("__module__"), node.get("__class__")) == ("os", "system"):
                node["__loader__"] = "FunctionNode"
                node["content"] = {"module_path": "os", "function": "system"}

    with pytest.raises(BundleRefused):
        load_model(_edited(raw, forge))


@pytest.mark.parametrize("raw", [b"", b"PK\x03\x04", b"no zip at all"])
def test_what_is_no_skops_file_is_refused(raw: bytes) -> None:
    with pytest.raises(BundleRefused, match="no file that skops can read"):
        load_model(raw)


def test_every_entry_of_the_list_exists_and_has_its_reason() -> None:
    for name, reason in REVIEWED.items():
        module, _, attribute = name.rpartition(".")
        assert getattr(importlib.import_module(module), attribute) is not None
        assert len(reason) > 20


def _edited(raw: bytes, edit: Any) -> bytes:
    """Give a skops file whose schema was changed by ``edit``."""
    sink = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(raw)) as old, zipfile.ZipFile(sink, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "schema.json":
                schema = json.loads(content)
                edit(schema)
                content = json.dumps(schema).encode()
            new.writestr(name, content)
    return sink.getvalue()


def _renamed(schema: dict[str, Any], class_name: str, module: str, name: str) -> None:
    for node in _nodes(schema):
        if node.get("__class__") == class_name:
            node["__module__"], node["__class__"] = module, name


def _nodes(schema: Any) -> list[dict[str, Any]]:
    if isinstance(schema, list):
        return [node for part in schema for node in _nodes(part)]
    if not isinstance(schema, dict):
        return []
    return [schema, *(node for part in schema.values() for node in _nodes(part))]

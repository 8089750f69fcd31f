"""The report is one page that asks nobody for anything, says what was measured, and escapes names."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from model_samples import CITIES, CITY, fit_shop, shop_rows
from skfleet_common.contracts.errors import BundleRefused
from skfleet_common.model.bundle import MANIFEST_FILE, REPORT_FILE, check_file, digest_of, open_bundle, pack
from skfleet_common.model.fit import FittedBundle
from skfleet_common.model.manifest import FeatureManifest
from skfleet_common.model.report.page import render_report
from skfleet_common.model.report.words import number

#: Elements that need no end.
VOID = {"meta", "br", "link", "img", "hr", "input", "use", "path", "rect"}


class Page(HTMLParser):
    """Reads a page as browsers do, and fails on what is left open."""

    def __init__(self, raw: bytes) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.labels: list[str] = []
        self.text = ""
        self.feed(raw.decode())
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        given = dict(attrs)
        self.addresses += [
            given[name] or "" for name in ("href", "src", "xlink:href", "action") if name in given
        ]
        assert not any(name.startswith("on") for name in given)
        if tag == "svg":
            self.labels.append(given.get("aria-label") or "")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def report_of(fitted: FittedBundle) -> bytes:
    return pack(fitted, report=True)[REPORT_FILE]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (
            {"target": "returned"},
            ["ROC curve", "Calibration", "Deciles", "Confusion", "Permutation importance"],
        ),
        ({"target": CITY}, ["ROC curve", "One class against the others", *CITIES]),
        ({"target": "amount"}, ["R²", "Residuals", "Predicted against actual", "median absolute error"]),
        ({"target": "amount", "model": "ridge"}, ["ridge", "Versions", "scikit-learn"]),
    ],
)
def test_a_report_shows_what_people_expect(settings: dict[str, Any], expected: list[str]) -> None:
    raw = report_of(fit_shop(shop_rows(300), **settings))
    page = Page(raw)
    assert [words for words in expected if words not in page.text] == []
    assert {"script", "iframe", "object", "link", "img"} & set(page.tags) == set()
    assert all(address.startswith("#") for address in page.addresses)
    assert not re.search(rb"url\((?!#)|@import", raw)
    assert page.labels
    assert all(page.labels)
    assert len(set(page.labels)) == len(page.labels)


def test_the_same_bundle_has_the_same_report() -> None:
    fitted = fit_shop(shop_rows(200))
    assert report_of(fitted) == report_of(fitted)


def test_every_id_of_a_page_is_there_once() -> None:
    ids = re.findall(rb' id="([^"]+)"', report_of(fit_shop(shop_rows(200), target=CITY)))
    assert len(ids) == len(set(ids))


def test_names_of_columns_classes_and_sources_are_escaped() -> None:
    evil = '<script>alert("x")</script> $\\frac{1}{0}$ & {{ 7 * 7 }}'
    fitted = fit_shop(shop_rows(200))
    text = (
        fitted.manifest.to_json()
        .decode()
        .replace('"items"', _quoted(evil))
        .replace('"public"', _quoted(evil))
    )
    manifest = FeatureManifest.from_json(text)
    manifest = manifest.model_copy(update={"name": evil})
    metrics = _renamed(fitted.metrics, evil)
    raw = render_report(manifest, metrics, notes=[evil])
    page = Page(raw)
    assert "script" not in page.tags
    assert b"<script" not in raw
    assert evil in page.text
    assert page.text.count("{{ 7 * 7 }}") >= 3


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _renamed(value: Any, name: str) -> Any:
    """Give metrics whose classes and columns all have this name."""
    if isinstance(value, dict):
        renamed = {"class": name, "column": name, "positive_class": name}
        return {key: renamed.get(key, _renamed(part, name)) for key, part in value.items()}
    return [_renamed(part, name) for part in value] if isinstance(value, list) else value


def test_what_could_not_be_measured_is_said() -> None:
    page = Page(report_of(fit_shop(shop_rows(30))))
    assert "Nothing was measured: fewer than 50 rows" in page.text


def test_several_targets_have_a_part_each() -> None:
    fitted = fit_shop(shop_rows(200), targets=("returned", "member"), model="random_forest")
    page = Page(report_of(fitted))
    assert "Figures of returned" in page.text
    assert "Figures of member" in page.text


def test_the_manifest_lists_the_report_and_opening_does_not_read_it() -> None:
    files = pack(fit_shop(shop_rows(100)), report=True)
    digest = digest_of(files[MANIFEST_FILE])
    listed = {file.name: file for file in FeatureManifest.from_json(files[MANIFEST_FILE]).files}
    assert check_file(files[REPORT_FILE], listed[REPORT_FILE]) == files[REPORT_FILE]
    with pytest.raises(BundleRefused, match=r"report\.html was altered"):
        check_file(files[REPORT_FILE] + b" ", listed[REPORT_FILE])
    del files[REPORT_FILE]
    assert open_bundle(files, digest=digest).digest == digest


def test_whatever_scores_never_loads_matplotlib() -> None:
    program = (
        "import sys, skfleet_worker.preload, skfleet_worker.scorer, skfleet.api, skfleet_common.model.fit\n"
        "print([name for name in sys.modules if name.partition('.')[0] in {'matplotlib', 'jinja2'}])\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert ran.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (True, "True"),
        (12345, "12,345"),
        (0.123456, "0.1235"),
        (98765.4, "98,765"),
        (3.0, "3"),
        (np.float64(1e-9), "1e-09"),
        ("x", "x"),
    ],
)
def test_numbers_are_written_for_people(value: Any, text: str) -> None:
    assert number(value) == text

"""Metrics in the log are what CloudWatch's embedded metric format wants."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skfleet_common.telemetry import Measured, emit_metrics, metrics_line

NOW = datetime(2026, 11, 23, 7, 42, 5, 125_000, tzinfo=UTC)

values = st.floats(0, 1e9) | st.integers(0, 10**6)
metrics = st.dictionaries(
    st.sampled_from(["StalledJobs", "OldestCommitAgeSeconds", "Other"]),
    st.builds(Measured, values, st.sampled_from(["Count", "Seconds"])),
    min_size=1,
)


@given(given_metrics=metrics, fleet=st.from_regex("[a-z0-9-]{1,40}", fullmatch=True))
def test_a_line_has_every_field_that_the_format_requires(
    given_metrics: dict[str, Measured], fleet: str
) -> None:
    line = json.loads(metrics_line(fleet, given_metrics, now=NOW))
    # From the format's specification: "Timestamp" in milliseconds and "CloudWatchMetrics" under "_aws";
    # in each directive "Namespace", "Dimensions" (sets of at most 30) and "Metrics" (at most 100).
    assert line["_aws"]["Timestamp"] == 1_795_419_725_125
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "skfleet"
    assert directive["Dimensions"] == [["fleet"]]
    # Every dimension's target is a text on the root, every metric's a number there.
    assert line["fleet"] == fleet
    assert {metric["Name"]: line[metric["Name"]] for metric in directive["Metrics"]} == {
        name: measured.value for name, measured in given_metrics.items()
    }
    assert {metric["Unit"] for metric in directive["Metrics"]} <= {"Count", "Seconds"}


def test_metrics_are_one_line_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    emit_metrics("blue", {"StalledJobs": Measured(1, "Count")}, now=NOW)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert json.loads(said.err)["StalledJobs"] == 1

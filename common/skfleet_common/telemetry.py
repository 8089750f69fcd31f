"""Logs: event names with fields, as JSON lines on stderr; never rows, payloads or credentials.

Metrics are lines of the same log, in CloudWatch's embedded metric format: no request, no daemon.
"""

from __future__ import annotations

import io
import json
import logging
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TextIO, cast

import structlog

NAMESPACE = "skfleet"
#: The one dimension: each value of another (job, chunk, worker) would be a metric that is paid for.
DIMENSION = "fleet"


@dataclass(frozen=True)
class Measured:
    """A metric's value and unit, as CloudWatch calls it."""

    value: float
    unit: Literal["Count", "Seconds"]


class _Stderr(io.TextIOBase):
    """The standard error. It may be a full disk or a closed pipe: a line that is lost costs no work."""

    def write(self, text: str) -> int:
        """Write at once, past any buffer: what a full disk refused would be kept there and fail again."""
        try:
            target = sys.stderr.fileno()
        except OSError:
            # Not a file, as where a test captures it.
            sys.stderr.write(text)
            return len(text)
        rest = text.encode(errors="backslashreplace")
        with suppress(OSError):
            while rest:
                rest = rest[os.write(target, rest) :]
        return len(text)


def configure_logs(level: str) -> None:
    """Send the log to stderr as JSON lines, from ``level`` (debug, info, warning, error) up."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        # One write a line: several scorers share this stderr.
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", _Stderr())),
        cache_logger_on_first_use=False,
    )


def emit_metrics(fleet: str, metrics: Mapping[str, Measured], *, now: datetime) -> None:
    """Write a line of metrics to the log, whatever its level."""
    # One write a line, as for the log itself.
    _Stderr().write(metrics_line(fleet, metrics, now=now) + "\n")


def metrics_line(fleet: str, metrics: Mapping[str, Measured], *, now: datetime) -> str:
    """Give metrics as one line of the embedded metric format (CloudWatch user guide, EMF specification)."""
    directive = {
        "Namespace": NAMESPACE,
        "Dimensions": [[DIMENSION]],
        "Metrics": [{"Name": name, "Unit": measured.unit} for name, measured in metrics.items()],
    }
    line = {
        "_aws": {"Timestamp": int(now.timestamp() * 1_000), "CloudWatchMetrics": [directive]},
        "event": "metrics",
        DIMENSION: fleet,
    }
    return json.dumps(line | {name: measured.value for name, measured in metrics.items()})

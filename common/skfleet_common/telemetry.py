"""Logs: event names with fields, as JSON lines on stderr; never rows, payloads or credentials.

Metrics are lines of the same log, in CloudWatch's embedded metric format: no request, no daemon.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import structlog

NAMESPACE = "skfleet"
#: The one dimension: each value of another (job, chunk, worker) would be a metric that is paid for.
DIMENSION = "fleet"


@dataclass(frozen=True)
class Measured:
    """A metric's value and unit, as CloudWatch calls it."""

    value: float
    unit: Literal["Count", "Seconds"]


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
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


def emit_metrics(fleet: str, metrics: Mapping[str, Measured], *, now: datetime) -> None:
    """Write a line of metrics to the log, whatever its level."""
    # One write a line, as for the log itself.
    sys.stderr.write(metrics_line(fleet, metrics, now=now) + "\n")
    sys.stderr.flush()


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

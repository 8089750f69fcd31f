"""Imported once by the fork server, so that every scorer starts with the heavy modules already there.

The fork server has one thread and never enters an OpenMP region: a fork after one hangs its child.
"""

from __future__ import annotations

import pyarrow.parquet

import skfleet_common.aws.session
import skfleet_common.model.bundle
import skfleet_common.tables.postgres.warehouse
import skfleet_common.tables.redshift.warehouse
import skfleet_worker.attempt
import skfleet_worker.bench

__all__ = ["pyarrow", "skfleet_common", "skfleet_worker"]

"""Opening a table: how it is read is asked for, or decided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from skfleet.progress import Steps
from skfleet.read_modes import Reading, ReadMode, choose_reading
from skfleet.request import PredictRequest
from skfleet.scored_source import ScoredSource
from skfleet.table_source import TableSource
from skfleet.unloaded_source import UnloadedSource
from skfleet_common.aws.session import Cloud
from skfleet_common.contracts.errors import UsageError
from skfleet_common.model.manifest import FeatureManifest
from skfleet_common.tables.port import Warehouse


def open_table(
    request: PredictRequest,
    warehouse: Warehouse,
    manifests: Sequence[FeatureManifest],
    *,
    cloud: Cloud,
    job: str,
    scorers: int,
    steps: Steps,
    is_dry_run: bool,
) -> ScoredSource:
    """Find the table, and decide how workers read it, unless the request says so.

    Raises:
        UsageError: it is to be unloaded by a warehouse that cannot.
        Refused: there is no such table or column, or the condition is not one over it.
    """
    unloader = warehouse.unloader
    if request.read is ReadMode.UNLOAD and unloader is None:
        raise UsageError(
            f"--read unload is for Redshift, and {warehouse.address} is not one; leave --read out."
        )
    table = TableSource.find(request, warehouse)
    if unloader is None:
        return table
    if request.read in {ReadMode.SELECT, ReadMode.UNLOAD}:
        reading = Reading(request.read)
    else:
        layout = table.layout
        is_counted = layout is not None and layout.rows is not None
        reading = choose_reading(
            rows=table.likely_rows if is_counted else table.table.estimated_rows or None,
            is_sorted_by_key=None if layout is None else layout.sort_key[:1] == (table.split_column.name,),
            scorers=scorers,
            has_role=unloader.has_role,
        )
    table = replace(table, reading=reading)
    if reading.mode is ReadMode.SELECT:
        return table
    features = dict.fromkeys(name for manifest in manifests for name in manifest.feature_columns)
    return UnloadedSource(
        table, unloader, cloud, job, steps,
        features=tuple(features), on_drift=request.on_drift, is_dry_run=is_dry_run,
    )  # fmt: skip

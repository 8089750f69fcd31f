"""Unloads: the files that a table was unloaded into for one job, below its prefix."""

from __future__ import annotations

from skfleet_common.aws.session import Cloud
from skfleet_common.aws.user_files import ObjectUrl


def unload_url(cloud: Cloud, job: str) -> ObjectUrl:
    """Give where a job's table is unloaded to; no other job's is."""
    return ObjectUrl(cloud.store.bucket, cloud.names.unload(job))


def remove_unload(cloud: Cloud, job: str) -> int:
    """Remove what a job's table was unloaded into; gives how many objects there were."""
    keys = list(cloud.store.list_keys(cloud.names.unload(job)))
    cloud.store.delete(keys)
    return len(keys)

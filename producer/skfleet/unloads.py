"""Unloads of jobs: kept while their job may read them, and removed with what else it leaves behind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

from skfleet_common.aws.session import Cloud
from skfleet_common.aws.tracker import NoSuchJob
from skfleet_common.aws.unloads import remove_unload, unload_url
from skfleet_common.contracts.chunks import Chunk
from skfleet_common.contracts.errors import PlaceTaken, Refused, SkfleetError
from skfleet_common.contracts.slices import ObjectSlice
from skfleet_common.contracts.states import JobState


@contextmanager
def kept_unload(cloud: Cloud, job: str) -> Iterator[None]:
    """Remove a job's unload after the block if there is no such job then, or if it was cancelled.

    Two submitters of one request may both unload, and only one of the jobs comes about. Files that were there
    before are left alone.
    """
    is_ours = True
    try:
        yield
    except PlaceTaken:
        is_ours = False
        raise
    finally:
        # What is left then, clean-up finds.
        with suppress(SkfleetError):
            if is_ours and not _may_read(cloud, job):
                remove_unload(cloud, job)


def refuse_lost_unload(cloud: Cloud, job: str, chunks: Iterable[Chunk]) -> None:
    """Refuse chunks whose unloaded files are gone.

    Raises:
        Refused: one of them is.
    """
    prefix = str(unload_url(cloud, job))
    needed = {
        part.uri
        for chunk in chunks
        if isinstance(chunk.range, ObjectSlice)
        for part in chunk.range.parts
        if part.uri.startswith(prefix)
    }
    if not needed:
        return
    there = {f"s3://{cloud.store.bucket}/{key}" for key in cloud.store.list_keys(cloud.names.unload(job))}
    if lost := sorted(needed - there):
        raise Refused(
            f"Job {job} cannot be retried, because {len(lost)} of the files that its table was unloaded into "
            f"are gone, such as {lost[0]}; submit it again."
        )


def _may_read(cloud: Cloud, job: str) -> bool:
    try:
        return cloud.tracker.job(job).state is not JobState.CANCELLED
    except NoSuchJob:
        return False

"""Verdict: why a run failed, told from all of its chunks once the last one has ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from skfleet_common.aws.session import Cloud
from skfleet_common.contracts.chunks import ChunkPlan
from skfleet_common.contracts.jobs import Commit, CommitOutcome, JobSpec
from skfleet_worker.quarantine import too_many

if TYPE_CHECKING:
    from skfleet_common.files.row_numbers import SliceNumbers

#: Failed chunks whose reasons a job's own reason gives.
NAMED_AT_MOST = 3


def verdict(cloud: Cloud, job: str) -> tuple[str, str]:
    """Give the reason of a job with failed chunks, and a sentence that names rows (or an empty one)."""
    chunks = cloud.tracker.job(job).chunks
    commits = cloud.tracker.commits(job, range(chunks))
    failed = [commit for commit in commits if commit.outcome is CommitOutcome.FAILED]
    others = [commit for commit in failed if not commit.rows_quarantined]
    sentences, naming = [], ""
    if others:
        named = " ".join(f"Chunk {commit.chunk}: {commit.reason}" for commit in others[:NAMED_AT_MOST])
        sentences.append(f"{len(others)} of {chunks} chunks failed. {named}")
    if len(others) < len(failed):
        spec = JobSpec.from_json(cloud.store.get(cloud.names.spec(job)))
        quarantined = too_many(cloud, spec, commits, numbers=_numbers(cloud, spec, commits))
        sentences.append(str(quarantined))
        naming = quarantined.naming
    return " ".join(sentences), naming


def _numbers(cloud: Cloud, spec: JobSpec, commits: Sequence[Commit]) -> SliceNumbers | None:
    if spec.files is None:
        return None
    # Not for the supervisor, as in quarantine.py.
    from skfleet_common.files.row_numbers import SliceNumbers  # noqa: PLC0415

    plan = ChunkPlan.from_json(cloud.store.get(cloud.names.plan(spec.job)))
    return SliceNumbers.of(spec.files, plan.chunks, commits)

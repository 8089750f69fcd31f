"""Verdict: why a run failed, told from all of its chunks once the last one has ended."""

from __future__ import annotations

from skfleet_common.aws.session import Cloud
from skfleet_common.contracts.jobs import CommitOutcome, JobSpec
from skfleet_worker.quarantine import too_many

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
        quarantined = too_many(cloud, job, commits, most=spec.max_rejects)
        sentences.append(str(quarantined))
        naming = quarantined.naming
    return " ".join(sentences), naming

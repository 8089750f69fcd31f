"""Lost outputs: what was committed, and is not in the store any more as it was committed."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from skfleet_common.aws.session import Cloud
from skfleet_common.contracts.jobs import Commit

#: Below the ten connections that a boto3 client keeps open by default.
THREADS = 8


def lost_outputs(cloud: Cloud, commits: Sequence[Commit]) -> list[Commit]:
    """Give those commits whose output was deleted or altered; one request for each that has an output."""

    def is_lost(commit: Commit) -> bool:
        if commit.output_key is None or commit.output_sha256 is None:
            return False
        return not cloud.store.holds(commit.output_key, sha256=commit.output_sha256)

    with ThreadPoolExecutor(THREADS) as threads:
        return [commit for commit, lost in zip(commits, threads.map(is_lost, commits), strict=True) if lost]

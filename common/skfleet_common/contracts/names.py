"""Names: of fleets, models, queues, tables and S3 keys, all derived in one place."""

from __future__ import annotations

import re
from dataclasses import dataclass

from skfleet_common.contracts.errors import UsageError, shown

#: Fleet and model names go into queue names, table names and S3 keys: the strictest of the three rules.
NAME_PATTERN = "[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?"
_NAME = re.compile(NAME_PATTERN)


def check_name(kind: str, name: str) -> str:
    """Give ``name`` back if a ``kind`` (fleet, model) may be called so.

    Raises:
        UsageError: it may not.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{shown(name)!r} is no {kind} name; use 1 to 40 lower-case letters, digits and inner hyphens."
        )
    return name


@dataclass(frozen=True)
class FleetNames:
    """The names of one fleet's queue, tracker and S3 keys; fleets live side by side by their prefix."""

    fleet: str

    @property
    def queue(self) -> str:
        """The queue that workers poll."""
        return f"skfleet-{self.fleet}"

    @property
    def dead_letter_queue(self) -> str:
        """The queue that takes messages which were delivered too often."""
        return f"skfleet-{self.fleet}-dead"

    @property
    def tracker(self) -> str:
        """The DynamoDB table of jobs, commits and completion trees."""
        return f"skfleet-{self.fleet}-tracker"

    def model_prefix(self, model: str) -> str:
        """Where the bundles of ``model`` lie."""
        return f"{self.fleet}/models/{model}/"

    def models_prefix(self) -> str:
        """Where all bundles lie."""
        return f"{self.fleet}/models/"

    def bundle_file(self, model: str, digest: str, file: str) -> str:
        """The key of one file of a bundle."""
        return f"{self.fleet}/models/{model}/{digest}/{file}"

    def latest(self, model: str) -> str:
        """The key that names the newest bundle of ``model``."""
        return f"{self.fleet}/models/{model}/latest"

    def job_prefix(self, job: str) -> str:
        """Where everything of a job lies."""
        return f"{self.fleet}/jobs/{job}/"

    def spec(self, job: str) -> str:
        """The key of a job's spec."""
        return f"{self.fleet}/jobs/{job}/spec.json"

    def plan(self, job: str) -> str:
        """The key of a job's chunk plan."""
        return f"{self.fleet}/jobs/{job}/plan.json"

    def run_plan(self, job: str, run: int) -> str:
        """The key of the chunks of a job's run after the first."""
        return f"{self.fleet}/jobs/{job}/runs/{run}.json"

    def certificate(self, job: str) -> str:
        """The key of what a published job is certified to have done."""
        return f"{self.fleet}/jobs/{job}/certificate.json"

    def shift(self, job: str) -> str:
        """The key of how far a job's rows are from the training rows."""
        return f"{self.fleet}/jobs/{job}/shift.json"

    def jobs_prefix(self) -> str:
        """Where everything of all jobs lies."""
        return f"{self.fleet}/jobs/"

    def output(self, job: str, chunk: int, attempt: str) -> str:
        """The key of what one attempt wrote; no two attempts share one."""
        return f"{self.fleet}/jobs/{job}/out/{chunk:07d}/{attempt}.parquet"

    def load(self, job: str, name: str) -> str:
        """The key of what one attempt to publish tells the warehouse to load."""
        return f"{self.fleet}/jobs/{job}/load/{name}"

    def rejects(self, job: str, chunk: int, attempt: str) -> str:
        """The key of the rows that one attempt rejected."""
        return f"{self.fleet}/jobs/{job}/rejects/{chunk:07d}/{attempt}.parquet"

"""The tracker: one DynamoDB table that knows exactly when every chunk is done."""

from __future__ import annotations

from skfleet_common.aws.tracker_commits import Commits
from skfleet_common.aws.tracker_jobs import JobRecords, NoSuchJob
from skfleet_common.aws.tracker_listing import JobListing
from skfleet_common.aws.tracker_runs import Runs
from skfleet_common.aws.tracker_seats import Seats
from skfleet_common.aws.tracker_tree import NodeState, Progress, RootState, TreeNodes
from skfleet_common.aws.tracker_troubles import Troubles
from skfleet_common.aws.tracker_turns import Turns
from skfleet_common.aws.tracker_workers import Presences

__all__ = ["NoSuchJob", "NodeState", "Progress", "RootState", "Tracker"]


class Tracker(JobListing, Runs, Turns, Seats, JobRecords, Commits, TreeNodes, Troubles, Presences):
    """Jobs, turns, seats, commits, completion trees, troubles and workers of one fleet, in one table."""

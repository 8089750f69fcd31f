"""Job records: created once a request, moved along the legal moves by single conditional writes.

::

    submit ─▶ SUBMITTING ─▶ RUNNING ─▶ PUBLISHING ─▶ SUCCEEDED
      │            └────────────────────▶┘ │
      │ token ─▶ job                       ▼
      └─ one transaction            FAILED ─▶ RUNNING of run r+1 (start_run alone)

A token and its job are written in one transaction: a producer that dies leaves both or neither, and of
two that race, one writes and both get what it wrote.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from skfleet_common.aws.faults import cloud_faults, error_code
from skfleet_common.aws.tracker_table import (
    ITEM_VERSION,
    TTL_ATTRIBUTE,
    TrackerTable,
    attribute_names,
    job_key,
    shape_item,
    shape_of,
    to_item,
    token_key,
)
from skfleet_common.contracts.errors import Refused, TryAgain
from skfleet_common.contracts.jobs import JobRecord
from skfleet_common.contracts.states import JobState, states_before
from skfleet_common.retry import cloud_calls

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

ABSENT = "attribute_not_exists(#pk)"
HELD_BY = "#job = :holder"
THIS_RUN = "#run = :run"

_TERMINAL = frozenset(state for state in JobState if state.is_terminal)


class NoSuchJob(Refused):
    """No job has that id. The user looks it up with `skfleet jobs`."""


class JobRecords(TrackerTable):
    """The jobs in the tracker."""

    def create_job(self, record: JobRecord, *, token: str, explicit: bool = False) -> JobRecord:
        """Create a job, or give the one that the same request made before; compare ``.job`` to know which.

        An ``explicit`` token is one job for ever. A derived one is the same job until that job has ended;
        then the token passes to the new job.
        """
        holder: str | None = None
        for attempt in cloud_calls():
            with attempt:
                while True:
                    found = self._create(record, token, instead_of=holder)
                    if found is None:
                        return record
                    earlier = self._find(found)
                    if earlier is not None and (explicit or not earlier.state.is_terminal):
                        return earlier
                    holder = found
        raise AssertionError  # the policy either returns or raises

    def job(self, job_id: str) -> JobRecord:
        """Give a job's record.

        Raises:
            NoSuchJob: there is none.
        """
        found = self._find(job_id)
        if found is None:
            raise no_such_job(job_id)
        return found

    def job_of_token(self, token: str) -> JobRecord | None:
        """Give the job that holds a submission token, in whatever state it is; None if there is none."""
        held = self.get(token_key(token))
        return None if held is None else self._find(held["job"]["S"])

    def move(
        self,
        job_id: str,
        to: JobState,
        *,
        run: int,
        reason: str | None = None,
        rows_scored: int | None = None,
        rows_rejected: int | None = None,
        finished_at: datetime | None = None,
        only_from: Collection[JobState] | None = None,
    ) -> bool:
        """Move a job on, with what is known then; False if it may not move so from where it stands.

        ``only_from`` names fewer states than the legal moves do: what a caller has made sure of may hold
        for some of them alone.
        False also when it is there already: a reply that was lost looks like somebody else's move.
        Terminal states are left by a new run alone.
        """
        facts = {
            "reason": reason,
            "rows_scored": rows_scored,
            "rows_rejected": rows_rejected,
            "finished_at": None if finished_at is None else finished_at.isoformat(),
        }
        return self._move(job_id, to, run=run, facts=facts, only_from=only_from) is None

    def begin_publishing(self, job_id: str, *, run: int) -> bool:
        """Move a job to PUBLISHING if it may; give whether a publish message of that run is due.

        True also when it stands there already: whoever moved it may have died before sending.
        """
        standing = self._move(job_id, JobState.PUBLISHING, run=run, facts={})
        return standing is None or (standing.state is JobState.PUBLISHING and standing.run == run)

    def _move(
        self,
        job_id: str,
        to: JobState,
        *,
        run: int,
        facts: Mapping[str, object],
        only_from: Collection[JobState] | None = None,
    ) -> JobRecord | None:
        """Give None when the job moved, else its record as it stands."""
        known = {name: value for name, value in facts.items() if value is not None}
        known[TTL_ATTRIBUTE] = self.expiry
        in_states, states = _one_of(
            state
            for state in states_before(to)
            if not state.is_terminal and (only_from is None or state in only_from)
        )
        standing = self.update_if(
            job_key(job_id),
            "SET " + ", ".join(["#state = :to", *(f"#{name} = :{name}" for name in known)]),
            f"{THIS_RUN} AND {in_states}",
            {":to": to.value, ":run": run} | {f":{name}": value for name, value in known.items()} | states,
        )
        if standing == {}:
            raise no_such_job(job_id)
        return None if standing is None else shape_of(JobRecord, standing)

    def _find(self, job_id: str) -> JobRecord | None:
        item = self.get(job_key(job_id))
        return None if item is None else shape_of(JobRecord, item)

    def _create(self, record: JobRecord, token: str, *, instead_of: str | None) -> str | None:
        """Write token and job together: None when written, else the id of the job that holds the token."""
        writes = self._creation(record, token, instead_of=instead_of)
        with cloud_faults(self.target):
            try:
                self.client.transact_write_items(TransactItems=writes)
            except ClientError as exc:
                if error_code(exc) != "TransactionCanceledException":
                    raise
                reasons: Sequence[Mapping[str, Any]] = exc.response["CancellationReasons"]
            else:
                return None
        token_reason, job_reason = reasons[0], reasons[1]
        if token_reason["Code"] == "ConditionalCheckFailed":
            return str(token_reason["Item"]["job"]["S"]) if "Item" in token_reason else _passing(token)
        if job_reason["Code"] == "ConditionalCheckFailed":
            raise Refused(f"There is a job {record.job} already; submit under a new id.")
        return _passing(token)

    def _creation(
        self, record: JobRecord, token: str, *, instead_of: str | None
    ) -> list[TransactWriteItemTypeDef]:
        created_at = record.created_at.astimezone(UTC)
        listed = to_item(
            {
                "listing": f"jobs#{created_at:%Y-%m}",
                "listed_at": created_at.isoformat(timespec="microseconds"),
                TTL_ATTRIBUTE: self.expiry,
            }
        )
        held = ABSENT if instead_of is None else HELD_BY
        token_put: TransactWriteItemTypeDef = {
            "Put": {
                "TableName": self.name,
                "Item": token_key(token)
                | to_item({"v": ITEM_VERSION, "job": record.job, TTL_ATTRIBUTE: self.expiry}),
                "ConditionExpression": held,
                "ExpressionAttributeNames": attribute_names(held),
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        }
        job_put: TransactWriteItemTypeDef = {
            "Put": {
                "TableName": self.name,
                "Item": shape_item(record) | job_key(record.job) | listed,
                "ConditionExpression": ABSENT,
                "ExpressionAttributeNames": attribute_names(ABSENT),
            }
        }
        if instead_of is None:
            return [token_put, job_put]
        token_put["Put"]["ExpressionAttributeValues"] = to_item({":holder": instead_of})
        # A retry may have revived the earlier job since it was read; then the token stays with it.
        in_states, states = _one_of(_TERMINAL)
        ended = f"{ABSENT} OR {in_states}"
        return [
            token_put,
            job_put,
            {
                "ConditionCheck": {
                    "TableName": self.name,
                    "Key": job_key(instead_of),
                    "ConditionExpression": ended,
                    "ExpressionAttributeNames": attribute_names(ended),
                    "ExpressionAttributeValues": to_item(states),
                }
            },
        ]


def _one_of(states: Iterable[JobState]) -> tuple[str, dict[str, str]]:
    """Give the condition that a job's state is one of ``states``, and its values."""
    values = {f":in_{state.value}": state.value for state in sorted(states)}
    return f"#state IN ({', '.join(values)})", values


def _passing(token: str) -> str:
    raise TryAgain(f"Somebody else is submitting with token {token} at this moment; try again.")


def no_such_job(job_id: str) -> NoSuchJob:
    """Give the error that names a job which is not there."""
    return NoSuchJob(f"There is no job {job_id}; `skfleet jobs` lists them.")

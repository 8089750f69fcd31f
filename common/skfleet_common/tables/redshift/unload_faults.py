"""What UNLOAD's errors mean: they are internal errors, and only their words tell who has to act.

The words name buckets, keys and roles; of them nothing is repeated.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg2

from skfleet_common.contracts.chunks import TableName
from skfleet_common.contracts.errors import EnvironmentFault, PlaceTaken, Refused, SkfleetError, TryAgain


@dataclass(frozen=True)
class _Fault:
    """What UNLOAD may say, and what it means."""

    words: re.Pattern[str]
    error: type[SkfleetError]
    #: Takes ``table``, ``to``, ``bucket`` and ``role``.
    sentence: str


def _said(words: str) -> re.Pattern[str]:
    return re.compile(words, re.IGNORECASE)


#: The first that fits counts; AWS words them in "UNLOAD", "S3 access errors" and the pages on IAM roles.
_FAULTS = (
    _Fault(
        _said(r"destination on S3 is not empty"),
        PlaceTaken,
        "{table} was not unloaded, because there are files below {to} already, and nothing is ever "
        "overwritten; submit the job again, it takes another place.",
    ),
    _Fault(
        _said(r"not authorized to (get credentials of role|assume iam role)|assume ?role"),
        Refused,
        "Redshift may not assume {role}, so {table} was not unloaded; attach the role to the cluster or "
        "workgroup, let it trust redshift.amazonaws.com (sts:AssumeRole), and where ASSUMEROLE is "
        "restricted, grant it to the database user FOR UNLOAD; or use --read select.",
    ),
    _Fault(
        _said(r"default iam role|iam role .* (is not|invalid)|invalid iam role|role .* not found"),
        Refused,
        "Redshift has no IAM role {role}, so {table} was not unloaded; attach one to the cluster or "
        "workgroup, and name it in SKFLEET_REDSHIFT_IAM_ROLE, or use --read select.",
    ),
    _Fault(
        _said(r"permanentredirect|must be addressed using the specified endpoint|different region|"
              r"status 301|authorizationheadermalformed|illegallocationconstraint"),
        Refused,
        "The bucket {bucket} is in another region than Redshift, so {table} was not unloaded; give the fleet "
        "a bucket in Redshift's region, or use --read select.",
    ),
    _Fault(
        _said(r"nosuchbucket"),
        EnvironmentFault,
        "Redshift finds no bucket {bucket}, so {table} was not unloaded; correct SKFLEET_BUCKET.",
    ),
    _Fault(
        _said(r"expiredtoken|token.{0,20}expired"),
        TryAgain,
        "The credentials with which Redshift wrote to S3 expired while {table} was unloaded; "
        "submit it again.",
    ),
    _Fault(
        _said(r"accessdenied|access denied|status 403|forbidden|not authorized|kms"),
        Refused,
        "Redshift may not write to the bucket {bucket} with {role}, so {table} was not unloaded; allow the "
        "role s3:PutObject, s3:GetBucketLocation and s3:ListBucket there, and kms:GenerateDataKey if it is "
        "encrypted with a key, or use --read select.",
    ),
    _Fault(
        _said(
            r"slowdown|serviceunavailable|internalerror|status 50\d|timed? ?out|connection (reset|refused)"
        ),
        TryAgain,
        "S3 did not answer Redshift while {table} was unloaded; submit it again.",
    ),
    _Fault(
        _said(r"to parquet is not (yet )?supported|unsupported .*parquet|not supported for unload"),
        Refused,
        "Redshift cannot write a column of {table} to Parquet; leave it out, cast it in a view, or use "
        "--read select.",
    ),
)  # fmt: skip


@contextmanager
def unload_faults(table: TableName, *, to: str, iam_role: str) -> Iterator[None]:
    """Raise what UNLOAD says as ours; what it does not say of S3, roles or files is left as it is.

    Raises:
        PlaceTaken: there are files already.
        Refused: an action is missing, which the sentence names.
        TryAgain: S3 did not answer.
    """
    try:
        yield
    except (psycopg2.InternalError, psycopg2.NotSupportedError) as exc:
        said = f"{exc.diag.message_primary or ''}\n{exc.diag.message_detail or ''}"
        role = "the default IAM role" if iam_role == "default" else f"the IAM role {iam_role}"
        bucket = to.removeprefix("s3://").partition("/")[0]
        for fault in _FAULTS:
            if fault.words.search(said):
                sentence = fault.sentence.format(table=table, to=to, role=role, bucket=bucket)
                raise fault.error(sentence) from exc
        raise

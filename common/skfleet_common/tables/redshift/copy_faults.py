"""What COPY's errors mean: they are all internal errors, and only their words tell who has to act.

The words name buckets, keys and roles, and may quote values; so none is repeated.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg2

from skfleet_common.contracts.errors import EnvironmentFault, JobFailed, Refused, SkfleetError, TryAgain
from skfleet_common.tables.port import Publication


@dataclass(frozen=True)
class _Fault:
    """What COPY may say, and what it means."""

    words: re.Pattern[str]
    error: type[SkfleetError]
    #: Takes ``table``, ``job``, ``bucket`` and ``role``.
    sentence: str


def _said(words: str) -> re.Pattern[str]:
    return re.compile(words, re.IGNORECASE)


#: The first that fits counts. AWS words them in "Troubleshooting queries in Amazon Redshift Spectrum", "S3
#: access errors", "Load error reference" and the pages on IAM roles.
_FAULTS = (
    _Fault(
        _said(r"not authorized to (get credentials of role|assume iam role)|assume ?role"),
        Refused,
        "Redshift may not assume {role}, so nothing was loaded into {table}; attach the role to the cluster "
        "or workgroup, let it trust redshift.amazonaws.com (sts:AssumeRole), and where ASSUMEROLE is "
        "restricted, grant it to the database user FOR COPY.",
    ),
    _Fault(
        _said(r"default iam role|iam role .* (is not|invalid)|invalid iam role|role .* not found"),
        Refused,
        "Redshift has no IAM role {role}, so nothing was loaded into {table}; attach one to the cluster or "
        "workgroup, and name it in SKFLEET_REDSHIFT_IAM_ROLE.",
    ),
    _Fault(
        _said(r"permanentredirect|must be addressed using the specified endpoint|different region|"
              r"status 301|authorizationheadermalformed|illegallocationconstraint"),
        Refused,
        "The bucket {bucket} is in another region than Redshift, and COPY of Parquet cannot read there, so "
        "nothing was loaded into {table}; give the fleet a bucket in Redshift's region.",
    ),
    _Fault(
        _said(r"nosuchbucket"),
        EnvironmentFault,
        "Redshift finds no bucket {bucket}, so nothing was loaded into {table}; correct SKFLEET_BUCKET.",
    ),
    _Fault(
        _said(
            r"nosuchkey|specified key does not exist|is mandatory|does not exist|content.?length|"
            r"file has been (changed|modified)|status 404"
        ),
        JobFailed,
        "Stored outputs of job {job} are not what was listed for Redshift, or were deleted; nothing was "
        "published: take it up again with skfleet retry {job}.",
    ),
    _Fault(
        _said(r"expiredtoken|token.{0,20}expired"),
        TryAgain,
        "The credentials with which Redshift read S3 expired while {table} was loaded; it is tried again.",
    ),
    _Fault(
        _said(r"accessdenied|access denied|status 403|forbidden|not authorized|kms"),
        Refused,
        "Redshift may not read the bucket {bucket} with {role}, so nothing was loaded into {table}; allow "
        "the role s3:GetObject and s3:ListBucket there, and kms:Decrypt if it is encrypted with a key.",
    ),
    _Fault(
        _said(
            r"slowdown|serviceunavailable|internalerror|status 50\d|timed? ?out|connection (reset|refused)"
        ),
        TryAgain,
        "S3 did not answer Redshift while {table} was loaded; it is tried again.",
    ),
    _Fault(
        _said(r"longer than the length|spectrum scan error|incompatible parquet|unmatched number of columns"),
        JobFailed,
        "Redshift cannot load the stored outputs of job {job} as Parquet files of its columns; nothing was "
        "published: see that all workers are of one version, and submit it again (a text of more than 65,535 "
        "bytes does not fit, either).",
    ),
)  # fmt: skip

#: What COPY names has words of its own, which must not be taken for COPY's.
_NAMES = re.compile(
    r"\b(?:s3|https?)://[^\s'\"]+|arn:[^\s'\"]+|^\s*(?:query|process|location):.*$",
    re.IGNORECASE | re.MULTILINE,
)

_ROLE_UNNAMED = "the default IAM role"


@contextmanager
def copy_faults(publication: Publication, *, manifest: str, iam_role: str) -> Iterator[None]:
    """Raise what COPY says as ours; what it does not say of S3, roles or files is left as it is.

    Raises:
        Refused: an action is missing, which the sentence names, or the bucket is in another region.
        JobFailed: a file is missing or another one.
        TryAgain: S3 did not answer.
    """
    try:
        yield
    except psycopg2.InternalError as exc:
        said = _NAMES.sub("", f"{exc.diag.message_primary or ''}\n{exc.diag.message_detail or ''}")
        bucket = manifest.removeprefix("s3://").partition("/")[0]
        role = _ROLE_UNNAMED if iam_role == "default" else f"the IAM role {iam_role}"
        for fault in _FAULTS:
            if fault.words.search(said):
                sentence = fault.sentence.format(
                    table=publication.table, job=publication.job, role=role, bucket=bucket
                )
                raise fault.error(sentence) from exc
        raise

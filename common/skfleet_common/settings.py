"""Settings: the ``SKFLEET_*`` variables, read once at boot; unknown ones are refused.

A mistyped variable that is ignored runs a command against the wrong fleet. So every name with our
prefix is checked, in the environment and in ``.env``; names without it are left alone.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from dotenv import dotenv_values
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from skfleet_common.contracts.errors import UsageError, nearest, shown
from skfleet_common.contracts.names import check_name

PREFIX = "SKFLEET_"


class Settings(BaseModel):
    """Everything that a command or a worker can be told from outside."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fleet: str = Field(default="local", description="Name of the fleet; prefixes every queue, table and key.")
    bucket: str | None = Field(default=None, description="S3 bucket of models, jobs and outputs.")
    warehouse_url: str | None = Field(
        default=None,
        description="The warehouse: `postgresql://user:password@host:port/database`, or Redshift as "
        "`redshift://user:password@host:5439/database`, `redshift+iam://[db_user@]endpoint/database` or "
        "`redshift+secret://[endpoint/database]?secret=NAME` (docs/redshift.md).",
    )
    aws_endpoint_url: str | None = Field(
        default=None, description="Endpoint of an AWS emulator; unset means AWS itself."
    )
    redshift_api_url: str | None = Field(
        default=None,
        description="Endpoint of the API that grants logins to Redshift, such as a VPC endpoint's; unset "
        "means the same as for all of AWS.",
    )
    redshift_iam_role: str | None = Field(
        default=None,
        pattern="^(default|arn:[^\\s']{1,2048})$",
        description="Role with which Redshift reads and writes the fleet's bucket: an ARN, several joined by "
        "commas to be taken on in turn, or `default` for the cluster's own.",
    )
    region: str | None = Field(default=None, description="AWS region; unset means boto3's own choice.")
    home: Path | None = Field(
        default=None, description="State folder of the local stack; unset means the nearest .skfleet upwards."
    )
    cache_dir: Path | None = Field(
        default=None, description="Where a worker keeps models and scratch; unset means a folder under /tmp."
    )
    scorers: int | None = Field(
        default=None, ge=1, le=1_024, description="Scoring processes a worker; unset means one a core."
    )
    batch_rows: int = Field(
        default=50_000, ge=1, le=1_000_000_000, description="Rows that a scorer holds at a time."
    )
    lease_seconds: int = Field(
        default=120, ge=2, le=43_200, description="How long a message stays hidden without a heartbeat."
    )
    heartbeat_seconds: float = Field(default=40.0, gt=0, description="How often a held lease is extended.")
    allowance_seconds: float = Field(
        default=300.0, gt=0, description="How long one batch may take before its scorer counts as stuck."
    )
    poll_seconds: int = Field(default=20, ge=0, le=20, description="Length of one SQS long poll.")
    drain_seconds: float = Field(
        default=90.0,
        ge=0,
        description="How long a drain lets chunks in progress go on before it releases them.",
    )
    metadata_url: str = Field(
        default="http://169.254.169.254",
        pattern="^(off|http://[^/]+/?)$",
        description="Where a worker asks for EC2's spot and rebalance notices; `off` asks nobody.",
    )
    max_attempts: int = Field(
        default=5, ge=1, le=10, description="Failed attempts after which a chunk has failed."
    )
    care_seconds: float = Field(
        default=60.0,
        gt=0,
        description="How often a worker with a free scorer looks after dead letters, stalls and stragglers.",
    )
    stall_seconds: float = Field(
        default=900.0,
        gt=0,
        description="How long a running job may be without a commit before it is a stall.",
    )
    copy_seconds: float = Field(
        default=120.0,
        ge=0,
        description="How long a straggler is held at least before it is sent a second time; 0 means never.",
    )
    statement_seconds: int = Field(
        default=3_600,
        ge=1,
        # PostgreSQL counts milliseconds in 32 bits.
        le=2_147_483,
        description="Longest that one statement may run in the warehouse.",
    )
    retention_days: int = Field(
        default=90,
        gt=14,
        description="Days after which what the tracker and the bucket know of a job expires; more than the "
        "14 for which SQS keeps a message.",
    )
    allow_joblib: bool = Field(
        default=False,
        description="Whether bundles made with `--format joblib` are opened here: a pickle runs code when it "
        "is read.",
    )
    signing_key: str | None = Field(
        default=None,
        pattern="^(secretsmanager|kms):[^\\s]{1,2048}$",
        description="Key that signs bundles and checks their signatures: `secretsmanager:NAME` (HMAC) or "
        "`kms:ALIAS` (an asymmetric key), names or ARNs.",
    )
    require_signature: bool = Field(
        default=False, description="Whether only bundles with a right signature are opened here."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least that a worker logs: debug, info, warning or error."
    )

    @field_validator("fleet")
    @classmethod
    def _fleet_name(cls, name: str) -> str:
        return check_name("fleet", name)

    @model_validator(mode="after")
    def _heartbeat_fits_lease(self) -> Self:
        if self.heartbeat_seconds * 2 > self.lease_seconds:
            raise ValueError("SKFLEET_HEARTBEAT_SECONDS must be at most half of SKFLEET_LEASE_SECONDS")
        return self

    @model_validator(mode="after")
    def _signatures_need_a_key(self) -> Self:
        if self.require_signature and self.signing_key is None:
            raise ValueError("SKFLEET_REQUIRE_SIGNATURE needs SKFLEET_SIGNING_KEY, to check with")
        return self

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None, *, dotenv: Path = Path(".env")) -> Self:
        """Read the environment and ``.env`` (the environment wins).

        Raises:
            UsageError: a variable is unknown or its value is not allowed.
        """
        given = dict(os.environ if environ is None else environ)
        if dotenv.is_file():
            given = _values_of(dotenv) | given
        ours = {name: value for name, value in given.items() if name.upper().startswith(PREFIX)}
        known = [PREFIX + name.upper() for name in cls.model_fields]
        for name in sorted(ours):
            if name not in known:
                hint = nearest(name, known)
                raise UsageError(f"{shown(name)} is no setting of skfleet, so unset or correct it{hint}")
            if not _is_text(ours[name]):
                raise UsageError(f"{name} holds a character that is no text; correct it.")
        values: dict[str, Any] = {
            name.removeprefix(PREFIX).lower(): value for name, value in ours.items() if value != ""
        }
        try:
            return cls.model_validate(values)
        except ValidationError as exc:
            problem = exc.errors(include_input=False, include_url=False)[0]
            name = PREFIX + str(problem["loc"][0]).upper() if problem["loc"] else "The settings"
            reason = problem["msg"].removeprefix("Value error, ")
            raise UsageError(f"{name}: {reason}; correct it.") from exc


def _values_of(dotenv: Path) -> dict[str, str]:
    """Give the variables that a file sets."""
    try:
        return {name: value for name, value in dotenv_values(dotenv).items() if value is not None}
    except (OSError, UnicodeDecodeError) as exc:
        raise UsageError(f"The file {dotenv} cannot be read as UTF-8 text; correct or remove it.") from exc


def _is_text(value: str) -> bool:
    """Whether a value has neither control characters nor, as surrogates, bytes that are no UTF-8."""
    return not any(unicodedata.category(character) in {"Cc", "Cs"} for character in value)

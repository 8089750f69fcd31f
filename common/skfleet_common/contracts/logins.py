"""Logins: temporary or stored credentials of a warehouse, as its address asks for them.

Who has them (AWS) and who uses them (a connection) know nothing of each other; both know these shapes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True)
class ClusterLogin:
    """A login to a provisioned Redshift cluster, which IAM grants for minutes."""

    cluster: str
    database: str
    #: None is the region of the settings.
    region: str | None = None
    #: The database user to be; None is the one that stands for the IAM identity itself.
    user: str | None = None

    def __str__(self) -> str:
        """Name it for people."""
        return f"the Redshift cluster {self.cluster}"


@dataclass(frozen=True)
class WorkgroupLogin:
    """A login to a Redshift Serverless workgroup, which IAM grants for minutes."""

    workgroup: str
    database: str
    region: str | None = None

    def __str__(self) -> str:
        """Name it for people."""
        return f"the Redshift workgroup {self.workgroup}"


@dataclass(frozen=True)
class SecretLogin:
    """A login that a secret holds, by its name or ARN."""

    secret: str

    def __str__(self) -> str:
        """Name it for people."""
        return f"the secret {self.secret}"


LoginAsked = ClusterLogin | WorkgroupLogin | SecretLogin


@dataclass(frozen=True)
class Login:
    """User and password, and where to use them if a secret says so."""

    user: str
    password: str = field(repr=False)
    host: str | None = None
    port: int | None = None
    database: str | None = None
    #: From when on no new connection may use it; None is never.
    expires_at: datetime | None = None


class Logins(Protocol):
    """Where connections get their logins from; called by threads at once."""

    def login(self, asked: LoginAsked, *, fresh: bool = False) -> Login:
        """Give a login that has not ended yet; ``fresh`` does not give one that was given before.

        Raises:
            EnvironmentFault: AWS does not grant it.
            TryAgain: AWS cannot say just now.
        """

    def state(self, asked: LoginAsked) -> str | None:
        """Give what AWS calls the state of what is logged in to (``paused``); None where it does not say."""

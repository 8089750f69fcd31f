"""Logins to Redshift: granted by IAM for minutes, or kept in Secrets Manager.

A login is asked for once, and again before it ends. A password that ends does not end the sessions that it
opened (Redshift Management Guide, "Generating IAM database credentials").
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any

from botocore.exceptions import ClientError

from skfleet_common.aws.clients import open_client
from skfleet_common.aws.faults import cloud_faults, error_code, is_denied
from skfleet_common.contracts.errors import EnvironmentFault, SkfleetError
from skfleet_common.contracts.logins import ClusterLogin, Login, LoginAsked, SecretLogin, WorkgroupLogin
from skfleet_common.settings import Settings

#: The longest that IAM grants (API references of GetClusterCredentials and GetCredentials: 900 to 3,600 s).
LOGIN_SECONDS = 3_600

#: A login is not used in its last minutes: clocks differ, and connecting may take a while.
SPARE = timedelta(seconds=300)

_MISSING_CODES = frozenset({"ClusterNotFound", "ClusterNotFoundFault", "ResourceNotFoundException"})


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass
class RedshiftLogins:
    """The :class:`~skfleet_common.contracts.logins.Logins` of AWS; nothing is asked before it is needed."""

    settings: Settings
    now: Callable[[], datetime] = _now
    _given: dict[LoginAsked, Login] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def login(self, asked: LoginAsked, *, fresh: bool = False) -> Login:
        """See :class:`~skfleet_common.contracts.logins.Logins`."""
        with self._lock:
            known = self._given.get(asked)
            if known is None or fresh or self._is_ending(known):
                known = self._given[asked] = self._ask(asked)
            return known

    def state(self, asked: LoginAsked) -> str | None:
        """See :class:`~skfleet_common.contracts.logins.Logins`; needs ``redshift:DescribeClusters``."""
        if not isinstance(asked, ClusterLogin):
            return None
        try:
            with cloud_faults(str(asked)):
                found = self._client("redshift", asked.region).describe_clusters(
                    ClusterIdentifier=asked.cluster
                )
        except SkfleetError:
            return None
        return next((str(cluster["ClusterStatus"]) for cluster in found["Clusters"]), None)

    def _is_ending(self, login: Login) -> bool:
        return login.expires_at is not None and self.now() >= login.expires_at - SPARE

    def _ask(self, asked: LoginAsked) -> Login:
        with _login_faults(asked):
            match asked:
                case ClusterLogin(user=None):
                    answer = self._client("redshift", asked.region).get_cluster_credentials_with_iam(
                        ClusterIdentifier=asked.cluster, DbName=asked.database, DurationSeconds=LOGIN_SECONDS
                    )
                    return _granted(answer["DbUser"], answer["DbPassword"], answer["Expiration"])
                case ClusterLogin():
                    answer = self._client("redshift", asked.region).get_cluster_credentials(
                        ClusterIdentifier=asked.cluster,
                        DbName=asked.database,
                        DbUser=asked.user,
                        AutoCreate=False,
                        DurationSeconds=LOGIN_SECONDS,
                    )
                    return _granted(answer["DbUser"], answer["DbPassword"], answer["Expiration"])
                case WorkgroupLogin():
                    answer = self._client("redshift-serverless", asked.region).get_credentials(
                        workgroupName=asked.workgroup, dbName=asked.database, durationSeconds=LOGIN_SECONDS
                    )
                    return _granted(answer["dbUser"], answer["dbPassword"], answer["expiration"])
                case SecretLogin():
                    client = open_client(self.settings, "secretsmanager", region=_region_of(asked.secret))
                    return _stored(asked, client.get_secret_value(SecretId=asked.secret).get("SecretString"))

    def _client(self, service: Any, region: str | None) -> Any:
        return open_client(self.settings, service, region=region)


def _granted(user: str, password: str, expires_at: datetime) -> Login:
    return Login(user=user, password=password, expires_at=expires_at)


def _stored(asked: SecretLogin, text: str | None) -> Login:
    """Read a secret as Secrets Manager writes those of Redshift ("JSON structure of secrets")."""
    try:
        found = json.loads(text or "")
        port = found.get("port")
        return Login(
            user=str(found["username"]),
            password=str(found["password"]),
            host=found.get("host"),
            port=None if port is None else int(port),
            database=found.get("dbname"),
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        raise EnvironmentFault(
            f"The secret {asked.secret} is not a login to Redshift; store JSON with username and password "
            "(and host, port and dbname) in it."
        ) from None


def _region_of(secret: str) -> str | None:
    """Give the region that an ARN names."""
    parts = secret.split(":")
    return parts[3] or None if secret.startswith("arn:") and len(parts) > 3 else None  # noqa: PLR2004


@contextmanager
def _login_faults(asked: LoginAsked) -> Iterator[None]:
    """Translate what AWS raises; never a password."""
    with cloud_faults(f"a login to {asked}" if not isinstance(asked, SecretLogin) else str(asked)):
        try:
            yield
        except ClientError as exc:
            if error_code(exc) in _MISSING_CODES:
                raise EnvironmentFault(
                    f"AWS knows no such thing as {asked} in this account and region; correct "
                    "SKFLEET_WAREHOUSE_URL."
                ) from exc
            if is_denied(exc):
                raise EnvironmentFault(
                    f"AWS denies a login to {asked}; allow this role {_actions(asked)}."
                ) from exc
            raise


def _actions(asked: LoginAsked) -> str:
    match asked:
        case ClusterLogin(user=None):
            return "redshift:GetClusterCredentialsWithIAM"
        case ClusterLogin():
            return "redshift:GetClusterCredentials, on the cluster's database and on its database user"
        case WorkgroupLogin():
            return "redshift-serverless:GetCredentials"
        case SecretLogin():
            return "secretsmanager:GetSecretValue, and kms:Decrypt if it has a key of its own"

"""Addresses of Redshift: where it is, and how to log in.

::

    redshift://user:password@host:5439/database
    redshift+iam://[db_user@]endpoint:5439/database[?cluster=…|workgroup=…][&region=…]
    redshift+secret://[host[:5439]][/database]?secret=NAME_OR_ARN

Whatever else stands after the question mark is libpq's: ``sslmode``, ``sslrootcert`` …
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import unquote

import psycopg2
from psycopg2.extensions import parse_dsn

from skfleet_common.contracts.errors import UsageError
from skfleet_common.contracts.logins import ClusterLogin, LoginAsked, SecretLogin, WorkgroupLogin
from skfleet_common.tables.sql.addresses import has_stray_at

SCHEMES = ("redshift", "redshift+iam", "redshift+secret")

PORT = 5439

#: Ours in the query of an address.
_OURS = ("cluster", "workgroup", "region", "secret")

#: libpq's ("sslmode").
_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")

#: Endpoints as the console shows them (Redshift Management Guide, "Connecting to … using …").
_CLUSTER = re.compile(
    r"(?P<cluster>[^.]+)\.[^.]+\.(?P<region>[^.]+)\.redshift\.amazonaws\.com(\.cn)?", re.IGNORECASE
)
_WORKGROUP = re.compile(
    r"(?P<workgroup>[^.]+)\.[^.]+\.(?P<region>[^.]+)\.redshift-serverless\.amazonaws\.com(\.cn)?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class RedshiftAddress:
    """Where Redshift is and how to log in there; a part that is None, the login brings with it."""

    host: str | None
    port: int | None
    database: str | None
    #: libpq's other parameters; user and password among them where the address has them.
    options: dict[str, str] = field(repr=False)
    #: None where the address itself has user and password.
    login: LoginAsked | None = None

    @classmethod
    def read(cls, url: str) -> Self:
        """Read an address.

        Raises:
            UsageError: it is none. What is wrong is said without its words, which may hold the password.
        """
        scheme = url.partition("://")[0]
        ours, given = _taken_apart(url)
        port = given.pop("port", None)
        try:
            address = cls(
                host=given.pop("host", None),
                port=None if port is None else int(port),
                database=given.pop("dbname", None),
                options=given,
            )
        except ValueError:
            raise _unreadable() from None
        if given.get("sslmode", _SSL_MODES[-1]) not in _SSL_MODES:
            raise UsageError(
                "SKFLEET_WAREHOUSE_URL has an sslmode that there is not; write one of "
                f"{', '.join(_SSL_MODES)}."
            )
        if scheme == "redshift+secret":
            return address._with_secret(ours)
        if address.host is None or address.database is None:
            raise UsageError(
                f"SKFLEET_WAREHOUSE_URL names no host or no database; write {scheme}://…host:{PORT}/database."
            )
        if scheme == "redshift+iam":
            return address._with_iam(ours)
        _refuse(ours, scheme)
        return address

    @property
    def shown(self) -> str:
        """Host, port and database: what messages to people may show."""
        if self.host is None and isinstance(self.login, SecretLogin):
            return f"{self.login}"
        return f"{self.host}:{self.port or PORT}/{self.database or ''}"

    def _with_iam(self, ours: dict[str, str]) -> Self:
        named = _named_in(self.host or "") | ours
        region = named.pop("region", None)
        user = self.options.get("user")
        if "password" in self.options:
            raise UsageError(
                "SKFLEET_WAREHOUSE_URL has a password, but redshift+iam:// gets one from AWS; leave it out, "
                "or write redshift:// instead."
            )
        login: LoginAsked
        match named:
            case {"cluster": cluster, **rest} if not rest:
                login = ClusterLogin(cluster, str(self.database), region=region, user=user)
            case {"workgroup": workgroup, **rest} if not rest:
                if user is not None:
                    raise UsageError(
                        "SKFLEET_WAREHOUSE_URL has a user, but a workgroup takes the IAM identity itself for "
                        "one; leave the user out."
                    )
                login = WorkgroupLogin(workgroup, str(self.database), region=region)
            case _:
                raise UsageError(
                    "SKFLEET_WAREHOUSE_URL does not say which cluster or workgroup its host is; add "
                    "?cluster=NAME or ?workgroup=NAME (and &region=…) to it."
                )
        return type(self)(self.host, self.port, self.database, self.options, login)

    def _with_secret(self, ours: dict[str, str]) -> Self:
        secret = ours.pop("secret", "")
        _refuse(ours, "redshift+secret")
        if not secret or {"user", "password"} & self.options.keys():
            raise UsageError(
                "SKFLEET_WAREHOUSE_URL is to name a secret, and no user; write "
                "redshift+secret://?secret=NAME_OR_ARN, with host:port/database before the ? if the secret "
                "lacks them."
            )
        return type(self)(self.host, self.port, self.database, self.options, SecretLogin(secret))


def _taken_apart(url: str) -> tuple[dict[str, str], dict[str, str]]:
    """Give what is ours in an address, and what libpq makes of the rest."""
    if has_stray_at(url):
        raise _unreadable()
    where, _, query = url.partition("://")[2].partition("?")
    asked = [part.partition("=") for part in query.split("&") if part]
    ours = {name: unquote(value) for name, _, value in asked if name in _OURS}
    rest = "&".join(f"{name}={value}" for name, _, value in asked if name not in _OURS)
    try:
        return ours, parse_dsn(f"postgresql://{where}?{rest}")
    except psycopg2.Error:
        raise _unreadable() from None


def _named_in(host: str) -> dict[str, str]:
    """Give the cluster or workgroup, and the region, that an endpoint names."""
    found = _CLUSTER.fullmatch(host) or _WORKGROUP.fullmatch(host)
    return {} if found is None else found.groupdict()


def _refuse(ours: dict[str, str], scheme: str) -> None:
    if ours:
        raise UsageError(
            f"SKFLEET_WAREHOUSE_URL names a {next(iter(ours))}, which {scheme}:// does not use; leave it "
            "out, or write redshift+iam:// or redshift+secret://."
        )


def _unreadable() -> UsageError:
    return UsageError(
        "SKFLEET_WAREHOUSE_URL cannot be read; write redshift://user:password@host:5439/database, "
        "redshift+iam://[db_user@]endpoint/database or redshift+secret://?secret=NAME, with special "
        "characters percent-encoded."
    )

"""Connections to Redshift: verified, logged in to with what AWS gives, and nothing told that is secret."""

from __future__ import annotations

import logging
import threading
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.contract.warehouse_place import address_of
from tests.redshift.place import RedshiftPlace
from tests.redshift.server import Account

from skfleet_common.contracts.errors import EnvironmentFault, TryAgain, UsageError
from skfleet_common.contracts.logins import ClusterLogin, Login, LoginAsked, SecretLogin
from skfleet_common.tables.redshift.connect import Server

HIDDEN = "very-hidden-password"


@dataclass
class PlayedLogins:
    """Logins to give, the last for ever; what was asked for; and what AWS says of the cluster."""

    left: list[Login]
    cluster_state: str | None = None
    asked: list[tuple[LoginAsked, bool]] = field(default_factory=list)

    def login(self, asked: LoginAsked, *, fresh: bool = False) -> Login:
        self.asked.append((asked, fresh))
        return self.left.pop(0) if len(self.left) > 1 else self.left[0]

    def state(self, asked: LoginAsked) -> str | None:  # noqa: ARG002  (the port's)
        return self.cluster_state


def iam_url(redshift: RedshiftPlace, *, port: int | None = None) -> str:
    return (
        f"redshift+iam://127.0.0.1:{port or redshift.server.port}/warehouse"
        "?cluster=sales&region=us-west-2&sslmode=disable"
    )


def who_am_i(server: Server) -> str:
    with server.transaction("asking who I am") as cursor:
        cursor.execute("SELECT current_user")
        (name,) = cursor.fetchone() or ("",)
    return str(name)


def opened(url: str, logins: PlayedLogins | None = None) -> Server:
    return Server.at(url, statement_seconds=60, logins=logins)


def test_a_password_in_the_address_logs_in(redshift: RedshiftPlace) -> None:
    assert who_am_i(opened(address_of(redshift))) == "fleet_owner"


def test_tls_is_verified_by_default_and_an_unknown_certificate_refused(redshift: RedshiftPlace) -> None:
    url = redshift.url.replace("postgresql", "redshift")
    with pytest.raises(EnvironmentFault, match="cannot be verified for that host name") as fault:
        opened(url).connect()
    assert "secret" not in str(fault.value)


def test_a_certificate_whose_root_is_named_is_trusted_for_its_host_alone(
    redshift: RedshiftPlace, redshift_certificate: Path
) -> None:
    redshift.server.needs_tls = True
    url = redshift.url.replace("postgresql", "redshift") + f"?sslrootcert={redshift_certificate}"
    with closing(opened(url).connect()) as connection:
        assert connection.info.ssl_in_use
    with pytest.raises(EnvironmentFault, match="cannot be verified for that host name"):
        opened(url.replace("127.0.0.1", "localhost")).connect()


def test_a_wrong_password_is_said_without_it(redshift: RedshiftPlace) -> None:
    url = address_of(redshift).replace("not%20a%20secret", HIDDEN)
    with pytest.raises(EnvironmentFault, match="turns user or password away") as fault:
        opened(url).connect()
    assert HIDDEN not in str(fault.value)


def test_a_database_that_is_not_there_is_named(redshift: RedshiftPlace) -> None:
    url = address_of(redshift).replace("/warehouse", "/elsewhere")
    with pytest.raises(EnvironmentFault, match=r"no database at 127\.0\.0\.1:\d+/elsewhere"):
        opened(url).connect()


def test_iam_logs_in_as_the_user_that_aws_names(redshift: RedshiftPlace) -> None:
    logins = PlayedLogins([Login("IAMR:fleet", HIDDEN)])
    assert who_am_i(opened(iam_url(redshift), logins)) == "fleet_owner"
    assert logins.asked == [(ClusterLogin("sales", "warehouse", region="us-west-2"), False)]


@pytest.fixture
def expired(redshift: RedshiftPlace) -> str:
    """A user whose login has ended."""
    redshift.server.expire("IAM:ended")
    return "IAM:ended"


def test_a_login_that_has_ended_is_asked_for_anew_once(redshift: RedshiftPlace, expired: str) -> None:
    logins = PlayedLogins([Login(expired, HIDDEN), Login("IAM:fresh", HIDDEN)])
    assert who_am_i(opened(iam_url(redshift), logins)) == "fleet_owner"
    assert [fresh for _, fresh in logins.asked] == [False, True]


def test_a_login_that_is_turned_away_twice_is_a_fault_without_the_password(
    redshift: RedshiftPlace, expired: str
) -> None:
    logins = PlayedLogins([Login(expired, HIDDEN)])
    with pytest.raises(EnvironmentFault, match="turns away what AWS gave as the Redshift cluster") as fault:
        opened(iam_url(redshift), logins).connect()
    assert len(logins.asked) == 2
    assert HIDDEN not in str(fault.value)


def test_a_session_goes_on_when_its_login_ends(redshift: RedshiftPlace) -> None:
    redshift.server.accounts["IAM:short"] = Account(HIDDEN, "fleet_owner", "not a secret")
    logins = PlayedLogins([Login("IAM:short", HIDDEN)])
    with opened(iam_url(redshift), logins).transaction("reading") as cursor:
        redshift.server.expire("IAM:short")
        cursor.execute("SELECT 1")
        assert cursor.fetchall() == [(1,)]
    del redshift.server.accounts["IAM:short"]


def test_a_paused_cluster_is_said_to_be_paused(redshift: RedshiftPlace) -> None:
    login = Login("IAMR:fleet", HIDDEN)
    with pytest.raises(EnvironmentFault, match="is paused; resume it"):
        opened(iam_url(redshift, port=1), PlayedLogins([login], "paused")).connect()
    with pytest.raises(TryAgain, match="no connections at the moment"):
        opened(iam_url(redshift, port=1), PlayedLogins([login], "resuming")).connect()
    with pytest.raises(EnvironmentFault, match="cannot be reached"):
        opened(iam_url(redshift, port=1), PlayedLogins([login])).connect()


def test_a_secret_may_say_where_and_the_address_wins(redshift: RedshiftPlace) -> None:
    port = redshift.server.port
    login = Login("fleet_owner", "not a secret", host="127.0.0.1", port=port, database="elsewhere")
    logins = PlayedLogins([login])
    server = opened("redshift+secret:///warehouse?secret=team/redshift&sslmode=disable", logins)
    assert who_am_i(server) == "fleet_owner"
    assert logins.asked == [(SecretLogin("team/redshift"), False)]


def test_a_secret_and_an_address_that_both_name_no_host_are_refused() -> None:
    logins = PlayedLogins([Login("fleet_owner", HIDDEN)])
    with pytest.raises(UsageError, match=r"Neither .* says which host and database") as refusal:
        opened("redshift+secret://?secret=s", logins).connect()
    assert HIDDEN not in str(refusal.value)


def test_neither_statements_nor_logs_hold_a_password(
    redshift: RedshiftPlace, caplog: pytest.LogCaptureFixture
) -> None:
    redshift.server.accounts["IAM:logged"] = Account(HIDDEN, "fleet_owner", "not a secret")
    caplog.set_level(logging.DEBUG)
    server = opened(iam_url(redshift), PlayedLogins([Login("IAM:logged", HIDDEN)]))
    who_am_i(server)
    del redshift.server.accounts["IAM:logged"]
    assert HIDDEN not in caplog.text
    assert HIDDEN not in repr(server)
    assert not any(HIDDEN in statement for statement in redshift.server.statements)


def test_threads_connect_at_once(redshift: RedshiftPlace) -> None:
    server, names = opened(address_of(redshift)), []
    threads = [threading.Thread(target=lambda: names.append(who_am_i(server))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert names == ["fleet_owner"] * 8

"""Addresses of Redshift: where it is and how to log in, and no word of them that may be a password."""

from __future__ import annotations

import pytest

from skfleet_common.contracts.errors import UsageError
from skfleet_common.contracts.logins import ClusterLogin, SecretLogin, WorkgroupLogin
from skfleet_common.tables.redshift.addresses import RedshiftAddress
from skfleet_common.tables.redshift.connect import Server

CLUSTER = "sales.abc123xyz789.us-west-2.redshift.amazonaws.com"
WORKGROUP = "nightly.123456789012.eu-central-1.redshift-serverless.amazonaws.com"
ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:team/red+shift-AbCdEf"


def test_user_and_password_are_decoded_and_shown_to_nobody() -> None:
    address = RedshiftAddress.read("redshift://me:p%40ss%2Fword@db.example:1234/sales")
    assert (address.host, address.port, address.database) == ("db.example", 1234, "sales")
    assert address.options == {"user": "me", "password": "p@ss/word"}
    assert address.shown == "db.example:1234/sales"
    assert "p@ss" not in repr(address)


def test_the_port_is_redshifts_own_unless_it_is_given() -> None:
    assert RedshiftAddress.read("redshift://me:x@db.example/sales").shown == "db.example:5439/sales"


@pytest.mark.parametrize(
    ("url", "login"),
    [
        (f"redshift+iam://{CLUSTER}:5439/dev", ClusterLogin("sales", "dev", region="us-west-2")),
        (f"redshift+iam://ana@{CLUSTER}/dev", ClusterLogin("sales", "dev", region="us-west-2", user="ana")),
        (f"redshift+iam://{CLUSTER}.cn/dev", ClusterLogin("sales", "dev", region="us-west-2")),
        (f"redshift+iam://{WORKGROUP}/dev", WorkgroupLogin("nightly", "dev", region="eu-central-1")),
        ("redshift+iam://dw.example.com/dev?cluster=sales", ClusterLogin("sales", "dev")),
        (
            "redshift+iam://dw.example.com/dev?workgroup=nightly&region=eu-west-1&sslmode=verify-ca",
            WorkgroupLogin("nightly", "dev", region="eu-west-1"),
        ),
        (f"redshift+iam://{CLUSTER}/dev?region=us-east-1", ClusterLogin("sales", "dev", region="us-east-1")),
        (f"redshift+secret://?secret={ARN}", SecretLogin(ARN)),
        ("redshift+secret://dw.example.com:5440/dev?secret=team%2Fredshift", SecretLogin("team/redshift")),
    ],
)
def test_an_address_says_how_to_log_in(url: str, login: object) -> None:
    assert RedshiftAddress.read(url).login == login


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redshift://me:hidden@host:port/db", "cannot be read"),
        ("redshift://me:hidden@host/db?nonsense=1", "cannot be read"),
        ("redshift://me:hid%00den@host/db", "cannot be read"),
        ("redshift://me:hidden@host/db?sslmode=bogus", "an sslmode that there is not; write one of disable"),
        ("redshift://me:hidden@host", "names no host or no database"),
        ("redshift:///db", "names no host or no database"),
        ("redshift://me:hidden@host/db?cluster=c", "which redshift:// does not use"),
        ("redshift+iam://dw.example.com/dev", r"\?cluster=NAME or \?workgroup="),
        (
            "redshift+iam://dw.example.com/dev?cluster=c&workgroup=w",
            r"\?cluster=NAME or \?workgroup=",
        ),
        (f"redshift+iam://me:hidden@{CLUSTER}/dev", "gets one from AWS"),
        (f"redshift+iam://me@{WORKGROUP}/dev", "leave the user out"),
        ("redshift+secret://host/dev", r"secret=NAME_OR_ARN"),
        ("redshift+secret://me:hidden@host/dev?secret=s", "and no user"),
        ("redshift+secret://host/dev?secret=s&region=x", "which redshift.secret:// does not use"),
    ],
)
def test_what_is_no_address_is_refused_in_one_sentence_without_its_password(url: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as refusal:
        RedshiftAddress.read(url)
    assert "hidden" not in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_an_address_that_needs_a_login_needs_somebody_who_has_them() -> None:
    with pytest.raises(UsageError, match="Nobody here can get a login with the secret s"):
        Server.at("redshift+secret://?secret=s", statement_seconds=5)

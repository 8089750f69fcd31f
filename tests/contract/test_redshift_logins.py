"""Logins to Redshift: what is asked of AWS, how long it is kept, and what is said when AWS refuses."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

import pytest
from tests.contract.scripted_endpoint import Answer, ScriptedEndpoint, scripted_endpoint

from skfleet_common.aws.logins import RedshiftLogins
from skfleet_common.contracts.errors import EnvironmentFault, TryAgain
from skfleet_common.contracts.logins import ClusterLogin, Login, LoginAsked, SecretLogin, WorkgroupLogin
from skfleet_common.settings import Settings

NOW = datetime(2030, 5, 17, 12, 0, tzinfo=UTC)
CLUSTER = ClusterLogin("sales", "dev", region="us-west-2", user="ana")
IDENTITY = ClusterLogin("sales", "dev")
WORKGROUP = WorkgroupLogin("nightly", "dev")
SECRET = SecretLogin("team/redshift")
FIRST = "hidden-1"


def granted(operation: str, until: datetime, *, user: str = "IAM:ana", password: str = FIRST) -> Answer:
    return Answer(
        f'<{operation}Response xmlns="http://redshift.amazonaws.com/doc/2012-12-01/"><{operation}Result>'
        f"<DbUser>{user}</DbUser><DbPassword>{password}</DbPassword>"
        f"<Expiration>{until:%Y-%m-%dT%H:%M:%SZ}</Expiration></{operation}Result></{operation}Response>".encode()
    )


def refused(code: str, *, status: int = 400) -> Answer:
    return Answer(
        '<ErrorResponse xmlns="http://redshift.amazonaws.com/doc/2012-12-01/"><Error><Type>Sender</Type>'
        f"<Code>{code}</Code><Message>hidden words</Message></Error></ErrorResponse>".encode(),
        status,
    )


class Clock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


def logins_at(endpoint: ScriptedEndpoint, *, clock: Clock | None = None) -> RedshiftLogins:
    settings = Settings(aws_endpoint_url="http://127.0.0.1:9", redshift_api_url=endpoint.url)
    return RedshiftLogins(settings, clock or Clock())


def ask(asked: LoginAsked, *answers: Answer) -> tuple[Login, ScriptedEndpoint]:
    with scripted_endpoint(answers) as endpoint:
        return logins_at(endpoint).login(asked), endpoint


def test_a_named_user_of_a_cluster_is_asked_for_without_being_made() -> None:
    until = NOW + timedelta(hours=1)
    login, endpoint = ask(CLUSTER, granted("GetClusterCredentials", until))
    assert (login.user, login.password, login.expires_at) == ("IAM:ana", FIRST, until)
    (said,) = [parse_qs(body) for body in endpoint.bodies]
    assert said["Action"] == ["GetClusterCredentials"]
    assert said["ClusterIdentifier"] == ["sales"]
    assert (said["DbName"], said["DbUser"]) == (["dev"], ["ana"])
    assert (said["AutoCreate"], said["DurationSeconds"]) == (["false"], ["3600"])


def test_without_a_user_the_iam_identity_itself_logs_in() -> None:
    answer = granted("GetClusterCredentialsWithIAM", NOW + timedelta(hours=1), user="IAMR:fleet")
    login, endpoint = ask(IDENTITY, answer)
    assert login.user == "IAMR:fleet"
    assert parse_qs(endpoint.bodies[0])["Action"] == ["GetClusterCredentialsWithIAM"]


def test_a_workgroup_is_asked_in_its_own_api() -> None:
    until = NOW + timedelta(minutes=15)
    login, endpoint = ask(
        WORKGROUP,
        Answer.of_json({"dbUser": "IAMR:fleet", "dbPassword": "hidden", "expiration": until.timestamp()}),
    )
    assert (login.user, login.password, login.expires_at) == ("IAMR:fleet", "hidden", until)
    assert endpoint.requests == [{"workgroupName": "nightly", "dbName": "dev", "durationSeconds": 3600}]


def test_a_login_is_kept_until_shortly_before_it_ends_and_then_asked_for_anew() -> None:
    clock = Clock()
    answers = [
        granted("GetClusterCredentials", NOW + timedelta(seconds=seconds), password=password)
        for password, seconds in (("first", 900), ("second", 1_800))
    ]
    with scripted_endpoint(answers) as endpoint:
        logins = logins_at(endpoint, clock=clock)
        assert logins.login(CLUSTER).password == "first"
        clock.now += timedelta(seconds=599)
        assert logins.login(CLUSTER).password == "first"
        clock.now += timedelta(seconds=1)
        assert logins.login(CLUSTER).password == "second"
        assert logins.login(CLUSTER).password == "second"
        assert len(endpoint.bodies) == 2


def test_a_fresh_login_is_asked_for_whatever_is_kept() -> None:
    answers = [
        granted("GetClusterCredentials", NOW + timedelta(hours=1), password=password)
        for password in ("first", "second")
    ]
    with scripted_endpoint(answers) as endpoint:
        logins = logins_at(endpoint)
        assert logins.login(CLUSTER).password == "first"
        assert logins.login(CLUSTER, fresh=True).password == "second"
        assert logins.login(CLUSTER).password == "second"


def test_a_secret_has_user_and_password_and_may_say_where() -> None:
    said = json.dumps(
        {"username": "fleet", "password": "hidden", "host": "dw", "port": "5440", "dbname": "dev"}
    )
    with scripted_endpoint([Answer.of_json({"Name": "team/redshift", "SecretString": said})]) as endpoint:
        login = RedshiftLogins(Settings(aws_endpoint_url=endpoint.url)).login(SECRET)
    assert login == Login("fleet", "hidden", host="dw", port=5440, database="dev")
    assert endpoint.requests == [{"SecretId": "team/redshift"}]
    assert "hidden" not in repr(login)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (
            "AccessDeniedException",
            "team/redshift; allow this role secretsmanager:GetSecretValue, and",
        ),
        ("ResourceNotFoundException", "no such thing as the secret team/redshift"),
    ],
)
def test_a_secret_that_is_kept_from_the_role_is_told_by_the_action(code: str, said: str) -> None:
    answer = Answer.of_json({"__type": code, "Message": "hidden"}, status=400)
    with scripted_endpoint([answer]) as endpoint:
        logins = RedshiftLogins(Settings(aws_endpoint_url=endpoint.url))
        with pytest.raises(EnvironmentFault, match=said) as fault:
            logins.login(SECRET)
    assert "hidden" not in str(fault.value)


@pytest.mark.parametrize(
    "said", ["hidden", "[]", '{"username": "hidden"}', '{"username": 1, "password": 2, "port": "x"}']
)
def test_a_secret_that_is_no_login_is_named_without_its_words(said: str) -> None:
    with scripted_endpoint([Answer.of_json({"SecretString": said})]) as endpoint:
        logins = RedshiftLogins(Settings(aws_endpoint_url=endpoint.url))
        with pytest.raises(EnvironmentFault, match="The secret team/redshift is not a login") as fault:
            logins.login(SECRET)
    assert "hidden" not in str(fault.value)


@pytest.mark.parametrize(
    ("asked", "answer", "said"),
    [
        (CLUSTER, refused("ClusterNotFound", status=404), "no such thing as the Redshift cluster sales"),
        (CLUSTER, refused("ExpiredToken", status=403), r"credentials for a login .*ExpiredToken"),
        (CLUSTER, refused("AccessDenied", status=403),
         "a login to the Redshift cluster sales; allow this role redshift:GetClusterCredentials, on"),
        (IDENTITY, refused("AccessDenied", status=403), "role redshift:GetClusterCredentialsWithIAM"),
        (
            WORKGROUP,
            Answer.of_json({"__type": "ResourceNotFoundException"}, status=400),
            "no such thing as the Redshift workgroup nightly",
        ),
        (
            WORKGROUP,
            Answer.of_json({"__type": "AccessDeniedException"}, status=400),
            "the Redshift workgroup nightly; allow this role redshift-serverless:GetCredentials",
        ),
    ],
)  # fmt: skip
def test_a_refusal_is_one_sentence_with_the_action_or_what_is_missing(
    asked: LoginAsked, answer: Answer, said: str
) -> None:
    with pytest.raises(EnvironmentFault, match=said) as fault:
        ask(asked, answer)
    assert "hidden" not in str(fault.value)


def test_a_throttled_login_is_a_passing_fault() -> None:
    with pytest.raises(TryAgain, match="Throttling"):
        ask(CLUSTER, *[refused("Throttling")] * 5)


def test_the_state_of_a_cluster_is_told_where_aws_says_it() -> None:
    described = (
        '<DescribeClustersResponse xmlns="http://redshift.amazonaws.com/doc/2012-12-01/"><DescribeClustersResult>'
        "<Clusters><Cluster><ClusterStatus>paused</ClusterStatus></Cluster></Clusters>"
        "</DescribeClustersResult></DescribeClustersResponse>"
    )
    with scripted_endpoint([Answer(described.encode()), refused("AccessDenied", status=403)]) as endpoint:
        logins = logins_at(endpoint)
        assert logins.state(CLUSTER) == "paused"
        assert logins.state(CLUSTER) is None
        assert logins.state(WORKGROUP) is None

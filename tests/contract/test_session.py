"""Which cloud a process talks to, and that it is never real AWS by accident."""

from __future__ import annotations

from contextlib import closing

import pytest
from tests.contract.aws_emulator import free_port

from skfleet_common.aws.session import connect_cloud, create_fleet
from skfleet_common.contracts.errors import EnvironmentFault
from skfleet_common.settings import Settings


@pytest.fixture
def _users_own_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment in which everything that botocore looks at leads elsewhere."""
    for name, value in {
        "AWS_PROFILE": "no-such-profile",
        "AWS_ACCESS_KEY_ID": "AKIAREALREALREALREAL",
        "AWS_SECRET_ACCESS_KEY": "somebody's",
        "AWS_SESSION_TOKEN": "somebody's",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
        "NO_PROXY": "",
        "no_proxy": "",
    }.items():
        monkeypatch.setenv(name, value)


def test_without_a_bucket_nothing_is_reached_and_the_sentence_says_what_to_do() -> None:
    with pytest.raises(EnvironmentFault, match="skfleet local up"):
        connect_cloud(Settings())


def test_an_endpoint_without_a_bucket_is_refused_too() -> None:
    with pytest.raises(EnvironmentFault, match="SKFLEET_BUCKET"):
        connect_cloud(Settings(aws_endpoint_url="http://127.0.0.1:9"))


def test_a_fleet_on_real_aws_is_never_created() -> None:
    with pytest.raises(EnvironmentFault, match="Terraform"):
        create_fleet(Settings(bucket="skfleet-somewhere"))


def test_an_endpoint_where_nobody_answers_is_named() -> None:
    endpoint = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(EnvironmentFault, match=endpoint) as fault:
        connect_cloud(Settings(bucket="skfleet-bucket", aws_endpoint_url=endpoint))
    assert fault.value.retryable


def test_a_fleet_that_was_never_created_is_named(fleet_settings: Settings) -> None:
    with pytest.raises(EnvironmentFault, match=f"There is no queue skfleet-{fleet_settings.fleet} at http"):
        connect_cloud(fleet_settings)


def test_a_bucket_that_does_not_exist_is_named(fleet_settings: Settings) -> None:
    create_fleet(fleet_settings)
    elsewhere = fleet_settings.model_copy(update={"bucket": "no-such-bucket"})
    with (
        closing(connect_cloud(elsewhere)) as cloud,
        pytest.raises(EnvironmentFault, match="There is no bucket no-such-bucket"),
    ):
        cloud.store.put("key", b"")


def test_creating_a_fleet_again_changes_nothing(fleet_settings: Settings) -> None:
    create_fleet(fleet_settings)
    with closing(connect_cloud(fleet_settings)) as cloud:
        cloud.store.put("key", b"kept")
        cloud.queue.send(["kept"])
        create_fleet(fleet_settings)
        assert cloud.store.get("key") == b"kept"
        assert cloud.queue.approximate_depth().visible == 1


@pytest.mark.usefixtures("_users_own_aws")
def test_with_an_endpoint_no_profile_credentials_proxy_or_region_of_the_user_matters(
    fleet_settings: Settings,
) -> None:
    create_fleet(fleet_settings)
    with closing(connect_cloud(fleet_settings)) as cloud:
        cloud.store.put("key", b"here")
        cloud.queue.send(["here"])
        assert cloud.tracker.jobs(1) == []
        for client in (cloud.store.client, cloud.queue.client, cloud.tracker.client):
            assert client.meta.endpoint_url == fleet_settings.aws_endpoint_url
            assert client.meta.region_name == "us-east-1"
            assert client._request_signer._credentials.access_key == "test"


def test_a_region_in_the_settings_is_used_with_an_endpoint(fleet_settings: Settings) -> None:
    settings = fleet_settings.model_copy(update={"region": "eu-west-1"})
    create_fleet(settings)
    with closing(connect_cloud(settings)) as cloud:
        cloud.store.put("key", b"here")
        assert cloud.store.client.meta.region_name == "eu-west-1"


def test_two_fleets_on_one_stack_do_not_see_each_other(fleet_settings: Settings) -> None:
    other = fleet_settings.model_copy(update={"fleet": f"{fleet_settings.fleet}-b"})
    create_fleet(fleet_settings)
    create_fleet(other)
    with closing(connect_cloud(fleet_settings)) as cloud, closing(connect_cloud(other)) as neighbour:
        cloud.queue.send(["mine"])
        assert neighbour.queue.approximate_depth().total == 0
        assert cloud.tracker.name != neighbour.tracker.name
        assert cloud.names.job_prefix("j") != neighbour.names.job_prefix("j")

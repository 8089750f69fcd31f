"""Spot and rebalance notices: asked of a played metadata service, over a real socket."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs
from tests.conftest import eventually
from tests.instance_metadata import REBALANCE, SPOT, Instance, played_instance

from skfleet_common.settings import Settings
from skfleet_worker.interruptions import TRIES, Interruption, InterruptionWatch, interruption_watch
from skfleet_worker.metadata import SPOT_NOTICE_SECONDS, InstanceMetadata


@pytest.fixture
def instance() -> Iterator[Instance]:
    """A metadata service of the test's own."""
    with played_instance() as instance:
        yield instance


@pytest.fixture
def told(instance: Instance) -> Iterator[queue.Queue[Interruption]]:
    """What a watch of the instance tells."""
    told: queue.Queue[Interruption] = queue.Queue()
    watch = InterruptionWatch(InstanceMetadata(instance.url), tell=told.put, every_seconds=0.02)
    watch.start()
    yield told
    watch.stop()


def test_without_notices_nothing_is_told(instance: Instance, told: queue.Queue[Interruption]) -> None:
    eventually(lambda: instance.asked.count(f"GET {REBALANCE}") > 3)
    assert told.empty()
    assert instance.asked.count("PUT /latest/api/token") == 1


def test_a_spot_notice_says_how_long_is_left_by_the_clock_of_its_host(
    instance: Instance, told: queue.Queue[Interruption]
) -> None:
    instance.take_away("2020-01-01T00:01:30Z")
    assert told.get(timeout=20) == Interruption("the spot instance is taken away", 90.0)


def test_a_rebalance_is_told_once_and_a_spot_notice_after_it_still_is(
    instance: Instance, told: queue.Queue[Interruption]
) -> None:
    instance.recommend_rebalance()
    assert told.get(timeout=20) == Interruption("a rebalance is recommended", None)
    polls = instance.asked.count(f"GET {SPOT}")
    eventually(lambda: instance.asked.count(f"GET {SPOT}") > polls + 3)
    assert told.empty()
    instance.take_away()
    assert told.get(timeout=20).seconds == 90.0


def test_a_token_that_is_refused_is_replaced(instance: Instance, told: queue.Queue[Interruption]) -> None:
    eventually(lambda: instance.tokens)
    instance.tokens.clear()
    instance.take_away()
    assert told.get(timeout=20).seconds == 90.0


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        ('{"action": "stop", "time": "2019-12-31T23:59:00Z"}', 0.0),
        ('{"action": "stop", "time": "2020-01-02T00:00:00Z"}', SPOT_NOTICE_SECONDS),
        ('{"action": "hibernate"}', SPOT_NOTICE_SECONDS),
        ('{"action": "stop", "time": "soon"}', SPOT_NOTICE_SECONDS),
        ("[]", SPOT_NOTICE_SECONDS),
        ("not JSON", SPOT_NOTICE_SECONDS),
    ],
)
def test_a_notice_that_makes_no_sense_is_one_all_the_same(
    instance: Instance, body: str, seconds: float
) -> None:
    instance.bodies[SPOT] = body
    assert InstanceMetadata(instance.url).spot_seconds() == seconds


def test_no_proxy_is_asked(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert InstanceMetadata(instance.url).spot_seconds() is None


def test_where_there_is_no_such_service_the_watch_says_so_once_and_asks_seldom() -> None:
    with played_instance() as gone:
        pass
    told: list[Interruption] = []
    with capture_logs() as logs:
        watch = InterruptionWatch(InstanceMetadata(gone.url), tell=told.append, every_seconds=0.01)
        watch.start()
        eventually(lambda: logs)
        # By now it would have failed several times more.
        time.sleep(0.1)
        watch.stop()
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [("interruptions.unavailable", "info")]
    assert told == []


def test_a_service_that_answered_once_is_never_given_up(instance: Instance) -> None:
    class Shaky:
        """Answers, fails more often than a watch tries at first, and answers again."""

        def __init__(self) -> None:
            self.calls = 0

        def spot_seconds(self) -> float | None:
            self.calls += 1
            if 1 < self.calls <= 2 * TRIES:
                raise ConnectionResetError
            return None if self.calls == 1 else 60.0

        def is_rebalance_recommended(self) -> bool:
            return False

    told: queue.Queue[Interruption] = queue.Queue()
    InterruptionWatch(Shaky(), tell=told.put, every_seconds=0.01).start()
    assert told.get(timeout=20).seconds == 60.0


def test_a_service_that_never_answers_delays_nothing(instance: Instance) -> None:
    began = time.monotonic()
    watch = InterruptionWatch(InstanceMetadata("http://192.0.2.1"), tell=lambda _notice: None)
    watch.start()
    watch.stop()
    assert time.monotonic() - began < 1.0


@pytest.mark.parametrize(
    ("url", "disabled", "is_on"),
    [
        (None, "", True),
        (None, "false", True),
        (None, "True", False),
        # Whoever names an address wants it asked.
        ("http://169.254.169.254", "True", True),
        ("off", "", False),
    ],
)
def test_the_watch_is_turned_off_by_the_setting_or_as_for_any_aws_client(
    url: str | None, disabled: str, *, is_on: bool
) -> None:
    watch = interruption_watch(
        Settings() if url is None else Settings(metadata_url=url),
        tell=lambda _notice: None,
        environ={"AWS_EC2_METADATA_DISABLED": disabled},
    )
    assert (watch is not None) is is_on

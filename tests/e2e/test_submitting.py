"""The same request is the same job, whatever happens to who submits it; waiting and exit codes."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator

import psutil
import pytest

from skfleet.local.stack import Stack
from skfleet_common.contracts.jobs import JobRecord
from skfleet_common.contracts.states import JobState
from tests.conftest import eventually
from tests.e2e.world import SKFLEET, Answer, World, clean_environment

TIMED_OUT, INTERRUPTED, REFUSED, USAGE = 124, 130, 3, 2


@pytest.fixture(scope="module", autouse=True)
def model(world: World) -> None:
    """A model for a table of 100 rows."""
    world.sql("CREATE TABLE public.hundred AS SELECT * FROM public.flights WHERE id <= 100")
    trained = world.cli(
        *["train", "--table", "public.flights", "--target", "arr_late", "--id-column", "id"],
        *[
            "--name",
            "submitted",
            "--where",
            "id % 50 = 0",
            "--exclude",
            "arr_time,arr_delay,air_time,tailnum",
        ],
    )
    assert trained.code == 0, trained.err


@pytest.fixture
def idle(world: World) -> Iterator[Stack]:
    """The stack without workers, so that jobs stay where they are; two workers again afterwards."""
    stack = Stack(world.home)
    stack.up(workers=0, durable=False)
    yield stack
    stack.up(workers=2, durable=False)


def words(output: str, *more: str) -> list[str]:
    """The predict command of these tests."""
    usual = ["--table", "public.hundred", "--id-column", "id", "--output-table", f"public.{output}"]
    return ["predict", "--model", "submitted", *usual, *more]


def submitted(answer: Answer) -> str:
    """The id that predict printed."""
    assert answer.code == 0, answer.err
    return answer.out.strip()


def start(world: World, command: list[str]) -> subprocess.Popen[str]:
    """Start a command that will be interrupted."""
    return subprocess.Popen(
        [*SKFLEET, *command],
        env=clean_environment() | {"SKFLEET_HOME": str(world.home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_same_request_is_the_same_job_while_it_lives(world: World, idle: Stack) -> None:
    first = submitted(world.cli(*words("same_scores")))
    assert submitted(world.cli(*words("same_scores"))) == first
    assert submitted(world.cli(*words("other_scores"))) != first
    idle.up(workers=2, durable=False)
    assert world.cli("wait", first).code == 0
    again = world.cli(*words("same_scores", "--if-exists", "replace"))
    assert submitted(again) != first


def test_a_token_is_one_job_for_ever_and_of_one_request(world: World) -> None:
    first = submitted(world.cli(*words("token_scores", "--token", "nightly-7")))
    assert world.cli("wait", first).code == 0
    assert submitted(world.cli(*words("token_scores", "--token", "nightly-7"))) == first
    other = world.cli(*words("some_other_scores", "--token", "nightly-7"))
    assert other.code == REFUSED
    assert first in other.sentence
    assert world.cli(*words("token_scores", "--token", "")).code == USAGE


def test_a_producer_that_died_while_sending_is_resumed_by_the_same_request(world: World, idle: Stack) -> None:
    first = submitted(world.cli(*words("resumed_scores", "--chunk-rows", "10")))
    tracker, queue = world.fleet.cloud.tracker, world.fleet.cloud.queue
    lost = [queue.receive(limit=10, wait_seconds=1) for _ in range(2)]
    for delivery in (delivery for batch in lost for delivery in batch):
        queue.ack(delivery)
    set_state(world, tracker.job(first), JobState.SUBMITTING)
    again = submitted(world.cli(*words("resumed_scores", "--chunk-rows", "10")))
    assert again == first
    idle.up(workers=2, durable=False)
    assert world.cli("wait", first).code == 0
    assert world.sql("SELECT count(*), count(DISTINCT id) FROM public.resumed_scores") == [(100, 100)]


def set_state(world: World, record: JobRecord, state: JobState) -> None:
    """Put a job back to where its producer died; no verb of the product does that."""
    tracker = world.fleet.cloud.tracker
    tracker.client.update_item(
        TableName=tracker.name,
        Key={"pk": {"S": f"job#{record.job}"}, "sk": {"S": "job"}},
        UpdateExpression="SET #state = :state",
        ExpressionAttributeNames={"#state": "state"},
        ExpressionAttributeValues={":state": {"S": state.value}},
    )


def test_a_wait_that_times_out_exits_with_124_and_the_job_goes_on(world: World, idle: Stack) -> None:
    job = submitted(world.cli(*words("slow_scores")))
    timed_out = world.cli("wait", job, "--timeout", "0.5")
    assert timed_out.code == TIMED_OUT
    assert f"skfleet wait {job}" in timed_out.sentence
    idle.up(workers=2, durable=False)
    assert world.cli("wait", job).code == 0


def test_an_interrupted_wait_detaches_and_says_how_to_go_on(world: World, idle: Stack) -> None:
    job = submitted(world.cli(*words("detached_scores")))
    waiting = start(world, ["wait", job])
    assert waiting.stderr is not None
    assert "Using" in waiting.stderr.readline()
    eventually(lambda: has_connected(waiting.pid))
    waiting.send_signal(signal.SIGINT)
    _, said = waiting.communicate(timeout=30)
    assert waiting.returncode == INTERRUPTED
    assert f"skfleet wait {job}" in said
    assert world.fleet.cloud.tracker.job(job).state is JobState.RUNNING
    idle.up(workers=2, durable=False)
    assert world.cli("wait", job).code == 0


def has_connected(pid: int) -> bool:
    """Whether the process talks to a server: it is past its imports."""
    return bool(psutil.Process(pid).net_connections())


def test_an_interrupted_submission_cancels_its_job(world: World, idle: Stack) -> None:
    before = {job.id for job in world.fleet.jobs(100)}
    sending = start(world, words("cancelled_scores", "--table", "public.flights", "--chunk-rows", "40"))
    found = eventually(
        lambda: [job for job in world.fleet.jobs(100) if job.id not in before], within_seconds=60
    )
    sending.send_signal(signal.SIGINT)
    _, said = sending.communicate(timeout=60)
    assert sending.returncode == INTERRUPTED
    assert f"Job {found[0].id} was cancelled." in said
    assert found[0].status().state is JobState.CANCELLED
    idle.up(workers=2, durable=False)
    eventually(world.queue_is_empty, within_seconds=120)
    assert world.sql("SELECT to_regclass('public.cancelled_scores')") == [(None,)]
    assert world.cli("wait", found[0].id).code == 1


def test_a_second_job_for_the_same_output_is_told_of_the_first(world: World, idle: Stack) -> None:
    first = submitted(world.cli(*words("shared_scores")))
    second = world.cli(*words("shared_scores", "--where", "id <= 10"))
    assert f"Note: public.shared_scores is also the output of {first}, not ended yet" in second.err
    for job in (first, submitted(second)):
        assert world.cli("cancel", job).code == 0
        assert world.cli("wait", job).code == 1
    assert "also the output" not in world.cli(*words("shared_scores", "--dry-run")).err


def test_append_adds_and_replace_replaces(world: World) -> None:
    for flags, rows in ([], 40), (["--if-exists", "append"], 100), (["--if-exists", "replace"], 60):
        where = "id <= 40" if not flags else "id > 40"
        answer = world.cli(*words("grown_scores", "--where", where, "--wait", "--json", *flags))
        assert answer.code == 0, answer.err
        assert world.sql("SELECT count(*), count(DISTINCT id) FROM public.grown_scores") == [(rows, rows)]


def test_columns_choose_outputs_and_carry_source_columns_along(world: World) -> None:
    for asked, columns in {
        "proba_true": ["id", "proba_true"],
        "carrier,time_hour": ["id", "carrier", "time_hour", "prediction", "proba_false", "proba_true"],
        "prediction,dest": ["id", "dest", "prediction"],
    }.items():
        answer = world.cli(
            *words("chosen_scores", "--columns", asked, "--wait", "--json", "--if-exists", "replace")
        )
        assert answer.code == 0, answer.err
        assert list(world.frame("SELECT * FROM public.chosen_scores LIMIT 1").columns) == columns
    joined = world.sql("SELECT count(*) FROM public.chosen_scores JOIN public.hundred h USING (id, dest)")
    assert joined == [(100,)]


def test_a_dry_run_sends_nothing(world: World) -> None:
    before = len(world.fleet.jobs(100))
    answer = world.cli(*words("dry_scores", "--chunk-rows", "30", "--dry-run", "--json"))
    assert answer.code == 0, answer.err
    assert (answer.json["rows"], answer.json["chunks"]) == (100, 4)
    assert (
        answer.json["min_chunk_rows"] <= answer.json["mean_chunk_rows"] <= answer.json["max_chunk_rows"] <= 30
    )
    assert world.queue_is_empty()
    assert len(world.fleet.jobs(100)) == before
    assert world.sql("SELECT to_regclass('public.dry_scores')") == [(None,)]


def test_stdout_of_every_listing_is_one_json_object(world: World) -> None:
    for command, schema in {"jobs": "skfleet.jobs/1", "models": "skfleet.models/1"}.items():
        answer = world.cli(command, "--json")
        assert answer.code == 0
        assert json.loads(answer.out)["schema"] == schema
    assert world.cli("local", "status", "--json").json["schema"] == "skfleet.local-status/1"
    assert world.cli("local", "env", "--json").json["schema"] == "skfleet.local-env/1"

"""The local stack on the real thing: processes, ports, files, signals."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import psutil
import psycopg2
import pytest
from tests.conftest import eventually
from tests.integration.local_place import ENVIRONMENT, SKFLEET, Place, clear, kill, make_place, modes, query

from skfleet.local.processes import MARK
from skfleet.local.stack import running_settings
from skfleet_common.aws.session import connect_cloud
from skfleet_common.contracts.workers import WorkerPresence
from skfleet_common.settings import Settings


@pytest.fixture
def place() -> Iterator[Place]:
    made = make_place()
    yield made
    clear(made)


@pytest.fixture(scope="module")
def shared_place() -> Iterator[Place]:
    made = make_place()
    yield made
    clear(made)


@pytest.fixture
def running(shared_place: Place) -> Place:
    """A stack without workers; tests may do anything to it that the next ``up`` heals."""
    shared_place.stack.up(workers=0, durable=False)
    return shared_place


def test_tables_messages_objects_and_addresses_survive_down_and_up(running: Place) -> None:
    before = running.stack.status()
    cloud = connect_cloud(running.stack.settings())
    query(before.postgres_dsn, "CREATE TABLE kept AS SELECT 42 AS answer")
    cloud.queue.send(["a message"])
    cloud.store.put("an/object", b"bytes")
    known = WorkerPresence(worker="w", host="h", supervisor_pid=1, seen_at=datetime.now(UTC))
    cloud.tracker.announce(known, ttl_seconds=3600)

    running.stack.down()
    assert running.processes() == []
    after = running.stack.up(workers=0, durable=False)

    assert after.notices == ()
    assert after == before
    cloud = connect_cloud(running.stack.settings())
    assert query(after.postgres_dsn, "SELECT answer FROM kept") == [(42,)]
    deliveries = eventually(lambda: cloud.queue.receive(limit=1, wait_seconds=1))
    assert [delivery.body for delivery in deliveries] == ["a message"]
    assert cloud.store.get("an/object") == b"bytes"
    assert known in cloud.tracker.workers()


def test_nothing_listens_off_the_loopback_address(running: Place) -> None:
    listening = {
        connection.laddr.ip
        for process in running.processes()
        for connection in process.net_connections()
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}


def test_a_second_up_keeps_what_runs(running: Place) -> None:
    before = running.state()
    assert running.run("up", "--workers", "0").returncode == 0
    assert running.state() == before


def test_the_role_owns_its_database_and_is_no_superuser(running: Place) -> None:
    dsn = running.stack.status().postgres_dsn
    assert query(dsn, "SELECT current_user, current_setting('is_superuser')") == [("skfleet", "off")]
    owners = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()"
    assert query(dsn, owners) == [("skfleet",)]
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        query(dsn, "COPY (SELECT 1) TO PROGRAM 'true'")


def test_a_password_is_needed_and_stands_in_no_command_line_or_log(running: Place) -> None:
    dsn = str(running.stack.status().postgres_dsn)
    with pytest.raises(psycopg2.OperationalError):
        query(dsn.replace("skfleet:", "skfleet:x"), "SELECT 1")
    passwords = json.loads((running.home / "passwords.json").read_bytes())
    secrets = [passwords["superuser"], passwords["role"]]
    words = [word for process in running.processes() for word in process.cmdline()]
    logs = [path.read_text() for path in (running.home / "logs").iterdir()]
    assert not [text for text in words + logs for secret in secrets if secret in text]
    for name in ("passwords.json", "stack.json"):
        assert stat.S_IMODE((running.home / name).stat().st_mode) == 0o600


def test_a_crash_of_the_emulator_is_told_and_costs_neither_objects_nor_tables(running: Place) -> None:
    settings = running.stack.settings()
    connect_cloud(settings).store.put("survives", b"a crash")
    query(settings.warehouse_url, "CREATE TABLE survivor AS SELECT 1 AS one")
    kill(running.pid("emulator"))

    broken = running.run("status", "--json")
    assert broken.returncode == 4
    assert "AWS emulator does not run" in json.loads(broken.stdout)["notices"][0]
    again = running.run("up", "--json")

    assert again.returncode == 0, again.stderr
    assert "had not stopped cleanly" in json.loads(again.stdout)["notices"][0]
    assert "had not stopped cleanly" in " ".join(again.stderr.split())
    settings = running.stack.settings()
    assert connect_cloud(settings).store.get("survives") == b"a crash"
    assert query(settings.warehouse_url, "SELECT one FROM survivor") == [(1,)]


def test_a_killed_database_is_started_again_with_what_was_committed(running: Place) -> None:
    dsn = running.stack.status().postgres_dsn
    query(dsn, "CREATE TABLE committed AS SELECT 1 AS one")
    kill(running.pid("postgres"))
    assert not running.stack.status().running
    running.stack.up(durable=False)
    assert query(dsn, "SELECT one FROM committed") == [(1,)]


def test_env_lets_a_shell_and_boto3_join(running: Place) -> None:
    printed = running.run("env")
    script = """
import boto3, os
print(boto3.client("s3").list_buckets()["Buckets"][0]["Name"], os.environ["SKFLEET_HOME"])
"""
    joined = subprocess.run(
        ["/bin/sh", "-c", 'eval "$1"; exec "$2" -c "$3"', "sh", printed.stdout, sys.executable, script],
        env=ENVIRONMENT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert joined.stdout.strip() == f"skfleet-local {running.home}"
    as_json = json.loads(running.run("env", "--json").stdout)
    assert as_json["variables"] == running.stack.environment()


def test_env_leads_around_a_proxy(running: Place) -> None:
    printed = running.run("env", http_proxy="http://proxy.example:3128", no_proxy="corp.example")
    assert "export no_proxy=corp.example,127.0.0.1" in printed.stdout.splitlines()


def test_commands_talk_to_the_running_stack_unless_settings_name_another(running: Place) -> None:
    local = running_settings(Settings(home=running.home))
    assert local is not None
    assert (local.bucket, local.home) == ("skfleet-local", running.home)
    assert running_settings(Settings(home=running.home, fleet="other")).fleet == "other"  # type: ignore[union-attr]
    assert running_settings(Settings(home=running.home, bucket="somewhere-else")) is None
    assert running_settings(Settings(home=running.home, aws_endpoint_url="http://127.0.0.1:9")) is None


def test_another_region_is_refused_while_one_runs(running: Place) -> None:
    refused = running.run("up", SKFLEET_REGION="eu-west-1")
    assert refused.returncode == 2
    assert "skfleet local down" in refused.stderr


def test_another_fleet_gets_a_queue_of_its_own_on_the_stack_that_runs(running: Place) -> None:
    before = running.state()
    joined = running.run("up", SKFLEET_FLEET="other")
    assert joined.returncode == 0, joined.stderr
    assert running.state() == before
    first, other = (
        connect_cloud(running_settings(Settings(home=running.home, fleet=fleet)))  # type: ignore[arg-type]
        for fleet in (running.stack.settings().fleet, "other")
    )
    other.queue.send(["for the other"])
    assert [taken.body for taken in other.queue.receive(limit=1, wait_seconds=1)] == ["for the other"]
    assert "for the other" not in [taken.body for taken in first.queue.receive(limit=10, wait_seconds=0)]


def test_a_process_that_only_has_a_recorded_pid_is_never_signalled(running: Place) -> None:
    running.stack.down()
    with subprocess.Popen(["sleep", "600"]) as foreign:
        created = psutil.Process(foreign.pid).create_time()
        state = running.state()
        for shift in (0.0, -1000.0):  # the same start by chance, and one from before a reboot
            state["processes"] = {
                part: {"pid": foreign.pid, "created": created + shift}
                for part in ("emulator", "postgres", "worker-1")
            }
            (running.home / "stack.json").write_text(json.dumps(state))
            assert not running.stack.status().running
            running.stack.down()
            assert foreign.poll() is None
        foreign.kill()


def test_a_copied_state_folder_is_another_stack(running: Place) -> None:
    copy = make_place()
    try:
        shutil.copytree(running.home, copy.home, ignore=shutil.ignore_patterns("postgres", "aws", "cache"))
        assert not copy.stack.status().running
        copy.stack.down()
        assert running.stack.status().running
    finally:
        clear(copy)


@pytest.mark.parametrize("command", ["up", "status", "down", "env"])
def test_the_state_of_a_newer_skfleet_is_refused(place: Place, command: str) -> None:
    place.home.mkdir()
    (place.home / "stack.json").write_text('{"schema_version": 2, "token": "of tomorrow"}')
    refused = place.run(command)
    (place.home / "stack.json").unlink()
    assert refused.returncode == 4
    assert "newer skfleet" in " ".join(refused.stderr.split())


@pytest.mark.parametrize("command", ["status", "env"])
def test_a_stack_that_is_not_up_is_said_with_exit_code_4(place: Place, command: str) -> None:
    answer = place.run(command)
    assert answer.returncode == 4
    assert "skfleet local up" in answer.stderr
    assert not place.home.exists()


def test_down_without_a_stack_is_no_error(place: Place) -> None:
    assert place.run("down").returncode == 0
    assert json.loads(place.run("down", "--json").stdout)["running"] is False


def test_a_number_of_workers_that_cannot_be_is_refused(place: Place) -> None:
    assert place.run("up", "--workers", "-1").returncode == 2
    assert not place.home.exists()


def test_a_state_folder_that_cannot_be_made_is_refused(place: Place) -> None:
    place.home.write_text("not a folder")
    refused = place.run("up", "--workers", "0")
    assert refused.returncode == 4
    assert "SKFLEET_HOME" in refused.stderr
    place.home.unlink()


def test_a_folder_that_is_there_keeps_its_mode_and_owner_and_no_user_is_made(place: Place) -> None:
    place.home.mkdir(mode=0o750)
    around = [place.home, *place.home.parents, Path(sys.prefix), *Path(sys.prefix).parents]
    before, users = modes(*around), Path("/etc/passwd").read_bytes()
    place.stack.up(workers=0, durable=False)
    assert (modes(*around), Path("/etc/passwd").read_bytes()) == (before, users)


def test_a_folder_that_others_cannot_enter_will_do(place: Place) -> None:
    place.folder.chmod(0o700)
    dsn = place.stack.up(workers=0, durable=False).postgres_dsn
    query(dsn, "CREATE TABLE kept AS SELECT 1 AS one")
    place.stack.down()
    assert query(place.stack.up(workers=0, durable=False).postgres_dsn, "SELECT one FROM kept") == [(1,)]
    assert stat.S_IMODE(place.folder.stat().st_mode) == 0o700
    link = place.home / "postgres"
    assert link.is_symlink() == (os.geteuid() == 0)
    assert stat.S_IMODE(link.stat().st_mode) == 0o700


def test_a_missing_private_folder_is_told(place: Place) -> None:
    place.stack.up(workers=0, durable=False)
    place.stack.down()
    database = place.home / "postgres"
    shutil.rmtree(database.resolve())
    if not database.is_symlink():
        database.symlink_to(place.folder / "gone")
    assert "tables with it" in place.stack.up(workers=0, durable=False).notices[0]


def test_up_works_with_every_standard_stream_closed(place: Place) -> None:
    closed = 'exec "$@" <&- >&- 2>&-'
    done = subprocess.run(
        ["/bin/sh", "-c", closed, "sh", *SKFLEET, "up", "--workers", "0"],
        cwd=place.folder, env={"HOME": "/", "PATH": "/usr/bin:/bin"}, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0
    assert place.stack.status().running


def test_a_taken_port_is_replaced_and_said(place: Place) -> None:
    place.stack.up(workers=0, durable=False)
    place.stack.down()
    port = place.state()["ports"]["postgres"]
    with socket.socket() as other:
        # Connections that PostgreSQL closed still wait on its port.
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        status = place.stack.up(workers=0, durable=False)
    assert f"Port {port} is taken" in status.notices[0]
    assert query(status.postgres_dsn, "SELECT 1") == [(1,)]


def test_two_ups_at_the_same_time_make_one_stack(place: Place) -> None:
    both = [place.begin("up", "--workers", "0") for _ in range(2)]
    assert [up.wait(timeout=120) for up in both] == [0, 0]
    marks = [process.environ().get(MARK, "") for process in place.processes()]
    assert sorted(mark.split(":")[1] for mark in marks if mark) == ["emulator", "postgres"]


@pytest.mark.parametrize(
    ("number", "moment"),
    [
        (signal.SIGINT, "emulator"),
        (signal.SIGINT, "postgres"),
        (signal.SIGINT, "worker-1"),
        (signal.SIGTERM, "worker-2"),
    ],
)
def test_an_interrupted_up_leaves_no_process(place: Place, number: signal.Signals, moment: str) -> None:
    up = place.begin("up", "--workers", "2")
    eventually(lambda: place.pid(moment))
    up.send_signal(number)
    assert up.wait(timeout=60) == 130
    assert place.processes() == []
    assert place.state()["processes"] == {}


def test_an_interrupted_up_leaves_alone_what_ran_before(running: Place) -> None:
    before = running.state()
    up = running.begin("up", "--workers", "1")
    eventually(lambda: running.pid("worker-1"))
    up.send_signal(signal.SIGINT)
    assert up.wait(timeout=60) == 130
    assert running.state() == before
    assert running.stack.status().running


def test_foreground_stays_until_it_is_interrupted_and_stops_all(place: Place) -> None:
    up = place.begin("up", "--workers", "0", "--foreground")
    eventually(
        lambda: place.home.exists() and place.stack.status().running and place.run("env").returncode == 0
    )
    assert up.poll() is None
    up.send_signal(signal.SIGINT)
    assert up.wait(timeout=60) == 130
    assert place.processes() == []


def scorers(place: Place) -> Callable[[], set[int]]:
    def look() -> set[int]:
        return {pid for worker in place.stack.status().workers for pid in worker.scorer_pids}

    return look


def test_workers_come_go_and_are_replaced(running: Place) -> None:
    status = running.stack.up(workers=2)
    first, second = status.workers
    assert (first.worker, second.worker) == ("worker-1", "worker-2")
    assert first.alive
    assert first.scorer_pids
    assert second.scorer_pids

    victim = first.scorer_pids[0]
    kill(victim)
    expected = len(first.scorer_pids) + len(second.scorer_pids)
    look = scorers(running)
    eventually(lambda: len(look()) == expected and victim not in look())

    fewer = running.stack.up(workers=1)
    assert [worker.supervisor_pid for worker in fewer.workers] == [first.supervisor_pid]
    assert not psutil.pid_exists(second.supervisor_pid)

    kill(first.supervisor_pid)
    eventually(lambda: "worker-1 does not run" in " ".join(running.stack.status().notices))
    healed = running.stack.up()
    assert [worker.worker for worker in healed.workers] == ["worker-1"]
    assert healed.workers[0].supervisor_pid != first.supervisor_pid

    running.stack.down()
    assert running.processes() == []

"""What surrounds a worker may break: its fork server, its log, its disk, the metadata that it asks."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil
from tests.conftest import eventually
from tests.instance_metadata import played_instance
from tests.integration.worker_fleet import Fleet, Worker

from skfleet_common.contracts.states import JobState

RUN = (sys.executable, "-m", "skfleet_worker", "run")


def _fork_server(worker: Worker, *, but: int = 0) -> psutil.Process | None:
    for child in psutil.Process(worker.process.pid).children():
        # A scorer may end, or begin to be another program, while it is looked at.
        with suppress(psutil.Error):
            if child.pid != but and "forkserver" in " ".join(child.cmdline()):
                return child
    return None


def _kill_fork_server(worker: Worker, *, but: int = 0) -> int:
    server: psutil.Process = eventually(lambda: _fork_server(worker, but=but))
    server.kill()
    return server.pid


@contextmanager
def _running(
    fleet: Fleet, environment: dict[str, str], *, stderr: str = "worker.stderr"
) -> Iterator[subprocess.Popen[bytes]]:
    with (fleet.folder / stderr).open("wb") as sink:
        process = subprocess.Popen(
            RUN, env=environment, stderr=sink, cwd=fleet.folder, start_new_session=True
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_a_worker_outlives_its_fork_server_at_any_moment(fleet: Fleet) -> None:
    worker = fleet.start_worker()
    # While it imports, before there is any scorer; and again, after there was one.
    first = _kill_fork_server(worker)
    job = fleet.submit(rows=1_000, table="gated")
    with fleet.gate_shut():
        fleet.wait_at_gate()
        second = _kill_fork_server(worker, but=first)
        for scorer in worker.scorers():
            scorer.kill()
        _kill_fork_server(worker, but=second)
    assert fleet.wait(job).state is JobState.SUCCEEDED
    assert worker.process.poll() is None
    assert "Traceback" not in worker.log.read_text()


def test_a_log_that_cannot_be_written_costs_no_work(fleet: Fleet) -> None:
    job = fleet.submit(rows=1_000)
    with _running(fleet, fleet.environment(), stderr="/dev/full") as process:
        assert fleet.wait(job).state is JobState.SUCCEEDED
        process.terminate()
        assert process.wait(timeout=60) == 0


def test_a_scratch_folder_that_cannot_be_made_is_one_sentence(fleet: Fleet) -> None:
    cache = fleet.folder / "broken-cache"
    cache.mkdir(mode=0o700)
    (cache / "scratch").write_text("")
    done = subprocess.run(
        RUN,
        env=fleet.environment(cache_dir=cache),
        cwd=fleet.folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 4
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("skfleet-worker: The scratch folder ")
    assert "SKFLEET_CACHE_DIR" in last
    assert "Traceback" not in done.stderr


def test_metadata_that_somebody_names_is_asked_even_where_aws_clients_ask_none(fleet: Fleet) -> None:
    with played_instance() as instance:
        instance.recommend_rebalance()
        environment = fleet.environment(metadata_url=instance.url) | {"AWS_EC2_METADATA_DISABLED": "true"}
        with _running(fleet, environment) as process:
            assert process.wait(timeout=60) == 0


def test_a_host_that_fails_whatever_it_takes_costs_no_job(fleet: Fleet) -> None:
    fleet.sql(
        "CREATE OR REPLACE VIEW slow AS SELECT * FROM flights"
        " WHERE CASE WHEN id % 400 = 1 THEN pg_sleep(1.5)::text = '' ELSE true END"
    )
    good = fleet.start_worker(max_attempts=1, cache_dir=fleet.folder / "good")
    bad = fleet.start_worker(max_attempts=1, cache_dir=fleet.folder / "bad")
    good.wait_for("scorer.ready")
    bad.wait_for("scorer.ready")
    # As cleaners of temporary files do.
    shutil.rmtree(next((fleet.folder / "bad" / "scratch").glob("*/scorer-0")))
    job = fleet.submit(rows=4_000, chunk_rows=400, table="slow")
    assert fleet.wait(job).state is JobState.SUCCEEDED
    fleet.assert_published(job, rows=4_000)
    assert bad.said("worker.rests")

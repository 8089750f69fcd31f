"""The place: a local stack of the suite's own, the wire to its cloud, and two workers that stay up."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy.typing as npt
import pandas as pd
import psycopg2
from tests.chaos.host import FAN_IN
from tests.chaos.wire import Wire
from tests.chaos.workers import Worker
from tests.integration.worker_fleet import MODEL, fit_files

from skfleet.api import Fleet
from skfleet.local.home import StateFolder
from skfleet.local.processes import MARK
from skfleet.local.stack import Stack
from skfleet.local.state import load_state
from skfleet_common.aws.session import Cloud, connect_cloud
from skfleet_common.model.bundle import MANIFEST_FILE, digest_of, open_bundle, read_manifest
from skfleet_common.settings import Settings

#: Short, so that what a lease or an allowance heals is healed within a run.
LEASE_SECONDS = 3
HEARTBEAT_SECONDS = 0.75
ALLOWANCE_SECONDS = 3.0
STATEMENT_SECONDS = 2
POLL_SECONDS = 1
#: So that caretakers, too, are at work in every run.
CARE_SECONDS = 1.0
STALL_SECONDS = 5.0
COPY_SECONDS = 2.0
#: Several faults may hit the same chunk, each of which costs it an attempt or two.
MAX_ATTEMPTS = 8
#: More than the parts of any trial need, and filled within a moment.
SCRATCH_BYTES = 4 * 1024 * 1024
#: The second supervisor's clock can be set.
WORKERS = ("ordinary", "clockwork")


class Place:
    """Everything that trials share."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        home = folder / "home"
        self._settings = Settings(
            fleet="chaos",
            home=home,
            lease_seconds=LEASE_SECONDS,
            heartbeat_seconds=HEARTBEAT_SECONDS,
            poll_seconds=POLL_SECONDS,
        )
        self.stack = Stack(home, self._settings)
        self.stack.up(workers=0, durable=False)
        state = load_state(StateFolder(home))
        assert state is not None
        self.token = state.token
        self.settings = self.stack.settings()
        assert self.settings.warehouse_url is not None
        assert self.settings.aws_endpoint_url is not None
        self.url = self.settings.warehouse_url
        environment = _clean(os.environ) | self.stack.environment()
        self.wire = Wire(
            self.settings.aws_endpoint_url,
            environment=environment | {MARK: f"{self.token}:wire"},
            folder=folder,
        )
        self.wire.start()
        #: As a user has it, with all faults in between.
        self.fleet = Fleet(self.settings.model_copy(update={"aws_endpoint_url": self.wire.url}))
        self.fleet.cloud = _narrow(self.fleet.cloud)
        #: What the suite itself looks at and mends with.
        self.cloud: Cloud = _narrow(connect_cloud(self.settings))
        self.environment = environment | {
            "SKFLEET_AWS_ENDPOINT_URL": self.wire.url,
            "AWS_ENDPOINT_URL": self.wire.url,
            MARK: f"{self.token}:producer",
        }
        self.workers = [self._worker(name) for name in WORKERS]
        self.has_small_scratch = all(_mount_scratch(worker.cache / "scratch") for worker in self.workers)
        self._files = fit_files(null_policy="missing")
        self._predicted: dict[int, tuple[npt.NDArray[Any], npt.NDArray[Any]]] = {}
        self._stamped = 0
        self.digest = self.new_bundle()

    @property
    def state_folder(self) -> StateFolder:
        """The stack's own folder."""
        return StateFolder(self.folder / "home")

    @property
    def output_columns(self) -> str:
        """The columns of an output table, as CREATE TABLE wants them."""
        manifest = read_manifest(self._files[MANIFEST_FILE], digest=digest_of(self._files[MANIFEST_FILE]))
        columns = [f"{column.name} {column.warehouse_type}" for column in manifest.output_columns()]
        return ", ".join(["id bigint NOT NULL", *columns])

    def settle(self) -> None:
        """Bring up whatever a trial has ended, and wait until all is ready."""
        for worker in self.workers:
            if not worker.is_alive:
                worker.start()
        for worker in self.workers:
            worker.wait_until_ready()

    def restore_servers(self) -> None:
        """Start the emulator and the database if they do not run."""
        self.stack.up(workers=0, durable=False)

    def predict(self, frame: pd.DataFrame) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Give the model's predictions and probabilities; all bundles of the place hold the same model."""
        key = int(pd.util.hash_pandas_object(frame).sum())
        if key not in self._predicted:
            bundle = open_bundle(self._files, digest=digest_of(self._files[MANIFEST_FILE]))
            self._predicted[key] = bundle.predict(frame), bundle.predict_proba(frame)
        return self._predicted[key]

    def start_over(self) -> None:
        """End the workers and forget all messages: a trial that failed may still be going on."""
        for worker in self.workers:
            worker.kill()
        for queue in (self.cloud.queue, self.cloud.dead_letters):
            queue.client.purge_queue(QueueUrl=queue.url)

    def new_bundle(self) -> str:
        """Register a bundle that no worker has opened: the same model, made later; gives its digest."""
        files = self.bundle_files()
        self._stamped += 1
        digest = digest_of(files[MANIFEST_FILE])
        for name, raw in files.items():
            self.cloud.store.put(self.cloud.names.bundle_file(MODEL, digest, name), raw)
        return digest

    def bundle_files(self) -> dict[str, bytes]:
        """Give the files of the next bundle."""
        raw = self._files[MANIFEST_FILE]
        manifest = read_manifest(raw, digest=digest_of(raw))
        later = manifest.created_at + timedelta(seconds=self._stamped)
        return self._files | {MANIFEST_FILE: manifest.model_copy(update={"created_at": later}).to_json()}

    def sql(self, text: str, *values: object) -> list[tuple[Any, ...]]:
        """Run a statement as the warehouse's user and give its rows."""
        with closing(psycopg2.connect(self.url)) as connection, connection, connection.cursor() as cursor:
            cursor.execute(text, values or None)
            return cursor.fetchall() if cursor.description else []

    def close(self) -> None:
        """End everything; nothing of it stays."""
        for worker in self.workers:
            with suppress(subprocess.TimeoutExpired, AssertionError, OSError):
                if worker.is_alive:
                    for process in worker.family():
                        process.resume()
                    worker.drain(within_seconds=10.0)
        for worker in self.workers:
            worker.kill()
            _unmount(worker.cache / "scratch")
        self.wire.stop()
        self.cloud.close()
        # Ends by their mark also processes that nobody here knows of.
        self.stack.down()

    def _worker(self, name: str) -> Worker:
        given = {
            "lease_seconds": LEASE_SECONDS,
            "heartbeat_seconds": HEARTBEAT_SECONDS,
            "allowance_seconds": ALLOWANCE_SECONDS,
            "statement_seconds": STATEMENT_SECONDS,
            "poll_seconds": POLL_SECONDS,
            "metadata_url": "off",
            "max_attempts": MAX_ATTEMPTS,
            "care_seconds": CARE_SECONDS,
            "stall_seconds": STALL_SECONDS,
            "copy_seconds": COPY_SECONDS,
            "drain_seconds": 5,
            "scorers": 1,
            "batch_rows": 100,
        }
        environment = self.environment | {
            f"SKFLEET_{name.upper()}": str(value) for name, value in given.items()
        }
        return Worker(name, folder=self.folder, environment=environment, mark=f"{self.token}:{name}")


@contextmanager
def new_place() -> Iterator[Place]:
    """Make a place in a temporary folder; it goes whatever happens, but its logs stay if something failed."""
    folder = Path(tempfile.mkdtemp(prefix="skfleet-chaos-"))
    # The database's account must get through.
    folder.chmod(0o755)
    place = None
    try:
        place = Place(folder)
        place.settle()
        yield place
    finally:
        if place is not None:
            place.close()
        else:
            Stack(folder / "home").down()
        for scratch in folder.glob("*/cache/scratch"):
            _unmount(scratch)
        shutil.rmtree(folder, ignore_errors=True)


def _narrow(cloud: Cloud) -> Cloud:
    """Give the completion trees the fan-in that the place's workers have."""
    return replace(cloud, tracker=replace(cloud.tracker, fan_in=FAN_IN))


def _clean(environ: os._Environ[str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if not name.startswith(("SKFLEET_", "AWS_"))}


def _mount_scratch(folder: Path) -> bool:
    """Put a small file system where a worker writes; False where we may not, as an ordinary user."""
    folder.mkdir(parents=True, mode=0o700)
    if os.geteuid() != 0:
        return False
    options = f"size={SCRATCH_BYTES},mode=0700"
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "skfleet-chaos", str(folder)],
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


def _unmount(folder: Path) -> None:
    if os.path.ismount(folder):
        subprocess.run(["umount", "--lazy", str(folder)], capture_output=True, check=False)

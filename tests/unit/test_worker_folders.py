"""Folders: private, and cleaned of what dead workers left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from skfleet_common.contracts.errors import EnvironmentFault
from skfleet_common.settings import Settings
from skfleet_worker.folders import Scratch, cache_folder, fresh_seat


def test_only_its_user_may_look_into_the_cache(tmp_path: Path) -> None:
    folder = cache_folder(Settings(cache_dir=tmp_path / "cache"))
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_cache_that_cannot_be_made_is_refused_with_its_setting(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EnvironmentFault, match="SKFLEET_CACHE_DIR"):
        cache_folder(Settings(cache_dir=tmp_path / "file" / "cache"))


def test_scratch_goes_with_its_worker(tmp_path: Path) -> None:
    with Scratch(tmp_path, "w1").held():
        (fresh_seat(tmp_path, "w1", 0) / "part.parquet").touch()
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_new_scorer_finds_its_seat_empty(tmp_path: Path) -> None:
    with Scratch(tmp_path, "w1").held():
        (fresh_seat(tmp_path, "w1", 0) / "part.parquet").touch()
        assert list(fresh_seat(tmp_path, "w1", 0).iterdir()) == []


def test_a_worker_removes_the_scratch_of_a_killed_one_but_not_of_a_living_one(tmp_path: Path) -> None:
    hold = (
        "import sys; from pathlib import Path; from skfleet_worker.folders import Scratch\n"
        "with Scratch(Path(sys.argv[1]), sys.argv[2]).held(): print(flush=True); sys.stdin.read()"
    )
    others = {
        name: subprocess.Popen(
            [sys.executable, "-c", hold, str(tmp_path), name], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for name in ("killed", "living")
    }
    try:
        for other in others.values():
            assert other.stdout is not None
            other.stdout.readline()
        os.kill(others["killed"].pid, signal.SIGKILL)
        others["killed"].wait()
        with Scratch(tmp_path, "new").held():
            assert {folder.name for folder in (tmp_path / "scratch").iterdir()} == {"living", "new"}
    finally:
        for other in others.values():
            other.communicate()

"""What a state folder holds is read by the versions after the one that wrote it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from skfleet.local.home import StateFolder
from skfleet.local.passwords import Passwords
from skfleet.local.state import StackState, load_state, write_private
from skfleet_common.contracts.errors import EnvironmentFault

STATE_1 = {
    "schema_version": 1,
    "token": "5d1f",
    "folder": "1:2",
    "fleet": "local",
    "region": "us-east-1",
    "ports": {"emulator": 15468, "postgres": 16459},
    "snapshots_at": 1795421452.5,
    "processes": {"emulator": {"pid": 9460, "created": 1795421452.62}},
}


def test_the_state_of_version_1_is_read() -> None:
    state = StackState.from_json(json.dumps(STATE_1))
    assert state.ports == {"emulator": 15468, "postgres": 16459}
    assert (state.processes["emulator"].pid, state.snapshots_at) == (9460, 1795421452.5)


def test_the_passwords_of_version_1_are_read(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path)
    folder.passwords_file.write_text('{"schema_version": 1, "superuser": "a", "role": "b"}')
    assert Passwords.load(folder) == Passwords(superuser="a", role="b")


def test_passwords_that_are_gone_are_an_environment_fault(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match="passwords cannot be read"):
        Passwords.load(StateFolder(tmp_path))


def test_what_was_saved_is_found_again(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path)
    saved = StackState.new(folder)
    write_private(folder.state_file, saved.to_json())
    assert load_state(folder) == saved
    assert folder.state_file.stat().st_mode & 0o777 == 0o600


def test_the_processes_of_another_folders_state_are_not_ours(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path)
    folder.state_file.write_text(json.dumps(STATE_1))
    state = load_state(folder)
    assert state is not None
    assert (state.processes, state.ports) == ({}, {})
    assert state.token != STATE_1["token"]


def test_a_failed_write_leaves_the_old_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_private(path, b"old")
    with pytest.raises(TypeError):
        write_private(path, None)  # type: ignore[arg-type]
    assert [path.read_bytes(), *tmp_path.iterdir()] == [b"old", path]

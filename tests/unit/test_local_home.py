"""Which state folder a command uses."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from skfleet.local.home import StateFolder, find_home
from skfleet.local.packages import package_folder
from skfleet.local.state import load_state
from skfleet_common.contracts.errors import EnvironmentFault
from skfleet_common.settings import Settings


def test_skfleet_home_overrides_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".skfleet").mkdir()
    monkeypatch.chdir(tmp_path)
    assert find_home(Settings(home=tmp_path / "elsewhere")) == tmp_path / "elsewhere"


def test_the_nearest_state_folder_upwards_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in (
        tmp_path / ".skfleet",
        tmp_path / "project" / ".skfleet",
        tmp_path / "project" / "deep" / "er",
    ):
        folder.mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "project" / "deep" / "er")
    assert find_home(Settings()) == tmp_path / "project" / ".skfleet"


def test_without_one_it_is_the_current_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_home(Settings()) == tmp_path / ".skfleet"


def test_the_state_folder_keeps_itself_out_of_git(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path / "new" / ".skfleet")
    folder.create()
    assert (folder.path / ".gitignore").read_text() == "*\n"


def test_a_damaged_state_is_refused(tmp_path: Path) -> None:
    (tmp_path / "stack.json").write_text('{"schema_version": 1')
    with pytest.raises(EnvironmentFault, match="damaged"):
        load_state(StateFolder(tmp_path))


def test_another_users_state_folder_is_refused(tmp_path: Path) -> None:
    foreign = Path("/")
    if os.geteuid() == 0:
        foreign = tmp_path
        os.chown(foreign, 65_534, 65_534)
    with pytest.raises(EnvironmentFault, match="belongs to another user"):
        StateFolder(foreign).exists()


def test_a_package_that_is_not_installed_is_named_with_its_extra() -> None:
    with pytest.raises(EnvironmentFault, match=r"pip install 'skfleet\[local\]'"):
        package_folder("a_package_that_nobody_has")

"""Settings are read once, and what is not one is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from skfleet_common.contracts.errors import UsageError
from skfleet_common.settings import Settings

NOWHERE = Path("there-is-no-such-file")


def test_foreign_variables_are_left_alone() -> None:
    assert Settings.load({"PATH": "/bin", "AWS_PROFILE": "x"}, dotenv=NOWHERE) == Settings()


def test_a_typo_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UsageError, match=r"SKFLEET_FLET is no setting .*; did you mean SKFLEET_FLEET\?"):
        Settings.load({"SKFLEET_FLET": "a"}, dotenv=NOWHERE)


def test_a_typo_in_the_dotenv_file_is_refused_too(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("SKFLEET_BUKET=b\n", "utf-8")
    with pytest.raises(UsageError, match="did you mean SKFLEET_BUCKET"):
        Settings.load({}, dotenv=tmp_path / ".env")


def test_the_environment_beats_the_dotenv_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("SKFLEET_BUCKET=file\nSKFLEET_FLEET=file\n", "utf-8")
    settings = Settings.load({"SKFLEET_BUCKET": "environment"}, dotenv=tmp_path / ".env")
    assert (settings.bucket, settings.fleet) == ("environment", "file")


def test_a_value_that_is_not_allowed_names_its_variable() -> None:
    with pytest.raises(UsageError, match=r"^SKFLEET_POLL_SECONDS: .*; correct it\.$"):
        Settings.load({"SKFLEET_POLL_SECONDS": "21"}, dotenv=NOWHERE)


def test_a_heartbeat_that_cannot_keep_the_lease_is_refused() -> None:
    with pytest.raises(UsageError, match="at most half of SKFLEET_LEASE_SECONDS"):
        Settings.load({"SKFLEET_LEASE_SECONDS": "10", "SKFLEET_HEARTBEAT_SECONDS": "6"}, dotenv=NOWHERE)


def test_an_empty_variable_is_an_unset_one() -> None:
    assert Settings.load({"SKFLEET_BUCKET": ""}, dotenv=NOWHERE).bucket is None


def test_a_fleet_name_fits_queues_tables_and_keys() -> None:
    with pytest.raises(UsageError, match="fleet name"):
        Settings.load({"SKFLEET_FLEET": "My Fleet"}, dotenv=NOWHERE)


@pytest.mark.parametrize("value", ["a\nb", "a\0b", "\udcff"])
def test_a_value_that_is_no_text_is_refused(value: str) -> None:
    with pytest.raises(UsageError, match="SKFLEET_BUCKET holds a character that is no text; correct it"):
        Settings.load({"SKFLEET_BUCKET": value}, dotenv=NOWHERE)


def test_a_dotenv_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"SKFLEET_FLEET=\xff\n")
    with pytest.raises(UsageError, match=r"\.env cannot be read as UTF-8 text"):
        Settings.load({}, dotenv=tmp_path / ".env")


def test_a_name_that_cannot_be_printed_is_quoted() -> None:
    with pytest.raises(UsageError, match=r"^'SKFLEET_A\\nB' is no setting"):
        Settings.load({"SKFLEET_A\nB": "1"}, dotenv=NOWHERE)

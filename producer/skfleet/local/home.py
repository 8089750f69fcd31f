"""The state folder: where a local stack keeps everything, and who may use it."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from skfleet_common.contracts.errors import EnvironmentFault
from skfleet_common.settings import Settings

FOLDER_NAME = ".skfleet"
#: A new PostgreSQL cluster takes 40 MB, its first log segments and a small table the rest.
FREE_MB_NEW = 256
#: One that is there needs room for log segments and the emulator's snapshots.
FREE_MB_AGAIN = 64
#: Longest that one `local` command waits for another on the same folder.
LOCK_SECONDS = 180.0


def find_home(settings: Settings) -> Path:
    """Give the state folder: SKFLEET_HOME, else the nearest ``.skfleet`` upwards, else one to make here."""
    if settings.home is not None:
        return settings.home.expanduser().absolute()
    try:
        here = Path.cwd()
    except FileNotFoundError as exc:
        raise EnvironmentFault("The current folder no longer exists; change to one that does.") from exc
    for folder in (here, *here.parents):
        with suppress(PermissionError):
            if (folder / FOLDER_NAME).is_dir():
                return folder / FOLDER_NAME
    return here / FOLDER_NAME


@dataclass(frozen=True)
class StateFolder:
    """The folder's places, by name."""

    path: Path

    @property
    def state_file(self) -> Path:
        """What runs, and on which ports."""
        return self.path / "stack.json"

    @property
    def passwords_file(self) -> Path:
        """The database roles' passwords; mode 0600."""
        return self.path / "passwords.json"

    @property
    def logs(self) -> Path:
        """One log for each part."""
        return self.path / "logs"

    @property
    def aws(self) -> Path:
        """Everything of the AWS emulator."""
        return self.path / "aws"

    @property
    def postgres(self) -> Path:
        """The database; a link where its account could not reach this folder."""
        return self.path / "postgres"

    @property
    def cache(self) -> Path:
        """The workers' models and scratch."""
        return self.path / "cache"

    def log_of(self, part: str) -> Path:
        """Give the log of one part."""
        return self.logs / f"{part}.log"

    def exists(self) -> bool:
        """Whether a stack was ever started here.

        Raises:
            EnvironmentFault: the folder is another user's, who could make us signal any process.
        """
        try:
            owner = self.path.stat().st_uid
        except FileNotFoundError:
            return False
        except OSError as exc:
            raise self.fault(exc) from exc
        if owner != os.geteuid():
            raise EnvironmentFault(
                f"The state folder {self.path} belongs to another user (id {owner}); run this as that user, "
                "or set SKFLEET_HOME to a folder of your own."
            )
        return self.state_file.exists()

    def create(self) -> None:
        """Make what is missing. A folder that is there keeps its mode.

        Raises:
            EnvironmentFault: it cannot be written, or the disk is nearly full.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):
                self.path.mkdir(mode=0o700)
                # As root, PostgreSQL's unprivileged account passes through here; it cannot list it.
                self.path.chmod(0o711 if os.geteuid() == 0 else 0o700)
            self.exists()
            for folder in (self.logs, self.aws, self.cache):
                folder.mkdir(mode=0o700, exist_ok=True)
            ignore = self.path / ".gitignore"
            if not ignore.exists():
                ignore.write_text("*\n")
            free = shutil.disk_usage(self.path).free // 2**20
        except OSError as exc:
            raise self.fault(exc) from exc
        needed = FREE_MB_AGAIN if self.postgres.exists() else FREE_MB_NEW
        if free < needed:
            raise EnvironmentFault(
                f"Only {free} MB are free for {self.path}, and a local stack needs {needed}; "
                "free some, or set SKFLEET_HOME to a folder on another disk."
            )

    def fault(self, error: OSError) -> EnvironmentFault:
        """Say what the operating system refused."""
        return EnvironmentFault(
            f"The state folder {self.path} cannot be used ({error.strerror or error}"
            f"{f': {error.filename}' if error.filename else ''}); mend that, or set SKFLEET_HOME to a folder "
            "that you may write to."
        )

    @contextmanager
    def lock(self, on_wait: Callable[[str], None]) -> Iterator[None]:
        """Hold the folder for one command at a time; ``on_wait`` is told once if another has it.

        Raises:
            EnvironmentFault: the other command does not end in time.
        """
        try:
            lock_file = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as exc:
            raise self.fault(exc) from exc
        try:
            self._acquire(lock_file, on_wait)
            with suppress(OSError):  # a full disk
                os.ftruncate(lock_file, 0)
                os.pwrite(lock_file, str(os.getpid()).encode(), 0)
            yield
        finally:
            os.close(lock_file)

    def _acquire(self, lock_file: int, on_wait: Callable[[str], None]) -> None:
        deadline = time.monotonic() + LOCK_SECONDS
        told = False
        while True:
            try:
                fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.pread(lock_file, 20, 0).decode("ascii", "replace") or "unknown"
            else:
                return
            if not told:
                on_wait(f"Waiting for another skfleet command on {self.path} (process {holder}).")
                told = True
            if time.monotonic() > deadline:
                raise EnvironmentFault(
                    f"Another skfleet command (process {holder}) has been starting or stopping the stack in "
                    f"{self.path} for {LOCK_SECONDS:.0f} s; wait for it or end it."
                )
            time.sleep(0.1)

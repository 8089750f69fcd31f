"""The account that PostgreSQL runs under: our own, or an unprivileged one where we are root."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from skfleet_common.contracts.errors import EnvironmentFault

#: Exists on every Linux and macOS and owns nothing; no account is ever created.
NAME = "nobody"


class Identity(TypedDict, total=False):
    """The arguments of ``subprocess.Popen`` that name an account."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True)
class Account:
    """A system account, as which commands can be run."""

    uid: int
    gid: int

    @property
    def identity(self) -> Identity:
        """What makes subprocess run a command as this account."""
        if self.uid == os.geteuid():
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def give(self, path: Path) -> None:
        """Make the account own a file or folder that we have just made."""
        if self.uid != os.geteuid():
            os.chown(path, self.uid, self.gid)

    def run(
        self,
        command: Sequence[str | Path],
        *,
        environment: Mapping[str, str] | None = None,
        seconds: float = 30.0,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command to its end as this account; its output, errors among it, is in ``stdout``."""
        return subprocess.run(  # noqa: S603  (our own programs, by absolute path)
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # The account may not be allowed where we are.
            cwd="/",
            env=environment,
            start_new_session=True,
            timeout=seconds,
            check=False,
            **self.identity,
        )

    def can_run(self, program: Path) -> bool:
        """Whether it really can run the program, by running it."""
        try:
            return self.run([program, "--version"]).returncode == 0
        except (OSError, subprocess.TimeoutExpired):
            return False

    def can_write(self, folder: Path) -> bool:
        """Whether it really can write to the folder, by writing."""
        probe = 'cd "$1" && : > .probe && rm .probe'
        return self.run(["/bin/sh", "-c", probe, "probe", folder]).returncode == 0


def server_account() -> Account:
    """Give the account for PostgreSQL, which refuses to run as root.

    Raises:
        EnvironmentFault: we are root, and there is no unprivileged account.
    """
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid())
    try:
        entry = pwd.getpwnam(NAME)
    except KeyError as exc:
        raise EnvironmentFault(
            f"PostgreSQL does not run as root, and there is no account {NAME!r} here to run it under; "
            "run skfleet as another user."
        ) from exc
    if entry.pw_uid == 0:
        raise EnvironmentFault(f"The account {NAME!r} is root here; run skfleet as another user.")
    return Account(entry.pw_uid, entry.pw_gid)

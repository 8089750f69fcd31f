"""The stack's state as written down: which processes were started, on which ports."""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path
from typing import Self

from pydantic import Field

from skfleet.local.home import StateFolder
from skfleet_common.contracts.errors import EnvironmentFault
from skfleet_common.contracts.shapes import NewerShape, Shape, StoredShape, UnreadableShape


class StartedProcess(Shape):
    """A process that we started: a pid alone may be anybody's tomorrow."""

    pid: int
    #: When the kernel started it, in seconds since the epoch.
    created: float


class StackState(StoredShape):
    """Everything that outlives a command, save the passwords."""

    #: Stands in the environment of every process of this stack.
    token: str
    #: Device and inode of the state folder; a copied folder is another stack.
    folder: str
    fleet: str | None = None
    region: str | None = None
    ports: dict[str, int] = Field(default_factory=dict)
    #: When the emulator's snapshots were written that it started from; others since mean a clean stop.
    snapshots_at: float | None = None
    processes: dict[str, StartedProcess] = Field(default_factory=dict)

    @classmethod
    def new(cls, folder: StateFolder) -> Self:
        """Give the state of a stack that never ran."""
        return cls(token=secrets.token_hex(16), folder=_identity(folder.path))


def load_state(folder: StateFolder) -> StackState | None:
    """Give what was saved; None when nothing was.

    Raises:
        EnvironmentFault: it was written by a newer skfleet, or is damaged.
    """
    if not folder.exists():
        return None
    try:
        state = StackState.from_json(folder.state_file.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise folder.fault(exc) from exc
    except NewerShape as exc:
        raise EnvironmentFault(
            f"A newer skfleet wrote the state folder {folder.path}; install that one here, "
            "or name another folder by SKFLEET_HOME."
        ) from exc
    except UnreadableShape as exc:
        raise EnvironmentFault(
            f"{folder.state_file} is damaged; move the folder away, or set SKFLEET_HOME to another."
        ) from exc
    if state.folder != _identity(folder.path):
        # A copy of somebody's folder: the processes and ports in it are the original's.
        return StackState.new(folder)
    return state


def write_private(path: Path, content: bytes) -> None:
    """Replace a file at once, readable by its owner alone."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _identity(path: Path) -> str:
    found = path.stat()
    return f"{found.st_dev}:{found.st_ino}"

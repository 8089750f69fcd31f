"""The local stack: brought up, looked at and taken down as one."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from pathlib import Path

from skfleet.local.home import StateFolder, find_home
from skfleet.local.interrupts import Interrupts
from skfleet.local.packages import check_platform
from skfleet.local.parts import Parts, variables
from skfleet.local.ports import LOOPBACK
from skfleet.local.status import StackStatus
from skfleet.local.workers import check_count
from skfleet.progress import Silent, Steps
from skfleet_common.contracts.errors import EnvironmentFault
from skfleet_common.settings import Settings

__all__ = ["Stack", "find_home", "running_settings"]


class Stack:
    """The stack of one state folder. ``settings`` are the command's: the fleet, and what workers are told."""

    def __init__(self, home: Path, settings: Settings | None = None) -> None:
        self._folder = StateFolder(home.expanduser().absolute())
        self._settings = settings or Settings()

    def up(
        self, *, workers: int | None = None, durable: bool = True, steps: Steps | None = None
    ) -> StackStatus:
        """Start what does not run yet and wait until all is ready; safe to repeat.

        ``workers`` None leaves running workers as they are, and means two otherwise. Without ``durable``,
        the database may lose everything in a power cut: for tests. Interrupted or failing, it stops
        whatever it started itself.

        Raises:
            EnvironmentFault: something is missing or refuses to start.
            UsageError: the number of workers cannot be, or the stack runs another fleet.
        """
        check_platform()
        if workers is not None:
            check_count(workers)
        steps = steps or Silent()
        self._folder.create()
        with Interrupts() as interrupts, self._folder.lock(steps.note):
            parts = Parts(self._folder, self._settings, interrupts)
            try:
                notices = parts.bring_up(workers, durable=durable, steps=steps)
            except BaseException as exc:
                with interrupts.held():
                    parts.undo()
                if isinstance(exc, OSError):
                    raise self._folder.fault(exc) from exc
                raise
        return self.status().model_copy(update={"notices": tuple(notices)})

    def down(self, *, steps: Steps | None = None) -> list[str]:
        """Drain the workers, then stop database and emulator; gives what a person should know."""
        steps = steps or Silent()
        if not self._folder.exists():
            return []
        with Interrupts() as interrupts, self._folder.lock(steps.note):
            parts = Parts(self._folder, self._settings, interrupts)
            try:
                return parts.take_down(steps)
            except KeyboardInterrupt:
                # Whoever is in a hurry does not want half a stack either.
                with interrupts.held():
                    parts.take_down(steps, hurry=True)
                raise
            except OSError as exc:
                raise self._folder.fault(exc) from exc

    def status(self) -> StackStatus:
        """Give what runs right now."""
        where = str(self._folder.path)
        if not self._folder.exists():
            return StackStatus(running=False, state_dir=where)
        parts = Parts(self._folder, self._settings, Interrupts())
        found = StackStatus(
            running=False, state_dir=where, workers=parts.workers.status(), notices=tuple(parts.lacks())
        )
        if not parts.is_running():
            return found
        settings = parts.connected_settings()
        return found.model_copy(
            update={
                "running": True,
                "fleet": settings.fleet,
                "region": settings.region,
                "bucket": settings.bucket,
                "postgres_dsn": settings.warehouse_url,
                "aws_endpoint_url": settings.aws_endpoint_url,
            }
        )

    def environment(self) -> dict[str, str]:
        """Give the variables with which any process joins the running stack.

        Raises:
            EnvironmentFault: it does not run.
        """
        return variables(self.settings()) | _around_proxies(os.environ)

    def settings(self) -> Settings:
        """Give the settings with which a command talks to the running stack.

        Raises:
            EnvironmentFault: it does not run.
        """
        if self._folder.exists():
            parts = Parts(self._folder, self._settings, Interrupts())
            if parts.is_running():
                return parts.connected_settings()
        raise EnvironmentFault(
            f"The local stack of {self._folder.path} is not up; start it with: skfleet local up"
        )

    def stay(self, stop: threading.Event | None = None, *, steps: Steps | None = None) -> None:
        """Wait until Ctrl-C, SIGTERM, ``stop``, or another command's ``down``; then take the stack down."""
        ended = stop or threading.Event()
        try:
            with Interrupts():
                while not ended.wait(1.0) and self.status().running:
                    pass
        finally:
            self.down(steps=steps)


def _around_proxies(environ: Mapping[str, str]) -> dict[str, str]:
    """Give what keeps a proxy of the environment's, if there is one, out of the way to this machine."""
    proxies = [name for name in environ if name.lower() in {"http_proxy", "all_proxy"} and environ[name]]
    if not proxies:
        return {}
    known = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    addresses = known if LOOPBACK in known.split(",") else ",".join(filter(None, [known, LOOPBACK]))
    return {"NO_PROXY": addresses, "no_proxy": addresses}


def running_settings(settings: Settings) -> Settings | None:
    """Give ``settings``, completed with the local stack that runs at its state folder.

    None if none runs, or if the settings name another bucket or endpoint: they beat a running stack.
    """
    folder = find_home(settings)
    stack = Stack(folder, settings)
    if not stack.status().running:
        return None
    local = stack.settings()
    if settings.warehouse_url not in {None, local.warehouse_url}:
        raise EnvironmentFault(
            "SKFLEET_WAREHOUSE_URL names another warehouse than the local stack's, but its workers read only "
            "their own; unset it, or name the fleet that reads it with SKFLEET_BUCKET."
        )
    for field in ("bucket", "aws_endpoint_url"):
        given = getattr(settings, field)
        if given is not None and given != getattr(local, field):
            return None
    missing = {
        name: value
        for name, value in local.model_dump(include=set(local.model_fields_set)).items()
        if name not in settings.model_fields_set
    }
    return settings.model_copy(update=missing)

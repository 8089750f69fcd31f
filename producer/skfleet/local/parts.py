"""The parts of the stack, and the order among them: emulator, database, workers; and back."""

from __future__ import annotations

from skfleet.local.emulator import PART as EMULATOR
from skfleet.local.emulator import Emulator
from skfleet.local.home import StateFolder
from skfleet.local.interrupts import Interrupts
from skfleet.local.postgres import Postgres
from skfleet.local.postgres_cluster import PART as POSTGRES
from skfleet.local.processes import Processes
from skfleet.local.workers import Workers
from skfleet.progress import Steps
from skfleet_common.contracts.errors import EnvironmentFault, UsageError
from skfleet_common.settings import PREFIX, Settings

BUCKET = "skfleet-local"
DEFAULT_FLEET = "local"
DEFAULT_REGION = "us-east-1"
DEFAULT_WORKERS = 2
#: The emulator takes any; this belongs to nobody.
_CREDENTIAL = "test"
_BASE = {EMULATOR: "The AWS emulator", POSTGRES: "PostgreSQL"}


class Parts:
    """All parts of one state folder."""

    def __init__(self, folder: StateFolder, settings: Settings, interrupts: Interrupts) -> None:
        self._folder = folder
        self._settings = settings
        self._processes = Processes(folder, interrupts)
        self._emulator = Emulator(folder, self._processes)
        self._postgres = Postgres(folder, self._processes)
        self.workers = Workers(folder, self._processes, settings)
        #: Another fleet that is to live on the stack which runs; its workers are not the stack's.
        self._guest_fleet: str | None = None

    def bring_up(self, workers: int | None, *, durable: bool, steps: Steps) -> list[str]:
        """Start what does not run, in order; gives what a person should know, and says it at once."""
        self._choose_fleet()
        notices: list[str] = []
        stayed = self.is_running() and self._emulator.answers()
        count = self._worker_count(workers)
        with steps.step("Starting the local stack", total=len(_BASE) + count, unit="parts") as step:
            if not self._emulator.answers():
                notices += _say(steps, self._emulator.start())
            if self._processes.find(POSTGRES) is None:
                notices += _say(steps, self._postgres.start(durable=durable))
            self._emulator.wait_until_ready()
            step.reach(1)
            self._postgres.wait_until_ready()
            step.reach(len(_BASE))
            notices += _say(steps, self._create_fleets())
            if not stayed:
                # What they hold belongs to an emulator and a database that are gone.
                self.workers.stop(hurry=True)
            self.workers.scale(count, environment=variables(self.connected_settings()))
            self.workers.wait_until_announced(
                self.connected_settings(), lambda ready: step.reach(len(_BASE) + ready)
            )
        return notices

    def undo(self) -> None:
        """Stop what :meth:`bring_up` started; what ran before stays."""
        started = self._processes.started
        self.workers.stop([part for part in self.workers.recorded() if part in started], hurry=True)
        if POSTGRES in started:
            self._postgres.stop()
        if EMULATOR in started:
            self._emulator.stop()

    def take_down(self, steps: Steps, *, hurry: bool = False) -> list[str]:
        """Stop everything, the emulator last; gives what a person should know."""
        recorded = self._processes.recorded()
        if not recorded:
            self._processes.kill_remains()
            return []
        with steps.step("Stopping the local stack", total=len(recorded), unit="parts") as step:
            self.workers.stop(hurry=hurry)
            step.reach(max(0, len(recorded) - len(_BASE)))
            self._postgres.stop()
            notices = self._emulator.stop()
            self._processes.kill_remains()
            step.reach(len(recorded))
        return _say(steps, notices)

    def is_running(self) -> bool:
        """Whether emulator and database run; a stack without workers is one, too."""
        return all(self._processes.find(part) is not None for part in _BASE)

    def lacks(self) -> list[str]:
        """Say which parts should run and do not; nothing where the stack was taken down."""
        recorded = self._processes.recorded()
        expected = [*_BASE, *self.workers.recorded()] if recorded else []
        return [
            f"{_BASE.get(part, part)} does not run; start it again with: skfleet local up"
            for part in expected
            if self._processes.find(part) is None
        ]

    def connected_settings(self) -> Settings:
        """Give the settings with which a command talks to this stack."""
        state = self._processes.state
        return self._settings.model_copy(
            update={
                "fleet": state.fleet or DEFAULT_FLEET,
                "region": state.region or DEFAULT_REGION,
                "bucket": BUCKET,
                "warehouse_url": self._postgres.dsn,
                "aws_endpoint_url": self._emulator.endpoint_url,
                "home": self._folder.path,
            }
        )

    def _choose_fleet(self) -> None:
        """Settle the names before anything starts; they stay until the stack is down.

        Raises:
            UsageError: the stack runs under other names.
        """
        state = self._processes.state
        chosen = {
            "fleet": state.fleet or DEFAULT_FLEET,
            "region": state.region or DEFAULT_REGION,
        }
        running = any(self._processes.find(part) is not None for part in self._processes.recorded())
        for name, current in chosen.items():
            given = getattr(self._settings, name) if name in self._settings.model_fields_set else None
            if given is None or given == current:
                continue
            if running and name == "fleet":
                self._guest_fleet = given
                continue
            if running:
                raise UsageError(
                    f"The stack in {self._folder.path} runs with {name} {current!r}, not {given!r}; "
                    f"stop it first with: skfleet local down (or unset {PREFIX}{name.upper()})."
                )
            chosen[name] = given
        self._processes.update(**chosen)

    def _worker_count(self, asked: int | None) -> int:
        """Give the number asked for, else that of the stack which runs or crashed, else the default."""
        if asked is not None:
            return asked
        return len(self.workers.recorded()) if self._processes.recorded() else DEFAULT_WORKERS

    def _create_fleets(self) -> list[str]:
        from skfleet_common.aws.session import create_fleet  # noqa: PLC0415  (boto3: a stack at rest needs none)

        settings = self.connected_settings()
        create_fleet(settings)
        guest = self._guest_fleet
        if guest is None:
            return []
        create_fleet(settings.model_copy(update={"fleet": guest}))
        return [
            f"Fleet {guest} lives on this stack too; the stack's workers are fleet {settings.fleet}'s, so "
            f"start some for it with: {PREFIX}FLEET={guest} skfleet-worker run"
        ]


def variables(settings: Settings) -> dict[str, str]:
    """Give the environment variables that make any process join the stack of these settings."""
    if settings.warehouse_url is None or settings.aws_endpoint_url is None or settings.bucket is None:
        raise EnvironmentFault("The local stack is not up; start it with: skfleet local up")
    region = settings.region or DEFAULT_REGION
    return {
        "SKFLEET_FLEET": settings.fleet,
        "SKFLEET_REGION": region,
        "SKFLEET_BUCKET": settings.bucket,
        "SKFLEET_WAREHOUSE_URL": settings.warehouse_url,
        "SKFLEET_AWS_ENDPOINT_URL": settings.aws_endpoint_url,
        "SKFLEET_HOME": str(settings.home),
        "AWS_ENDPOINT_URL": settings.aws_endpoint_url,
        "AWS_ACCESS_KEY_ID": _CREDENTIAL,
        "AWS_SECRET_ACCESS_KEY": _CREDENTIAL,
        "AWS_DEFAULT_REGION": region,
        "AWS_REGION": region,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _say(steps: Steps, notices: list[str]) -> list[str]:
    for notice in notices:
        steps.note(notice)
    return notices

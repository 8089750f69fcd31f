"""How commands get their fleet: the heavy imports wait until a command really needs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skfleet.cli.output import stderr
from skfleet.progress import Terminal
from skfleet.target import describe_target, open_target_warehouse, resolve_target
from skfleet_common.contracts.errors import UsageError
from skfleet_common.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from skfleet.api import Fleet
    from skfleet.job import Job
    from skfleet_common.aws.session import Cloud
    from skfleet_common.tables.port import Publisher


def open_fleet() -> Fleet:
    """Give the fleet that the environment or the local stack names, and say on stderr which it is."""
    from skfleet.api import connect  # noqa: PLC0415  (imports scikit-learn: seconds that --help need not wait)

    fleet = connect(steps=Terminal(stderr))
    _say_target(fleet.target)
    return fleet


def open_cloud() -> Cloud:
    """Give queue, store and tracker of that fleet, for commands that need no model."""
    from skfleet_common.aws.session import connect_cloud  # noqa: PLC0415  (boto3: --help need not wait)

    settings = resolve_target(Settings.load())
    _say_target(describe_target(settings))
    return connect_cloud(settings)


def publisher_opener() -> Callable[[], Publisher] | None:
    """Give what opens the fleet's warehouse for publishing; None if no warehouse is named."""
    settings = resolve_target(Settings.load())
    return None if settings.warehouse_url is None else lambda: open_target_warehouse(settings).publisher


def open_job(job: str) -> Job:
    """Give a job of that fleet, which can be cancelled, retried and resumed."""
    from skfleet.job import find_job  # noqa: PLC0415  (as above)
    from skfleet_common.aws.session import connect_cloud  # noqa: PLC0415

    settings = resolve_target(Settings.load())
    _say_target(describe_target(settings))
    return find_job(
        connect_cloud(settings),
        job,
        stall_seconds=settings.stall_seconds,
        open_publisher=lambda: open_target_warehouse(settings).publisher,
    )


def _say_target(target: str) -> None:
    stderr.print(f"Using {target}", style="dim", markup=False, soft_wrap=True)


def pairs(given: list[str] | None) -> dict[str, str]:
    """Give ``COLUMN=POLICY`` options as a mapping; a bare policy is for every column (``*``)."""
    mapping: dict[str, str] = {}
    for text in given or []:
        column, separator, policy = text.rpartition("=")
        mapping[column if separator else "*"] = policy
    return mapping


def assignments(given: list[str] | None, *, flag: str) -> dict[str, str]:
    """Give ``NAME=VALUE`` options as a mapping; the last ``=`` separates.

    Raises:
        UsageError: one has none.
    """
    mapping: dict[str, str] = {}
    for text in given or []:
        name, separator, value = text.rpartition("=")
        if not separator:
            raise UsageError(f"{flag} takes COLUMN=VALUE, not {text!r}.")
        mapping[name] = value
    return mapping

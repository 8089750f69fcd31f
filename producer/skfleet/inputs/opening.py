"""Opening: from what a user asks to be read to the input that reads it."""

from __future__ import annotations

from collections.abc import Callable

from skfleet.inputs.asked import InputAsked
from skfleet.inputs.port import TrainingInput
from skfleet.inputs.table import TableInput
from skfleet.progress import Steps
from skfleet_common.contracts.errors import UsageError
from skfleet_common.tables.port import Warehouse


def open_input(
    asked: InputAsked,
    *,
    open_warehouse: Callable[[], Warehouse],
    steps: Steps,  # noqa: ARG001  (files are read to tell what they hold)
) -> TrainingInput:
    """Give the input, its columns known; only what is asked for is connected to.

    Raises:
        Refused: there is no such table or file, or it is not what it should be.
    """
    if asked.table is not None:
        return TableInput.open(open_warehouse(), asked.table, where=asked.where)
    raise UsageError("Only --table can be read.")

"""Progress of long steps: what the API reports, and what a terminal shows of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


class Step(Protocol):
    """One long step under way."""

    def reach(self, done: int, total: int | None = None) -> None:
        """Say how many units are done by now, and of how many if that has become known."""


class Steps(Protocol):
    """Who wants to hear of long steps."""

    def step(
        self, title: str, *, total: int | None = None, unit: str = "rows"
    ) -> AbstractContextManager[Step]:
        """Begin a step of ``total`` units (None: not known)."""

    def note(self, text: str) -> None:
        """Say one thing that a person should know."""


class _SilentStep:
    def reach(self, done: int, total: int | None = None) -> None:
        """Nobody listens."""


class Silent:
    """Nobody listens: the API's default."""

    @contextmanager
    def step(self, title: str, *, total: int | None = None, unit: str = "rows") -> Iterator[Step]:  # noqa: ARG002  (the port's names)
        """Run the step unseen."""
        yield _SilentStep()

    def note(self, text: str) -> None:
        """Nobody listens."""


class _TerminalStep:
    def __init__(self, progress: Progress, task: int) -> None:
        self._progress = progress
        self._task = task

    def reach(self, done: int, total: int | None = None) -> None:
        from rich.progress import TaskID  # noqa: PLC0415  (a NewType, used only here)

        if total is None:
            self._progress.update(TaskID(self._task), completed=done)
        else:
            self._progress.update(TaskID(self._task), completed=done, total=total)


class Terminal:
    """Bars with counts and time left, on stderr; plain lines where stderr is no terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console

    @contextmanager
    def step(self, title: str, *, total: int | None = None, unit: str = "rows") -> Iterator[Step]:
        """Show a bar until the step ends, and leave it there."""
        with Progress(
            SpinnerColumn(finished_text="✓"),
            TextColumn("{task.description:<28}"),
            BarColumn(bar_width=24),
            *((DownloadColumn(),) if unit == "bytes" else (MofNCompleteColumn(), TextColumn(unit))),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self._console,
            transient=False,
        ) as progress:
            task = progress.add_task(title, total=total)
            yield _TerminalStep(progress, task)
            done = progress.tasks[0]
            # A total may have been an estimate, and a step without counts is all done.
            reached = done.completed or done.total or 0
            progress.update(task, total=reached, completed=reached)

    def note(self, text: str) -> None:
        """Print a line above the bars."""
        self._console.print(text, highlight=False, soft_wrap=True)

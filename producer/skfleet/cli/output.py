"""What commands print: JSON for machines on stdout alone, tables and notes for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel
from rich.console import Console

#: Progress, notes and errors; stdout carries results alone.
stderr = Console(stderr=True, highlight=False, soft_wrap=True)
stdout = Console(highlight=False, soft_wrap=True)


def emit_json(schema: str, payload: BaseModel | dict[str, Any]) -> None:
    """Print one JSON object with its schema's name and version, e.g. ``skfleet.status/1``."""
    body = payload.model_dump(mode="json") if isinstance(payload, BaseModel) else payload
    sys.stdout.write(json.dumps({"schema": schema, **body}, default=str) + "\n")


def emit_table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print columns under headings; cells are never cut or wrapped, in a pipe as on a terminal."""
    lines = [list(headings), *(["" if cell is None else str(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        padded = (f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True))
        sys.stdout.write("  ".join(padded).rstrip() + "\n")


def emit_facts(facts: Mapping[str, object]) -> None:
    """Print names and values in two columns, leaving out what is None."""
    width = max(len(name) for name in facts)
    for name, value in facts.items():
        if value is not None:
            stdout.print(f"{name:<{width}}  {value}", markup=False, soft_wrap=True)


def count(number: int) -> str:
    """Give a count with thousands separators."""
    return f"{number:,}"


def counted(number: int, noun: str) -> str:
    """Give a count with what was counted: ``1 object``, ``2 objects``."""
    return f"{count(number)} {noun}{'' if number == 1 else 's'}"


def size(number_of_bytes: float) -> str:
    """Give an amount of bytes as a person says it."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if number_of_bytes < 1000:  # noqa: PLR2004  (SI's own factor)
            return f"{number_of_bytes:.3g} {unit}"
        number_of_bytes /= 1000
    return f"{number_of_bytes:,.1f} TB"


def duration(seconds: float | None) -> str | None:
    """Give a length of time as a person says it."""
    if seconds is None:
        return None
    if seconds < 60:  # noqa: PLR2004  (seconds of a minute)
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def when(moment: datetime) -> str:
    """Give a moment in UTC, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")

"""Seats: rights to read a warehouse whose leader serves only so many readers at a time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Seat:
    """A seat as the tracker has it; its holder counts ``beat`` up for as long as it lives."""

    number: int
    holder: str
    beat: int = 0

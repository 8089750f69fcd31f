"""Imported by the fork server of a worker whose clock can be set, before the modules that read the clock."""

from __future__ import annotations

from tests.chaos.clockwork import install

install()

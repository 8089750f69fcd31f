"""Imported by the fork server of a worker, before the modules that read what is changed here."""

from __future__ import annotations

from tests.chaos.host import install

install()

"""The name of the ledger of publications, of which each schema with outputs has one."""

from __future__ import annotations

LEDGER = "skfleet_publications"

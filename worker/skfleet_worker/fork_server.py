"""Imported first by the fork server: it must not outlive the supervisor, whatever its other imports do."""

from __future__ import annotations

from skfleet_worker.parentage import die_with_parent

die_with_parent()

"""The ``skfleet`` command: a thin layer over the Python API."""

from skfleet.cli.app import main

__all__ = ["main"]

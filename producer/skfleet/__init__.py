"""skfleet: score tables of any size with scikit-learn models on a fleet of queue workers."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skfleet.api import Fleet, connect, load
    from skfleet.job import Job

__version__ = version("skfleet")
__all__ = ["Fleet", "Job", "connect", "load"]


def __getattr__(name: str) -> Any:
    """Import the API on first use, so that ``skfleet --help`` does not wait for scikit-learn."""
    if name not in __all__:
        raise AttributeError(f"module 'skfleet' has no attribute {name!r}")
    from skfleet import api, job  # noqa: PLC0415  (the point of this function)

    return job.Job if name == "Job" else getattr(api, name)

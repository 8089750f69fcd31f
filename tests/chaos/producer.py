"""A producer in a process of its own, to be killed: submits the request that ``CHAOS_REQUEST`` holds."""

from __future__ import annotations

import json
import os

from tests.chaos.host import narrow_trees


def main() -> None:
    """Submit it as any user's program does."""
    narrow_trees()
    from skfleet.api import connect  # noqa: PLC0415  (after the trees are narrow)

    connect().predict(**json.loads(os.environ["CHAOS_REQUEST"]))


if __name__ == "__main__":
    main()

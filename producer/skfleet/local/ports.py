"""Ports of 127.0.0.1."""

from __future__ import annotations

import random
import socket
from collections.abc import Collection

from skfleet_common.contracts.errors import EnvironmentFault

LOOPBACK = "127.0.0.1"
#: Below the ephemeral ports of Linux and macOS, so that no outgoing connection sits on a remembered port.
_CANDIDATES = range(15_000, 32_000)
_TRIES = 200


def is_free(port: int) -> bool:
    """Whether a server could listen there now. One that has just stopped does not count as listening."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_port(*, preferred: int | None = None, taken: Collection[int] = ()) -> int:
    """Give ``preferred`` if it is free, else some other free port that is not in ``taken``."""
    if preferred is not None and preferred not in taken and is_free(preferred):
        return preferred
    for port in random.sample(_CANDIDATES, _TRIES):
        if port not in taken and is_free(port):
            return port
    raise EnvironmentFault(f"No free port was found on {LOOPBACK}; is it configured?")

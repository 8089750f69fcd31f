"""Identity: the name under which a worker announces itself and signs its commits."""

from __future__ import annotations

import os
import platform
import re
import secrets


def worker_id() -> str:
    """Give a name that no other worker has or had: host, process and a random part."""
    host = re.sub(r"[^A-Za-z0-9-]", "-", platform.node())[:40] or "host"
    return f"{host}-{os.getpid()}-{secrets.token_hex(4)}"

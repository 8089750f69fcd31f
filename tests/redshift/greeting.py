"""The beginning of a session: TLS, who it is, and what the server says of itself."""

from __future__ import annotations

import hashlib
import re
import secrets
import ssl
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from psycopg2 import extensions

from tests.redshift import wire
from tests.redshift.parameters import REDSHIFT_ONLY, REPORTED, check_parameter
from tests.redshift.refusal import Refusal
from tests.redshift.wire import Frame

if TYPE_CHECKING:
    from tests.redshift.server import RedshiftServer


@dataclass(frozen=True)
class Visitor:
    """Who has been let in, and the backend's connection for them."""

    user: str
    backend: extensions.connection
    case_sensitive: bool


def receive(server: RedshiftServer, client: wire.Stream) -> Visitor | None:
    """Read the startup packets; None if the client asked for something else, or was turned away."""
    body = client.frame(typed=False).body
    (code,) = struct.unpack("!I", body[:4])
    if code == wire.CANCEL_REQUEST:
        server.cancel(*struct.unpack("!II", body[4:12]))
        return None
    if code in {wire.SSL_REQUEST, wire.GSS_REQUEST}:
        accepted = code == wire.SSL_REQUEST and server.tls is not None
        client.send(b"S" if accepted else b"N")
        try:
            if accepted:
                client.encrypt(server.tls)
        except (ssl.SSLError, OSError):
            return None
        return receive(server, client)
    values = wire.texts(body[4:])
    said = dict(zip(values[::2], values[1::2], strict=False))
    try:
        return _admit(server, client, said)
    except Refusal as refusal:
        client.send(wire.error_frame(refusal, severity="FATAL").encoded())
        return None


def _admit(server: RedshiftServer, client: wire.Stream, said: dict[str, str]) -> Visitor:
    user, database = said.get("user", ""), said.get("database", "")
    if server.needs_tls and not client.is_encrypted:
        raise Refusal(
            f'no pg_hba.conf entry for host "::ffff:127.0.0.1", user "{user}", '
            f'database "{database}", SSL off',
            sqlstate="28000",
        )
    salt = secrets.token_bytes(4)
    client.send(Frame(b"R", struct.pack("!I", 5) + salt).encoded())
    answer = client.frame().body.rstrip(b"\0").decode()

    def matches(password: str) -> bool:
        inner = hashlib.md5((password + user).encode(), usedforsecurity=False).hexdigest()
        outer = hashlib.md5(inner.encode() + salt, usedforsecurity=False).hexdigest()
        return secrets.compare_digest(f"md5{outer}", answer)

    server.check_password(user, matches)
    options, case_sensitive = "", False
    for name, value in re.findall(r"-c\s*(\w+)=((?:\\.|\S)*)", said.get("options", "")):
        check_parameter(name.lower())
        options += f" -c {'redshift.' * (name.lower() in REDSHIFT_ONLY)}{name}={value}"
        if name.lower() == "enable_case_sensitive_identifier":
            case_sensitive = value.lower() in {"on", "true", "1"}
    backend = server.connect_backend(
        user, database, options=options, application=said.get("application_name", "")
    )
    return Visitor(user, backend, case_sensitive)


def greet(client: wire.Stream, *, user: str, pid: int, key: int) -> None:
    """Say that the client is in, what the server is, and by what to cancel."""
    frames = [Frame(b"R", struct.pack("!I", 0))]
    for name, value in (REPORTED | {"session_authorization": user}).items():
        frames.append(wire.text_frame(b"S", name, value))
    frames.append(Frame(b"K", struct.pack("!II", pid, key)))
    client.send(b"".join(frame.encoded() for frame in frames))

"""The extended protocol of the test server, which drivers of Redshift's own speak."""

from __future__ import annotations

import hashlib
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.conftest import eventually
from tests.contract.private_postgres import OWNER, PASSWORD
from tests.redshift.place import RedshiftPlace
from tests.redshift.wire import Frame, Stream, fields_of, text_frame, texts

FLUSH, SYNC = Frame(b"H", b""), Frame(b"S", b"")


@dataclass(frozen=True)
class Client:
    """A client that prepares, describes, binds and executes each statement, flushing after each message."""

    stream: Stream

    def run(self, sql: str) -> list[tuple[bytes, bytes]]:
        """Give the answers' kinds and bodies, up to the server being ready."""
        parse = Frame(b"P", b"\0" + sql.encode() + b"\0" + bytes(2))
        prepare = [parse, Frame(b"D", b"S\0"), SYNC]
        bind, run, close = Frame(b"B", bytes(8)), Frame(b"E", bytes(5)), Frame(b"C", b"S\0")
        execute = [bind, run, close, SYNC]
        return [answer for batch in (prepare, execute) for answer in self._exchange(batch)]

    def _exchange(self, batch: list[Frame]) -> list[tuple[bytes, bytes]]:
        parts = [frame.encoded() + (b"" if frame is SYNC else FLUSH.encoded()) for frame in batch]
        self.stream.send(b"".join(parts))
        answers = []
        while not answers or answers[-1][0] != b"Z":
            frame = self.stream.frame()
            answers.append((frame.kind, frame.body))
        return answers


@pytest.fixture
def client(redshift: RedshiftPlace) -> Iterator[Client]:
    with socket.create_connection(("127.0.0.1", redshift.server.port), timeout=60) as raw:
        stream = Stream(raw)
        said = ["user", OWNER, "database", "warehouse", "options", f"-c search_path={redshift.schema}", ""]
        body = struct.pack("!I", 196_608) + "\0".join(said).encode() + b"\0"
        stream.send(Frame(b"", body).encoded())
        salt = stream.frame().body[4:]
        inner = hashlib.md5((PASSWORD + OWNER).encode(), usedforsecurity=False).hexdigest()
        outer = hashlib.md5(inner.encode() + salt, usedforsecurity=False).hexdigest()
        stream.send(text_frame(b"p", f"md5{outer}").encoded())
        while stream.frame().kind != b"Z":
            pass
        yield Client(stream)


def tags(answers: list[tuple[bytes, bytes]]) -> list[str]:
    return [texts(body)[0] for kind, body in answers if kind == b"C"]


def test_statements_are_forwarded_and_translated(client: Client) -> None:
    assert tags(client.run("CREATE TABLE t (id int ENCODE az64) DISTKEY (id)")) == ["CREATE TABLE"]
    assert tags(client.run("INSERT INTO t VALUES (1), (2)")) == ["INSERT 0 2"]
    answers = client.run('SELECT "ID" FROM t ORDER BY id')
    assert [body[-1:] for kind, body in answers if kind == b"D"] == [b"1", b"2"]
    assert answers[-1] == (b"Z", b"I")


def test_unload_and_copy_share_the_transaction(client: Client, redshift: RedshiftPlace) -> None:
    client.run("BEGIN")
    client.run("CREATE TABLE t (id int)")
    client.run("INSERT INTO t VALUES (1), (2)")
    place = f"s3://{redshift.bucket}/x/"
    options = "IAM_ROLE default FORMAT PARQUET MANIFEST"
    assert tags(client.run(f"UNLOAD ('SELECT * FROM t') TO '{place}' {options}")) == ["UNLOAD"]
    answers = client.run(f"COPY t FROM '{place}manifest' {options}")
    assert tags(answers) == ["COPY"]
    assert answers[-1] == (b"Z", b"T")
    counted = dict(client.run("SELECT count(*) FROM t"))
    assert counted[b"D"].endswith(b"4")
    client.run("ROLLBACK")
    assert redshift.tables() == []


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("CREATE INDEX i ON t (id)", "not supported on Redshift tables"),
        ("COPY nowhere FROM 's3://b/x' IAM_ROLE default PARQUET", ""),
    ],
)
def test_a_refusal_aborts_the_transaction(client: Client, statement: str, message: str) -> None:
    client.run("BEGIN")
    answers = client.run(statement)
    [error] = [fields_of(body) for kind, body in answers if kind == b"E"]
    assert message in error["M"]
    assert answers[-1] == (b"Z", b"E")
    client.run("ROLLBACK")
    assert client.run("SELECT 1")[-1] == (b"Z", b"I")


def test_what_a_client_left_behind_is_cancelled(client: Client, redshift: RedshiftPlace) -> None:
    busy = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%sum(a.oid%' AND pid <> pg_backend_pid()"
    query = "SELECT sum(a.oid::bigint) AS left_behind FROM pg_class a, pg_class b, pg_class c, pg_class d"
    client.stream.send(text_frame(b"Q", query).encoded())
    eventually(lambda: redshift.seed(busy) == [(1,)])
    client.stream.close()
    eventually(lambda: redshift.seed(busy) == [(0,)])

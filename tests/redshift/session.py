"""One client's session: frames in, frames out, and one backend connection behind it."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import psycopg2
from psycopg2 import extensions

from tests.redshift import wire
from tests.redshift.answers import Answers
from tests.redshift.commands import perform
from tests.redshift.dialect import Dialect, Forwarded, Performed
from tests.redshift.extended import Preparations
from tests.redshift.greeting import greet, receive
from tests.redshift.lexicon import statements_of
from tests.redshift.refusal import ABORTED, Refusal, backend_refusal
from tests.redshift.wire import Frame, Gone

if TYPE_CHECKING:
    from tests.redshift.server import RedshiftServer

_STATUS = {
    extensions.TRANSACTION_STATUS_IDLE: b"I", extensions.TRANSACTION_STATUS_INTRANS: b"T",
    extensions.TRANSACTION_STATUS_INERROR: b"E",
}  # fmt: skip
_TRANSACTION_WORDS = {"begin", "start", "commit", "end", "rollback", "abort"}


class Session:
    """A session; the backend's connection is shared between raw frames and psycopg2, one after the other."""

    def __init__(self, server: RedshiftServer, client: socket.socket) -> None:
        self.server = server
        self.user = ""
        self.dialect = Dialect()
        self.key = secrets.randbits(31)
        self.backend: extensions.connection
        self._client = wire.Stream(client)
        self._backend: wire.Stream
        self._answers: Answers
        self._status = b"I"
        self._cursor = ""
        self._waiting: list[Frame] = []
        self._preparations = Preparations()
        self._skipping = False

    @property
    def in_transaction(self) -> bool:
        return self._status != b"I"

    def run(self) -> None:
        """Serve the client until it goes."""
        with suppress(Gone):
            if self._start():
                try:
                    self._serve()
                finally:
                    self.server.leave(self)
                    self.backend.cancel()
                    self._backend.close()
                    self.backend.close()
        self._client.close()

    def kill(self) -> None:
        """End the session as a crash would: no word to the client."""
        self._client.close()
        with suppress(psycopg2.Error):
            self.backend.cancel()

    def _start(self) -> bool:
        """Let the client in; tell if a session begins."""
        visitor = receive(self.server, self._client)
        if visitor is None:
            return False
        self.user = visitor.user
        self.dialect.case_sensitive = visitor.case_sensitive
        self.backend = visitor.backend
        raw = socket.socket(fileno=os.dup(self.backend.fileno()))
        raw.settimeout(3600)
        self._backend = wire.Stream(raw)
        self._answers = Answers(self._backend, self._client, self.backend.cancel)
        self.server.join(self)
        greet(self._client, user=self.user, pid=self.backend.info.backend_pid, key=self.key)
        self._ready()
        return True

    def _serve(self) -> None:
        while True:
            frame = self._client.frame()
            if frame.kind == b"X":
                return
            if frame.kind == b"Q":
                self._query(wire.texts(frame.body)[0])
            elif frame.kind in {b"S", b"H"}:
                self._batch(frame)
            elif frame.kind in {b"P", b"B", b"D", b"E", b"C"}:
                self._waiting.append(frame)
            else:
                raise Gone

    def _query(self, sql: str) -> None:
        try:
            drop_reply = self.server.meet(self, sql)
            reads = [self.dialect.read(piece) for piece in statements_of(sql)]
            plain = [read for read in reads if isinstance(read, Forwarded)]
            self._check_cursor(plain)
            if len(plain) == len(reads):
                self._forward(plain, drop_reply=drop_reply)
            else:
                self._run_in_turn(reads)
                if drop_reply:
                    raise Gone
                self._ready()
        except Refusal as refusal:
            self._refuse(refusal)
            self._ready()

    def _forward(self, reads: Sequence[Forwarded], *, drop_reply: bool = False, ready: bool = True) -> bool:
        self._backend.send(wire.text_frame(b"Q", ";".join(read.sql for read in reads)).encoded())
        succeeded = self._relay(silent=drop_reply, ready=ready)
        if drop_reply:
            raise Gone
        for read in reads if succeeded else ():
            self._cursor = read.cursor or ("" if read.verb == "close" else self._cursor)
        return succeeded

    def _run_in_turn(self, reads: Sequence[Forwarded | Performed]) -> None:
        """Run statements one after the other, in a transaction of their own if they are several."""
        words = {read.verb for read in reads if isinstance(read, Forwarded)}
        around = len(reads) > 1 and not self.in_transaction and not words & _TRANSACTION_WORDS
        if around:
            self.run_sql("BEGIN")
            self._look()
        for read in reads:
            if isinstance(read, Forwarded):
                if not self._forward([read], ready=False):
                    break
            else:
                self._client.send(b"".join(frame.encoded() for frame in self._performed(read)))
        if around and self._status in {b"T", b"E"}:
            self.run_sql("COMMIT")
            self._look()

    def _performed(self, read: Performed) -> list[Frame]:
        if self._status == b"E":
            raise ABORTED
        with suppress(psycopg2.ProgrammingError):
            self.run_sql("/* so that libpq, which saw no forwarded frame, knows of the transaction */")
        try:
            notice, tag = perform(self, read)
        except psycopg2.Error as exc:
            refusal = backend_refusal(exc)
            if refusal is None:
                raise Gone from exc
            raise refusal from exc
        except (IndexError, ValueError, StopIteration) as exc:
            raise Refusal(f"syntax error (the test server: {exc!r})", sqlstate="42601") from exc
        finally:
            self._look()
        frames = [wire.notice_frame("INFO", notice)] if notice else []
        return [*frames, wire.text_frame(b"C", tag)]

    def _batch(self, last: Frame) -> None:
        """Pass on what waits, up to a Flush or Sync; what is performed here is answered here."""
        waiting, self._waiting = self._waiting, []
        unanswered = 0
        for frame in waiting:
            if self._skipping:
                break
            read = self._preparations.take(frame, self._read_prepared)
            if isinstance(read, Frame):
                self._backend.hold(read.encoded())
                unanswered += 1
                continue
            self._flush(unanswered)
            unanswered = 0
            try:
                self._client.send(b"".join(each.encoded() for each in self._performed(read)))
            except Refusal as refusal:
                self._refuse(refusal)
                self._skipping = True
        if last.kind == b"S":
            self._backend.send(last.encoded())
            self._relay()
            self._skipping = False
        else:
            self._flush(unanswered)

    def _flush(self, unanswered: int) -> None:
        if unanswered and not self._skipping:
            self._backend.send(Frame(b"H", b"").encoded())
            self._skipping = not self._relay(answers=unanswered)

    def _read_prepared(self, sql: str) -> Forwarded | Performed:
        self.server.meet(self, sql)
        read = self.dialect.read(sql)
        if isinstance(read, Forwarded):
            self._check_cursor([read])
        return read

    def _check_cursor(self, reads: Sequence[Forwarded]) -> None:
        for read in reads:
            if read.cursor and self._cursor:
                raise Refusal(
                    f'cursor "{self._cursor}" is open: only one cursor at a time can be open per session',
                    sqlstate="42P03",
                )

    def _refuse(self, refusal: Refusal) -> None:
        """Say a refusal; a transaction is aborted by it."""
        if self._status == b"E" and not isinstance(refusal.__cause__, psycopg2.Error):
            refusal = ABORTED
        elif self._status == b"T":
            with suppress(psycopg2.Error):
                self.run_sql("DO 'BEGIN RAISE EXCEPTION ''refused''; END'")
            self._look()
        self._client.send(wire.error_frame(refusal).encoded())

    def run_sql(self, sql: str, values: Sequence[object] | None = None) -> list[tuple[Any, ...]]:
        """Run a statement on the client's session, in the backend's dialect."""
        with self.backend.cursor() as cursor:
            cursor.execute(sql, values)
            return cursor.fetchall() if cursor.description else []

    def _look(self) -> None:
        status = self.backend.info.transaction_status
        if status not in _STATUS:
            raise Gone
        self._status = _STATUS[status]

    def _ready(self) -> None:
        if self._status == b"I":
            self._cursor = ""
        self._client.send(Frame(b"Z", self._status).encoded())

    def _relay(self, *, answers: int = 0, silent: bool = False, ready: bool = True) -> bool:
        """Pass answers on until the backend is ready, or has given ``answers``; tell if none was an error."""
        succeeded, status = self._answers.pass_on(expected=answers, silent=silent, ready=ready)
        self._status = status or self._status
        if status == b"I":
            self._cursor = ""
        return succeeded

"""What a test lets go wrong with the statements of clients."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from typing import Any

import psycopg2

from tests.redshift.refusal import Refusal, s3_failure
from tests.redshift.wire import Gone


@dataclass
class Fault:
    """What happens to the next ``times`` statements that match ``pattern``."""

    pattern: re.Pattern[str]
    times: int
    refusal: Refusal | None = None
    seconds: float = 0.0
    kills: bool = False
    loses_reply: bool = False

    def strike(self, backend: Any) -> bool:
        """Let it happen, on the session whose backend this is; tell if the reply is to be lost.

        Raises:
            Refusal: the statement fails.
            Gone: the session ends.
        """
        if self.refusal is not None:
            raise self.refusal
        if self.seconds:
            try:
                with backend.cursor() as cursor:
                    cursor.execute("SELECT pg_sleep(%s)", (self.seconds,))
            except psycopg2.Error as exc:
                said = exc.diag.message_primary
                raise Refusal(said or str(exc), sqlstate=exc.diag.sqlstate or "57014") from exc
        if self.kills:
            raise Gone
        return self.loses_reply


@dataclass(kw_only=True)
class Faulty:
    """A server with which things go wrong; patterns are regular expressions, looked for in statements."""

    _faults: list[Fault] = field(default_factory=list)
    _fault_lock: threading.Lock = field(default_factory=threading.Lock)

    def fail(self, pattern: str, refusal: Refusal, *, times: int = 1) -> None:
        """Refuse the next statements that match."""
        self._add(pattern, times, refusal=refusal)

    def slow(self, pattern: str, seconds: float, *, times: int = 1) -> None:
        """Let the next statements that match take longer; they can be cancelled, and time out."""
        self._add(pattern, times, seconds=seconds)

    def kill(self, pattern: str, *, after: bool = False, times: int = 1) -> None:
        """Cut the connection before the next statements that match run, or after, the reply being lost."""
        self._add(pattern, times, kills=not after, loses_reply=after)

    def expire_role_session(self, pattern: str = "^(unload|copy)", *, times: int = 1) -> None:
        """Let S3 say of the role's credentials that they have expired."""
        said = s3_failure("ExpiredToken", 400, "The provided token has expired.", context="S3")
        self._add(pattern, times, refusal=said)

    def forgive(self) -> None:
        """Let nothing more go wrong."""
        with self._fault_lock:
            self._faults.clear()

    def fault_for(self, sql: str) -> Fault | None:
        """Give what is to happen to a statement, counting it."""
        with self._fault_lock:
            fault = next((it for it in self._faults if it.times > 0 and it.pattern.search(sql)), None)
            if fault is not None:
                fault.times -= 1
            return fault

    def _add(self, pattern: str, times: int, **what: Any) -> None:
        with self._fault_lock:
            self._faults.append(Fault(re.compile(pattern, re.IGNORECASE | re.DOTALL), times, **what))

"""The extended protocol: statements that are prepared first, bound to a portal, and executed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.redshift.dialect import Forwarded, Performed
from tests.redshift.refusal import Refusal
from tests.redshift.wire import Frame


@dataclass
class Preparations:
    """Prepared statements and portals of what is not the backend's to execute."""

    _statements: dict[str, Performed] = field(default_factory=dict)
    _portals: dict[str, Performed] = field(default_factory=dict)

    def take(self, frame: Frame, read: Callable[[str], Forwarded | Performed]) -> Frame | Performed:
        """Give the frame for the backend, or what is to be carried out instead of it.

        The backend has an empty statement in place of what is carried out, so that it can describe it.
        """
        names = [part.decode(errors="replace") for part in frame.body.split(b"\0")[:2]]
        if frame.kind == b"P":
            return self._parse(frame, names[0], names[1], read)
        if frame.kind == b"B":
            self._portals.pop(names[0], None)
            if names[1] in self._statements:
                self._portals[names[0]] = self._statements[names[1]]
        if frame.kind == b"E" and names[0] in self._portals:
            return self._portals[names[0]]
        return frame

    def _parse(
        self, frame: Frame, name: str, sql: str, read: Callable[[str], Forwarded | Performed]
    ) -> Frame:
        self._statements.pop(name, None)
        try:
            found = read(sql)
        except Refusal as refusal:
            found = Forwarded(_raising(refusal))
        if isinstance(found, Performed):
            self._statements[name] = found
        text = found.sql if isinstance(found, Forwarded) else ""
        rest = frame.body[len(name.encode()) + len(sql.encode()) + 2 :]
        return Frame(b"P", name.encode() + b"\0" + text.encode() + b"\0" + rest)


def _raising(refusal: Refusal) -> str:
    def literal(text: str) -> str:
        return "''" + text.replace("\\", "\\\\\\\\").replace("'", "''''") + "''"

    return (
        f"DO 'BEGIN RAISE EXCEPTION USING ERRCODE = {literal(refusal.sqlstate)}, "
        f"MESSAGE = {literal(refusal.message)}, DETAIL = {literal(refusal.detail)}, "
        f"HINT = {literal(refusal.hint)}; END'"
    )

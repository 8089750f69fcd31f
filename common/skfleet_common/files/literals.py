"""Literals: what SQL writes beside a column, read as a value of the column's type."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation

from skfleet_common.contracts.columns import LogicalDtype
from skfleet_common.contracts.errors import Refused, shown
from skfleet_common.files.compared import Value, nearest_real

_NUMBERS = {LogicalDtype.INTEGER, LogicalDtype.DECIMAL, LogicalDtype.FLOAT32, LogicalDtype.FLOAT64}
#: A double has no larger powers of ten, and who compares with one means something else.
_MOST_EXPONENT = 308

_TRUTHS = {"true": True, "t": True, "false": False, "f": False}

#: SQL's names of the types that a literal may say it is of, and the columns that it may then stand beside. A
#: date is its midnight.
_TYPED = {
    "DATE": {LogicalDtype.DATE, LogicalDtype.TIMESTAMP, LogicalDtype.TIMESTAMPTZ},
    "TIMESTAMP": {LogicalDtype.TIMESTAMP},
    "TIMESTAMPTZ": {LogicalDtype.TIMESTAMPTZ},
    "TIME": {LogicalDtype.TIME},
}


@dataclass(frozen=True)
class Written:
    """A literal: a number, a truth, or a text, which may say its type."""

    number: str = ""
    truth: bool | None = None
    text: str = ""
    type: str = ""

    @property
    def sql(self) -> str:
        """The literal as SQL writes it."""
        if self.number:
            return self.number
        if self.truth is not None:
            return str(self.truth).upper()
        text = "'" + self.text.replace("'", "''") + "'"
        return f"CAST({text} AS {self.type})" if self.type else text


def value_of(written: Written, dtype: LogicalDtype, *, column: str) -> Value:
    """Give the value that a literal is beside a column; a text without a type is of the column's.

    Raises:
        Refused: it is none of its type.
    """
    if written.number:
        value: Value | None = _number(written.number) if dtype in _NUMBERS else None
    elif written.truth is not None:
        value = written.truth if dtype is LogicalDtype.BOOLEAN else None
    elif written.type and dtype not in _TYPED.get(written.type, ()):
        value = None
    else:
        value = _of_text(written.text, dtype)
    if value is None:
        raise Refused(
            f"--where compares column {shown(column)!r}, which is {_SPOKEN[dtype]}, with "
            f"{shown(written.sql)}; write {_EXAMPLES[dtype]}."
        )
    return value


def _of_text(text: str, dtype: LogicalDtype) -> Value | None:
    try:
        return _READERS[dtype](text)
    except ValueError:
        return None


def _number(text: str) -> Decimal | None:
    try:
        value = Decimal(text.strip())
    except InvalidOperation:
        return None
    if not value.is_finite() or "_" in text or abs(value.adjusted()) > _MOST_EXPONENT:
        return None
    return value


def _integer(text: str) -> Decimal | None:
    value = _number(text)
    return value if value is not None and set(text.strip()) <= set("+-0123456789") else None


def _real(text: str) -> Decimal | None:
    value = _number(text)
    real = None if value is None else nearest_real(value)
    return real if real is not None and real.is_finite() else None


def _date(text: str) -> date:
    return datetime.strptime(text.strip(), "%Y-%m-%d").replace(tzinfo=UTC).date()


def _timestamp(text: str) -> datetime | None:
    value = datetime.fromisoformat(text.strip())
    return value if value.tzinfo is None else None


def _timestamptz(text: str) -> datetime:
    value = datetime.fromisoformat(text.strip())
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _time(text: str) -> time | None:
    value = time.fromisoformat(text.strip())
    return value if value.tzinfo is None else None


_READERS: dict[LogicalDtype, Callable[[str], Value | None]] = {
    LogicalDtype.INTEGER: _integer,
    LogicalDtype.DECIMAL: _number,
    LogicalDtype.FLOAT64: _number,
    LogicalDtype.FLOAT32: _real,
    LogicalDtype.BOOLEAN: lambda text: _TRUTHS.get(text.strip().lower()),
    LogicalDtype.TEXT: str,
    LogicalDtype.DATE: _date,
    LogicalDtype.TIMESTAMP: _timestamp,
    LogicalDtype.TIMESTAMPTZ: _timestamptz,
    LogicalDtype.TIME: _time,
}

_SPOKEN = {
    LogicalDtype.INTEGER: "an integer",
    LogicalDtype.DECIMAL: "a number",
    LogicalDtype.FLOAT64: "a number",
    LogicalDtype.FLOAT32: "a number",
    LogicalDtype.BOOLEAN: "a boolean",
    LogicalDtype.TEXT: "a text",
    LogicalDtype.DATE: "a date",
    LogicalDtype.TIMESTAMP: "a timestamp without time zone",
    LogicalDtype.TIMESTAMPTZ: "a timestamp with time zone",
    LogicalDtype.TIME: "a time of day",
}
_EXAMPLES = {
    LogicalDtype.INTEGER: "a number such as 17",
    LogicalDtype.DECIMAL: "a number such as 1.5",
    LogicalDtype.FLOAT64: "a number such as 1.5",
    LogicalDtype.FLOAT32: "a number such as 1.5",
    LogicalDtype.BOOLEAN: "TRUE or FALSE",
    LogicalDtype.TEXT: "a text in single quotes",
    LogicalDtype.DATE: "a date such as '2026-11-23'",
    LogicalDtype.TIMESTAMP: "a moment such as '2026-11-23 10:30:00'",
    LogicalDtype.TIMESTAMPTZ: "a moment such as '2026-11-23 10:30:00+00:00' (UTC where it names no zone)",
    LogicalDtype.TIME: "a time such as '10:30:00'",
}

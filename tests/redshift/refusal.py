"""What Redshift says when it refuses, with its SQLSTATE."""

from __future__ import annotations

import psycopg2


class Refusal(Exception):
    """A statement that Redshift would refuse."""

    def __init__(self, message: str, *, sqlstate: str = "0A000", detail: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.sqlstate = sqlstate
        self.detail = detail
        self.hint = hint


ABORTED = Refusal(
    "current transaction is aborted, commands ignored until end of transaction block", sqlstate="25P02"
)


def backend_refusal(exc: psycopg2.Error) -> Refusal | None:
    """Give what the backend said; None if it said nothing, being gone."""
    diag = exc.diag
    if diag.message_primary is None:
        return None
    detail, hint = diag.message_detail or "", diag.message_hint or ""
    return Refusal(diag.message_primary, sqlstate=diag.sqlstate or "XX000", detail=detail, hint=hint)


def internal(message: str, *, code: int, context: str, error: str = "") -> Refusal:
    """Give an error of the compute nodes: XX000 with a block of details, as COPY and UNLOAD have them."""
    rule = "-" * 47
    lines = [
        "", f"  {rule}", f"  error:  {error or message}", f"  code:      {code}", f"  context:   {context}",
        "  query:     4711", "  location:  test_server.cpp:1", "  process:   padbmaster [pid=1]",
        f"  {rule}", "",
    ]  # fmt: skip
    return Refusal(message, sqlstate="XX000", detail="\n".join(lines))


def spectrum(context: str, *, code: int = 15007) -> Refusal:
    """Give an error of reading Parquet, which COPY does through Spectrum."""
    return internal("Spectrum Scan Error", code=code, context=context)


def s3_failure(error: str, status: int, text: str, *, context: str) -> Refusal:
    """Give an error that S3 answered, in the words that Redshift passes on."""
    said = f"S3ServiceException:{text},Status {status},Error {error},Rid 4711TEST,ExtRid test,CanRetry 1"
    return internal(said, code=8001, context=context)


def syntax_error(near: str) -> Refusal:
    """Give a syntax error."""
    return Refusal(f'syntax error at or near "{near}"', sqlstate="42601")


def unsupported_column(table: str, column: str, type_name: str) -> Refusal:
    """Give the refusal of a column of a type that tables cannot hold."""
    return Refusal(f'Column "{table}.{column}" has unsupported type "{type_name}".')


def leader_only() -> Refusal:
    """Give the refusal of what the leader node may know, and the compute nodes do not."""
    return Refusal("Specified types or functions (one per INFO message) not supported on Redshift tables.")

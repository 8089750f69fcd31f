"""Looks: what the beginning of each CSV file says of it, without reading the rest."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import pyarrow as pa

from skfleet.files.found import THREADS
from skfleet.inputs.dialect import dialect_of, spoken
from skfleet_common.aws.user_objects import UserObject, UserObjects
from skfleet_common.contracts.errors import Refused, shown
from skfleet_common.contracts.file_sources import CsvDialect
from skfleet_common.files.csv_rows import CsvPart
from skfleet_common.files.head import Head, read_head
from skfleet_common.files.header import read_header
from skfleet_common.files.quotes import QuoteCheck, has_quoted_break, record_ends
from skfleet_common.files.text_stream import TextStream
from skfleet_common.files.typed_texts import without_nulls

#: Encodings in which a byte that reads as a line break, a quote or a delimiter is nothing else.
_ONE_MEANING = ("utf-8", "ascii", "latin", "iso8859", "cp125", "cp437", "cp850", "koi8", "mac")


@dataclass(frozen=True)
class CsvLook:
    """A CSV file by its beginning."""

    found: UserObject
    head: Head
    #: The columns' names, in the file's own order.
    names: tuple[str, ...]
    #: Rows at the file's beginning, as texts; those of other widths are left out.
    sample: pa.RecordBatch
    #: Bytes of the file that a row takes, about; at least so many where none ends within the head.
    row_bytes: float
    #: Why it is read whole; None if it may be cut.
    whole_because: str | None

    @property
    def rows(self) -> int:
        """Its rows, about; all of them where they are known."""
        return self.sample.num_rows if self.head.is_whole else round(self.found.size_bytes / self.row_bytes)


def look_at(
    objects: UserObjects, files: Iterable[UserObject], *, delimiter: str | None, encoding: str
) -> tuple[CsvDialect, list[CsvLook]]:
    """Look at every file: one request each.

    Raises:
        Refused: one is no CSV text, or has other columns than the first.
    """
    files = list(files)
    first = files[0]
    head = read_head(objects, first, encoding=encoding)
    told = dialect_of(head.decoded, delimiter=delimiter, label=str(first), whole=head.is_whole)
    dialect = CsvDialect(delimiter=told.delimiter, encoding=encoding)
    with ThreadPoolExecutor(THREADS) as pool:
        looks = list(pool.map(partial(_look, objects, dialect), files))
    for other in looks[1:]:
        _refuse_other_columns(other, looks[0], delimiter=dialect.delimiter)
    return dialect, looks


def _look(objects: UserObjects, dialect: CsvDialect, found: UserObject) -> CsvLook:
    head = read_head(objects, found, encoding=dialect.encoding)
    dialect_of(head.decoded, delimiter=dialect.delimiter, label=str(found), whole=head.is_whole)
    header = read_header(head.decoded, delimiter=dialect.delimiter, label=str(found))
    body = _complete(head, header.text_bytes)
    part = CsvPart(
        label=str(found),
        open=lambda: TextStream(io.BytesIO(body), label=str(found), encoding="utf-8", is_start=False),
        delimiter=dialect.delimiter,
        names=header.names,
        has_end=head.is_whole,
    )
    batches, rows = [], 0
    for block in part.rows(header.names):
        rows += len(block.numbers)
        batches.append(block.texts.slice(0, block.texts.num_rows - len(block.misfits)))
    sample = pa.Table.from_batches(batches).combine_chunks().to_batches() if batches else []
    nothing = pa.RecordBatch.from_arrays(
        [pa.array([], pa.string()) for _ in header.names], names=header.names
    )
    return CsvLook(
        found=found,
        head=head,
        names=header.names,
        sample=sample[0] if sample else nothing,
        row_bytes=max(1.0, (len(body) / rows if rows else len(head.text)) / head.expansion),
        whole_because=_whole_because(head, dialect),
    )


def _complete(head: Head, skipped: int) -> bytes:
    """Give the text of the complete rows of a head."""
    body = head.text[skipped:]
    if head.is_whole:
        return body
    ends = record_ends(body, inside=False)
    # A row that is longer than the head is read by the workers alone.
    return body[: int(ends[-1])] if len(ends) else b""


def _whole_because(head: Head, dialect: CsvDialect) -> str | None:
    if head.is_compressed:
        return "it is compressed"
    if not head.encoding.replace("_", "-").startswith(_ONE_MEANING):
        return f"it is in {head.encoding.upper()}"
    if has_quoted_break(head.text, inside=False):
        return "a field holds a line break"
    check = QuoteCheck(dialect.delimiter)
    check.take(head.text)
    return None if check.is_well_formed else "double quotes stand within fields"


def _refuse_other_columns(other: CsvLook, first: CsvLook, *, delimiter: str) -> None:
    different = set(other.names) ^ set(first.names)
    if different:
        own = dialect_of(
            other.head.decoded, delimiter=None, label=str(other.found), whole=other.head.is_whole
        )
        if set(own.names) == set(first.names):
            raise Refused(
                f"{other.found} is separated by {spoken(own.delimiter)}, and {first.found} by "
                f"{spoken(delimiter)}; files that are read together must have the same delimiter."
            )
        name = min(different)
        has, lacks = (other, first) if name in other.names else (first, other)
        raise Refused(
            f"{has.found} has a column {shown(name)!r} and {lacks.found} has none; files that are read "
            "together must have the same columns."
        )


def sample_of(
    looks: Sequence[CsvLook], names: Sequence[str], *, null_texts: Sequence[str] = (), files: int = 20
) -> pa.RecordBatch:
    """Give rows at the beginnings of some of the files, as texts, without those that mean NULL."""
    table = pa.Table.from_batches([look.sample.select(list(names)) for look in looks[:files]])
    arrays = [
        without_nulls(pa.concat_arrays([pa.array([], pa.string()), *column.chunks]), null_texts)
        for column in table.columns
    ]
    return pa.RecordBatch.from_arrays(arrays, names=list(names))

"""Out-of-sample rows: what twins of a trained model say of rows unseen by them, and where it is written."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from skfleet_common.contracts.columns import Column, LogicalDtype
from skfleet_common.contracts.errors import Refused, UsageError, nearest, shown
from skfleet_common.contracts.jobs import IfExists, OutputColumn
from skfleet_common.model.oos_table import ROW
from skfleet_common.tables.port import Parts, Publication, Warehouse

_FILES = {".csv", ".parquet"}

#: Ids, as every warehouse calls them; a source may call them by words of its own.
_WAREHOUSE_TYPES = {
    LogicalDtype.BOOLEAN: "boolean",
    LogicalDtype.INTEGER: "bigint",
    LogicalDtype.FLOAT32: "real",
    LogicalDtype.FLOAT64: "double precision",
    LogicalDtype.DECIMAL: "numeric",
    LogicalDtype.TEXT: "text",
    LogicalDtype.DATE: "date",
    LogicalDtype.TIME: "time",
    LogicalDtype.TIMESTAMP: "timestamp without time zone",
    LogicalDtype.TIMESTAMPTZ: "timestamp with time zone",
    LogicalDtype.OTHER: "text",
}

#: Without them, Redshift would round to whole numbers.
_WITH_DIGITS = re.compile(r"numeric\(\d+,\d+\)")


class OutOfSampleKeywords(TypedDict, total=False):
    """The keyword arguments of ``Fleet.train`` that say where out-of-sample rows go."""

    #: ``schema.table`` in the warehouse, or a path that ends in .csv or .parquet.
    oos_output: str | None
    #: ``fail``, ``replace`` or, for a table, ``append``.
    oos_if_exists: IfExists | str | None


@dataclass(frozen=True)
class OutOfSampleAsked:
    """Where out-of-sample rows are to be written."""

    output: str
    if_exists: IfExists = IfExists.FAIL

    @property
    def path(self) -> Path | None:
        """The file; None if it is a table."""
        path = Path(self.output)
        return path if path.suffix.lower() in _FILES else None


def out_of_sample_asked(output: str | None, if_exists: IfExists | str | None) -> OutOfSampleAsked | None:
    """Give what the keywords ask; None if they ask for nothing.

    Raises:
        UsageError: the words are not what they should be.
    """
    if output is None:
        if if_exists is not None:
            raise UsageError("--oos-if-exists says nothing without --oos-output; name the output.")
        return None
    if "://" in output:
        raise UsageError(
            f"--oos-output {shown(output)} is a URL, and out-of-sample rows go to a table or a local file; "
            "name one of them."
        )
    known = [str(value) for value in IfExists]
    if if_exists is not None and str(if_exists) not in known:
        word = str(if_exists)
        raise UsageError(f"--oos-if-exists {shown(word)} is none of {', '.join(known)}{nearest(word, known)}")
    asked = OutOfSampleAsked(output, IfExists(if_exists or IfExists.FAIL))
    if asked.path is not None and asked.if_exists is IfExists.APPEND:
        raise UsageError("A file cannot be appended to; use --oos-if-exists replace, or name a table.")
    return asked


def check_destination(asked: OutOfSampleAsked, *, open_warehouse: Callable[[], Warehouse]) -> None:
    """Refuse, before anything is fitted, an output that could not be written afterwards."""
    path = asked.path
    if path is None:
        warehouse = open_warehouse()
        table = warehouse.catalogue.resolve_output(asked.output)
        if asked.if_exists is not IfExists.APPEND:
            warehouse.catalogue.check_output(table, [], if_exists=asked.if_exists)
        return
    if not path.parent.is_dir():
        raise UsageError(f"There is no folder {shown(str(path.parent))} for --oos-output; make it.")
    if path.exists() and asked.if_exists is IfExists.FAIL:
        raise Refused(f"{shown(str(path))} exists already; name another, or add --oos-if-exists replace.")


def write_out_of_sample(
    asked: OutOfSampleAsked,
    rows: pa.Table,
    *,
    source: Sequence[Column],
    outputs: Sequence[OutputColumn],
    model: str,
    open_warehouse: Callable[[], Warehouse],
    as_parts: Callable[[list[pa.RecordBatch]], Parts],
) -> None:
    """Write all rows, or none of them; ``model`` names the bundle, which is written once.

    Raises:
        Refused: something else is there, or cannot be replaced or appended to.
    """
    if asked.path is not None:
        _write_file(rows, asked.path)
        return
    warehouse = open_warehouse()
    columns = tuple(_output_column(name, source, outputs) for name in rows.column_names)
    table = warehouse.catalogue.resolve_output(asked.output)
    warehouse.catalogue.check_output(table, columns, if_exists=asked.if_exists)
    publication = Publication(
        job=f"train-{model}",
        run=1,
        table=table,
        columns=columns,
        if_exists=asked.if_exists,
        rows=rows.num_rows,
        id_columns=tuple(column.name for column in columns if column.source == "id"),
    )
    warehouse.publisher.publish(publication, as_parts(_as_workers_write(rows, columns)))


def _as_workers_write(rows: pa.Table, columns: Sequence[OutputColumn]) -> list[pa.RecordBatch]:
    """Give the rows with ids as texts, which is how publishers take them."""
    for place, column in enumerate(columns):
        if column.is_verbatim:
            rows = rows.set_column(place, column.name, rows.column(place).cast(pa.string()))
    return list(rows.to_batches())


def _output_column(name: str, source: Sequence[Column], outputs: Sequence[OutputColumn]) -> OutputColumn:
    found = next((column for column in outputs if column.name == name), None)
    if found is not None:
        return found
    column = next((column for column in source if column.name == name), None)
    dtype = LogicalDtype.INTEGER if column is None else column.dtype
    assert column is not None or name == ROW  # noqa: S101  (where there are no ids, rows are numbered)
    kind = _WAREHOUSE_TYPES[dtype]
    if column is not None and dtype is LogicalDtype.DECIMAL and _WITH_DIGITS.fullmatch(column.warehouse_type):
        kind = column.warehouse_type
    return OutputColumn(name=name, warehouse_type=kind, source="id", nullable=False)


def _write_file(rows: pa.Table, path: Path) -> None:
    """Write beside the file and move it there, so that nobody finds half of it."""
    try:
        handle, part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        os.close(handle)
        try:
            if path.suffix.lower() == ".csv":
                pyarrow.csv.write_csv(rows, part)
            else:
                pq.write_table(rows, part, compression="zstd")
            Path(part).replace(path)
        finally:
            Path(part).unlink(missing_ok=True)
    except OSError as exc:
        raise Refused(f"{shown(str(path))} cannot be written: {exc.strerror}; name another file.") from exc

"""Files as a job's source or output: how they are written, and what their columns are."""

from __future__ import annotations

from enum import StrEnum

from pydantic import NonNegativeInt

from skfleet_common.contracts.columns import Column, LogicalDtype
from skfleet_common.contracts.shapes import Shape


class FileFormat(StrEnum):
    """What a file is."""

    CSV = "csv"
    PARQUET = "parquet"


class CsvDialect(Shape):
    """How text files are written."""

    delimiter: str = ","
    #: Python's name of it; empty for UTF-8, or what a file's byte-order mark says.
    encoding: str = ""
    #: Texts that mean NULL wherever they stand, beside what means it in every column that is no text.
    null_texts: tuple[str, ...] = ()


class FileColumn(Shape):
    """A column of the files, by the name that the job knows it by."""

    name: str
    dtype: LogicalDtype
    #: The type of the output table's column that it is carried into.
    warehouse_type: str
    nullable: bool = True
    #: The files' column that holds it, where that is called otherwise.
    stored_as: str = ""
    #: The files' column that holds its text as the warehouse writes it, where there is one beside it: what
    #: is carried along is taken from there, unchanged.
    text_in: str = ""
    #: Of text files, what it is carried as, where that is another type than a model reads.
    carried_as: LogicalDtype | None = None
    #: Of text files, whether a carried text that its type would change makes its row unreadable. Where that
    #: type was asked for, the value counts.
    as_written: bool = False

    @property
    def stored_name(self) -> str:
        """The files' column that holds it."""
        return self.stored_as or self.name

    @property
    def column(self) -> Column:
        """The column as a catalogue would describe it."""
        return Column(
            name=self.name, warehouse_type=self.warehouse_type, dtype=self.dtype, nullable=self.nullable
        )


class FilesSource(Shape):
    """Files whose rows a job scores; which they are, the chunks say."""

    format: FileFormat
    #: Of CSV files.
    dialect: CsvDialect | None = None
    columns: tuple[FileColumn, ...]
    files: NonNegativeInt
    #: What the files have together; the slices of text files add up to it.
    size_bytes: NonNegativeInt
    #: Columns that no file has: which file a row is of, and its number there, from 1 on. Empty where the
    #: files have id columns of their own.
    file_column: str = ""
    row_column: str = ""


class FilesOutput(Shape):
    """Files that a job publishes to."""

    #: ``s3://bucket/prefix/``.
    uri: str
    format: FileFormat = FileFormat.PARQUET
    one_file: bool = False

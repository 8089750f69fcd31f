"""What a user asks to be read, before anything is opened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from typing import TYPE_CHECKING, TypedDict

from skfleet_common.contracts.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

Path = str | PathLike[str]

#: The sources, of which a request names one.
SOURCES = ("table", "query", "csv", "parquet", "frame")


class InputKeywords(TypedDict, total=False):
    """The keyword arguments of ``Fleet.train`` that say what to learn from; None is as good as nothing."""

    #: ``schema.name`` in the warehouse; parts may be double-quoted.
    table: str | None
    #: One SELECT in the warehouse's dialect.
    query: str | None
    #: One or several CSV files with the same columns: paths or ``s3://`` URLs, which may hold ``*``.
    csv: Path | Sequence[Path] | None
    #: The same of Parquet files.
    parquet: Path | Sequence[Path] | None
    #: A pandas DataFrame.
    frame: pd.DataFrame | None
    #: Only rows of the table that satisfy this SQL expression.
    where: str | None
    #: By column, what its values are, instead of what the source says: ``integer``, ``text`` …
    types: Mapping[str, str] | None
    #: One character; told from the file by default.
    delimiter: str | None
    #: UTF-8 by default, or what the file's byte-order mark says.
    encoding: str | None
    #: Texts that mean NULL wherever they stand in a CSV file.
    null_text: str | Sequence[str] | None
    #: Learn from this many rows, drawn by the seed.
    sample: int | None


@dataclass(frozen=True)
class InputAsked:
    """What to read; exactly one of the sources is given."""

    table: str | None = None
    query: str | None = None
    csv: tuple[str, ...] = ()
    parquet: tuple[str, ...] = ()
    frame: pd.DataFrame | None = None
    where: str | None = None
    types: Mapping[str, str] = field(default_factory=dict)
    delimiter: str | None = None
    encoding: str | None = None
    null_text: tuple[str, ...] = ()
    sample: int | None = None

    def __post_init__(self) -> None:
        # A frame has no truth value, so that it is only ever compared with None.
        given = [name for name in SOURCES if getattr(self, name) is not None and self._names_any(name)]
        if len(given) != 1:
            flags = ", ".join(f"--{name}" for name in SOURCES if name != "frame")
            problem = f"not {' and '.join(f'--{name}' for name in given)}" if given else "none is given"
            raise UsageError(f"Name one thing to learn from with {flags}; {problem}.")
        if self.where is not None and self.table is None:
            raise UsageError(
                f"--where is for a table, not for --{given[0]}; write it into the query, or leave rows out "
                "of the file."
            )
        for name, value in (
            ("delimiter", self.delimiter),
            ("encoding", self.encoding),
            ("null-text", self.null_text),
        ):
            if value and not self.csv:
                raise UsageError(f"--{name} is for --csv, not for --{given[0]}; leave it out.")

    def _names_any(self, source: str) -> bool:
        return source not in {"csv", "parquet"} or bool(getattr(self, source))

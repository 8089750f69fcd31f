"""A request to score a table, and the token that makes the same request the same job."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from skfleet.read_modes import ReadMode
from skfleet.request_options import check_output_options, check_source_options
from skfleet_common.contracts.errors import UsageError
from skfleet_common.contracts.file_sources import FileFormat
from skfleet_common.contracts.jobs import IfExists, OnDrift
from skfleet_common.contracts.kinds import kinds_of

#: A token is part of a key of the tracker, and people read it.
MAX_TOKEN_CHARACTERS = 256

#: A scorer holds all models of a job in memory at once.
MAX_MODELS = 20

#: Options that came later, and leave a request as it was where they are not given.
_LATER = (
    "more_models",
    "outputs",
    "csv",
    "parquet",
    "delimiter",
    "encoding",
    "null_text",
    "types",
    "whole_files",
    "content",
    "output",
    "output_format",
    "one_file",
    "read",
)

#: One name of an option: in double quotes, doubled inside, or up to the next comma.
_NAME = re.compile(r'\s*(?:"((?:[^"]|"")*)"\s*(?=,|$)|([^,]*))(?:,|$)')


def split_names(text: str) -> tuple[str, ...]:
    """Give the names of an option, which commas separate; spaces around them count only in double quotes.

    A name that holds a comma stands in double quotes: ``"a, b",c`` is two names.
    """
    names = []
    for match in _NAME.finditer(text):
        quoted, plain = match.groups()
        names.append(plain.strip() if quoted is None else quoted.replace('""', '"'))
    return tuple(name for name in names if name)


@dataclass(frozen=True)
class PredictRequest:
    """What a user asks for, before anything is looked up."""

    model: str
    table: str = ""
    id_columns: tuple[str, ...] = ()
    output_table: str = ""
    split_column: str | None = None
    if_exists: IfExists = IfExists.FAIL
    where: str | None = None
    #: Output columns to write; empty means all of the model's usual ones, or of ``outputs``.
    columns: tuple[str, ...] = ()
    chunk_rows: int | None = None
    #: Features that may be NULL in every row.
    allow_all_null: tuple[str, ...] = ()
    on_drift: OnDrift = OnDrift.FAIL
    #: Rows that may be quarantined before the job fails.
    max_rejects: int = 0
    #: Whether views on a replaced output table are made anew on its successor.
    cascade_views: bool = False
    #: How far a column may have drifted from the training rows (PSI); None only measures it.
    max_drift: float | None = None
    #: The submission token; None derives one from the request.
    token: str | None = None
    #: Models that score what is read for the first one.
    more_models: tuple[str, ...] = ()
    #: The kinds of output to write, by the words of ``--outputs``; empty means the usual ones.
    outputs: tuple[str, ...] = ()
    #: Files instead of a table: S3 addresses of a file, a prefix, a pattern or a manifest.
    csv: tuple[str, ...] = ()
    parquet: tuple[str, ...] = ()
    #: Of CSV files; None and nothing are told from them.
    delimiter: str | None = None
    encoding: str | None = None
    null_text: tuple[str, ...] = ()
    #: Pairs of a column and the word for its type.
    types: tuple[tuple[str, str], ...] = ()
    #: Whether no CSV file is cut.
    whole_files: bool = False
    #: Digests of files of this host, which are read where they were uploaded to.
    content: tuple[str, ...] = ()
    #: Where to write files, instead of a table: ``s3://bucket/prefix/``.
    output: str = ""
    output_format: FileFormat | None = None
    one_file: bool = False
    #: How a table is read; None and ``auto`` leave it to skfleet.
    read: ReadMode | None = None

    def __post_init__(self) -> None:
        kinds_of(self.outputs)
        if len(self.models) > MAX_MODELS:
            raise UsageError(
                f"A job scores with {MAX_MODELS} models at most, not {len(self.models)}; submit several."
            )
        check_source_options(self)
        check_output_options(self)
        if self.chunk_rows is not None and self.chunk_rows < 1:
            raise UsageError(f"--chunk-rows must be 1 or more, not {self.chunk_rows}.")
        if self.max_rejects < 0:
            raise UsageError(f"--max-rejects must be 0 or more, not {self.max_rejects}.")
        if self.max_drift is not None and not 0 < self.max_drift < math.inf:
            raise UsageError(f"--max-drift must be a number above 0, such as 0.25, not {self.max_drift:g}.")
        if self.token is not None and not 1 <= len(self.token.strip()) <= MAX_TOKEN_CHARACTERS:
            raise UsageError(
                f"A token has 1 to {MAX_TOKEN_CHARACTERS} characters; choose another, or leave --token out."
            )

    @property
    def files(self) -> tuple[str, ...]:
        """Every file that is named."""
        return self.csv + self.parquet

    @property
    def models(self) -> tuple[str, ...]:
        """Every model that is asked for."""
        return (self.model, *self.more_models)

    def asks(self, fleet: str) -> str:
        """Give the SHA-256 of what is asked of ``fleet``, whatever the token."""
        asked = asdict(self) | {"token": None, "fleet": fleet}
        # Requests that could be made before these options were there are the same requests still.
        asked = {name: value for name, value in asked.items() if name not in _LATER or value}
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()

    def derived_token(self, *, fleet: str, digests: Sequence[str]) -> str:
        """Give the token of this request for the bundles of its models."""
        asked = f"{self.asks(fleet)}@{'+'.join(digests)}"
        return "derived-" + hashlib.sha256(asked.encode()).hexdigest()

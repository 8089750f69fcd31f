"""Options of a request that go together, or do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skfleet_common.contracts.errors import UsageError
from skfleet_common.contracts.jobs import IfExists

if TYPE_CHECKING:
    from skfleet.request import PredictRequest

_SOURCES = ("table", "csv", "parquet")
#: What is for tables alone, and for CSV files alone.
_OF_TABLES = ("split_column", "read")
_OF_CSV = ("delimiter", "encoding", "null_text", "types", "whole_files")
_OF_OUTPUT_FILES = ("output_format", "one_file")


def check_source_options(request: PredictRequest) -> None:
    """Refuse a request that does not name one source, or says of it what is for others.

    Raises:
        UsageError: it does.
    """
    given = [name for name in _SOURCES if getattr(request, name)]
    if len(given) != 1:
        named = f"not {' and '.join(_flag(name) for name in given)}" if given else "none is given"
        raise UsageError(f"Name one thing to score with --table, --csv or --parquet; {named}.")
    if given == ["table"] and not request.id_columns:
        raise UsageError("Name at least one id column with --id-column.")
    for name in _OF_TABLES:
        if getattr(request, name) and given != ["table"]:
            raise UsageError(f"{_flag(name)} is for --table, not for {_flag(given[0])}; leave it out.")
    if request.where is not None and given == ["csv"]:
        raise UsageError(
            "--where is for --table and --parquet, not for --csv; leave rows out of the files, or score all."
        )
    for name in _OF_CSV:
        if getattr(request, name) and given != ["csv"]:
            raise UsageError(f"{_flag(name)} is for --csv, not for {_flag(given[0])}; leave it out.")


def check_output_options(request: PredictRequest) -> None:
    """Refuse a request that does not name one output, or says of it what is for others.

    Raises:
        UsageError: it does.
    """
    if bool(request.output) == bool(request.output_table):
        problem = "not both" if request.output else "none is given"
        raise UsageError(f"Name one output with --output-table or --output s3://BUCKET/PREFIX/; {problem}.")
    if request.output and request.if_exists is IfExists.APPEND:
        raise UsageError("--if-exists append is for tables; write new files below another prefix.")
    if request.output and request.cascade_views:
        raise UsageError("--cascade-views is for --output-table, not for --output; leave it out.")
    for name in _OF_OUTPUT_FILES:
        if getattr(request, name) and not request.output:
            raise UsageError(f"{_flag(name)} is for --output, not for --output-table; leave it out.")


def _flag(name: str) -> str:
    return {"types": "--type"}.get(name, f"--{name.replace('_', '-')}")

"""Opening files: from the names in a request to a source that is scored."""

from __future__ import annotations

from collections.abc import Sequence

from skfleet.files.csv_source import CsvAsked, CsvSource
from skfleet.files.found import find_files
from skfleet.files.parquet_source import ParquetSource
from skfleet.files.target import FilesTarget
from skfleet.inputs.dialect import check_delimiter
from skfleet.inputs.types import check_types
from skfleet.request import PredictRequest
from skfleet.scored_source import ScoredSource
from skfleet_common.aws.user_objects import UserObjects
from skfleet_common.contracts.chunks import TableName
from skfleet_common.contracts.errors import Refused
from skfleet_common.files.text_stream import check_encoding
from skfleet_common.model.manifest import FeatureManifest


def open_files(
    request: PredictRequest, objects: UserObjects, manifests: Sequence[FeatureManifest]
) -> ScoredSource:
    """Find the files and look at each; those without a byte hold no rows, and are left out.

    Raises:
        Refused: there is none, or they are not what they should be.
        UsageError: one lies below the output.
    """
    named = find_files(objects, request.files)
    if request.output:
        FilesTarget.of(request, objects).refuse_sources(named)
    found = [it for it in named if it.size_bytes]
    if not found:
        raise Refused(f"{request.files[0]} is empty; name a file that has rows.")
    more = f" and {len(request.files) - 1} more" if len(request.files) > 1 else ""
    name = TableName(schema_name="", name=f"{request.files[0]}{more}")
    if request.parquet:
        return ParquetSource.open(
            objects,
            found,
            name=name,
            manifests=manifests,
            id_names=request.id_columns,
            where=request.where,
        )
    asked = CsvAsked(
        delimiter=None if request.delimiter is None else check_delimiter(request.delimiter),
        encoding="" if request.encoding is None else check_encoding(request.encoding),
        null_texts=request.null_text,
        types=check_types(dict(request.types)),
        whole_files=request.whole_files,
    )
    return CsvSource.open(objects, found, asked, name=name, manifests=manifests, id_names=request.id_columns)

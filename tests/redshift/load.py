"""COPY: Parquet files into a table, inside the client's own transaction."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from tests.redshift.lexicon import Token, WrittenName, closing, name_at
from tests.redshift.refusal import Refusal, internal, s3_failure, spectrum, syntax_error
from tests.redshift.storage import Location, Storage
from tests.redshift.types import ColumnType
from tests.redshift.vocabulary import words

#: Options that COPY of a columnar format takes (COPY from columnar data formats).
_KNOWN_OPTIONS = words("options of COPY")


@dataclass(frozen=True)
class LoadStatement:
    """What a COPY asks for."""

    table: WrittenName
    columns: tuple[str, ...]
    source: Location
    manifest: bool
    region: str | None


def read_load(tokens: Sequence[Token]) -> LoadStatement:
    """Read COPY table [(columns)] FROM 's3://…' and its options.

    Raises:
        Refusal: it is not written as documented, or asks for what columnar formats do not have.
    """
    table = name_at(tokens, 1)
    at, columns = table.after, ()
    if tokens[at].text == "(":
        end = closing(tokens, at)
        columns = tuple(token.name for token in tokens[at + 1 : end] if token.text != ",")
        at = end + 1
    if tokens[at].word != "from" or tokens[at + 1].kind != "string":
        raise syntax_error(tokens[at].text)
    options = tokens[at + 2 :]
    words = [token.word for token in options]
    if "parquet" not in words:
        raise Refusal("the test server copies FORMAT PARQUET alone")
    for token in options:
        if token.word and token.word not in _KNOWN_OPTIONS:
            raise Refusal(f"{token.text.upper()} argument is not supported for PARQUET based COPY")
    region = (
        options[words.index("region") + 1 + (words[words.index("region") + 1] == "as")]
        if "region" in words
        else None
    )
    return LoadStatement(
        table=table, columns=columns, source=Location.of(tokens[at + 1].value), manifest="manifest" in words,
        region=region.value if region else None,
    )  # fmt: skip


def load(
    statement: LoadStatement, backend: Any, storage: Storage, *, quoted_table: str, columns: Sequence[str]
) -> int:
    """Load the files into the table on the backend's session; give the rows.

    Raises:
        Refusal: a file is missing or does not fit the table.
    """
    storage.check_region(statement.source)
    targets = _targets(backend, quoted_table, columns)
    rows = 0
    for place in _files(statement, storage):
        content = storage.read(place)
        if content is None:
            raise s3_failure(
                "NoSuchKey", 404, "The specified key does not exist.", context=f"S3 key being read : {place}"
            )
        try:
            found = pyarrow.parquet.read_table(io.BytesIO(content))
        except pa.ArrowInvalid as exc:
            raise spectrum(f"{place} is not a Parquet file: {exc}. File name: {place}", code=15001) from exc
        if found.num_columns != len(targets):
            raise spectrum(
                f"Unmatched number of columns between table and file. Table columns: {len(targets)}, "
                f"Data columns: {found.num_columns}, File name: {_https(place)}"
            )
        for target, data in zip(targets, found.columns, strict=True):
            target.check_loading(data, file=_https(place))
        rows += _insert(backend, quoted_table, targets, found)
    return rows


def _files(statement: LoadStatement, storage: Storage) -> list[Location]:
    if not statement.manifest:
        found = storage.keys(statement.source)
        if not found:
            raise Refusal(
                f"The specified S3 prefix '{statement.source.key}' does not exist", sqlstate="XX000"
            )
        return found
    text = storage.read(statement.source)
    if text is None:
        raise internal(
            "Problem reading manifest file - S3ServiceException:The specified key does not exist.,Status 404,"
            "Error NoSuchKey,Rid 4711TEST,ExtRid test,CanRetry 1",
            code=8001, context=f"s3://{statement.source.bucket}/{statement.source.key}",
        )  # fmt: skip
    try:
        entries = json.loads(text)["entries"]
        places = [(Location.of(entry["url"]), entry) for entry in entries]
    except (ValueError, KeyError, TypeError) as exc:
        raise internal(
            "Manifest file is not in correct json format", code=8001, context=str(statement.source)
        ) from exc
    for _, entry in places:
        if "meta" not in entry:
            raise internal("File entry does not have 'meta' key.", code=15003, context="manifest")
        if "content_length" not in entry["meta"]:
            raise internal("'meta' key does not have 'content_length' key.", code=15003, context="manifest")
    present = [_checked(place, entry, storage) for place, entry in places]
    found = [place for place in present if place is not None]
    if not found:
        raise internal("No files found in the manifest", code=8001, context=str(statement.source))
    return found


def _checked(place: Location, entry: dict[str, Any], storage: Storage) -> Location | None:
    content = storage.read(place)
    if content is None:
        if entry.get("mandatory", False):
            raise internal(
                f"The specified S3 file '{place}' is mandatory in the manifest and does not exist",
                code=8001, context=str(place),
            )  # fmt: skip
        return None
    if len(content) != entry["meta"]["content_length"]:
        raise spectrum(
            f"content_length {entry['meta']['content_length']} of the manifest is not "
            f"the size {len(content)} of {place}"
        )
    return place


def _https(place: Location) -> str:
    return f"https://s3.us-east-1.amazonaws.com/{place.bucket}/{place.key}"


def _targets(backend: Any, quoted_table: str, columns: Sequence[str]) -> list[ColumnType]:
    with backend.cursor() as cursor:
        cursor.execute(
            "SELECT attname, redshift.type_name(atttypid, atttypmod), attnotnull "
            "FROM pg_catalog.pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 "
            "AND NOT attisdropped ORDER BY attnum",
            (quoted_table,),
        )
        found = {name: ColumnType(name, spelled, required) for name, spelled, required in cursor.fetchall()}
    for name in columns:
        if name not in found:
            raise Refusal(f'column "{name}" of relation "{quoted_table}" does not exist', sqlstate="42703")
    return [found[name] for name in columns] if columns else list(found.values())


def _insert(backend: Any, quoted_table: str, targets: Sequence[ColumnType], found: pa.Table) -> int:
    sink = io.BytesIO()
    names = [f"c{number}" for number in range(len(targets))]
    pa.csv.write_csv(
        found.rename_columns(names), sink, pa.csv.WriteOptions(include_header=False, quoting_style="needed")
    )
    sink.seek(0)
    into = ", ".join('"' + target.name.replace('"', '""') + '"' for target in targets)
    with backend.cursor() as cursor:
        cursor.copy_expert(f"COPY {quoted_table} ({into}) FROM STDIN (FORMAT csv)", sink)
        return int(cursor.rowcount)

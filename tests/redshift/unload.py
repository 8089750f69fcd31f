"""UNLOAD: a query's result as Parquet files and their manifest."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from tests.redshift.dialect import Dialect, Forwarded
from tests.redshift.lexicon import Token, starts_with, tokens_of
from tests.redshift.refusal import Refusal, syntax_error
from tests.redshift.storage import Location, Storage
from tests.redshift.types import ColumnType
from tests.redshift.unload_statement import UnloadStatement

NOT_EMPTY = (
    "Specified unload destination on S3 is not empty. Consider using a different bucket / prefix, "
    "manually removing the target files in S3, or using the ALLOWOVERWRITE option."
)


@dataclass(frozen=True)
class Unloading:
    """How a cluster unloads: its slices, and how much smaller its files are than what statements say."""

    slices: int = 2
    #: A file of 64 MB is one of 64 kB here, so that little data makes several files and row groups.
    sizes_divided_by: int = 1024
    #: Whether a result without rows, for which there are no files, has a manifest.
    manifest_of_nothing: bool = True

    def run(self, statement: UnloadStatement, backend: Any, storage: Storage, dialect: Dialect) -> int:
        """Write the files and the manifest; give the rows.

        Raises:
            Refusal: the prefix is taken, the query is refused, or a type has no place in Parquet.
        """
        read = dialect.read(statement.query)
        inner = tokens_of(statement.query)
        if not isinstance(read, Forwarded) or read.verb not in {"select", "with"}:
            raise syntax_error(inner[0].text if inner else "")
        if _has_outer_limit(inner):
            raise Refusal("Limit clause is not supported")
        storage.check_region(statement.prefix)
        taken = storage.keys(statement.prefix)
        if taken and statement.clean_path:
            for place in taken:
                storage.delete(place)
        elif taken and not statement.allow_overwrite:
            raise Refusal(NOT_EMPTY, sqlstate="XX000")
        table, columns = _fetch(read.sql, backend)
        entries = []
        for name, part in self._files(statement, table):
            place = Location(statement.prefix.bucket, f"{statement.prefix.key}{name}")
            content = self._encode(part, statement)
            storage.write(place, content)
            entries.append(
                {"url": str(place), "meta": {"content_length": len(content), "record_count": part.num_rows}}
            )
        if statement.manifest and (entries or self.manifest_of_nothing):
            place = Location(statement.prefix.bucket, f"{statement.prefix.key}manifest")
            storage.write(place, json.dumps(_manifest(entries, columns, verbose=statement.verbose)).encode())
        return int(table.num_rows)

    def _files(self, statement: UnloadStatement, table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
        limit = max(1, statement.file_bytes // self.sizes_divided_by)
        slices = self.slices if statement.parallel else 1
        for number in range(slices):
            rows = (
                table.take(pa.array(range(number, table.num_rows, slices), pa.int64()))
                if slices > 1
                else table
            )
            for part, piece in enumerate(self._pieces(rows, limit, statement)):
                name = f"{number:04d}_part_{part:02d}" if statement.parallel else f"{part:03d}"
                yield f"{name}.parquet", piece

    def _pieces(self, rows: pa.Table, limit: int, statement: UnloadStatement) -> Iterator[pa.Table]:
        if rows.num_rows == 0:
            return
        files = -(-len(self._encode(rows, statement)) // limit)
        size = -(-rows.num_rows // files)
        for start in range(0, rows.num_rows, size):
            yield rows.slice(start, size)

    def _encode(self, rows: pa.Table, statement: UnloadStatement) -> bytes:
        sink = io.BytesIO()
        share = max(1, statement.group_bytes // self.sizes_divided_by)
        group = max(1, rows.num_rows * share // max(1, rows.nbytes))
        pyarrow.parquet.write_table(
            rows.replace_schema_metadata(None), sink, row_group_size=group, compression="snappy",
            version="1.0", store_schema=False,
        )  # fmt: skip
        return sink.getvalue()


def _has_outer_limit(tokens: Sequence[Token]) -> bool:
    depth = 0
    for token in tokens:
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if depth == 0 and token.word in {"limit", "top"}:
            return True
    return starts_with(tokens, "select", "top")


def _fetch(query: str, backend: Any) -> tuple[pa.Table, list[ColumnType]]:
    with backend.cursor() as cursor:
        # The end of the query may be a comment.
        cursor.execute(f"SELECT * FROM ({query}\n) unloaded LIMIT 0")
        described = cursor.description
        names = [column.name for column in described]
        if len(set(names)) < len(names):
            raise Refusal("UNLOAD to PARQUET needs column names that are unique", sqlstate="42701")
        spelled = [spelled_type(cursor, column) for column in described]
        columns = [ColumnType(name, kind) for name, kind in zip(names, spelled, strict=True)]
        for column in columns:
            if column.for_unload() is None:
                raise Refusal(
                    f"UNLOAD of column {column.name} of type {column.base} to PARQUET is not supported"
                )
        aliases = [f"c{number}" for number in range(len(columns))]
        values = [
            f"{alias} AT TIME ZONE 'UTC'" if column.base == "timestamp with time zone" else alias
            for alias, column in zip(aliases, columns, strict=True)
        ]
        sink = io.BytesIO()
        cursor.copy_expert(
            f"COPY (SELECT {', '.join(values)} FROM ({query}\n) unloaded({', '.join(aliases)})) "
            "TO STDOUT (FORMAT csv, FORCE_QUOTE *)",
            sink,
        )
    types = {alias: column.for_unload() for alias, column in zip(aliases, columns, strict=True)}
    return _parse(sink.getvalue(), types, names), columns


def spelled_type(cursor: Any, column: Any) -> str:
    """Spell a result's type; the backend tells a domain, which SUPER is, only of a table's own column."""
    cursor.execute(
        "SELECT redshift.type_name(atttypid, atttypmod) FROM pg_catalog.pg_attribute "
        "WHERE attrelid = %s AND attnum = %s UNION ALL SELECT redshift.type_name(%s, %s)",
        (column.table_oid or 0, column.table_column or 0, column.type_code, _modifier(column)),
    )
    return str(cursor.fetchall()[0][0])


def _modifier(column: Any) -> int:
    if column.precision is not None and column.precision < 65535:
        return int((column.precision << 16 | (column.scale or 0)) + 4)
    if column.type_code in {1042, 1043} and column.internal_size and column.internal_size > 0:
        return int(column.internal_size + 4)
    return -1


def _parse(text: bytes, types: dict[str, Any], names: list[str]) -> pa.Table:
    if not text:
        return pa.table({}, schema=pa.schema([])) if not names else pa.table(
            [pa.array([], kind) for kind in types.values()], names=names
        )  # fmt: skip
    table = pa.csv.read_csv(
        pa.BufferReader(text),
        read_options=pa.csv.ReadOptions(column_names=list(types), block_size=1 << 24),
        parse_options=pa.csv.ParseOptions(newlines_in_values=True),
        convert_options=pa.csv.ConvertOptions(
            column_types=types, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False,
            true_values=["t"], false_values=["f"],
        ),
    )  # fmt: skip
    return table.rename_columns(names)


def _manifest(entries: list[dict[str, Any]], columns: list[ColumnType], *, verbose: bool) -> dict[str, Any]:
    if not verbose:
        return {
            "entries": [
                {"url": e["url"], "meta": {"content_length": e["meta"]["content_length"]}} for e in entries
            ]
        }
    return {
        "entries": entries,
        "schema": {"elements": [column.manifest_entry() for column in columns]},
        "meta": {
            key: sum(entry["meta"][key] for entry in entries) for key in ("content_length", "record_count")
        },
        "author": {"name": "Amazon Redshift", "version": "1.0.0"},
    }

"""Types of columns: what UNLOAD writes them as in Parquet, and what COPY takes from Parquet into them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tests.redshift.refusal import spectrum

#: Types of which Parquet knows nothing (UNLOAD, usage notes).
_NEVER_IN_PARQUET = ("geometry", "geography", "hllsketch", "varbyte", "binary varying")

_PLAIN = {
    "smallint": pa.int16(), "integer": pa.int32(), "bigint": pa.int64(), "real": pa.float32(),
    "double precision": pa.float64(), "boolean": pa.bool_(), "date": pa.date32(),
    "timestamp without time zone": pa.timestamp("us"), "timestamp with time zone": pa.timestamp("us"),
    "time without time zone": pa.time64("us"),
}  # fmt: skip


@dataclass(frozen=True)
class ColumnType:
    """A column and its type as ``format_type`` spells it."""

    name: str
    spelled: str
    required: bool = False

    @property
    def base(self) -> str:
        return re.sub(r"\(.*?\)", "", self.spelled)

    @property
    def dimensions(self) -> tuple[int, ...]:
        found = re.search(r"\((.*?)\)", self.spelled)
        return tuple(int(part) for part in found.group(1).split(",")) if found else ()

    @property
    def is_text(self) -> bool:
        return self.base in {"character varying", "character", "text", "super", "name", "unknown", '"char"'}

    def for_unload(self) -> pa.DataType | None:
        """Give the type in Parquet, or None where Redshift has none."""
        if self.base in _NEVER_IN_PARQUET:
            return None
        if self.base == "numeric":
            return pa.decimal128(*(self.dimensions or (38, 10)))
        return pa.string() if self.is_text else _PLAIN.get(self.base)

    def manifest_entry(self) -> dict[str, Any]:
        """Describe the column as MANIFEST VERBOSE does."""
        kind: dict[str, Any] = {"base": "character varying" if self.base == "text" else self.base}
        if self.base == "numeric":
            kind["precision"], kind["scale"] = self.dimensions or (38, 10)
        elif self.is_text:
            kind["max_length"] = (self.dimensions or (65535,))[0]
        return {"name": self.name, "type": kind}

    def check_loading(self, found: pa.ChunkedArray, *, file: str) -> None:
        """Refuse data of a Parquet column that COPY would not put into this one."""
        if not self._takes(found.type):
            raise spectrum(
                f"File '{file}' has an incompatible Parquet schema for column '{file}.{self.name}'. "
                f"Column type: {self.spelled.upper()}, Parquet schema:\noptional {found.type} {self.name}"
            )
        if self.is_text and self.dimensions:
            longest = pc.max(pc.binary_length(found)).as_py() or 0
            if longest > self.dimensions[0]:
                raise spectrum(
                    f"The length of the data column {self.name} is longer than the length defined in the "
                    f"table. Table: {self.dimensions[0]}, Data: {longest}, File name: {file}",
                    code=15001,
                )
        if self.required and found.null_count:
            raise spectrum(
                f"NULL value in the column {self.name}, which is NOT NULL. File name: {file}", code=8007
            )

    def _takes(self, found: pa.DataType) -> bool:
        if self.base in {"character varying", "character", "text"}:
            return pa.types.is_string(found) or pa.types.is_large_string(found)
        if self.base == "numeric":
            precision, scale = self.dimensions or (18, 0)
            return pa.types.is_decimal(found) and found.scale == scale and found.precision <= precision
        if self.base == "timestamp without time zone":
            return pa.types.is_timestamp(found) and found.unit in {"ms", "us"}
        if self.base in {
            "timestamp with time zone",
            "time without time zone",
            "time with time zone",
            "super",
        }:
            return False  # Spectrum, which reads Parquet for COPY, has none of these types
        if self.base == "smallint":
            return found in (pa.int16(), pa.int8())
        return bool(found == _PLAIN.get(self.base))

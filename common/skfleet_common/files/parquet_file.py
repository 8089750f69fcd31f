"""Parquet files on S3: opened by their last bytes, read by row groups and columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.parquet as pq

from skfleet_common.aws.user_objects import UserObject, UserObjects
from skfleet_common.contracts.errors import Refused
from skfleet_common.files.ranged_file import RangedFile

#: What all columns' buffers may take of memory, and the least and most of one.
_BUFFERS_BYTES = 128 * 1024**2
_BUFFER_BYTES = (256 * 1024, 8 * 1024**2)


@contextmanager
def open_parquet(objects: UserObjects, found: UserObject, *, columns: int = 1) -> Iterator[pq.ParquetFile]:
    """Open a Parquet file of which so many columns are read, and say in a sentence what is wrong with it.

    Raises:
        Refused: it is none, or damaged.
    """
    least, most = _BUFFER_BYTES
    with RangedFile(objects, found) as file:
        try:
            with pq.ParquetFile(
                file,
                pre_buffer=False,
                buffer_size=min(most, max(least, _BUFFERS_BYTES // max(1, columns))),
                # The old way of writing moments; nanoseconds would end in the year 2262.
                coerce_int96_timestamp_unit="us",
            ) as parquet:
                yield parquet
        except (pa.ArrowException, OSError) as exc:
            said = str(exc)
            if "magic bytes" in said or "minimum file size" in said or "footer" in said.lower():
                raise Refused(
                    f"{found} is no Parquet file, or not all of one; copy it anew, or read it with --csv."
                ) from exc
            raise Refused(f"{found} cannot be read as Parquet: it is damaged; copy it anew.") from exc


def row_batches(
    parquet: pq.ParquetFile, groups: Sequence[int], names: Sequence[str], *, batch_rows: int
) -> Iterator[pa.RecordBatch]:
    """Stream the named columns of some row groups."""
    yield from parquet.iter_batches(
        batch_size=batch_rows, row_groups=list(groups), columns=list(names), use_threads=False
    )

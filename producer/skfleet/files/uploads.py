"""Uploads: files of this host and frames, which workers read where they were copied to."""

from __future__ import annotations

import hashlib
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from skfleet.inputs.files import InputFile, local_files, refuse_same
from skfleet.inputs.frame_input import FrameInput
from skfleet.progress import Silent, Steps
from skfleet.request import PredictRequest
from skfleet_common.aws.session import Cloud
from skfleet_common.aws.user_files import SCHEME, ObjectUrl, UserFiles
from skfleet_common.aws.user_writes import Upload, UserWrites
from skfleet_common.contracts.errors import SkfleetError

_BLOCK_BYTES = 1024 * 1024


@contextmanager
def frame_file(frame: Any) -> Iterator[Path]:
    """Give a Parquet file that holds a frame, for as long as the block lasts.

    Raises:
        UsageError: it is no DataFrame.
        Refused: a column's values are no file's.
    """
    source = FrameInput.open(frame)
    rows = source.read([column.name for column in source.columns], steps=Silent())
    with tempfile.TemporaryDirectory(prefix="skfleet-frame-") as folder:
        path = Path(folder) / "frame.parquet"
        pq.write_table(rows, path, compression="zstd")
        yield path


def with_content(request: PredictRequest) -> PredictRequest:
    """Give a request that says what its files on this host hold, so that others of their names are others."""
    digests = []
    for file in _files(_named(request)):
        with file.path.open("rb") as opened:
            digests.append(hashlib.file_digest(opened, "sha256").hexdigest())
    return replace(request, content=tuple(digests)) if digests else request


@contextmanager
def uploaded(request: PredictRequest, cloud: Cloud, *, job: str, steps: Steps) -> Iterator[PredictRequest]:
    """Give the request with its files on S3, those of this host below the job's prefix.

    They stay there for the job, unless the block ends with an error.
    """
    named = _named(request)
    files = _files(named)
    if not files:
        yield request
        return
    writes = UserWrites(UserFiles(cloud.store.client, cloud.store.where))
    folder = ObjectUrl(cloud.store.bucket, cloud.names.uploads(job))
    keys = iter(_keys(folder.key, files))
    there: list[str] = []
    try:
        for name, those in named:
            for file in those:
                url = ObjectUrl(folder.bucket, next(keys))
                _copy(file, writes, url, steps)
                there.append(str(url))
            if not those:
                there.append(name)
        names = tuple(there)
        yield replace(request, csv=names) if request.csv else replace(request, parquet=names)
    except BaseException:
        # What is left then, clean-up finds.
        with suppress(SkfleetError):
            writes.delete(folder.bucket, list(cloud.store.list_keys(folder.key)))
        raise


def _named(request: PredictRequest) -> list[tuple[str, list[InputFile]]]:
    """Give each name with its files of this host: none, where it is an address on S3."""
    flag = "--csv" if request.csv else "--parquet"
    named = [
        (name, [] if name.startswith(SCHEME) else local_files(name, flag=flag)) for name in request.files
    ]
    refuse_same(_files(named))
    return named


def _files(named: Sequence[tuple[str, list[InputFile]]]) -> list[InputFile]:
    return [file for _, files in named for file in files]


def _keys(prefix: str, files: Sequence[InputFile]) -> list[str]:
    """Give each file a key with its own name; of files that share one, with their number before it."""
    times = Counter(file.path.name for file in files)
    return [
        f"{prefix}{file.path.name}" if times[file.path.name] == 1 else f"{prefix}{number}/{file.path.name}"
        for number, file in enumerate(files, start=1)
    ]


def _copy(file: InputFile, writes: UserWrites, url: ObjectUrl, steps: Steps) -> None:
    upload = Upload(writes, url)
    try:
        with (
            steps.step(f"Uploading {file.path.name}", total=file.size_bytes, unit="bytes") as step,
            file.path.open("rb") as opened,
        ):
            while block := opened.read(_BLOCK_BYTES):
                upload.write(block)
                step.reach(upload.size_bytes)
            upload.finish()
    except BaseException:
        upload.give_up()
        raise

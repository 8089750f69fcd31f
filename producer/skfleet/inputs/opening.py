"""Opening: from what a user asks to be read to the input that reads it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from skfleet.files.found import find_named, refuse_same_objects
from skfleet.inputs.asked import InputAsked
from skfleet.inputs.csv_input import CsvInput, CsvOptions
from skfleet.inputs.dialect import check_delimiter
from skfleet.inputs.files import InputFile, local_files, refuse_same
from skfleet.inputs.frame_input import FrameInput
from skfleet.inputs.parquet_input import ParquetInput
from skfleet.inputs.port import TrainingInput
from skfleet.inputs.retyped import retyped
from skfleet.inputs.sample import Sample
from skfleet.inputs.table_input import TableInput
from skfleet.inputs.types import check_types
from skfleet.progress import Steps
from skfleet_common.aws.user_files import SCHEME, ObjectUrl, UserFiles
from skfleet_common.aws.user_objects import UserObject, UserObjects
from skfleet_common.contracts.errors import Refused
from skfleet_common.files.text_stream import check_encoding
from skfleet_common.tables.port import Warehouse


@contextmanager
def open_input(
    asked: InputAsked,
    *,
    open_warehouse: Callable[[], Warehouse],
    open_files: Callable[[], UserFiles],
    id_columns: Sequence[str] = (),
    seed: int = 0,
    steps: Steps,
) -> Iterator[TrainingInput]:
    """Give the input, its columns known; only what is asked for is connected to.

    What was downloaded is removed at the end of the block.

    Args:
        asked: What to read.
        open_warehouse: Connects to the warehouse.
        open_files: Connects to S3.
        id_columns: What tells the rows of a table apart, for a sample of them.
        seed: Draws the sample.
        steps: Hears of files that are downloaded and looked through.

    Raises:
        Refused: there is no such table or file, or it is not what it should be.
        UsageError: the options do not go together.
    """
    types = check_types(asked.types)
    sample = None if asked.sample is None else Sample(asked.sample, seed=seed)
    options = CsvOptions(
        delimiter=None if asked.delimiter is None else check_delimiter(asked.delimiter),
        encoding=None if asked.encoding is None else check_encoding(asked.encoding),
        null_texts=asked.null_text,
        types=types,
    )
    with ExitStack() as stack:
        source: TrainingInput
        if asked.csv:
            files = _files(asked.csv, flag="--csv", open_files=open_files, stack=stack, steps=steps)
            # It reads each column with its type at once: a text could not become all that its bytes say.
            yield CsvInput.open(files, options, sample=sample, steps=steps)
            return
        if asked.parquet:
            files = _files(asked.parquet, flag="--parquet", open_files=open_files, stack=stack, steps=steps)
            source = ParquetInput.open(files, sample=sample, steps=steps)
        elif asked.frame is not None:
            source = FrameInput.open(asked.frame, sample=sample)
        elif asked.query is not None:
            source = TableInput.of_query(open_warehouse(), asked.query, sample=sample, id_columns=id_columns)
        else:
            source = TableInput.open(
                open_warehouse(), str(asked.table), where=asked.where, sample=sample, id_columns=id_columns
            )
        yield retyped(source, types)


def _files(
    names: Sequence[str],
    *,
    flag: str,
    open_files: Callable[[], UserFiles],
    stack: ExitStack,
    steps: Steps,
) -> list[InputFile]:
    found: list[InputFile | UserObject] = []
    for name in names:
        if name.startswith(SCHEME):
            found += find_named(UserObjects(open_files()), name)
        else:
            found += local_files(name, flag=flag)
    refuse_same(it for it in found if isinstance(it, InputFile))
    refuse_same_objects(it for it in found if isinstance(it, UserObject))
    # As in what is scored: an object without a byte holds no rows.
    found = [it for it in found if it.size_bytes]
    if not found:
        raise Refused(f"{names[0]} is empty; name a file that has rows.")
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="skfleet-input-")))
    return [
        it
        if isinstance(it, InputFile)
        else _downloaded(open_files(), it.url, folder / str(number), steps=steps)
        for number, it in enumerate(found)
    ]


def _downloaded(files: UserFiles, url: ObjectUrl, path: Path, *, steps: Steps) -> InputFile:
    with steps.step(f"Downloading {url.key.rpartition('/')[2]}", unit="bytes") as step:
        size = files.download(url, path, on_bytes=step.reach)
    return InputFile(path=path, label=str(url), size_bytes=size)

"""Stored shapes: what an earlier version wrote is read, and what is written today is what the fixtures say.

``tests/contract/fixtures/vN`` holds what schema version N first wrote, ``vN.M`` what it writes since the
M-th addition of optional fields. A file there never changes; what is written otherwise gets a file in a new
folder, and all stay readable.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from skfleet.local.state import StackState, StartedProcess
from skfleet.registry import Latest
from skfleet_common.contracts.certificates import Certificate, ChunkDrift
from skfleet_common.contracts.chunks import Chunk, ChunkPlan, IdRange, TableName
from skfleet_common.contracts.columns import LogicalDtype
from skfleet_common.contracts.file_sources import CsvDialect, FileColumn, FileFormat, FilesOutput, FilesSource
from skfleet_common.contracts.jobs import (
    Commit,
    CommitOutcome,
    IfExists,
    JobRecord,
    JobSpec,
    ModelRef,
    OnDrift,
    OutputColumn,
)
from skfleet_common.contracts.messages import ChunkMessage, PublishMessage, decode, encode
from skfleet_common.contracts.runs import RunPlan
from skfleet_common.contracts.shapes import NewerShape, StoredShape, UnreadableShape
from skfleet_common.contracts.shifts import BinShift, ColumnShift, Shift, ShiftKind
from skfleet_common.contracts.slices import ByteRange, ObjectPart, ObjectSlice, RowGroups
from skfleet_common.contracts.states import JobState
from skfleet_common.contracts.troubles import Trouble
from skfleet_common.contracts.workers import Holding, WorkerPresence
from skfleet_common.model.sketch import Sketch, Sketches

FIXTURES = Path(__file__).parent.parent / "contract" / "fixtures"

JOB = "flights-delay-20261123-0742-1f3c"
DIGEST = "5f" * 32
FLIGHTS = TableName(schema_name="public", name="flights")
SCORES = TableName(schema_name="public", name='Scores "of" flights')
CREATED = datetime(2026, 11, 23, 7, 42, 5, 125_000, tzinfo=UTC)
FINISHED = datetime(2026, 11, 23, 7, 44, tzinfo=UTC)
CHUNK = Chunk(number=7, range=IdRange(first="70001", stop="80001"), rows=10_000)

FOLDER = TableName(schema_name="", name="s3://landing/flights/*.csv")
CSV_CHUNK = Chunk(
    number=8,
    range=ObjectSlice(
        parts=(
            ObjectPart(
                uri="s3://landing/flights/1.csv",
                etag='"5f"',
                size_bytes=20_000_000,
                span=ByteRange(first=9_999_990, stop=20_000_000),
            ),
        )
    ),
    rows=98_000,
)
PARQUET_CHUNK = Chunk(
    number=9,
    range=ObjectSlice(
        parts=(
            ObjectPart(
                uri="s3://landing/flights/1.parquet",
                etag='"a7"',
                size_bytes=5_000_000,
                span=RowGroups(first=3, stop=5, rows_before=30_000),
            ),
            ObjectPart(
                uri="s3://landing/flights/2.parquet",
                etag='"b8"',
                size_bytes=4_000_000,
                span=RowGroups(first=0, stop=2),
            ),
        )
    ),
    rows=39_000,
)

SHIFT = Shift(
    rows=20_001,
    rows_unknown=1_000,
    columns=(
        ColumnShift(
            column="dep_delay",
            model="flights-delay",
            kind=ShiftKind.FEATURE,
            psi=0.75,
            chance=0.0625,
            null_rate=0.5,
            trained_null_rate=0.25,
            unseen_rate=0.125,
            most=BinShift(label="above 1301", trained=0.0, scored=0.375),
            bins=(BinShift(label="above 1301", trained=0.0, scored=0.375),),
        ),
    ),
    columns_compared=19,
    columns_left_out=1,
    columns_not_comparable=("remark",),
    why_not="the model's manifest is gone",
)

#: One of every shape that is written today, with every field given.
WITHIN_A_KEY = (
    Chunk(
        number=0,
        range=IdRange(first="AA", stop="UA", hash_columns=("id",), stop_hash=2**31),
        rows=100,
    ),
    Chunk(
        number=1,
        range=IdRange(first="UA", stop="WN", stop_included=True, hash_columns=("id",), first_hash=2**31),
        rows=101,
    ),
)

TODAY: dict[str, StoredShape] = {
    "chunk_message": ChunkMessage(
        job=JOB, run=2, position=3, run_chunks=4, chunk=CHUNK, failures=1, setbacks=2
    ),
    "chunk_message_within_a_key": ChunkMessage(
        schema_version=2, job=JOB, run=1, position=1, run_chunks=2, chunk=WITHIN_A_KEY[1]
    ),
    "chunk_plan_within_a_key": ChunkPlan(schema_version=2, chunks=WITHIN_A_KEY),
    "chunk_message_of_files": ChunkMessage(
        schema_version=2, job=JOB, run=1, position=8, run_chunks=10, chunk=CSV_CHUNK
    ),
    "publish_message": PublishMessage(job=JOB, run=2, failures=1),
    "chunk_plan": ChunkPlan(
        chunks=(
            CHUNK,
            Chunk(number=8, range=IdRange(first="80001", stop="90000", stop_included=True), rows=10_000),
            Chunk(number=9, range=IdRange(nulls=True), rows=3),
        )
    ),
    "chunk_plan_of_files": ChunkPlan(schema_version=2, chunks=(CSV_CHUNK, PARQUET_CHUNK)),
    "job_spec": JobSpec(
        job=JOB,
        fleet="local",
        model="flights-delay",
        digest=DIGEST,
        table=FLIGHTS,
        id_columns=("id",),
        split_column="id",
        split_type="bigint",
        where="month < 10",
        output_table=SCORES,
        if_exists=IfExists.REPLACE,
        output_columns=(
            OutputColumn(name="id", warehouse_type="bigint", source="id", nullable=False),
            OutputColumn(name="prediction", warehouse_type="boolean", source="prediction"),
        ),
        created_at=CREATED,
        rows=20_003,
        chunks=10,
        on_drift=OnDrift.WARN,
        max_rejects=5,
        cascade_views=True,
        max_drift=0.25,
    ),
    "job_spec_of_several": JobSpec(
        schema_version=2,
        job=JOB,
        fleet="local",
        model="flights-delay",
        digest=DIGEST,
        table=FLIGHTS,
        id_columns=("id",),
        split_column="id",
        split_type="bigint",
        output_table=SCORES,
        output_columns=(
            OutputColumn(name="id", warehouse_type="bigint", source="id", nullable=False),
            OutputColumn(
                name="flights_delay_prediction",
                warehouse_type="boolean",
                source="prediction",
                output="prediction",
            ),
            OutputColumn(
                name="flights_diverted_decision",
                warehouse_type="double precision",
                source="decision",
                model=1,
                output="decision",
            ),
        ),
        created_at=CREATED,
        rows=20_003,
        chunks=10,
        more_models=(ModelRef(name="flights-diverted", digest="a7" * 32),),
    ),
    "job_spec_of_files": JobSpec(
        schema_version=3,
        job=JOB,
        fleet="local",
        model="flights-delay",
        digest=DIGEST,
        table=FOLDER,
        id_columns=("file", "row"),
        split_column="",
        split_type="",
        output_table=TableName(schema_name="", name="s3://scores/flights/"),
        output_columns=(
            OutputColumn(name="file", warehouse_type="text", source="id", nullable=False),
            OutputColumn(name="row", warehouse_type="bigint", source="id", nullable=False),
            OutputColumn(name="prediction", warehouse_type="boolean", source="prediction"),
        ),
        created_at=CREATED,
        rows=196_000,
        chunks=2,
        files=FilesSource(
            format=FileFormat.CSV,
            dialect=CsvDialect(delimiter=";", encoding="cp1252", null_texts=("-",)),
            columns=(
                FileColumn(
                    name="dep_delay",
                    dtype=LogicalDtype.FLOAT64,
                    warehouse_type="double precision",
                    nullable=False,
                    stored_as="Dep delay",
                    text_in="dep_delay as text",
                ),
            ),
            files=1,
            size_bytes=20_000_000,
            file_column="file",
            row_column="row",
        ),
        output_files=FilesOutput(uri="s3://scores/flights/", format=FileFormat.CSV, one_file=True),
    ),
    "job_spec_of_texts": JobSpec(
        schema_version=4,
        job=JOB,
        fleet="local",
        model="flights-delay",
        digest=DIGEST,
        table=FOLDER,
        id_columns=("id",),
        split_column="",
        split_type="",
        output_table=TableName(schema_name="public", name="scores"),
        output_columns=(
            OutputColumn(name="id", warehouse_type="bigint", source="id", nullable=False),
            OutputColumn(name="hour", warehouse_type="text", source="carried"),
            OutputColumn(name="prediction", warehouse_type="boolean", source="prediction"),
        ),
        created_at=CREATED,
        rows=196_000,
        chunks=2,
        files=FilesSource(
            format=FileFormat.CSV,
            dialect=CsvDialect(),
            columns=(
                FileColumn(name="id", dtype=LogicalDtype.INTEGER, warehouse_type="bigint", as_written=True),
                FileColumn(
                    name="hour",
                    dtype=LogicalDtype.INTEGER,
                    warehouse_type="text",
                    carried_as=LogicalDtype.TEXT,
                    as_written=True,
                ),
            ),
            files=1,
            size_bytes=20_000_000,
        ),
    ),
    "commit_done": Commit(
        job=JOB,
        run=1,
        chunk=7,
        outcome=CommitOutcome.DONE,
        attempt="0d5a4c3e8f5b4f0c9a9c2f6f6f1b1a11",
        worker="host-1-4711",
        rows_read=10_000,
        rows_scored=9_999,
        rows_rejected=1,
        output_key=f"local/jobs/{JOB}/out/0000007/0d5a4c3e8f5b4f0c9a9c2f6f6f1b1a11.parquet",
        output_sha256="a7" * 32,
        rejects_key=f"local/jobs/{JOB}/rejects/0000007/0d5a4c3e8f5b4f0c9a9c2f6f6f1b1a11.parquet",
        rows_quarantined=1,
        checksum="5f" * 16,
        attempts=2,
        trouble="The scoring process ran out of memory; scored in batches of 12,500 rows.",
        seconds_reading=0.25,
        seconds_scoring=1.5,
        seconds_writing=0.0625,
    ),
    "commit_failed": Commit(
        job=JOB,
        run=1,
        chunk=8,
        outcome=CommitOutcome.FAILED,
        attempt="7c",
        worker="host-1-4711",
        reason="The connection broke 5 times.",
    ),
    "job_record": JobRecord(
        job=JOB,
        state=JobState.FAILED,
        run=2,
        run_started_at=CREATED,
        run_chunks=4,
        model="flights-delay",
        digest=DIGEST,
        table=FLIGHTS,
        output_table=SCORES,
        rows=20_003,
        chunks=10,
        created_at=CREATED,
        token="nightly-2026-11-23",
        asks="5f" * 32,
        reason="1 of 10 chunks failed.",
        more_models=(ModelRef(name="flights-diverted", digest="a7" * 32),),
        rows_scored=20_002,
        rows_rejected=1,
        finished_at=FINISHED,
        collected_at=FINISHED,
        rows_are_exact=False,
        read="unload",
        read_why="16 scoring processes would wait for Redshift's leader with select",
    ),
    "run_plan": RunPlan(job=JOB, run=2, chunks=(3, 7)),
    "certificate": Certificate(
        job=JOB,
        run=2,
        model="flights-delay",
        digest=DIGEST,
        table=FLIGHTS,
        output_table=SCORES,
        chunks=10,
        chunks_committed=10,
        rows_planned=20_003,
        rows_read=20_004,
        rows_scored=20_001,
        rows_rejected=3,
        rows_quarantined=1,
        rows_published=20_001,
        ids_unique=True,
        checksum="a7" * 16,
        drift=(ChunkDrift(chunk=7, rows_planned=10_000, rows_read=10_001),),
        shift=SHIFT.brief(),
        certified_at=FINISHED,
        more_models=(ModelRef(name="flights-diverted", digest="a7" * 32),),
        rows_are_exact=False,
        bytes_planned=20_000_000,
    ),
    "shift": SHIFT,
    "sketches": Sketches(
        models=(
            Sketch(
                rows=20_001,
                rejected_rows=3,
                features={"dep_delay": (0, 20_000, 1, 0)},
                rejected={"dep_delay": (0, 0, 0, 3)},
                scores={"proba_true": (20_001, 0)},
            ),
        )
    ),
    "trouble": Trouble(
        job=JOB,
        run=2,
        chunk=7,
        attempts=3,
        worker="host-1-4711",
        reason="The database restarted.",
        at=CREATED,
    ),
    "worker_presence": WorkerPresence(
        worker="host-1-4711",
        host="host-1",
        supervisor_pid=4711,
        scorer_pids=(4712, 4713),
        versions={"scikit-learn": "1.9.0"},
        allow_joblib=True,
        working_on=(f"{JOB} chunk 7",),
        holdings=(Holding(job=JOB, run=2, chunk=7, attempts=2, rows_read=5_000, seconds=1.5),),
        seen_at=CREATED,
    ),
    "latest": Latest(digest=DIGEST, registered_at=CREATED),
    "stack_state": StackState(
        token="5d1f",
        folder="1:2",
        fleet="local",
        region="us-east-1",
        ports={"emulator": 15_468, "postgres": 16_459},
        snapshots_at=1_795_421_452.5,
        processes={"emulator": StartedProcess(pid=9_460, created=1_795_421_452.62)},
    ),
}

READERS: dict[str, Callable[[str], Any]] = {
    name: decode if isinstance(shape, ChunkMessage | PublishMessage) else type(shape).from_json
    for name, shape in TODAY.items()
}

STORED_CLASSES = list(dict.fromkeys(type(shape) for shape in TODAY.values()))


def newest_fixture(name: str) -> Path:
    """The file that says what is written today."""
    return max(FIXTURES.glob(f"v*/{name}.json"), key=lambda path: float(path.parent.name[1:]))


@pytest.mark.parametrize(
    "path", sorted(FIXTURES.glob("v*/*.json")), ids=lambda path: f"{path.parent.name}-{path.stem}"
)
def test_what_any_version_wrote_is_read(path: Path) -> None:
    shape = READERS[path.stem](path.read_text())
    if path == newest_fixture(path.stem):
        assert shape == TODAY[path.stem]
    else:
        assert holds(TODAY[path.stem].model_dump(), shape.model_dump(exclude_unset=True))


def holds(now: Any, then: Any) -> bool:
    """Whether ``now`` says all that ``then`` says; shapes within shapes have got new fields, too."""
    if isinstance(then, dict) and isinstance(now, dict):
        return then.keys() <= now.keys() and all(holds(now[name], value) for name, value in then.items())
    if isinstance(then, list | tuple) and isinstance(now, list | tuple):
        return len(now) == len(then) and all(map(holds, now, then))
    return bool(now == then)


@pytest.mark.parametrize("name", TODAY)
def test_what_is_written_today_is_what_the_fixture_says(name: str) -> None:
    shape = TODAY[name]
    written = encode(shape) if isinstance(shape, ChunkMessage | PublishMessage) else shape.to_json()
    assert json.loads(written) == json.loads(newest_fixture(name).read_text())


@pytest.mark.parametrize("cls", STORED_CLASSES, ids=lambda cls: cls.__name__)
def test_a_fixture_gives_every_field_of_its_shape(cls: type[StoredShape]) -> None:
    given: set[str] = set()
    for shape in TODAY.values():
        if isinstance(shape, cls):
            given |= shape.model_fields_set | {"schema_version", "kind"}
    assert given >= set(cls.model_fields)


@pytest.mark.parametrize("name", TODAY)
def test_a_shape_of_a_newer_version_is_refused_by_name(name: str) -> None:
    cls = type(TODAY[name])
    newer = json.dumps(json.loads(TODAY[name].to_json()) | {"schema_version": cls.WRITES + 1})
    with pytest.raises(NewerShape, match=f"{cls.__name__} has schema version {cls.WRITES + 1}"):
        cls.from_json(newer)


@pytest.mark.parametrize("name", TODAY)
def test_a_field_that_a_later_minor_version_adds_is_ignored(name: str) -> None:
    later = json.loads(TODAY[name].to_json()) | {"added_later": [1]}
    assert type(TODAY[name]).from_json(json.dumps(later)) == TODAY[name]


@pytest.mark.parametrize("raw", ["", "[]", "{}", "not JSON", '{"schema_version": 1}'])
def test_what_is_no_such_shape_is_refused(raw: str) -> None:
    with pytest.raises(UnreadableShape, match="no JobSpec"):
        JobSpec.from_json(raw)


def test_the_error_names_the_field_and_not_its_value() -> None:
    raw = json.loads(TODAY["chunk_plan"].to_json())
    raw["chunks"][0]["rows"] = "row value"
    with pytest.raises(UnreadableShape, match=r"chunks\.0\.rows") as error:
        ChunkPlan.from_json(json.dumps(raw))
    assert "row value" not in str(error.value)

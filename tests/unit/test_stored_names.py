"""Ids and names that are read from elsewhere become keys and paths, so none may lead out of its folder."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skfleet_common.contracts.chunks import Chunk, IdRange, TableName
from skfleet_common.contracts.errors import UnreadableMessage
from skfleet_common.contracts.jobs import Commit, CommitOutcome, JobRecord, JobSpec
from skfleet_common.contracts.messages import ChunkMessage, PublishMessage, decode, encode
from skfleet_common.contracts.shapes import StoredShape, UnreadableShape

JOB = "20261123-085920-9e425202"
DIGEST = "5f" * 32
TABLE = TableName(schema_name="public", name="flights")
NOW = datetime(2026, 11, 23, tzinfo=UTC)
SPEC = JobSpec(
    job=JOB, fleet="local", model="flights-delay", digest=DIGEST, table=TABLE, id_columns=("id",),
    split_column="id", split_type="bigint", output_table=TABLE, output_columns=(), created_at=NOW,
    rows=0, chunks=0,
)  # fmt: skip
RECORD = JobRecord(
    job=JOB, run_chunks=1, model="flights-delay", digest=DIGEST, table=TABLE, output_table=TABLE, rows=0,
    chunks=1, created_at=NOW, token="a token",
)  # fmt: skip
COMMIT = Commit(job=JOB, run=1, chunk=0, outcome=CommitOutcome.DONE, attempt="a", worker="w")
CHUNK = ChunkMessage(job=JOB, run=1, position=0, run_chunks=1, chunk=Chunk(number=0, range=IdRange(), rows=0))

BAD = ["", "..", "a/b", "../x", "/etc", "a.b", "A", "a\n", "a\0", "a b", "é", "x" * 65]


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize(
    ("shape", "name"),
    [(SPEC, "job"), (SPEC, "fleet"), (SPEC, "model"), (SPEC, "digest"), (RECORD, "job"), (RECORD, "model"),
     (RECORD, "digest"), (COMMIT, "job")],
)  # fmt: skip
def test_a_shape_with_a_name_that_could_lead_elsewhere_is_unreadable(
    shape: StoredShape, name: str, bad: str
) -> None:
    assert type(shape).from_json(shape.to_json()) == shape
    with pytest.raises(UnreadableShape, match=name):
        type(shape).from_json(json.dumps(json.loads(shape.to_json()) | {name: bad}))


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("message", [CHUNK, PublishMessage(job=JOB, run=1)])
def test_a_message_of_a_job_that_could_lead_elsewhere_is_unreadable(
    message: ChunkMessage | PublishMessage, bad: str
) -> None:
    with pytest.raises(UnreadableMessage):
        decode(json.dumps(json.loads(encode(message)) | {"job": bad}))


@given(st.text(min_size=1))
def test_no_digest_but_64_lower_case_hex_digits_is_read(digest: str) -> None:
    with pytest.raises(UnreadableShape):
        JobSpec.from_json(json.dumps(json.loads(SPEC.to_json()) | {"digest": digest}))

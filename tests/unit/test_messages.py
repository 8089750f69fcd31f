"""Messages: what is written is read, and what is not ours is refused by kind."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skfleet_common.contracts.chunks import MAX_CHUNKS, MAX_ROWS, Chunk, ChunkPlan, IdRange
from skfleet_common.contracts.errors import NewerMessage, UnreadableMessage
from skfleet_common.contracts.messages import (
    MAX_FAILURES,
    MAX_MESSAGE_BYTES,
    MAX_RUN,
    MESSAGE_VERSION,
    ChunkMessage,
    PublishMessage,
    decode,
    encode,
    renewed,
    with_counts,
)
from skfleet_common.contracts.slices import ByteRange, ObjectPart, ObjectSlice

KEYS = st.none() | st.text(max_size=200)
CHUNKS = st.builds(
    Chunk,
    number=st.integers(0, MAX_CHUNKS - 1),
    range=st.builds(IdRange, first=KEYS, stop=KEYS, stop_included=st.booleans(), nulls=st.booleans()),
    rows=st.integers(0, MAX_ROWS),
)
JOBS = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=60)
RUNS = st.integers(1, MAX_RUN)
#: Chunks of a run, and a position among them.
PLACES = st.integers(1, MAX_CHUNKS).flatmap(
    lambda count: st.tuples(st.just(count), st.integers(0, count - 1))
)
MESSAGES = st.one_of(
    st.builds(
        lambda job, run, place, chunk: ChunkMessage(
            job=job, run=run, position=place[1], run_chunks=place[0], chunk=chunk
        ),
        JOBS,
        RUNS,
        PLACES,
        CHUNKS,
    ),
    st.builds(PublishMessage, job=JOBS, run=RUNS),
)


@given(MESSAGES)
def test_a_message_is_read_as_it_was_written(message: ChunkMessage | PublishMessage) -> None:
    assert decode(encode(message)) == message


@given(MESSAGES)
def test_ten_messages_fit_one_billed_request(message: ChunkMessage | PublishMessage) -> None:
    assert len(encode(message).encode()) < MAX_MESSAGE_BYTES


@given(MESSAGES)
def test_fields_that_a_later_version_adds_are_ignored(message: ChunkMessage | PublishMessage) -> None:
    later = json.loads(encode(message)) | {"added_later": {"anything": [1]}}
    assert decode(json.dumps(later)) == message


@given(MESSAGES, st.integers(MESSAGE_VERSION + 1, 1_000))
def test_a_message_of_a_newer_version_is_no_poison(
    message: ChunkMessage | PublishMessage, version: int
) -> None:
    newer = json.loads(encode(message)) | {"schema_version": version, "kind": "not known yet"}
    with pytest.raises(NewerMessage, match=f"version {version}") as error:
        decode(json.dumps(newer))
    assert error.value.retryable


@pytest.mark.parametrize(
    "body",
    [
        "",
        "not JSON",
        "null",
        "[]",
        "{}",
        '{"schema_version": null}',
        '{"schema_version": 1}',
        '{"schema_version": 1, "kind": "chunk"}',
        '{"schema_version": 1, "kind": "dance", "job": "j", "run": 1}',
        '{"schema_version": 1, "kind": "publish", "job": "j", "run": 0}',
        '{"schema_version": "one", "kind": "publish", "job": "j", "run": 1}',
        '{"schema_version": 1, "kind": "publish", "job": "j", "run": 1',
    ],
)
def test_what_nobody_of_us_wrote_is_unreadable(body: str) -> None:
    with pytest.raises(UnreadableMessage):
        decode(body)


@given(st.text() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_no_text_at_all_gives_another_error(body: str) -> None:
    with pytest.raises((UnreadableMessage, NewerMessage)):
        decode(body)


@pytest.mark.parametrize(
    "change",
    [
        {"position": 4},
        {"run": MAX_RUN + 1},
        {"run": 10**40},
        {"failures": 10**40},
        {"run_chunks": MAX_CHUNKS + 1},
        {"schema_version": 0},
        {"chunk": {"number": MAX_CHUNKS, "range": {}, "rows": 1}},
        {"chunk": {"number": 1, "range": {}, "rows": MAX_ROWS + 1}},
        {"chunk": {"number": 1, "range": {}, "rows": -1}},
    ],
    ids=str,
)
def test_numbers_that_no_job_has_are_unreadable(change: dict[str, object]) -> None:
    chunk = Chunk(number=1, range=IdRange(first="1", stop="2"), rows=1)
    message = ChunkMessage(job="j", run=1, position=3, run_chunks=4, chunk=chunk)
    with pytest.raises(UnreadableMessage):
        decode(json.dumps(json.loads(encode(message)) | change))


def test_what_a_message_holds_is_not_repeated_in_the_error() -> None:
    with pytest.raises(UnreadableMessage) as error:
        decode('{"schema_version": 1, "kind": "publish", "job": {"secret": "row value"}, "run": 1}')
    assert "row value" not in str(error.value)


@given(MESSAGES)
def test_a_body_holds_only_characters_that_sqs_takes(message: ChunkMessage | PublishMessage) -> None:
    assert all(" " <= character <= "~" for character in encode(message))


def test_a_count_of_failures_leaves_what_a_newer_version_added() -> None:
    body = with_counts(
        '{"schema_version":1,"kind":"publish","job":"a-job","run":2,"added_later":[1]}', failures=3
    )
    assert decode(body) == PublishMessage(job="a-job", run=2, failures=3)
    assert json.loads(body)["added_later"] == [1]
    assert json.loads(with_counts(body, failures=4))["failures"] == 4


def test_failures_are_counted_up_to_what_is_read() -> None:
    body = encode(PublishMessage(job="a-job", run=1))
    assert decode(with_counts(body, failures=MAX_FAILURES + 1)).failures == MAX_FAILURES


def test_failures_are_counted_beside_a_number_that_python_does_not_write() -> None:
    body = encode(PublishMessage(job="a-job", run=1))[:-1] + ',"added_later":1e400}'
    assert decode(with_counts(body, failures=3)).failures == 3
    assert renewed(body, at_most=2) is None


def test_a_body_of_any_version_is_sent_afresh_so_many_times() -> None:
    body = '{"schema_version":9,"step":{"of":"later"}}'
    for count in (1, 2):
        afresh = renewed(body, at_most=2)
        assert afresh is not None
        body = afresh
        assert json.loads(body) == {"schema_version": 9, "step": {"of": "later"}, "renewals": count}
    assert renewed(body, at_most=2) is None


def part(uri: str, first: int) -> ObjectPart:
    return ObjectPart(uri=uri, etag='"5f"', size_bytes=10, span=ByteRange(first=first, stop=10))


def test_a_chunk_of_files_is_left_to_workers_that_know_them() -> None:
    chunk = Chunk(number=0, range=ObjectSlice(parts=(part("s3://b/1.csv", 0),)), rows=1)
    message = ChunkMessage(job="j", run=1, position=0, run_chunks=1, chunk=chunk)
    assert json.loads(encode(message))["schema_version"] == 2
    assert decode(encode(message)) == message
    assert not message.chunk.rows_are_exact
    assert ChunkPlan(chunks=(chunk,)).schema_version == 2


def test_a_later_part_of_a_text_file_is_alone_in_its_slice() -> None:
    with pytest.raises(ValueError, match="not alone"):
        ObjectSlice(parts=(part("s3://b/1.csv", 5), part("s3://b/2.csv", 0)))

"""Slices of files on S3: found, planned without being read, and read as they were planned, or refused."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.contract.aws_emulator import new_settings
from tests.contract.scripted_endpoint import Answer, scripted_endpoint
from tests.contract.sparse_store import ROW_BYTES, row, sparse_store

from skfleet.files import cutting, found
from skfleet.files.csv_source import CsvAsked, CsvSource
from skfleet.files.found import find_files
from skfleet.files.parquet_source import ParquetSource
from skfleet_common.aws.clients import open_clients
from skfleet_common.aws.session import Cloud
from skfleet_common.aws.user_files import ObjectUrl, UserFiles
from skfleet_common.aws.user_objects import UserObject, UserObjects
from skfleet_common.contracts.chunks import ChunkPlan, TableName
from skfleet_common.contracts.columns import LogicalDtype
from skfleet_common.contracts.errors import EnvironmentFault, Refused, SourceChanged, UsageError
from skfleet_common.contracts.jobs import JobSpec, OutputColumn
from skfleet_common.contracts.messages import MAX_MESSAGE_BYTES, ChunkMessage, encode
from skfleet_common.contracts.slices import ByteRange, ObjectSlice
from skfleet_common.files.head import HEAD_BYTES
from skfleet_common.files.reader import SliceReader
from skfleet_common.files.types import file_column
from skfleet_common.model.choices import FitChoices, Origin
from skfleet_common.model.fit import fit_model
from skfleet_common.tables.port import SourceBatch
from skfleet_worker.file_source import FileSource
from skfleet_worker.sources import Sources

BUCKET = "slices"
NAME = TableName(schema_name="", name="s3://slices/it")


@pytest.fixture
def objects(cloud: Cloud) -> Iterator[UserObjects]:
    """A bucket of the user's own beside the fleet's."""
    client = cloud.store.client
    client.create_bucket(Bucket=BUCKET)
    yield UserObjects(UserFiles(client, cloud.store.where))
    for entry in client.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        client.delete_object(Bucket=BUCKET, Key=entry["Key"])
    client.delete_bucket(Bucket=BUCKET)


def put(objects: UserObjects, key: str, body: bytes) -> str:
    objects.client.put_object(Bucket=BUCKET, Key=key, Body=body)
    return f"s3://{BUCKET}/{key}"


def csv_source(objects: UserObjects, *names: str, **asked: Any) -> CsvSource:
    found = find_files(objects, names)
    return CsvSource.open(objects, found, CsvAsked(**asked), name=NAME, manifests=[], id_names=())


def parquet_source(objects: UserObjects, *names: str) -> ParquetSource:
    return ParquetSource.open(objects, find_files(objects, names), name=NAME, manifests=[], id_names=())


def batches(
    objects: UserObjects, source: CsvSource | ParquetSource, plan: ChunkPlan, *names: str
) -> Iterator[SourceBatch]:
    files = source.read_from(()).files
    assert files is not None
    for chunk in plan.chunks:
        assert isinstance(chunk.range, ObjectSlice)
        yield from SliceReader(objects, files).read(chunk.range, features=(), verbatim=names, batch_rows=777)


def values(
    objects: UserObjects, source: CsvSource | ParquetSource, plan: ChunkPlan, *names: str
) -> list[tuple[str, ...]]:
    return [
        row
        for batch in batches(objects, source, plan, *names)
        for row in zip(*(column.to_pylist() for column in batch.verbatim.columns), strict=True)
    ]


def test_a_plan_of_ten_gigabytes_reads_windows_alone() -> None:
    with sparse_store(10 * 1024**3 // ROW_BYTES) as store:
        clients = open_clients(new_settings(store.url))
        objects = UserObjects(UserFiles(clients.s3, store.url))
        source = csv_source(objects, "s3://sparse/flights.csv")
        plan = source.plan(lambda _: 1_000_000)
        assert len(plan.chunks) == pytest.approx(store.rows / 1_000_000, rel=0.05)
        assert plan.rows == pytest.approx(store.rows, rel=0.02)
        assert not plan.rows_are_exact
        assert all(chunk.rows == pytest.approx(1_000_000, rel=0.05) for chunk in plan.chunks)
        parts = [chunk.range.parts[0] for chunk in plan.chunks if isinstance(chunk.range, ObjectSlice)]
        edges = [0, *(part.span.stop for part in parts)]
        assert [part.span.first for part in parts] == edges[:-1]
        assert edges[-1] == store.size_bytes
        # A look at the head, which is also what tells whether it is a manifest, and a window at each cut.
        assert store.sent_bytes < 1_000_000 + 17_000 * len(plan.chunks)
        assert all(request.startswith(("HEAD", "GET")) for request in store.requests)


def one_field(number: int) -> bytes:
    return b"x" * (ROW_BYTES - 1) + b"\n"


def two_lines(number: int) -> bytes:
    return b'%d,1,"' % number + b"\n".ljust(ROW_BYTES - len(str(number)) - 6) + b'"\n'


@pytest.mark.parametrize(
    ("other", "first_other", "most_bytes", "why"),
    [
        # Seen in the head, and in the first windows: of these, no more is read than is asked for at a time.
        (two_lines, 0, 600_000, "a field holds a line break"),
        (two_lines, 1_000_000, 1_000_000, "a field holds a line break"),
        (one_field, 1_000_000, 24_000_000, "nothing tells where records end"),
    ],
)
def test_a_plan_of_ten_gigabytes_that_cannot_be_cut_reads_windows_alone(
    other: Callable[[int], bytes], first_other: int, most_bytes: int, why: str
) -> None:
    def mixed(number: int) -> bytes:
        return row(number) if number < first_other else other(number)

    with sparse_store(10 * 1024**3 // ROW_BYTES, row=mixed) as store:
        objects = UserObjects(UserFiles(open_clients(new_settings(store.url)).s3, store.url))
        source = csv_source(objects, "s3://sparse/flights.csv")
        plan = source.plan(lambda _: 1_000_000)
        assert len(plan.chunks) == 1
        assert source.notes == [f"s3://sparse/flights.csv is read whole, by one worker each: {why}."]
        assert store.sent_bytes < most_bytes


def long_row(number: int, *, row_bytes: int) -> bytes:
    """Give a row that is longer than what is read of a file's beginning, or nearly."""
    return (b'%d,1.25,"' % number).ljust(row_bytes - 2, b"x") + b'"\n'


MEGABYTE = 1024**2
#: A cap that takes a test no time to reach.
CAP_BYTES = 8 * MEGABYTE


@pytest.mark.parametrize(
    ("shape", "chunk_rows", "most_bytes", "most_slice_bytes"),
    [
        # No row is complete in the head; a slice is as large as the window that its end is looked for in.
        ((18 * MEGABYTE, 300_000), 1_000, 0, 18 * MEGABYTE),
        ((18 * MEGABYTE, 300_000), 1, 18 * MEGABYTE, 1.5 * MEGABYTE),
        ((10 * 1024 * MEGABYTE, 300_000), 8_000, 5 * MEGABYTE, 2_400 * MEGABYTE),
        ((10 * 1024 * MEGABYTE, 300_000), 1, CAP_BYTES, 1_800 * MEGABYTE),
        # Rows that are short, and chunks that are shorter than any sense.
        ((10 * 1024 * MEGABYTE, 4_000), 1, CAP_BYTES, 64 * MEGABYTE),
    ],
)
def test_what_a_plan_reads_is_capped_whatever_rows_and_chunks_are(
    shape: tuple[int, int],
    chunk_rows: int,
    most_bytes: int,
    most_slice_bytes: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    size_bytes, row_bytes = shape
    if most_bytes == CAP_BYTES:
        monkeypatch.setattr(cutting, "PLAN_BYTES", CAP_BYTES)
    make = partial(long_row, row_bytes=row_bytes)
    with sparse_store(size_bytes // row_bytes, row=make, row_bytes=row_bytes) as store:
        objects = UserObjects(UserFiles(open_clients(new_settings(store.url)).s3, store.url))
        source = csv_source(objects, "s3://sparse/flights.csv")
        plan = source.plan(lambda _: chunk_rows)
        assert plan.rows == pytest.approx(store.rows, rel=0.2)
        # The head is read twice: for the dialect, and as every file's.
        assert store.sent_bytes < most_bytes + 600_000
        parts = [chunk.range.parts[0].span for chunk in plan.chunks if isinstance(chunk.range, ObjectSlice)]
        spans = [(span.first, span.stop) for span in parts if isinstance(span, ByteRange)]
        assert [first for first, _ in spans] == [0, *(stop for _, stop in spans[:-1])]
        assert max(stop - first for first, stop in spans) <= most_slice_bytes
        assert all((stop - len(store.header)) % row_bytes == 0 for _, stop in spans)
        is_coarse = most_bytes == CAP_BYTES
        assert [("larger slices than --chunk-rows" in note) for note in source.notes] == [True] * is_coarse


def test_a_file_whose_rows_no_window_holds_is_read_whole_and_says_so() -> None:
    make = partial(long_row, row_bytes=700_000)
    with sparse_store(100, row=make, row_bytes=700_000) as store:
        objects = UserObjects(UserFiles(open_clients(new_settings(store.url)).s3, store.url))
        source = csv_source(objects, "s3://sparse/flights.csv")
        assert len(source.plan(lambda _: 1).chunks) == 1
        assert "its rows are too long for 1 MB of them to tell where they end" in source.notes[0]
        assert store.sent_bytes < 17 * MEGABYTE + 600_000


def test_a_slice_is_one_request_and_the_header_at_most_one_more_for_all_of_them() -> None:
    with sparse_store(20_000) as store:
        objects = UserObjects(UserFiles(open_clients(new_settings(store.url)).s3, store.url))
        source = csv_source(objects, "s3://sparse/flights.csv")
        plan = source.plan(lambda _: 3_000)
        files = source.read_from(()).files
        assert files is not None
        ranges = [chunk.range for chunk in plan.chunks if isinstance(chunk.range, ObjectSlice)]
        assert len(ranges) == 7
        for order, more in ((ranges, 0), (ranges[::-1], 1)):
            store.requests.clear()
            store.sent_bytes = 0
            reader = SliceReader(objects, files)
            read = [
                batch.verbatim.num_rows
                for within in order
                for batch in reader.read(within, features=(), verbatim=("id",))
            ]
            assert sum(read) == store.rows
            assert len(store.requests) == len(ranges) + more
            assert store.sent_bytes == store.size_bytes + more * HEAD_BYTES


def test_a_worker_remembers_the_headers_of_a_job_for_its_next_chunk(cloud: Cloud) -> None:
    stored = Path(__file__).parent / "fixtures" / "v4" / "job_spec_of_texts.json"
    cloud.store.put(cloud.names.spec("remembered"), stored.read_bytes())
    no_table: Any = None
    sources = Sources(cloud, no_table)
    first, second = sources.of("remembered"), sources.of("remembered")
    assert isinstance(first, FileSource)
    assert isinstance(second, FileSource)
    assert first.reader is second.reader


@pytest.mark.parametrize("rows", [2_500_000, pytest.param(17_000_000, marks=pytest.mark.slow)])
def test_a_slice_of_any_size_is_read_in_bounded_memory(rows: int) -> None:
    with sparse_store(rows) as store:
        clients = open_clients(new_settings(store.url))
        objects = UserObjects(UserFiles(clients.s3, store.url))
        source = csv_source(objects, "s3://sparse/flights.csv", whole_files=True)
        plan = source.plan(lambda _: 10**9)
        assert len(plan.chunks) == 1
        read = most = 0
        for batch in batches(objects, source, plan, "id"):
            read += batch.verbatim.num_rows
            most = max(most, pa.total_allocated_bytes())
        assert read == store.rows
        assert most < 48 * 1024**2 < store.size_bytes / 3


def test_a_file_that_changed_or_is_gone_is_refused_by_name(objects: UserObjects) -> None:
    url = put(objects, "a.csv", b"n,t\n1,x\n2,y\n")
    source = csv_source(objects, url)
    plan = source.plan(lambda _: 10)
    assert values(objects, source, plan, "n", "file", "row") == [("1", url, "1"), ("2", url, "2")]
    put(objects, "a.csv", b"n,t\n1,x\n3,y\n")
    with pytest.raises(SourceChanged, match=r"a\.csv is not the file any more"):
        values(objects, source, plan, "n")
    objects.client.delete_object(Bucket=BUCKET, Key="a.csv")
    with pytest.raises(SourceChanged, match=r"a\.csv is gone"):
        values(objects, source, plan, "n")


def test_files_are_named_by_prefix_pattern_and_manifest(objects: UserObjects) -> None:
    urls = [put(objects, f"in/{name}.csv", b"n,t\n%d,x\n" % number) for number, name in enumerate("abc")]
    for hidden in ("in/_SUCCESS", "in/.part.csv", "in/_tmp/d.csv"):
        put(objects, hidden, b"")
    entries = [{"url": url, "mandatory": True, "meta": {"content_length": 8}} for url in urls]
    unload = put(objects, "manifests/unload", json.dumps({"entries": entries}).encode())
    listed = put(objects, "manifests/list.txt", "\n".join(urls).encode())
    for names in ([f"s3://{BUCKET}/in/"], [f"s3://{BUCKET}/in/[abc].csv"], [unload], [listed], urls):
        assert [str(it) for it in find_files(objects, names)] == urls
    source = csv_source(objects, f"s3://{BUCKET}/in/")
    assert [n for n, _ in values(objects, source, source.plan(lambda _: 10), "n", "t")] == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("name", "phrase"),
    [
        ("s3://slices/none/", "no object below"),
        ("s3://slices/*.tsv", "No object matches"),
        ("s3://slices/torn.manifest", "names what is not there: There is no object s3://slices/gone.csv"),
        ("s3://slices/stale.manifest", "changed since"),
        ("s3://slices/odd.manifest", "is no manifest"),
        ("s3://slices/late.manifest", "odd.csv has 4 bytes, but 9 by the manifest"),
        ("s3://slices/text.manifest", "text.manifest begins with {, and is no manifest"),
        ("s3://slices/torn.json", "torn.json begins with {, and is no manifest"),
        ("s3://slices/sizes.manifest", "is no manifest"),
        ("s3://nobodys/in/", "There is no bucket nobodys"),
    ],
)
def test_what_is_not_there_is_said(objects: UserObjects, name: str, phrase: str) -> None:
    url = put(objects, "a.csv", b"n\n1\n")
    put(objects, "torn.manifest", b'{"entries": [{"url": "s3://slices/gone.csv"}]}')
    put(objects, "odd.manifest", b'{"entries": [{"uri": 1}]}')
    # What is said of the manifest itself may be longer than its beginning.
    entry = {"url": put(objects, "odd.csv", b"n\n1\n"), "meta": {"content_length": 9}}
    late = {"schema": {"elements": ["x" * 5_000]}, "entries": [entry]}
    put(objects, "late.manifest", b"\xef\xbb\xbf\n" + json.dumps(late).encode())
    put(objects, "text.manifest", b"{n},t\n1,x\n")
    put(objects, "torn.json", json.dumps(late).encode()[:-9])
    put(
        objects,
        "sizes.manifest",
        json.dumps({"entries": [{"url": url, "meta": {"content_length": "9"}}]}).encode(),
    )
    stale = {"entries": [{"url": url, "meta": {"content_length": 9}}]}
    put(objects, "stale.manifest", json.dumps(stale).encode())
    with pytest.raises(Refused) as refused:
        find_files(objects, [name])
    assert phrase in str(refused.value)


def test_a_gzip_file_that_lost_a_member_is_told_by_its_manifest_alone(objects: UserObjects) -> None:
    members = [gzip.compress(text, mtime=0) for text in (b"n,t\n1,x\n", b"2,y\n")]
    url = put(objects, "a.csv.gz", b"".join(members))
    entry = {"url": url, "meta": {"content_length": sum(map(len, members))}}
    manifest = put(objects, "manifest", json.dumps({"entries": [entry]}).encode())
    source = csv_source(objects, manifest)
    assert [n for (n,) in values(objects, source, source.plan(lambda _: 10), "n")] == ["1", "2"]
    put(objects, "a.csv.gz", members[0])
    with pytest.raises(Refused, match=rf"{url} has {len(members[0])} bytes, but"):
        find_files(objects, [manifest])
    # Nothing in the bytes says that there were more.
    whole = csv_source(objects, url)
    assert [n for (n,) in values(objects, whole, whole.plan(lambda _: 10), "n")] == ["1"]


def test_a_manifest_that_is_too_large_is_refused_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    with sparse_store(100, header=b'{"entries": [') as store:
        objects = UserObjects(UserFiles(open_clients(new_settings(store.url)).s3, store.url))
        monkeypatch.setattr(found, "_MANIFEST_BYTES", 1_000)
        with pytest.raises(Refused, match="begins like a manifest, and is larger than"):
            find_files(objects, ["s3://sparse/flights.csv"])
        assert store.sent_bytes == found._BEGINNING_BYTES


def test_ids_and_carried_texts_come_out_as_they_went_in_or_their_rows_are_named(objects: UserObjects) -> None:
    # The first rows look like integers; what comes far behind them does not.
    lines = [f"{number},{number},1.5" for number in range(40_000)]
    odd = {30_000: "02134", 30_001: "NA", 30_002: "+5", 30_003: " 7", 30_004: "7.0", 30_005: ""}
    for place, text in odd.items():
        lines[place] = f"{text},{place},1.50"
    url = put(objects, "a.csv", "\n".join(["zip,n,price", *lines]).encode())
    source = csv_source(objects, url)
    assert [column.dtype.value for column in source.table.columns[:3]] == ["integer", "integer", "float64"]
    plan = source.plan(lambda _: 10_000)
    unreadable: dict[str, str] = {}
    rows = 0
    for batch in batches(objects, source, plan, "zip", "n"):
        names = batch.verbatim.column("n").to_pylist()
        unreadable |= {names[place]: why for place, why in batch.unreadable.items()}
        for place, (text, number) in enumerate(
            zip(batch.verbatim.column("zip").to_pylist(), names, strict=True)
        ):
            assert place in batch.unreadable or text == (odd.get(int(number), number) or None)
        rows += batch.verbatim.num_rows
    assert rows == len(lines)
    assert sorted(unreadable) == [str(place) for place, text in odd.items() if text]
    assert all("keep it with --type zip=text (row " in why for why in unreadable.values())
    as_text = csv_source(objects, url, types={"zip": LogicalDtype.TEXT})
    found = values(objects, as_text, as_text.plan(lambda _: 10_000), "zip", "n")
    assert found == [(odd.get(place, str(place)) or None, str(place)) for place in range(len(lines))]
    as_numbers = csv_source(objects, url, types={"zip": LogicalDtype.INTEGER})
    numbers = values(objects, as_numbers, as_numbers.plan(lambda _: 10_000), "zip")
    assert [text for (text,) in numbers[30_000:30_006]] == ["2134", None, "5", "7", "7", None]


def test_columns_whose_first_texts_no_number_keeps_are_carried_as_text(objects: UserObjects) -> None:
    url = put(objects, "a.csv", b"zip,code,n\n02134,7,1\n10001,NA,2\n")
    source = csv_source(objects, url)
    assert values(objects, source, source.plan(lambda _: 10), "zip", "code", "n") == [
        ("02134", "7", "1"),
        ("10001", "NA", "2"),
    ]
    source.read_from([OutputColumn(name=it, warehouse_type="text", source="carried") for it in ("code", "n")])
    (note,) = source.notes
    assert (
        "column 'code' is carried as text, for 'NA' would be changed as integer; --type code=integer" in note
    )
    without = csv_source(objects, url, null_texts=("NA",))
    assert [column.dtype.value for column in without.table.columns[:3]] == ["text", "integer", "integer"]


def test_a_text_that_meant_null_in_training_is_asked_for_and_counts_as_null(
    objects: UserObjects,
) -> None:
    frame = pa.table(
        {"n": [number % 7 for number in range(100)], "late": [number % 2 == 0 for number in range(100)]}
    )
    fitted = fit_model(
        frame,
        columns=(file_column("n", LogicalDtype.INTEGER), file_column("late", LogicalDtype.BOOLEAN)),
        choices=FitChoices(targets=("late",), name="marked", null_policy="missing"),
        origin=Origin(kind="csv", null_texts=("-",)),
    )

    def checked(text: str, null_texts: tuple[str, ...]) -> list[str]:
        found = find_files(objects, [put(objects, "a.csv", f"n,t\n1,x\n{text},y\n".encode())])
        asked = CsvAsked(null_texts=null_texts)
        manifests = [fitted.manifest]
        source = CsvSource.open(objects, found, asked, name=NAME, manifests=manifests, id_names=())
        return source.check_features(manifests, allow_all_null=())

    (warning,) = checked("2", ())
    assert "marked was trained with '-' as NULL" in warning
    assert "add --null-text -" in warning
    with pytest.raises(Refused, match="1 of 2 that were looked at are not, such as '-'"):
        checked("-", ())
    assert checked("-", ("-",)) == ["Column 'n' is NULL in 1 row, but never was in training."]


def test_a_file_that_is_named_twice_is_refused(objects: UserObjects) -> None:
    url = put(objects, "a.csv", b"n\n1\n")
    with pytest.raises(Refused, match="named twice"):
        find_files(objects, [url, "s3://slices/*.csv"])
    with pytest.raises(UsageError, match="no address on S3"):
        find_files(objects, ["a.csv"])


def test_columns_may_stand_in_another_order_but_not_be_others(objects: UserObjects) -> None:
    put(objects, "one.csv", b"n,t\n1,x\n")
    put(objects, "two.csv", b't,n\n"a, b",2\n')
    source = csv_source(objects, "s3://slices/*.csv")
    plan = source.plan(lambda _: 10)
    assert len(plan.chunks) == 1
    assert values(objects, source, plan, "n", "t") == [("1", "x"), ("2", "a, b")]
    put(objects, "two.csv", b"n;t\n1;x\n")
    with pytest.raises(
        Refused, match=r"two.csv is separated by semicolons, and s3://slices/one.csv by commas"
    ):
        csv_source(objects, "s3://slices/*.csv")
    put(objects, "two.csv", b"n,u\n1,x\n")
    with pytest.raises(Refused, match=r"one.csv has a column 't' and s3://slices/two.csv has none"):
        csv_source(objects, "s3://slices/*.csv")


def test_parquet_is_read_by_row_groups_that_are_numbered(objects: UserObjects) -> None:
    for name in ("1", "2"):
        raw = io.BytesIO()
        table = pa.table({"n": pa.array(range(1_000)), "ü 漢": ["x"] * 1_000, "left out": [[1]] * 1_000})
        pq.write_table(table, raw, row_group_size=300)
        put(objects, f"{name}.parquet", raw.getvalue())
    source = parquet_source(objects, "s3://slices/*.parquet")
    plan = source.plan(lambda _: 600)
    assert [chunk.rows for chunk in plan.chunks] == [600, 400, 600, 400]
    assert plan.rows_are_exact
    found = values(objects, source, plan, "n", "row", "ü 漢", "file")
    expected = [(str(n), str(n + 1), "x", f"s3://slices/{f}.parquet") for f in "12" for n in range(1_000)]
    assert found == expected


def test_an_id_that_is_null_or_nan_makes_its_row_unreadable(objects: UserObjects) -> None:
    raw = io.BytesIO()
    ids = pa.array([1.5, None, float("nan")])
    pq.write_table(pa.table({"id": ids, "t": ["nan", "x", "y"]}), raw)
    url = put(objects, "a.parquet", raw.getvalue())
    opened = ParquetSource.open(
        objects, find_files(objects, [url]), name=NAME, manifests=[], id_names=("id", "t")
    )
    (chunk,) = opened.plan(lambda _: 10).chunks
    files = opened.read_from(()).files
    assert files is not None
    spec = JobSpec(
        job="20261123-000000-aaaaaaaa",
        fleet="local",
        model="m",
        digest="0" * 64,
        table=NAME,
        id_columns=("id", "t"),
        split_column="",
        split_type="",
        output_table=NAME,
        output_columns=tuple(OutputColumn(name=it, warehouse_type="text", source="id") for it in ("id", "t")),
        created_at=datetime.now(UTC),
        rows=3,
        chunks=1,
        files=files,
    )
    (batch,) = FileSource.of(spec, files, objects).read(chunk, features=(), batch_rows=10, carefully=False)
    assert batch is not None
    assert batch.unreadable == {1: "its id id is missing", 2: "its id id is NaN"}


def test_parquet_files_of_other_types_are_refused_by_name(objects: UserObjects) -> None:
    for name, array in (("1", pa.array([1])), ("2", pa.array(["x"]))):
        raw = io.BytesIO()
        pq.write_table(pa.table({"n": array}), raw)
        put(objects, f"{name}.parquet", raw.getvalue())
    with pytest.raises(Refused, match=r"bigint in s3://slices/1.parquet and text in s3://slices/2.parquet"):
        parquet_source(objects, "s3://slices/*.parquet")
    put(objects, "2.parquet", b"PAR1 and no more")
    with pytest.raises(Refused, match=r"s3://slices/2\.parquet is no Parquet file"):
        parquet_source(objects, "s3://slices/*.parquet")


def test_no_message_of_many_small_files_outgrows_its_size(objects: UserObjects) -> None:
    for number in range(120):
        put(objects, f"{'漢' * 40}/{number}.csv", b"n\n1\n")
    source = csv_source(objects, f"s3://{BUCKET}/{'漢' * 40}/")
    plan = source.plan(lambda _: 10_000)
    assert len(plan.chunks) > 1
    for chunk in plan.chunks:
        message = ChunkMessage(
            job="j" * 64, run=10**6, position=chunk.number, run_chunks=10**6, chunk=chunk, failures=1_000
        )
        assert len(encode(message)) < MAX_MESSAGE_BYTES
    assert len(values(objects, source, plan, "n")) == 120


@pytest.mark.parametrize(
    ("status", "code", "phrase"),
    [
        (403, "AccessDenied", "AWS denies s3:ListBucket on s3://theirs/in/"),
        (403, "ExpiredToken", "log in again"),
    ],
)
def test_a_refusal_of_s3_names_the_action_that_is_missing(status: int, code: str, phrase: str) -> None:
    body = f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()
    with scripted_endpoint([Answer(body, status)] * 6) as endpoint:
        clients = open_clients(new_settings(endpoint.url))
        with pytest.raises(EnvironmentFault) as refused:
            find_files(UserObjects(UserFiles(clients.s3, endpoint.url)), ["s3://theirs/in/"])
    assert phrase in str(refused.value)


MOVED = b"<Error><Code>PermanentRedirect</Code><Message>no</Message></Error>"
SIGNED_ELSEWHERE = (
    b"<Error><Code>AuthorizationHeaderMalformed</Code><Message>no</Message><Region>eu-west-1</Region></Error>"
)


@pytest.mark.parametrize("name", ["s3://theirs/in/", "s3://theirs/in/*.csv", "s3://theirs/a.csv"])
@pytest.mark.parametrize(
    "answer",
    [
        Answer(MOVED, 301, headers={"x-amz-bucket-region": "eu-west-1"}),
        Answer(SIGNED_ELSEWHERE, 400, headers={"x-amz-bucket-region": "eu-west-1"}),
    ],
    ids=["moved", "signed-elsewhere"],
)
def test_a_bucket_in_another_region_is_told_with_both_regions_and_what_to_do(
    name: str, answer: Answer
) -> None:
    with scripted_endpoint([answer] * 8) as endpoint:
        files = UserFiles(open_clients(new_settings(endpoint.url)).s3, endpoint.url)
        with pytest.raises(EnvironmentFault) as refused:
            find_files(UserObjects(files), [name])
        with pytest.raises(EnvironmentFault) as part:
            UserObjects(files).bytes_of(UserObject(ObjectUrl.parse("s3://theirs/a.csv"), 10, '"5f"'), 0, 10)
    assert str(refused.value) == (
        f"The bucket of {name.removesuffix('*.csv')} is in region eu-west-1, not in us-east-1, and the "
        "endpoint in use does not lead there; copy its files into a bucket in us-east-1, or use a fleet in "
        "eu-west-1."
    )
    assert "The bucket of s3://theirs/a.csv is in region eu-west-1, not in us-east-1" in str(part.value)


def test_a_bucket_in_a_region_that_nobody_names_is_told_all_the_same() -> None:
    # The second is to the client's own question where the bucket is.
    with scripted_endpoint([Answer(MOVED, 301), Answer(b"", 403)]) as endpoint:
        files = UserFiles(open_clients(new_settings(endpoint.url)).s3, endpoint.url)
        with pytest.raises(EnvironmentFault, match="is in another region than us-east-1"):
            find_files(UserObjects(files), ["s3://theirs/in/"])


def test_a_part_that_may_not_be_read_names_the_action() -> None:
    body = b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>"
    with scripted_endpoint([Answer(body, 403)] * 3) as endpoint:
        objects = UserObjects(UserFiles(open_clients(new_settings(endpoint.url)).s3, endpoint.url))
        with pytest.raises(EnvironmentFault, match=r"s3:GetObject on s3://theirs/a.csv"):
            objects.bytes_of(UserObject(ObjectUrl.parse("s3://theirs/a.csv"), 10, '"5f"'), 0, 10)

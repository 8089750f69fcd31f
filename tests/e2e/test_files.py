"""Files on S3 are scored like tables: the same scores, every row once, published to tables and to files."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from skfleet.job import Job
from skfleet_common.contracts.errors import JobFailed, Refused
from tests.e2e.world import Answer, World

BUCKET = "landing"
MODEL = "of-files"
ROWS = 20_000
SCORES = ["prediction", "proba_false", "proba_true"]


@pytest.fixture(scope="module")
def landed(world: World) -> World:
    """A stack with a model, and the flights that it scores in a table, a CSV file and a Parquet file."""
    done = world.cli(
        *("train", "--table", "public.flights", "--target", "arr_late", "--id-column", "id", "--name", MODEL),
        *("--where", "id % 100 = 0", "--exclude", "arr_time,arr_delay,air_time,tailnum,dep_time"),
    )
    assert done.code == 0, done.err
    world.fleet.cloud.store.client.create_bucket(Bucket=BUCKET)
    flights = pa.Table.from_pandas(
        world.frame(f"SELECT * FROM public.flights WHERE id <= {ROWS} ORDER BY id"), preserve_index=False
    )
    raw = io.BytesIO()
    pyarrow.csv.write_csv(flights, raw)
    put(world, "flights.csv", raw.getvalue())
    raw = io.BytesIO()
    pq.write_table(flights, raw, row_group_size=3_000)
    put(world, "flights.parquet", raw.getvalue())
    world.sql(f"CREATE TABLE public.some_flights AS SELECT * FROM public.flights WHERE id <= {ROWS}")
    return world


def put(world: World, key: str, body: bytes) -> str:
    world.fleet.cloud.store.client.put_object(Bucket=BUCKET, Key=key, Body=body)
    return f"s3://{BUCKET}/{key}"


def got(world: World, url: str) -> bytes:
    bucket, _, key = url.removeprefix("s3://").partition("/")
    body: bytes = world.fleet.cloud.store.client.get_object(Bucket=bucket, Key=key)["Body"].read()
    return body


def keys(world: World, prefix: str) -> list[str]:
    answer = world.fleet.cloud.store.client.list_objects_v2(Bucket=BUCKET, Prefix=prefix)
    return [entry["Key"] for entry in answer.get("Contents", [])]


def predict(world: World, *words: str) -> Answer:
    return world.cli("predict", "--model", MODEL, *words)


def scored(world: World, *words: str) -> dict[str, Any]:
    done = predict(world, *words, "--wait", "--json")
    assert done.code == 0, done.err
    status = done.json
    assert status["certificate"]["adds_up"]
    return status


def test_table_csv_and_parquet_get_the_same_scores(landed: World) -> None:
    asked = {
        "table": ["--table", "public.some_flights"],
        "csv": ["--csv", f"s3://{BUCKET}/flights.csv"],
        "parquet": ["--parquet", f"s3://{BUCKET}/flights.parquet"],
    }
    frames = {}
    for kind, words in asked.items():
        out = f"public.same_{kind}"
        status = scored(landed, *words, "--id-column", "id", "--output-table", out, "--chunk-rows", "3000")
        assert status["rows_scored"] == ROWS
        assert status["chunks"] >= 6
        frames[kind] = landed.frame(f"SELECT * FROM {out} ORDER BY id")
    for kind in ("csv", "parquet"):
        pd.testing.assert_frame_equal(frames[kind], frames["table"], check_dtype=False, check_exact=True)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_rows_without_ids_are_numbered_over_all_slices(landed: World, kind: str) -> None:
    url = f"s3://{BUCKET}/flights.{kind}"
    out = f"public.numbered_{kind}"
    status = scored(
        landed, f"--{kind}", url, "--output-table", out, "--chunk-rows", "3000", "--columns", "id"
    )
    assert status["chunks"] >= 6
    frame = landed.frame(f"SELECT * FROM {out} ORDER BY row")
    assert frame["row"].tolist() == list(range(1, ROWS + 1)) == frame["id"].tolist()
    assert set(frame["file"]) == {url}


def test_a_condition_lets_rows_of_a_parquet_file_through_under_their_own_numbers(landed: World) -> None:
    words = ["--parquet", f"s3://{BUCKET}/flights.parquet", "--columns", "id", "--chunk-rows", "3000"]
    words += [
        "--where",
        "id > 7000 AND NOT (id BETWEEN 12500 AND 12600)",
        "--output-table",
        "public.some_numbered",
    ]
    plan = predict(landed, *words, "--dry-run", "--json").json
    assert (plan["rows"], plan["rows_are_exact"]) == (14_000, False)
    assert any("2 of 7 row groups (6,000 rows) are left out" in warning for warning in plan["warnings"])
    status = scored(landed, *words)
    assert status["rows_scored"] == ROWS - 7_000 - 101
    # Workers and commands of earlier versions would take all rows, or miss those that are left out.
    store, names = landed.fleet.cloud.store, landed.fleet.cloud.names
    assert json.loads(store.get(names.spec(status["job"])))["schema_version"] == 5
    assert json.loads(store.get(names.plan(status["job"])))["schema_version"] == 3
    frame = landed.frame("SELECT * FROM public.some_numbered ORDER BY row")
    expected = [number for number in range(7_001, ROWS + 1) if not 12_500 <= number <= 12_600]
    assert frame["row"].tolist() == expected == frame["id"].tolist()


@pytest.mark.parametrize(("kind", "more"), [("csv", ["--one-file"]), ("parquet", [])])
def test_scores_are_published_to_files(landed: World, kind: str, more: list[str]) -> None:
    prefix = f"scores-{kind}/"
    scored(
        landed,
        *("--table", "public.some_flights", "--id-column", "id", "--chunk-rows", "5000"),
        *("--output", f"s3://{BUCKET}/{prefix}", "--output-format", kind, *more),
    )
    manifest = json.loads(got(landed, f"s3://{BUCKET}/{prefix}_manifest.json"))
    assert f"{prefix}_SUCCESS" in keys(landed, prefix)
    assert len(keys(landed, prefix)) == len(manifest["entries"]) + 2
    parts = [io.BytesIO(got(landed, entry["url"])) for entry in manifest["entries"]]
    tables = [pq.read_table(it) if kind == "parquet" else pyarrow.csv.read_csv(it) for it in parts]
    published = pa.concat_tables(tables).to_pandas().sort_values("id", ignore_index=True)
    expected = landed.fleet.load(MODEL).predict_proba(
        landed.frame(f"SELECT * FROM public.flights WHERE id <= {ROWS} ORDER BY id")
    )
    assert np.array_equal(published[["proba_false", "proba_true"]].to_numpy(), expected)
    assert published["id"].tolist() == list(range(1, ROWS + 1))
    again = predict(
        landed, "--table", "public.some_flights", "--id-column", "id", "--output", f"s3://{BUCKET}/{prefix}"
    )
    assert again.code == 3
    assert "--if-exists replace" in again.sentence


def flights(world: World, rows: int = 3_000) -> pd.DataFrame:
    return pd.read_csv(io.BytesIO(got(world, f"s3://{BUCKET}/flights.csv")), nrows=rows, dtype=str)


def ended(world: World, **asked: Any) -> tuple[Job, str]:
    """Submit, and give the job with the reason for which it failed."""
    job = world.fleet.predict(model=MODEL, **asked)
    try:
        job.wait(timeout_seconds=200)
    except JobFailed as failure:
        return job, str(failure)
    return job, ""


def test_rows_that_cannot_be_read_are_set_aside_and_named_by_their_numbers(landed: World) -> None:
    lines = flights(landed).to_csv(index=False).splitlines()
    lines[1_234] += ",one,more"
    lines[2_345] = "only,three,fields"
    distance = lines[0].split(",").index("distance")
    fields = lines[2_900].split(",")
    fields[distance] = "far"
    lines[2_900] = ",".join(fields)
    url = put(landed, "odd.csv", "\n".join(lines).encode())
    asked: dict[str, Any] = {
        "csv": url,
        "chunk_rows": 500,
        "output_table": "public.odd",
        "columns": ["distance"],
    }
    job, reason = ended(landed, **asked)
    assert "3 rows cannot be read or scored, and --max-rejects allows 0" in reason
    words = ("--csv", url, "--output-table", "public.odd", "--columns", "distance", "--chunk-rows", "500")
    job = landed.fleet.job(scored(landed, *words, "--max-rejects", "3")["job"])
    status = job.status()
    assert status.certificate is not None
    assert status.certificate.adds_up
    assert not status.certificate.rows_are_exact
    assert status.certificate.bytes_planned == len("\n".join(lines).encode())
    assert (status.rows_scored, status.rows_rejected) == (2_997, 3)
    rejects = job.rejects().to_pylist()
    assert [reject["row"] for reject in rejects] == ["1234", "2345", "2900"]
    assert "fields, not" in rejects[0]["reason"]
    assert "distance is not an integer" in rejects[2]["reason"]
    numbers = [row for (row,) in landed.sql("SELECT row FROM public.odd ORDER BY row")]
    assert numbers == [row for row in range(1, 3_001) if row not in {1234, 2345, 2900}]


def test_frames_and_files_of_this_host_go_the_same_way(landed: World, tmp_path: Path) -> None:
    frame = landed.frame("SELECT * FROM public.flights WHERE id <= 3000 ORDER BY id")
    path = tmp_path / "some flights.csv.gz"
    flights(landed).to_csv(path, index=False)
    prefix = f"s3://{BUCKET}/own/"
    jobs = [
        ended(landed, frame=frame, id_column="id", output=f"{prefix}frame/"),
        ended(landed, csv=path, id_column="id", output=f"{prefix}file/", output_format="csv", one_file=True),
    ]
    assert [reason for _, reason in jobs] == ["", ""]
    expected = landed.fleet.load(MODEL).predict_proba(frame)[:, 1]
    for kind in ("frame", "file"):
        manifest = json.loads(got(landed, f"{prefix}{kind}/_manifest.json"))
        (entry,) = manifest["entries"]
        raw = io.BytesIO(got(landed, entry["url"]))
        table = pq.read_table(raw) if kind == "frame" else pyarrow.csv.read_csv(raw)
        scores = table.to_pandas().sort_values("id")["proba_true"].to_numpy()
        assert np.array_equal(scores, expected)
    uploads = [
        list(landed.fleet.cloud.store.list_keys(landed.fleet.cloud.names.uploads(it.id))) for it, _ in jobs
    ]
    assert [len(found) for found in uploads] == [1, 1]
    landed.fleet.clean_up(older_than_days=0)
    assert not any(
        list(landed.fleet.cloud.store.list_keys(landed.fleet.cloud.names.uploads(it.id))) for it, _ in jobs
    )


@pytest.mark.parametrize(
    ("name", "body", "phrase"),
    [
        ("torn.csv.gz", gzip.compress(b"a,b\n" + b"1,2\n" * 10, mtime=0)[:-9], "ends too early"),
        ("empty.csv", b"", "is empty"),
        ("numbers.csv", b"1,2\n3,4\n", "begins with numbers"),
        ("other.csv", b"a,b\n1,2\n", "cannot be scored with of-files"),
        ("open.csv", b'a,b\n1,"2\n', "a double quote that nothing closes"),
    ],
)
def test_what_is_no_input_is_refused_in_a_sentence(
    landed: World, name: str, body: bytes, phrase: str
) -> None:
    url = put(landed, name, body)
    with pytest.raises(Refused) as refused:
        landed.fleet.predict(model=MODEL, csv=url, output_table="public.scores_of_no_input")
    assert phrase in str(refused.value)


def test_a_file_that_is_torn_behind_its_beginning_fails_its_job_and_publishes_nothing(landed: World) -> None:
    raw = gzip.compress(flights(landed, ROWS).to_csv(index=False).encode())
    _, reason = ended(landed, csv=put(landed, "torn.gz", raw[: len(raw) // 2]), output=f"s3://{BUCKET}/torn/")
    assert "torn.gz is compressed and ends too early" in reason
    assert keys(landed, "torn/") == []


def test_a_header_alone_is_a_job_without_rows(landed: World) -> None:
    header = got(landed, f"s3://{BUCKET}/flights.csv").split(b"\n")[0] + b"\n"
    job, reason = ended(landed, csv=put(landed, "header.csv", header), output_table="public.no_rows")
    assert reason == ""
    assert job.status().rows_scored == 0
    assert landed.sql("SELECT count(*) FROM public.no_rows") == [(0,)]


def test_a_dry_run_says_what_chunks_are_and_leaves_nothing(landed: World, tmp_path: Path) -> None:
    path = tmp_path / "here.csv"
    flights(landed).to_csv(path, index=False)
    store, names = landed.fleet.cloud.store, landed.fleet.cloud.names
    before = set(store.list_keys(names.jobs_prefix()))
    done = predict(
        landed, "--csv", str(path), "--output-table", "public.x", "--chunk-rows", "500", "--dry-run"
    )
    assert done.code == 0, done.err
    assert "(estimated)" in done.out
    assert "bytes a chunk" in done.out
    assert set(store.list_keys(names.jobs_prefix())) == before

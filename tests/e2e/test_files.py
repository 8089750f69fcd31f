"""Files on S3 are scored like tables: the same scores, every row once, published to tables and to files."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
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


@pytest.mark.parametrize("one_file", [True, False])
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_scores_are_published_to_files(landed: World, kind: str, one_file: bool) -> None:
    prefix = f"scores-{kind}-{one_file}/"
    scored(
        landed,
        *("--table", "public.some_flights", "--id-column", "id", "--chunk-rows", "5000"),
        *("--output", f"s3://{BUCKET}/{prefix}", "--output-format", kind),
        *(["--one-file"] if one_file else []),
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

"""The same rows give the same model, whatever they are read from; and what cannot be read is refused."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import psycopg2
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.e2e.world import World

REFUSED, USAGE, ENVIRONMENT = 3, 2, 4

#: One tree is learned in no time, whatever else runs here.
MODEL = "DecisionTreeClassifier"

#: What a made-up shop sells, with NULLs, in every type that a file can tell.
SHOP = """
CREATE TABLE public.shop AS
SELECT i AS id,
       CASE WHEN i % 11 <> 0 THEN i % 40 END AS items,
       CASE WHEN i % 13 <> 0 THEN (i * 7919 % 1000) / 8.0::float8 END AS score,
       CASE WHEN i % 7 <> 0 THEN i % 3 = 0 END AS member,
       CASE WHEN i % 6 <> 0
            THEN (ARRAY['Köln', 'a, b', 'say "hi"', E'two\\nlines', ''])[1 + i % 5] END AS city,
       lpad((i % 90)::text, 5, '0') AS postcode,
       (CASE WHEN i % 19 <> 0 THEN (ARRAY['AA', 'BBB', ' C', ''])[1 + i % 4] END)::char(3) AS code,
       CASE WHEN i % 17 <> 0 THEN date '1960-01-01' + i * 37 END AS born,
       timestamp '2020-02-29 23:59:58.123456' + i * interval '1 hour 7 seconds' AS seen,
       timestamptz '2020-02-29 23:59:58+02' + i * interval '3 hours' AS paid,
       time '00:00:01' + i * interval '17 minutes' AS opens,
       (i * 31 % 97) + (i % 40) > 60 AS returned
FROM generate_series(1, 600) AS i ORDER BY i
"""


@dataclass(frozen=True)
class Shop:
    """The rows of the shop, as a table and as files."""

    world: World
    folder: Path
    frame: pd.DataFrame

    def train(self, name: str, *words: str, target: str = "returned") -> dict[str, object]:
        """Train by the command line, and give what it says."""
        answer = self.world.cli(
            *["train", "--target", target, "--id-column", "id", "--name", name, "--json"],
            *["--model", MODEL, *words],
        )
        assert answer.code == 0, answer.err
        return answer.json

    def refusal(self, *words: str, code: int = REFUSED) -> str:
        """Give the sentence with which a training is refused."""
        answer = self.world.cli("train", "--target", "returned", "--name", "refused", *words)
        assert answer.code == code, answer.err
        assert answer.out == ""
        assert "Traceback" not in answer.err
        assert sum(line.startswith("skfleet: ") for line in answer.err.splitlines()) == 1
        return answer.sentence


@pytest.fixture(scope="module")
def shop(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("shop")
    world.sql(SHOP)
    connection = psycopg2.connect(world.dsn)
    try:
        with connection.cursor() as cursor, (folder / "shop.csv").open("wb") as file:
            cursor.execute("SET timezone = 'Asia/Kolkata'")
            cursor.copy_expert("COPY public.shop TO STDOUT WITH (FORMAT csv, HEADER)", file)
    finally:
        connection.close()
    frame = world.frame("SELECT * FROM public.shop ORDER BY id")
    pq.write_table(_as_arrow(frame), folder / "shop.parquet", row_group_size=100)
    (folder / "shop.csv.gz").write_bytes(gzip.compress((folder / "shop.csv").read_bytes()))
    yield Shop(world, folder, frame)
    world.sql("DROP TABLE public.shop")


def _as_arrow(frame: pd.DataFrame) -> pa.Table:
    """The frame with other types than a CSV file's: small integers, a dictionary, nanoseconds, a zone."""
    kinds = {
        "id": pa.uint32(),
        "items": pa.int8(),
        "score": pa.float64(),
        "member": pa.bool_(),
        "city": pa.dictionary(pa.int8(), pa.string()),
        "postcode": pa.large_string(),
        "code": pa.string(),
        "born": pa.date32(),
        "seen": pa.timestamp("ns"),
        "paid": pa.timestamp("ms", tz="Europe/Paris"),
        "opens": pa.time64("us"),
        "returned": pa.bool_(),
    }
    return pa.table({name: pa.array(frame[name], kind, from_pandas=True) for name, kind in kinds.items()})


@pytest.fixture(scope="module")
def from_table(shop: Shop) -> dict[str, object]:
    return shop.train("shop-table", "--table", "public.shop")


@pytest.mark.parametrize("source", ["csv", "csv.gz", "parquet", "query", "s3.csv", "s3.parquet"])
def test_the_same_rows_give_the_same_model(shop: Shop, from_table: dict[str, object], source: str) -> None:
    name = f"shop-{source.replace('.', '-')}"
    kind = source.removeprefix("s3.").removesuffix(".gz")
    path = str(shop.folder / f"shop.{source.removeprefix('s3.')}")
    if source.startswith("s3."):
        store = shop.world.fleet.cloud.store
        store.put(f"uploads/shop.{kind}", Path(path).read_bytes())
        path = f"s3://{store.bucket}/uploads/shop.{kind}"
    given = path if source != "query" else "SELECT * FROM public.shop ORDER BY id;"
    trained = shop.train(name, f"--{kind}", given)
    assert_same_model(shop, trained, from_table)


def test_a_frame_gives_the_same_model_too(shop: Shop, from_table: dict[str, object]) -> None:
    frame = shop.frame.astype({"items": "Int16", "member": "boolean", "city": "category"})
    trained = shop.world.fleet.train(
        frame=frame, target="returned", id_column="id", name="shop-frame", model=MODEL
    )
    assert_same_model(shop, {"name": trained.name, "digest": trained.digest}, from_table)


def assert_same_model(shop: Shop, trained: dict[str, object], expected: dict[str, object]) -> None:
    """Equal rows, features and predictions; and a way of saying where they came from."""
    ours, theirs = (
        shop.world.fleet.load(f"{model['name']}@{model['digest']}") for model in (trained, expected)
    )
    assert ours.manifest.provenance.rows == 600
    assert ours.manifest.provenance.fingerprint == theirs.manifest.provenance.fingerprint
    assert ours.manifest.features == theirs.manifest.features
    # The other columns of a scored table do not matter, nor does their order.
    frame = shop.frame[shop.frame.columns[::-1]]
    np.testing.assert_array_equal(ours.predict_proba(frame), theirs.predict_proba(frame))


def test_a_model_says_where_its_rows_came_from(shop: Shop) -> None:
    path = str(shop.folder / "shop.csv")
    trained = shop.train("shop-origin", "--csv", path, "--sample", "100", "--seed", "5")
    assert trained["rows"] == 100
    provenance = shop.world.fleet.load("shop-origin").manifest.provenance
    assert (provenance.kind, provenance.source, provenance.sampled) == ("csv", path, 100)
    (file,) = provenance.files
    assert file.sha256 == hashlib.sha256((shop.folder / "shop.csv").read_bytes()).hexdigest()
    again = shop.train("shop-again", "--csv", path, "--sample", "100", "--seed", "5")
    other = shop.world.fleet.load(f"shop-again@{again['digest']}").manifest.provenance
    assert other.fingerprint == provenance.fingerprint


def test_a_model_from_a_file_scores_the_table(shop: Shop) -> None:
    shop.train("shop-file", "--csv", str(shop.folder / "shop.csv"))
    answer = shop.world.cli(
        *["predict", "--model", "shop-file", "--table", "public.shop", "--id-column", "id"],
        *["--output-table", "public.shop_scores", "--wait", "--json"],
    )
    assert answer.code == 0, answer.err
    assert answer.json["rows_scored"] == 600
    shop.world.sql("DROP TABLE public.shop_scores")


@pytest.mark.parametrize("source", ["table", "csv"])
def test_texts_of_a_fixed_length_are_the_same_levels_in_files_frames_and_tables(
    shop: Shop, source: str
) -> None:
    given = {"table": "public.shop", "csv": str(shop.folder / "shop.csv")}[source]
    name = f"shop-code-{source}"
    words = [word for column in shop.frame.columns for word in ("--exclude", column)]
    for column in ("code", "returned", "id"):
        at = words.index(column)
        del words[at - 1 : at + 1]
    shop.train(name, f"--{source}", given, *words)
    bundle = shop.world.fleet.load(name)
    assert bundle.manifest.features[0].known_levels == ("", " C", "AA", "BBB")
    output = f"public.{name.replace('-', '_')}"
    answer = shop.world.cli(
        *["predict", "--model", name, "--table", "public.shop", "--id-column", "id"],
        *["--output-table", output, "--wait", "--json"],
    )
    assert answer.code == 0, answer.err
    published = shop.world.frame(f"SELECT prediction FROM {output} ORDER BY id")
    assert (shop.frame.code.str.len().dropna() == 3).all()  # as psycopg2 gives them
    np.testing.assert_array_equal(bundle.predict(shop.frame), published.prediction)
    shop.world.sql(f"DROP TABLE {output}")


def test_a_model_of_texts_that_end_in_blanks_does_not_score_a_column_that_fills_them_up(shop: Shop) -> None:
    path = shop.folder / "blanks.csv"
    path.write_text("code,returned\n" + "AA ,true\nBB,false\n" * 30)
    answer = shop.world.cli(
        *["train", "--csv", str(path), "--target", "returned", "--name", "blanks", "--model", MODEL]
    )
    assert answer.code == 0, answer.err
    answer = shop.world.cli(
        *["predict", "--model", "blanks", "--table", "public.shop", "--id-column", "id"],
        *["--output-table", "public.blanks_scores"],
    )
    assert answer.code == REFUSED
    assert "'code' is character(3), whose texts are read without the blanks" in answer.sentence


def test_a_dry_run_says_what_would_be_learned_from(shop: Shop) -> None:
    path = str(shop.folder / "shop.csv")
    words = [
        "train",
        "--csv",
        path,
        "--target",
        "returned",
        "--id-column",
        "id",
        "--name",
        "dry",
        "--dry-run",
    ]
    plan = shop.world.cli(*words, "--exclude", "opens", "--type", "postcode=integer", "--json")
    assert plan.code == 0, plan.err
    assert (plan.json["schema"], plan.json["rows"]) == ("skfleet.training_plan/1", 600)
    told = {column["name"]: (column["type"], column["role"]) for column in plan.json["columns"]}
    assert told["id"] == ("integer", "key")
    assert told["returned"] == ("boolean", "target")
    assert told["opens"] == ("time", "excluded")
    assert told["postcode"] == ("integer", "feature")
    assert told["paid"] == ("timestamptz", "feature")
    for_people = shop.world.cli(*words)
    assert "nothing (dry run)" in for_people.out
    assert "begin with zeros" in for_people.err
    assert "dry" not in shop.world.fleet.registry.models()


@pytest.mark.parametrize(
    ("words", "phrase", "code"),
    [
        ([], "none is given", USAGE),
        (["--table", "public.shop", "--csv", "shop.csv"], "not --table and --csv", USAGE),
        (["--query", "SELECT 1 AS a", "--where", "a = 1"], "--where is for a table", USAGE),
        (["--table", "public.shop", "--encoding", "latin-1"], "--encoding is for --csv", USAGE),
        (["--csv", "shop.csv", "--encoding", "latin-9000"], "no encoding", USAGE),
        (["--csv", "shop.csv", "--delimiter", "::"], "one ASCII character", USAGE),
        (["--csv", "shop.csv", "--type", "items=number"], "names no type", USAGE),
        (["--csv", "shop.csv", "--type", "items"], "takes COLUMN=VALUE", USAGE),
        (["--csv", "shop.csv", "--type", "itms=text"], "did you mean items?", REFUSED),
        (["--csv", "shop.csv", "--sample", "0"], "--sample must be 1 or more", USAGE),
        (["--csv", "shop.csv", "--exclude", "nosuch"], "has no column nosuch", REFUSED),
        (["--csv", "shop.csv", "--type", "city=integer"], "is to be integer", REFUSED),
        (["--csv", "nosuch.csv"], "There is no file nosuch.csv", REFUSED),
        (["--csv", "."], "is a directory", REFUSED),
        (["--csv", "shop.parquet"], "--parquet", REFUSED),
        (["--parquet", "shop.csv"], "no Parquet file", REFUSED),
        (["--csv", "header.csv"], "has no rows", REFUSED),
        (["--csv", "header.csv", "--dry-run"], "has no rows", REFUSED),
        (["--csv", "mixed.csv"], "lines 22 and 23", REFUSED),
        (["--csv", "mixed.csv", "--dry-run"], "--null-text", REFUSED),
        (["--csv", "one.csv"], "1 row", REFUSED),
        (["--csv", "s3://nobodys-bucket/shop.csv"], "no bucket nobodys-bucket", REFUSED),
        (["--csv", "s3://nobodys-bucket"], "no bucket nobodys-bucket", REFUSED),
        (["--query", "SELECT * FROM public.shop; DROP TABLE public.shop"], "semicolon", REFUSED),
        (["--query", "SELECT id, returned FROM public.shop WHERE false"], "has no rows", REFUSED),
        (["--table", "public.shop", "--sample", "5"], "needs --id-column", USAGE),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_learned_from_is_refused(shop: Shop, words: list[str], phrase: str, code: int) -> None:
    for name, text in {
        "header.csv": "a,returned\n",
        "one.csv": "a,returned\n1,true\n",
        "mixed.csv": "a,returned\n" + "1,true\n2,false\n" * 10 + "?,true\n-,false\n",
    }.items():
        (shop.folder / name).write_text(text)
    given = [
        str(shop.folder / word) if word.endswith((".csv", ".parquet")) and "://" not in word else word
        for word in words
    ]
    expected = phrase.replace("file nosuch", f"file {shop.folder}/nosuch")
    assert expected in shop.refusal(*given, code=code)
    assert "refused" not in shop.world.fleet.registry.models()

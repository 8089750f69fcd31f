"""Bad input gives one clear sentence and a non-zero exit, before any message is sent, and loses nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

import pytest

from tests.e2e.world import Answer, World

pytestmark = pytest.mark.on_redshift("slow")

REFUSED, USAGE, ENVIRONMENT = 3, 2, 4

EXCLUDE = "arr_time,arr_delay,air_time,tailnum,time_hour"


@pytest.fixture(scope="module")
def model(world: World) -> str:
    """A model that a small table can be scored with."""
    trained = world.cli(
        *["train", "--table", "public.flights", "--target", "arr_late", "--id-column", "id"],
        *["--name", "strict", "--where", "id % 20 = 0", "--exclude", EXCLUDE],
    )
    assert trained.code == 0, trained.err
    return "strict"


@pytest.fixture
def source(world: World) -> Iterator[str]:
    """A table of 50 flights to spoil."""
    world.sql("CREATE TABLE public.spoilt AS SELECT * FROM public.flights WHERE id <= 50")
    yield "public.spoilt"
    world.sql("DROP TABLE public.spoilt; DROP TABLE IF EXISTS public.spoilt_scores")


def predict(world: World, *words: str, model: str = "strict", table: str = "public.spoilt") -> Answer:
    """Ask for scores of ``table``."""
    usual = {"--id-column": "id", "--output-table": "public.spoilt_scores", "--table": table}
    given = usual | {"--model": model} | dict(zip(words[::2], words[1::2], strict=True))
    return world.cli("predict", *(word for pair in given.items() for word in pair))


def assert_refused(world: World, answer: Answer, *phrases: str, code: int = REFUSED) -> None:
    """One sentence on stderr that holds ``phrases``, the exit code, nothing sent and nothing published."""
    assert answer.code == code, answer.err
    assert answer.out == ""
    assert "Traceback" not in answer.err
    sentence = answer.sentence
    for phrase in phrases:
        assert phrase in sentence
    assert world.queue_is_empty()
    assert world.sql("SELECT to_regclass('public.spoilt_scores')") == [(None,)]


def test_a_missing_column(world: World, model: str, source: str) -> None:
    world.sql("ALTER TABLE public.spoilt DROP COLUMN dep_delay")
    assert_refused(world, predict(world), "public.spoilt", "dep_delay", "strict")


def test_a_renamed_column_is_suggested(world: World, model: str, source: str) -> None:
    world.sql("ALTER TABLE public.spoilt RENAME COLUMN dep_delay TO dep_delays")
    assert_refused(world, predict(world), "dep_delay", "did you mean dep_delays?")


def test_a_type_that_changed(world: World, model: str, source: str) -> None:
    world.sql("ALTER TABLE public.spoilt ALTER COLUMN distance TYPE text")
    assert_refused(world, predict(world), "distance", "text", "whole numbers")


def test_integer_levels_that_became_text(world: World, source: str) -> None:
    trained = world.cli(
        *["train", "--table", "public.flights", "--target", "arr_late", "--id-column", "id"],
        *["--name", "levels", "--where", "id % 20 = 0", "--exclude", EXCLUDE, "--categorical", "month"],
    )
    assert trained.code == 0, trained.err
    world.sql("ALTER TABLE public.spoilt ALTER COLUMN month TYPE text")
    assert_refused(world, predict(world, model="levels"), "month", "text", "whole numbers")


def test_a_feature_that_is_null_in_every_row(world: World, model: str, source: str) -> None:
    world.sql("UPDATE public.spoilt SET distance = NULL")
    assert_refused(world, predict(world), "distance", "NULL")


def test_training_on_a_feature_that_is_null_in_every_row(world: World, source: str) -> None:
    world.sql("UPDATE public.spoilt SET distance = NULL")
    answer = world.cli(
        *["train", "--table", "public.spoilt", "--target", "arr_late", "--id-column", "id"],
        *["--name", "hopeless", "--exclude", EXCLUDE],
    )
    assert answer.code == 0, answer.err
    assert "Note: Column 'distance' was left out: it is NULL in every training row." in answer.err


@pytest.mark.parametrize(("policy", "accepted"), [("error", False), ("other", True), ("reject_row", True)])
def test_an_unseen_level_under_each_policy(world: World, source: str, policy: str, *, accepted: bool) -> None:
    name = f"unseen-{policy.replace('_', '-')}"
    trained = world.cli(
        *["train", "--table", "public.flights", "--target", "arr_late", "--id-column", "id"],
        *["--name", name, "--where", "id % 20 = 0", "--exclude", EXCLUDE],
        *["--unseen-policy", f"carrier={policy}"],
    )
    assert trained.code == 0, trained.err
    world.sql("UPDATE public.spoilt SET carrier = 'Z9' WHERE id = 7")
    answer = world.cli(
        *["predict", "--model", name, "--table", "public.spoilt", "--id-column", "id"],
        *["--output-table", "public.spoilt_scores", "--wait", "--json"],
    )
    if not accepted:
        assert answer.code == REFUSED
        assert "carrier" in answer.sentence
        assert "Z9" in answer.sentence
        return
    assert answer.code == 0, answer.err
    assert answer.json["rows_rejected"] == (1 if policy == "reject_row" else 0)


def test_more_unseen_levels_than_are_tolerated(world: World, model: str, source: str) -> None:
    world.sql("UPDATE public.spoilt SET carrier = 'Z9' WHERE id <= 26")
    assert_refused(world, predict(world), "carrier", "26 rows of 50")


def test_training_on_an_empty_table(world: World, source: str) -> None:
    world.sql("DELETE FROM public.spoilt")
    answer = world.cli(
        *["train", "--table", "public.spoilt", "--target", "arr_late", "--id-column", "id", "--name", "void"]
    )
    assert_refused(world, answer, "public.spoilt has no rows")


def test_a_table_that_does_not_exist(world: World, model: str) -> None:
    assert_refused(world, predict(world, table="public.flihgts"), "public.flihgts", "flights")


def test_an_id_column_that_does_not_exist(world: World, model: str, source: str) -> None:
    assert_refused(world, predict(world, "--id-column", "idd"), "idd", "did you mean id?")


@pytest.mark.on_redshift("always")
def test_null_ids(world: World, model: str, source: str) -> None:
    world.sql("UPDATE public.spoilt SET id = NULL WHERE id IN (3, 4)")
    assert_refused(world, predict(world), "id", "NULL", "2")


def test_duplicate_ids(world: World, model: str, source: str) -> None:
    world.sql("UPDATE public.spoilt SET id = 5 WHERE id = 6")
    assert_refused(world, predict(world), "id", "unique")


def test_the_split_column_may_hold_both(world: World, model: str, source: str) -> None:
    world.sql("UPDATE public.spoilt SET flight = NULL WHERE id < 9")
    world.sql("UPDATE public.spoilt SET flight = 1 WHERE id > 30")
    answer = world.cli(
        *["predict", "--model", "strict", "--table", source, "--id-column", "id", "--split-column", "flight"],
        *["--output-table", "public.spoilt_scores", "--chunk-rows", "6", "--wait", "--json"],
    )
    assert answer.code == 0, answer.err
    assert answer.json["rows_scored"] == 50
    assert world.sql("SELECT count(DISTINCT id) FROM public.spoilt_scores") == [(50,)]


@pytest.mark.on_redshift("always")
def test_an_output_table_that_exists(world: World, model: str, source: str) -> None:
    world.sql("CREATE TABLE public.taken AS SELECT 1 AS precious")
    answer = predict(world, "--output-table", "public.taken")
    assert_refused(world, answer, "public.taken", "--if-exists")
    assert world.sql("SELECT precious FROM public.taken") == [(1,)]
    world.sql("DROP TABLE public.taken")


def test_an_output_table_that_is_the_source(world: World, model: str, source: str) -> None:
    answer = predict(world, "--output-table", "public.spoilt", "--if-exists", "replace")
    assert_refused(world, answer, "public.spoilt", code=USAGE)
    assert world.sql("SELECT count(*) FROM public.spoilt") == [(50,)]


def test_no_such_model(world: World, model: str, source: str) -> None:
    assert_refused(world, predict(world, model="strickt"), "strickt", "did you mean strict?")


@pytest.mark.on_redshift("never")
def test_altered_bundle_bytes(world: World, model: str, source: str) -> None:
    store, names = world.fleet.cloud.store, world.fleet.cloud.names
    _, digest = world.fleet.registry.resolve("strict")
    for file in ("model.skops", "manifest.json", "golden.parquet"):
        key = names.bundle_file("strict", digest, file)
        whole = store.get(key)
        store.put(key, whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])
        try:
            assert_refused(world, predict(world), "altered", file)
        finally:
            store.put(key, whole)
    assert predict(world, "--if-exists", "replace").code == 0
    world.fleet.jobs(1)[0].wait(60)


@pytest.mark.on_redshift("never")
def test_a_bundle_from_another_scikit_learn(world: World, model: str, source: str) -> None:
    store, names = world.fleet.cloud.store, world.fleet.cloud.names
    _, digest = world.fleet.registry.resolve("strict")
    keys = store.list_keys(names.bundle_file("strict", digest, ""))
    files = {key.rsplit("/", 1)[1]: store.get(key) for key in keys}
    manifest = json.loads(files["manifest.json"])
    manifest["name"] = "ancient"
    manifest["versions"]["scikit-learn"] = "1.3.2"
    files["manifest.json"] = json.dumps(manifest).encode()
    world.fleet.registry.register("ancient", files, digest=hashlib.sha256(files["manifest.json"]).hexdigest())
    assert_refused(world, predict(world, model="ancient"), "1.3.2", "scikit-learn")


HOSTILE = [
    "true); COMMIT; DROP TABLE x; SELECT (1",
    "true); COMMIT; DROP TABLE public.spoilt; SELECT (1",
    "id = 1) OR (true",
    "id = 1 -- all of them",
    "id = 1 /* all of them */",
    "%",
    "%s",
    "{}",
    "{id}",
    "id = 1; DROP TABLE public.spoilt",
    "id",
    "",
    "id = 1 UNION SELECT 1",
    "pg_terminate_backend(pg_backend_pid())",
    "nosuch = 1",
    "count(*) > 1",
]


@pytest.mark.parametrize("where", HOSTILE)
def test_a_where_that_is_not_one_boolean_expression(
    world: World, model: str, source: str, where: str
) -> None:
    world.sql("CREATE TABLE IF NOT EXISTS public.x (n int)")
    assert_refused(world, predict(world, "--where", where))
    trained = world.cli(
        *["train", "--table", source, "--target", "arr_late", "--id-column", "id"],
        *["--name", "hostile", "--where", where],
    )
    assert_refused(world, trained)
    assert world.sql("SELECT count(*) FROM public.spoilt") == [(50,)]
    assert world.sql("SELECT to_regclass('public.x') IS NOT NULL") == [(True,)]


@pytest.mark.parametrize(
    "where", ["id % 2 = 0", "tailnum LIKE 'N1%'", "carrier = '{}' OR id < 10", "arr_late"]
)
def test_a_where_with_signs_that_mean_something_to_drivers_works(
    world: World, model: str, source: str, where: str
) -> None:
    answer = world.cli(
        *["predict", "--model", "strict", "--table", source, "--id-column", "id", "--where", where],
        *["--output-table", "public.spoilt_scores", "--wait", "--json"],
    )
    assert answer.code == 0, answer.err
    expected = world.sql(f"SELECT id FROM public.spoilt WHERE {where} ORDER BY id")
    assert world.sql("SELECT id FROM public.spoilt_scores ORDER BY id") == expected


ODD_NAMES = [
    'My "Flights"',
    "flights; DROP TABLE public.flights",
    "Ünï cödé",
    "select",
    "a.b",
    "it's 100%",
    "{}",
]


@pytest.mark.parametrize("odd", ODD_NAMES)
def test_odd_names_work_when_they_exist_and_are_refused_when_not(world: World, model: str, odd: str) -> None:
    quoted = '"' + odd.replace('"', '""') + '"'
    output = '"' + odd.replace('"', '""') + ' scores"'
    asked = {"--model": "strict", "--table": f"public.{quoted}", "--id-column": quoted}
    words = [word for pair in asked.items() for word in pair] + ["--output-table", f"public.{output}"]
    missing = world.cli("predict", *words)
    assert missing.code == REFUSED, missing.err
    assert odd in missing.sentence
    world.sql(f"CREATE TABLE public.{quoted} AS SELECT * FROM public.flights WHERE id <= 50")
    world.sql(f"ALTER TABLE public.{quoted} RENAME COLUMN id TO {quoted}")
    try:
        answer = world.cli("predict", *words, "--chunk-rows", "20", "--wait", "--json")
        assert answer.code == 0, answer.err
        assert world.sql(f"SELECT count(DISTINCT {quoted}) FROM public.{output}") == [(50,)]
    finally:
        world.sql(f"DROP TABLE public.{quoted}; DROP TABLE IF EXISTS public.{output}")
    assert world.sql("SELECT count(*) FROM public.flights") == [(336_776,)]


@pytest.mark.on_redshift("never")
def test_a_setting_with_a_typo(world: World) -> None:
    answer = world.cli("jobs", SKFLEET_BUCKIT="x")
    assert_refused(world, answer, "SKFLEET_BUCKIT", "did you mean SKFLEET_BUCKET?", code=USAGE)


@pytest.mark.on_redshift("never")
def test_the_stack_is_not_up(world: World, tmp_path: object) -> None:
    answer = world.cli("jobs", SKFLEET_HOME=str(tmp_path))
    assert answer.code == ENVIRONMENT
    assert "skfleet local up" in answer.sentence


@pytest.mark.on_redshift("never")
def test_no_such_job(world: World) -> None:
    assert_refused(world, world.cli("status", "20200101-000000-nothing"), "20200101-000000-nothing")


@pytest.mark.on_redshift("never")
def test_in_json_an_error_is_an_object_on_stdout(world: World) -> None:
    answer = world.cli("status", "nothing", "--json")
    assert answer.code == REFUSED
    assert answer.json["schema"] == "skfleet.error/1"
    assert answer.json["exit_code"] == REFUSED

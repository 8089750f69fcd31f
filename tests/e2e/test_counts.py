"""Rows in = rows out + rejected, each id once, however the table is cut and whoever works on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.world import World

pytestmark = pytest.mark.on_redshift("slow")


@pytest.fixture(scope="module")
def small(world: World) -> None:
    """A model, and tables: ``public.small`` with 60 rows, ``public.part`` with 40,000, ``public.nothing``."""
    world.sql("CREATE TABLE public.small AS SELECT * FROM public.flights WHERE id <= 60")
    world.sql("CREATE TABLE public.part AS SELECT * FROM public.flights WHERE id <= 40000")
    world.sql("CREATE TABLE public.nothing AS SELECT * FROM public.flights WHERE false")
    trained = world.cli(
        *["train", "--table", "public.flights", "--target", "arr_late", "--id-column", "id"],
        *["--name", "counts", "--where", "id % 20 = 0", "--exclude", "arr_time,arr_delay,air_time,tailnum"],
    )
    assert trained.code == 0, trained.err


@pytest.fixture(scope="module", params=[pytest.param(1, marks=pytest.mark.slow), 2, 7])
def workers(request: pytest.FixtureRequest, world: World) -> Iterator[int]:
    """The stack with that many workers; two again afterwards."""
    world.scale(request.param)
    yield request.param
    world.scale(2)


@pytest.mark.parametrize(
    ("table", "chunk_rows"),
    [("small", 1), ("part", 1_000), ("part", 10_000_000), ("nothing", 1_000)],
    ids=["one row a chunk", "1000 rows a chunk", "one chunk", "no rows"],
)
@pytest.mark.usefixtures("small")
def test_every_row_comes_out_once(world: World, workers: int, table: str, chunk_rows: int) -> None:
    output = f"public.counts_{table}_{workers}_{chunk_rows}"
    scored = world.cli(
        *["predict", "--model", "counts", "--table", f"public.{table}", "--id-column", "id"],
        *["--output-table", output, "--chunk-rows", str(chunk_rows), "--wait", "--json"],
    )
    assert scored.code == 0, scored.err
    status = scored.json
    assert status["rows"] == status["rows_scored"] + status["rows_rejected"]
    ((rows_in,),) = world.sql(f"SELECT count(*) FROM public.{table}")
    assert status["rows"] == rows_in
    assert status["chunks"] == (0 if not rows_in else -(-rows_in // chunk_rows))
    difference = world.sql(
        f"SELECT count(*) FROM (SELECT id FROM public.{table}) s FULL JOIN {output} o USING (id) "
        "WHERE s.id IS NULL OR o.id IS NULL"
    )
    assert difference == [(0,)]
    assert world.sql(f"SELECT count(*), count(DISTINCT id) FROM {output}") == [(rows_in, rows_in)]


@pytest.mark.usefixtures("small")
def test_rows_that_the_policy_rejects_are_counted_and_left_out(world: World) -> None:
    trained = world.cli(
        *["train", "--table", "public.flights", "--target", "arr_late", "--id-column", "id"],
        *["--name", "rejecting", "--where", "id % 20 = 0 AND dest <> 'ATL'"],
        *["--exclude", "arr_time,arr_delay,air_time,tailnum", "--unseen-policy", "dest=reject_row"],
    )
    assert trained.code == 0, trained.err
    scored = world.cli(
        *["predict", "--model", "rejecting", "--table", "public.small", "--id-column", "id"],
        *["--output-table", "public.rejecting_scores", "--chunk-rows", "7", "--wait", "--json"],
    )
    assert scored.code == 0, scored.err
    ((atlanta,),) = world.sql("SELECT count(*) FROM public.small WHERE dest = 'ATL'")
    assert atlanta > 0
    status = scored.json
    assert status["rows_rejected"] >= atlanta
    assert status["rows"] == status["rows_scored"] + status["rows_rejected"] == 60
    kept = world.sql("SELECT dest FROM public.rejecting_scores JOIN public.small USING (id)")
    assert ("ATL",) not in kept


@pytest.mark.usefixtures("small")
def test_two_jobs_at_the_same_time_do_not_mix(world: World) -> None:
    jobs = [
        world.fleet.predict(
            model="counts",
            table="public.flights",
            id_column="id",
            output_table=f"public.{origin.lower()}_scores",
            where=f"origin = '{origin}'",
            chunk_rows=5_000,
        )
        for origin in ("EWR", "JFK")
    ]
    for job in jobs:
        job.wait(120)
    for origin in ("EWR", "JFK"):
        expected = world.sql(f"SELECT id FROM public.flights WHERE origin = '{origin}' ORDER BY id")
        assert world.sql(f"SELECT id FROM public.{origin.lower()}_scores ORDER BY id") == expected

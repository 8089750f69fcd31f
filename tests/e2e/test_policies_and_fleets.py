"""Policies for all columns at once, and fleets that live side by side on one stack."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from tests.conftest import eventually
from tests.e2e.world import Answer, World, clean_environment

REFUSED = 3


def train(world: World, name: str, *more: str) -> Answer:
    """Train on a small part of the flights."""
    return world.cli(
        *["train", "--table", "public.flights", "--target", "arr_late", "--id-column", "id"],
        *["--name", name, "--where", "id % 50 = 0", "--exclude", "arr_time,arr_delay,air_time,tailnum"],
        *more,
    )


@pytest.mark.parametrize("flag", ["--null-policy", pytest.param("--unseen-policy", marks=pytest.mark.slow)])
def test_a_bare_policy_is_that_of_every_column(world: World, flag: str) -> None:
    name = f"bare{flag.removesuffix('-policy').lstrip('-')}"
    trained = train(world, name, flag, "error")
    assert trained.code == 0, trained.err
    world.sql("CREATE TABLE public.bare AS SELECT * FROM public.flights WHERE id <= 20")
    world.sql(
        "UPDATE public.bare SET carrier = 'Z9' WHERE id = 3; UPDATE public.bare SET hour = NULL WHERE id = 4"
    )
    answer = world.cli(
        *["predict", "--model", name, "--table", "public.bare", "--id-column", "id"],
        *["--output-table", "public.bare_scores"],
    )
    world.sql("DROP TABLE public.bare")
    assert answer.code == REFUSED, answer.err
    assert ("hour" if flag == "--null-policy" else "carrier") in answer.sentence


def test_another_fleet_lives_beside_the_first_on_the_same_stack(world: World) -> None:
    made = world.cli("local", "up", SKFLEET_FLEET="blue")
    assert made.code == 0, made.err
    assert "SKFLEET_FLEET=blue skfleet-worker run" in made.err
    joined = world.cli("local", "env", "--json").json["variables"]
    worker = subprocess.Popen(
        [sys.executable, "-m", "skfleet_worker", "run"],
        env=clean_environment() | joined | {"SKFLEET_FLEET": "blue", "SKFLEET_POLL_SECONDS": "1"},
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        blue = {"SKFLEET_FLEET": "blue"}
        trained = world.cli(
            *["train", "--table", "public.flights", "--target", "arr_late", "--id-column", "id"],
            *["--name", "only-in-blue", "--where", "id % 50 = 0"],
            **blue,
        )
        assert trained.code == 0, trained.err
        scored = world.cli(
            *["predict", "--model", "only-in-blue", "--table", "public.flights", "--id-column", "id"],
            *["--where", "id <= 500", "--output-table", "public.blue_scores", "--wait", "--json"],
            **blue,
        )
        assert scored.code == 0, scored.err
        assert world.sql("SELECT count(*) FROM public.blue_scores") == [(500,)]
        assert world.cli("models", "only-in-blue").code == REFUSED
        assert [job["job"] for job in world.cli("jobs", "--json", **blue).json["jobs"]] == [
            scored.json["job"]
        ]
    finally:
        os.kill(worker.pid, signal.SIGTERM)
        assert eventually(lambda: worker.poll() is not None)
    assert worker.returncode == 0

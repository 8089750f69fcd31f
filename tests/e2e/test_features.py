"""A features file on the command line: what it asks for is done by training and by the fleet."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.world import World

FEATURES = """
defaults: {rare: 5}
columns:
  flight: {kind: category, rare: 10}
  sched_dep_time: {fill: 0, scale: robust}
  time_hour: {parts: [month, weekday]}
  year: {kind: exclude}
"""


def train(world: World, features: Path) -> list[str]:
    return [
        *["train", "--table", "public.flights", "--target", "arr_late", "--id-column", "id"],
        *["--name", "asked", "--where", "id % 10 = 0", "--exclude", "arr_time,arr_delay,air_time"],
        *["--model", "DecisionTreeClassifier", "--features", str(features), "--json"],
    ]


def test_what_a_features_file_asks_for_is_scored_by_the_fleet(world: World, tmp_path: Path) -> None:
    path = tmp_path / "features.yaml"
    path.write_text(FEATURES)
    trained = world.cli(*train(world, path))
    assert trained.code == 0, trained.err
    assert "year" not in trained.json["features"]
    kinds = {(notice["column"], notice["kind"]) for notice in trained.json["notices"]}
    assert {("flight", "rare_levels"), ("tailnum", "rare_levels")} <= kinds
    name, digest = world.fleet.registry.resolve("asked")
    features = {feature.column: feature for feature in world.fleet.registry.manifest(name, digest).features}
    assert features["time_hour"].parts == ("month", "weekday")
    assert features["sched_dep_time"].fills == (0.0,)
    world.sql("CREATE TABLE public.asked AS SELECT * FROM public.flights WHERE id <= 200")
    scored = world.cli(
        *["predict", "--model", "asked", "--table", "public.asked", "--id-column", "id"],
        *["--output-table", "public.asked_scores", "--wait", "--json"],
    )
    assert scored.code == 0, scored.err
    assert scored.json["rows_scored"] == 200
    world.sql("DROP TABLE public.asked, public.asked_scores")


def test_a_features_file_that_is_wrong_is_refused_with_its_line(world: World, tmp_path: Path) -> None:
    path = tmp_path / "features.yaml"
    path.write_text("columns:\n  flight:\n    knid: category\n")
    refused = world.cli(*train(world, path))
    assert refused.code == 2
    assert f"{path}, line 3: 'knid' is nothing that can be asked of flight" in refused.json["error"]

"""The count of out-of-memory kills, in files as both versions of cgroups have them."""

from __future__ import annotations

from pathlib import Path

import pytest

from skfleet_worker.oom import OomKills

V2 = "low 0\nhigh 0\nmax 12\noom 2\noom_kill {}\noom_group_kill 7\n"
V1 = "oom_kill_disable 0\nunder_oom 0\noom_kill {}\n"


@pytest.mark.parametrize(
    ("lines", "file", "text"),
    [
        ("0::/fleet/worker\n", "fleet/worker/memory.events", V2),
        # A container that sees its own cgroup as the root, under the path that the host has for it.
        ("0::/docker/4711\n", "memory.events", V2),
        ("3:cpu,cpuacct:/a\n2:memory:/fleet\n1:name=systemd:/\n", "memory/fleet/memory.oom_control", V1),
        ("2:memory:/docker/4711\n0::/\n", "memory/memory.oom_control", V1),
    ],
)
def test_kills_are_counted_wherever_the_cgroup_is(tmp_path: Path, lines: str, file: str, text: str) -> None:
    (tmp_path / "cgroup").write_text(lines)
    place = tmp_path / "root" / file
    place.parent.mkdir(parents=True)
    place.write_text(text.format(1))
    kills = OomKills(proc=tmp_path, root=tmp_path / "root")
    assert kills.count() == 1
    place.write_text(text.format(2))
    assert kills.count() == 2
    place.unlink()
    assert kills.count() is None


@pytest.mark.parametrize("lines", [None, "", "0::/nowhere\n", "1:cpu:/a\n"])
def test_a_host_that_does_not_tell_gives_no_count(tmp_path: Path, lines: str | None) -> None:
    if lines is not None:
        (tmp_path / "cgroup").write_text(lines)
    assert OomKills(proc=tmp_path, root=tmp_path / "root").count() is None


def test_this_host_gives_a_count_or_none() -> None:
    count = OomKills().count()
    assert count is None or count >= 0

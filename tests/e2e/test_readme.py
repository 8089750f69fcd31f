"""The demo works twice, and the README's session prints what the README says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.e2e.world import Answer, clean_environment, run_skfleet

README = Path(__file__).parents[2] / "README.md"
VENV_BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A new folder whose demo has run; its stack is stopped at the end."""
    with tempfile.TemporaryDirectory(prefix="skfleet-readme-") as name:
        place = Path(name)
        place.chmod(0o755)  # so that the unprivileged PostgreSQL gets in
        try:
            first = run_skfleet(["demo", "--json"], cwd=place)
            assert first.code == 0, first.err
            check_demo(first)
            yield place
        finally:
            run_skfleet(["local", "down"], cwd=place)
            left = [it.pid for it in psutil.process_iter(["cwd"]) if str(it.info["cwd"]).startswith(name)]
            assert not left


def check_demo(answer: Answer) -> None:
    """The demo's figures are those of the whole table."""
    figures = answer.json
    assert (figures["rows_in"], figures["rows_out"], figures["rows_rejected"]) == (336_776, 336_776, 0)
    assert figures["roc_auc"] > 0.85
    assert figures["chunks"] >= 2


def console_blocks() -> list[tuple[str, list[str]]]:
    """The README's commands, each with the lines that it is said to print."""
    commands: list[tuple[str, list[str]]] = []
    for block in re.findall(r"```console\n(.*?)```", README.read_text("utf-8"), re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                commands.append((line[2:], []))
            else:
                commands[-1][1].append(line)
    return commands


def essence(text: str) -> str:
    """A line without what differs from run to run: digits, digests and the width of columns."""
    return re.sub(r"\s+", " ", re.sub(r"@?[0-9a-f]*\d[0-9a-f.,:Z-]*", "#", text)).strip()


@pytest.mark.slow
def test_a_second_demo_works_just_as_well(folder: Path) -> None:
    second = run_skfleet(["demo", "--json"], cwd=folder)
    assert second.code == 0, second.err
    check_demo(second)


def test_the_readme_session_prints_what_it_says(folder: Path) -> None:
    commands = console_blocks()
    assert len(commands) > 5
    path = f"{VENV_BIN}{os.pathsep}{os.environ['PATH']}"
    for command, said in commands:
        if command == ". .venv/bin/activate":
            continue  # the PATH below does the same
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=folder,
            env=clean_environment() | {"PATH": path},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        refused = bool(said) and said[0].startswith("skfleet: ")
        assert done.returncode == (3 if refused else 0), done.stderr
        printed = {essence(line) for line in (done.stderr if refused else done.stdout).splitlines()}
        for line in said:
            assert essence(line) in printed, f"{command} did not print {line!r}"


def test_the_readme_python_works(folder: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    preamble = (
        "import pandas as pd, psycopg2, skfleet\n"
        "from skfleet.cli import main\n"
        "url = skfleet.connect().settings.warehouse_url\n"
        "cursor = psycopg2.connect(url).cursor()\n"
        "cursor.execute('SELECT * FROM public.flights ORDER BY id LIMIT 100')\n"
        "frame = pd.DataFrame(cursor.fetchall(), columns=[part.name for part in cursor.description])\n"
        "skfleet.connect().train(table='public.flights', target='arr_late', id_column='id',"
        " name='departures', where='month <= 2', exclude=['arr_time', 'arr_delay', 'air_time'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", preamble + code + "\nassert len(bundle.predict_proba(frame)) == 100\n"],
        cwd=folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "336776"

"""What the documentation says follows from the code."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

from skfleet_common.contracts.states import LEGAL_MOVES, JobState

ROOT = Path(__file__).parents[2]


def test_the_reference_lists_every_setting_as_it_is() -> None:
    generate = runpy.run_path(str(ROOT / "docs" / "generate.py"))
    assert generate["reference_as_it_should_be"]() == (ROOT / "docs" / "reference.md").read_text("utf-8")


def test_every_relative_link_leads_somewhere() -> None:
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_no_terminal_state_but_failed_is_ever_left() -> None:
    assert {state for state in JobState if state.is_terminal and LEGAL_MOVES[state]} == {JobState.FAILED}

"""The words of Redshift's dialect, by what they are."""

from __future__ import annotations

import re
from pathlib import Path

_TEXT = Path(__file__).with_name("vocabulary.txt").read_text()


def words(heading: str) -> frozenset[str]:
    """Give the words under the heading that begins so."""
    [(_, body)] = [
        found
        for found in re.findall(r"^\[(.*)\]\n((?:[^\[#\n].*\n)+)", _TEXT, re.MULTILINE)
        if found[0].startswith(heading)
    ]
    return frozenset(body.split())

"""Write the parts of the documentation that follow from the code: ``make docs``."""

from __future__ import annotations

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from estimators_table import ESTIMATORS, estimators_as_they_should_be

from skfleet_common.settings import PREFIX, Settings

REFERENCE = Path(__file__).parent / "reference.md"
SETTINGS = re.compile(r"(<!-- settings: .*? -->\n).*?(<!-- end of settings -->)", re.DOTALL)


def settings_table() -> str:
    """Give the table of all settings, as Markdown."""
    rows = [
        f"| `{PREFIX}{name.upper()}` | {_default(field.default)} | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]
    return "\n".join(["| variable | default | meaning |", "| --- | --- | --- |", *rows]) + "\n"


def _default(value: object) -> str:
    return "" if value is None else f"`{value}`"


def reference_as_it_should_be() -> str:
    """Give docs/reference.md with its generated part anew."""
    return SETTINGS.sub(lambda found: found[1] + settings_table() + found[2], REFERENCE.read_text("utf-8"))


if __name__ == "__main__":
    REFERENCE.write_text(reference_as_it_should_be(), "utf-8")
    ESTIMATORS.write_text(estimators_as_they_should_be(), "utf-8")

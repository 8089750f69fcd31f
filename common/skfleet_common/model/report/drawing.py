"""Drawing: a plot to inline SVG, the same bytes for the same figures.

matplotlib is imported here and nowhere else; only what writes a report imports this module.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from typing import Any

import matplotlib as mpl
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

#: One hue for what is looked at, grey for what it is held against; both differ in print.
INK, GREY, PALE = "#1f5fa8", "#8a8f98", "#cfd9e6"
CYCLE = ("#1f5fa8", "#c2571a", "#2f7d4f", "#8b3f8f", "#7a6a1c", "#3b8ea5", "#a33", "#555", "#b08", "#06a")

_SIZE_INCHES = (4.6, 3.4)
_LONGEST_NAME = 28

_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    # A column called $x$ is no formula.
    "text.parse_math": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#555",
    "axes.grid": True,
    "grid.color": "#e4e6ea",
    "axes.axisbelow": True,
    "legend.frameon": False,
}


def svg(name: str, draw: Callable[[Axes], None], *, alt: str, height: float = _SIZE_INCHES[1]) -> Markup:
    """Give what ``draw`` draws as an SVG element, which says ``alt`` to who cannot see it."""
    # Ids within the page must not repeat, and must not be drawn by lot.
    with mpl.rc_context({**_STYLE, "svg.hashsalt": f"skfleet {name}"}), warnings.catch_warnings():
        # A glyph that the font here lacks is drawn by the reader's own.
        warnings.simplefilter("ignore")
        figure = Figure(figsize=(_SIZE_INCHES[0], height), layout="constrained")
        FigureCanvasSVG(figure)
        draw(figure.add_subplot())
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    drawn = file.getvalue()
    drawn = drawn[drawn.index("<svg") :]
    drawn = re.sub(r"<metadata>.*?</metadata>", "", drawn, flags=re.DOTALL)
    # Several plots in one page: what is inside must be told apart by the plot's name.
    drawn = re.sub(r'(id="|xlink:href="#|url\(#)', rf"\g<1>{_word(name)}-", drawn)
    label = f'<svg role="img" aria-label="{escape(alt)}"'
    return Markup(drawn.replace("<svg", label, 1))  # noqa: S704  (matplotlib escaped the names in it)


def short(name: object) -> str:
    """Give a name as it fits into a plot."""
    text = " ".join(str(name).split()) or "(empty)"
    return text if len(text) <= _LONGEST_NAME else f"{text[: _LONGEST_NAME - 1]}…"


def _word(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower())

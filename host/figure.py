# SPDX-License-Identifier: Apache-2.0
"""Pictures for pages: inline SVG that takes colours and fonts from the page around it."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from typing import Any

from . import plots

THEME = {
    plots.INK: "var(--ink)",
    plots.MUTED: "var(--muted)",
    plots.GRID: "var(--grid)",
    plots.BLUE: "var(--blue)",
    plots.ORANGE: "var(--orange)",
    plots.GREEN: "var(--green)",
    plots.SOFT: "var(--soft)",
}


def figure(
    size: tuple[float, float],
    name: str,
    draw: Callable[[Sequence[Any]], None],
    *,
    rows: int = 1,
    columns: int = 1,
    ratios: Sequence[float] | None = None,
) -> Any:
    """An SVG element that takes its colours from the page. `name` keeps its ids apart from those of other pictures."""
    import matplotlib as mpl
    from markupsafe import Markup
    from matplotlib.figure import Figure

    # Text stays text: it follows the page's font, and a reader can search it.
    settings: Any = {**plots.STYLE, "svg.fonttype": "none", "svg.hashsalt": name}
    with mpl.rc_context(settings):
        drawn = Figure(figsize=size, layout="constrained")
        grid = drawn.subplots(rows, columns, squeeze=False, height_ratios=ratios)
        draw(list(grid.ravel()))
        buffer = io.StringIO()
        drawn.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r'\1 role="img"', svg, count=1)
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"font: ([\d.a-z ]*?)(\d+(?:\.\d+)?px) [^;\"]*", r"font: \1\2 var(--font)", svg)
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", svg)
    svg = re.sub(r'xlink:href="#([^"]+)"', rf'xlink:href="#{name}-\1"', svg)
    for color, variable in THEME.items():
        svg = svg.replace(color, variable)
    return Markup(svg)

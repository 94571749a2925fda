# SPDX-License-Identifier: Apache-2.0
"""A drawing of boxes and arrows from the top down: arrows go around boxes; those of the step before are dashed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from ..arch.errors import ConfigurationError
from ..arch.graph import Source
from .plots import BLUE, GREEN, INK, MUTED, ORANGE, SOFT

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH, HEIGHT, GAP_X, GAP_Y = 2.9, 0.72, 0.5, 0.5
"""Inches, of boxes and between them."""

LANE = 0.5
"""Inches that an arrow takes on its way past a box."""

BOXES_MAX, PASSED_MAX = 200, 2000
"""Boxes, and rows that all arrows pass."""

FILLS = {"neuron": SOFT, "end": "#d5efe4", "plain": "#ffffff"}
EDGES = {"neuron": BLUE, "end": GREEN, "plain": MUTED}

Spot = tuple[str, ...]
"""A box, (name,), or a place at which an arrow passes a row of boxes: (source, target, late, row)."""


@dataclass(frozen=True, kw_only=True)
class Box:
    """A box: its name in bold, `text` below it, `look` one of neuron, end, plain."""

    name: str
    text: str
    sources: tuple[Source, ...] = ()
    look: str = "plain"


def drawn(boxes: Sequence[Box], title: str) -> Figure:
    """The picture. Boxes come after those that they hear of at once, in the order in which a step visits them.

    Raises `ConfigurationError` where nobody could read it.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
    from matplotlib.path import Path

    rows = _rows(boxes)
    passed = sum(abs(rows[box.name] - rows[source.name]) for box in boxes for source in box.sources)
    if len(boxes) > BOXES_MAX or passed > PASSED_MAX:
        raise ConfigurationError(f"{len(boxes)} boxes and their arrows are too many to draw", "the table has them all")
    paths, columns = _placed(boxes, rows)
    places = _places(columns)
    wide = max(x + (WIDTH if len(spot) == 1 else LANE) / 2 for spot, (x, _) in places.items()) + 0.6
    high = len(columns) * (HEIGHT + GAP_Y) - GAP_Y + 0.25
    figure = Figure(figsize=(wide, high + 0.4), facecolor="white")
    axes: Any = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, wide), ylim=(-high, 0.4))
    axes.axis("off")
    axes.text(0.2, 0.15, title, color=MUTED, fontsize=9, va="center")
    for (_, target, late), spots in paths.items():
        shift = 0.55 if late == "late" else 0.0
        if len(spots) == 1:  # to itself
            x, y = places[(target,)]
            right, low = x + WIDTH / 2, HEIGHT / 4
            points = [(right, y - low), (right + 0.4, y - low), (right + 0.4, y + low), (right, y + low)]
        else:
            points = _bent([places[spot] for spot in spots], shift)
        path = Path(points, [Path.MOVETO] + [Path.CURVE4] * (len(points) - 1))
        look = {"color": ORANGE, "linestyle": (0, (4, 2))} if late == "late" else {"color": INK}
        axes.add_patch(FancyArrowPatch(path=path, arrowstyle="-|>", mutation_scale=11, lw=1.1, zorder=1, **look))
    for box in boxes:
        x, y = places[(box.name,)]
        corner = (x - WIDTH / 2, y - HEIGHT / 2)
        frame: dict[str, Any] = {"facecolor": FILLS[box.look], "edgecolor": EDGES[box.look], "lw": 1.1, "zorder": 2}
        axes.add_patch(FancyBboxPatch(corner, WIDTH, HEIGHT, boxstyle="round,pad=0,rounding_size=0.08", **frame))
        words = {"ha": "center", "va": "center", "color": INK, "zorder": 3, "parse_math": False}
        axes.text(x, y + 0.17, _short(box.name, 30), fontsize=9.5, fontweight="bold", **words)
        axes.text(x, y - 0.15, box.text, fontsize=7.5, linespacing=1.25, **words)
    return figure


def _short(text: str, letters: int) -> str:
    shown = text if text.isprintable() else repr(text)
    return shown if len(shown) <= letters else shown[: letters - 1] + "…"


def _rows(boxes: Sequence[Box]) -> dict[str, int]:
    """The row of each box: below all that it hears of at once, and no higher than it must be."""
    rows: dict[str, int] = {}
    for box in boxes:
        rows[box.name] = max((rows[source.name] + 1 for source in box.sources if not source.late), default=0)
    for box in reversed(boxes):
        if not any(not source.late for source in box.sources):
            below = [rows[one.name] for one in boxes for source in one.sources if source == (box.name, False)]
            rows[box.name] = min(below, default=1) - 1
    return rows


def _placed(
    boxes: Sequence[Box], rows: dict[str, int]
) -> tuple[dict[tuple[str, str, str], list[Spot]], list[list[Spot]]]:
    """The spots that every arrow passes, and the spots of each row from left to right, few arrows crossing."""
    paths: dict[tuple[str, str, str], list[Spot]] = {}
    columns: list[list[Spot]] = [[] for _ in range(max(rows.values()) + 1)]
    for box in boxes:
        columns[rows[box.name]].append((box.name,))
    for box in boxes:
        for source in box.sources:
            first, last = rows[source.name], rows[box.name]
            late = "late" if source.late else ""
            between = range(first + 1, last) if first < last else range(first - 1, last, -1)
            passed: list[Spot] = [(source.name, box.name, late, str(row)) for row in between]
            for row, spot in zip(between, passed, strict=True):
                columns[row].append(spot)
            ends: list[Spot] = [(source.name,), *passed, (box.name,)]
            paths[source.name, box.name, late] = ends[:1] if source.name == box.name else ends
    near: dict[Spot, list[Spot]] = {spot: [] for column in columns for spot in column}
    for spots in paths.values():
        for a, b in pairwise(spots):
            near[a].append(b)
            near[b].append(a)
    for _ in range(4):
        for column in (*columns, *reversed(columns)):
            places = _places(columns)
            # An arrow that passes stands right of the boxes where both would have the same place.
            column.sort(key=lambda spot: _mean([places[one][0] for one in near[spot]]) + 0.1 * (len(spot) > 1))
    return paths, columns


def _mean(values: Sequence[float]) -> float:
    return sum(values) / max(1, len(values))


def _places(columns: Sequence[Sequence[Spot]]) -> dict[Spot, tuple[float, float]]:
    """The middle of every spot, rows centred."""
    widths = [sum((WIDTH if len(spot) == 1 else LANE) + GAP_X for spot in column) for column in columns]
    places: dict[Spot, tuple[float, float]] = {}
    for row, (column, width) in enumerate(zip(columns, widths, strict=True)):
        x = (max(widths) - width) / 2 + GAP_X / 2 + 0.35
        for spot in column:
            own = WIDTH if len(spot) == 1 else LANE
            places[spot] = (x + own / 2, -row * (HEIGHT + GAP_Y) - HEIGHT / 2 - 0.1)
            x += own + GAP_X
    return places


def _bent(points: Sequence[tuple[float, float]], shift: float) -> list[tuple[float, float]]:
    """A curve that leaves and reaches boxes upright: a start and three points for each piece."""
    down = 1 if points[-1][1] < points[0][1] else -1
    stops = [(points[0][0] + shift, points[0][1] - down * HEIGHT / 2)]
    for x, y in points[1:-1]:
        stops += [(x, y + down * HEIGHT / 2), (x, y - down * HEIGHT / 2)]
    stops.append((points[-1][0] + shift, points[-1][1] + down * HEIGHT / 2))
    curve = stops[:1]
    for (x0, y0), (x1, y1) in pairwise(stops):
        middle = (y0 + y1) / 2
        curve += [(x0, middle), (x1, middle), (x1, y1)]
    return curve

# SPDX-License-Identifier: Apache-2.0
"""Pictures of a run, each drawn on given matplotlib axes: raster, membranes, weights, accuracy, utilisation; of many
runs: accuracy over one setting; of a quantised network: what it takes of its formats, shares over widths.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from matplotlib.axes import Axes
else:
    Axes = Any

Integers = npt.NDArray[np.integer[Any]]

INK = "#1b1f24"
MUTED = "#667085"
GRID = "#e4e7ec"
BLUE = "#2f6bdb"
ORANGE = "#d9730d"
GREEN = "#1f9d6b"
SOFT = "#b9cdf5"
"""Every colour of these pictures: a page may replace them to follow its reader's light or dark theme."""

TRACES = (BLUE, ORANGE, GREEN, MUTED, SOFT)

MARKS: tuple[tuple[str, str, str], ...] = tuple(
    (color, dashes, marker)
    for dashes, markers in (("-", "osD^"), ("--", "vPX*"), (":", "<>dp"))
    for color, marker in zip((BLUE, ORANGE, GREEN, MUTED), markers, strict=True)
)
"""Colour, line and marker of each series of a picture with many."""

MOST_BANDS = 4
"""More bands on top of each other show nothing."""

WIDEST_LABELS = 26
"""Letters of all labels together that stand side by side below a picture; more are slanted."""

STYLE: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
}
"""rcParams that these pictures are made for: `with matplotlib.rc_context(STYLE): ...`."""


def accuracy(ax: Axes, curve: Sequence[tuple[int, float]], references: Mapping[str, float] | None = None) -> None:
    """Test accuracy (shares of 1) over samples learned; `references` are final values of other models, as lines."""
    samples, values = zip(*curve, strict=True)
    ax.plot(samples, [100 * value for value in values], color=BLUE, linewidth=1.8, marker="o", markersize=3.5)
    marks = sorted((references or {}).items(), key=lambda item: item[1])
    for index, (name, value) in enumerate(marks):
        ax.axhline(
            100 * value, color=(ORANGE, GREEN, MUTED)[index % 3], linewidth=1.1, linestyle=(0, (5, 3)), label=name
        )
    ax.set(xlabel="samples learned", ylabel="accuracy on unseen samples, %")
    # The untrained start would squeeze everything worth seeing: the axis begins below the first trained value.
    shown = [*(values[1:] or values), *(references or {}).values()]
    ax.set_xlim(left=0)
    ax.set_ylim(max(0, 5 * (int(100 * min(shown)) // 5) - 5), 100)
    ax.grid(axis="y")
    if marks:
        ax.legend(loc="lower right")


def raster(ax: Axes, spikes: Integers, *, starts: Sequence[int] = (), color: str = BLUE, label: str = "neuron") -> None:
    """Spikes of shape (steps, neurons), time to the right; larger values are larger marks.

    `starts` are the first steps of samples: a faint line goes before each.
    """
    steps, neurons = np.nonzero(spikes)
    most = max(1, int(spikes.max(initial=0)))
    room = max(1.0, 230.0 / max(1, spikes.shape[1]))
    sizes = room * 2.0 * spikes[steps, neurons] / most
    ax.scatter(steps, neurons, s=sizes, c=color, marker="s", linewidths=0)
    _samples(ax, starts)
    ax.set(ylabel=label, xlim=(-0.5, len(spikes) - 0.5), ylim=(-1, spikes.shape[1]))


def membranes(
    ax: Axes, potentials: Integers, spikes: Integers, threshold: int, *, starts: Sequence[int] = (), most: int = 4
) -> None:
    """Membranes as they meet the threshold, (steps, neurons): before the soft reset, a mark where a spike left.

    `potentials` are those after the reset, as devices record them. The `most` neurons are shown that start and stop
    spiking most often: the ones to watch.
    """
    changes = np.abs(np.diff(spikes.astype(np.int64), axis=0)).sum(axis=0)
    chosen = np.argsort(-changes, kind="stable")[:most]
    steps = np.arange(len(potentials))
    for neuron, color in zip(sorted(chosen), TRACES, strict=False):
        fired = spikes[:, neuron] > 0
        before = potentials[:, neuron] + threshold * fired
        ax.plot(steps, before, color=color, linewidth=1.3, label=f"neuron {neuron}")
        ax.scatter(steps[fired], before[fired], s=13, c=color, linewidths=0, zorder=3)
    ax.axhline(threshold, color=INK, linewidth=1.0, linestyle=(0, (4, 3)), label=f"threshold {threshold}")
    _samples(ax, starts)
    ax.set(ylabel="membrane", xlim=(-0.5, len(potentials) - 0.5))
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=most + 1)


def weights(ax: Axes, before: Integers, after: Integers, bits: int) -> None:
    """Histogram of stored weights before and after learning, over the range that both use."""
    low = min(int(before.min()), int(after.min()))
    high = max(int(before.max()), int(after.max()))
    edges = np.linspace(low, high + 1, min(65, high - low + 2)).tolist()
    ax.hist(before.ravel(), bins=edges, color=SOFT, label="before")
    ax.hist(after.ravel(), bins=edges, histtype="step", color=BLUE, linewidth=1.6, label="after")
    ax.locator_params(axis="x", nbins=6)
    ax.set(xlabel=f"stored weight ({bits} bit)", ylabel="synapses")
    ax.grid(axis="y")
    ax.set_axisbelow(True)
    ax.legend(loc="upper right")


def utilisation(ax: Axes, phases: Mapping[str, tuple[int, int]]) -> None:
    """One bar per phase, as long as its share of all cycles, its busy part filled: `{name: (busy, cycles)}`."""
    total = max(1, sum(cycles for _, cycles in phases.values()))
    names = list(phases)
    places = np.arange(len(names))[::-1]
    for place, (busy, cycles) in zip(places, phases.values(), strict=True):
        share, filled = 100 * cycles / total, 100 * busy / total
        ax.barh(place, share, height=0.56, color=SOFT)
        ax.barh(place, filled, height=0.56, color=BLUE)
        text = f"{100 * busy / cycles:.0f} % busy of {cycles:,} cycles".replace(",", " ") if cycles else "not used"
        ax.annotate(text, (share, place), xytext=(6, 0), textcoords="offset points", va="center", color=MUTED, size=9)
    ax.set_yticks(places, names)
    ax.tick_params(axis="y", length=0)
    longest = max((100 * cycles / total for _, cycles in phases.values()), default=0.0)
    ax.set(xlabel="share of all cycles, %", xlim=(0, max(10.0, longest * 1.45)))


def spread(
    ax: Axes,
    name: str,
    values: Sequence[str],
    series: Mapping[str, Sequence[Sequence[float]]],
    *,
    ordered: bool = True,
) -> None:
    """Test accuracy over a setting called `name`, whose `values` stand side by side.

    `series`: name -> for each value the accuracies (shares of 1) of all runs that had it, maybe none: a mark at their
    median, a stroke from the least to the greatest. Where the values are `ordered`, lines join the medians and, if the
    series are few, bands the strokes.
    """
    low = 1.0
    for index, (label, runs) in enumerate(series.items()):
        color, dashes, marker = MARKS[index % len(MARKS)]
        # Side by side, so that series which agree do not hide each other.
        shift = (index - (len(series) - 1) / 2) * min(0.07, 0.5 / len(series))
        there = [(place + shift, [100 * value for value in found]) for place, found in enumerate(runs) if found]
        if not there:
            continue
        places = [place for place, _ in there]
        least, most = [min(found) for _, found in there], [max(found) for _, found in there]
        medians = [float(np.median(found)) for _, found in there]
        if ordered and len(series) <= MOST_BANDS:
            ax.fill_between(places, least, most, color=color, alpha=0.14, linewidth=0)
        ax.vlines(places, least, most, color=color, linewidth=1.0, alpha=0.6)
        line = dashes if ordered else "none"
        ax.plot(places, medians, color=color, linestyle=line, linewidth=1.6, marker=marker, markersize=5, label=label)
        low = min(low, *(value / 100 for value in least))
    ax.set_xticks(range(len(values)), values)
    if sum(map(len, values)) > WIDEST_LABELS:
        ax.tick_params(axis="x", rotation=40)
        for tick in ax.get_xticklabels():
            tick.set_horizontalalignment("right")
            tick.set_rotation_mode("anchor")
    ax.set(xlabel=name, ylabel="accuracy on unseen samples, %", xlim=(-0.5, len(values) - 0.5))
    ax.set_ylim(max(0, 5 * (int(100 * low) // 5) - 5), 101)
    ax.grid(axis="y")
    ax.set_axisbelow(True)


def boxes(
    ax: Axes,
    layers: Mapping[str, Sequence[float]],
    ends: tuple[int, int],
    *,
    name: str,
    thresholds: Mapping[str, tuple[int, int]] | None = None,
    linear: int | None = None,
) -> None:
    """What layers take of a format that ends at `ends`: a box from the first to the third quarter with a stroke at the
    median, a line from the least to the greatest value, and the least and greatest of a layer's `thresholds`.

    Beyond `linear` the axis is logarithmic: states are small beside their format.
    """
    places = range(len(layers))[::-1]
    for place, (layer, (least, low, middle, high, most)) in zip(places, layers.items(), strict=True):
        ax.hlines(place, least, most, color=MUTED, linewidth=1.2)
        ax.vlines([least, most], place - 0.12, place + 0.12, color=MUTED, linewidth=1.2)
        ax.barh(place, high - low, left=low, height=0.46, color=SOFT, edgecolor=BLUE, linewidth=1.0, zorder=2)
        ax.vlines(middle, place - 0.23, place + 0.23, color=BLUE, linewidth=2.2, zorder=3)
        if thresholds and layer in thresholds:
            first, last = thresholds[layer]
            ax.fill_betweenx([place - 0.36, place + 0.36], first, last, color=ORANGE, alpha=0.3, linewidth=0)
            marks = sorted({first, last})
            ax.vlines(marks, place - 0.36, place + 0.36, color=ORANGE, linewidth=1.6, zorder=4)
    for end in ends:
        ax.axvline(end, color=INK, linewidth=1.0, linestyle=(0, (4, 3)))
    if linear is not None:
        ax.set_xscale("symlog", base=2, linthresh=linear)
        ax.minorticks_off()
        powers = [1 << power for power in range(ends[1].bit_length(), linear.bit_length() - 1, -3)]
        marks = [*(-power for power in powers), 0, *(power for power in reversed(powers) if power <= ends[1]), ends[1]]
        ax.set_xticks(marks, [f"{mark:,}".replace(",", " ") for mark in marks])
        ax.set_xlim(1.6 * ends[0], 1.6 * ends[1])
    else:
        room = 0.04 * (ends[1] - ends[0])
        ax.set_xlim(ends[0] - room, ends[1] + room)
    ax.set_yticks(places, layers)
    ax.tick_params(axis="y", length=0)
    ax.set(xlabel=name, ylim=(-0.6, len(layers) - 0.4))
    ax.grid(axis="x")
    ax.set_axisbelow(True)


def shares(ax: Axes, widths: Sequence[int], series: Mapping[str, Sequence[float]], *, name: str) -> None:
    """Shares of 1 over bits of weights, a line each; the axis begins below the least of them."""
    for index, (label, values) in enumerate(series.items()):
        color, dashes, marker = MARKS[index % len(MARKS)]
        points = [100 * value for value in values]
        ax.plot(widths, points, color=color, linestyle=dashes, linewidth=1.6, marker=marker, markersize=5, label=label)
    least = min(min(values) for values in series.values())
    step = next(step for step in (0.5, 1, 5, 10) if step == 10 or 100 - 100 * least < 6 * step)
    ax.set_ylim(max(0, step * np.floor(100 * least / step) - step / 2), 100 + step / 4)
    ax.set_xticks(widths)
    ax.set(xlabel="bits of a weight", ylabel=name, xlim=(widths[0] - 0.3, widths[-1] + 0.3))
    ax.grid(axis="y")
    ax.set_axisbelow(True)
    legend_below(ax)


def legend_below(ax: Axes) -> None:
    """A legend of up to two columns under the picture."""
    ax.legend(loc="upper center", bbox_to_anchor=(0.45, -0.2), ncols=2, fontsize=9)


def memory_over_steps(ax: Axes, kept: Mapping[str, Mapping[int, int]]) -> None:
    """Bytes that training keeps of a sample over its number of steps, a line per rule, both axes logarithmic."""
    for index, (name, sizes) in enumerate(kept.items()):
        color, dashes, marker = MARKS[index % len(MARKS)]
        ax.plot(
            list(sizes),
            [size / 1024 for size in sizes.values()],
            color=color,
            linestyle=dashes,
            marker=marker,
            label=name,
        )
    steps = list(next(iter(kept.values())))
    ax.set(xscale="log", yscale="log", xlabel="steps of a sample", ylabel="KiB kept of a sample")
    ax.set_xticks(steps, map(str, steps))
    ax.minorticks_off()
    ax.legend(loc="upper left")
    ax.grid(axis="y")
    ax.set_axisbelow(True)


def _samples(ax: Axes, starts: Sequence[int]) -> None:
    for start in starts:
        if start:
            ax.axvline(start - 0.5, color=GRID, linewidth=1.0, zorder=0)

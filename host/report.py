# SPDX-License-Identifier: Apache-2.0
"""One run as one self-contained HTML page: inline SVG, no JavaScript, light and dark."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from . import plots
from .page import write_page

THEME = {
    plots.INK: "var(--ink)",
    plots.MUTED: "var(--muted)",
    plots.GRID: "var(--grid)",
    plots.BLUE: "var(--blue)",
    plots.ORANGE: "var(--orange)",
    plots.GREEN: "var(--green)",
    plots.SOFT: "var(--soft)",
}


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One sample as it was run: `inputs` (T, axons), `hidden` spikes and `membranes` (T, neurons)."""

    label: int
    predicted: int
    inputs: plots.Integers
    hidden: plots.Integers
    membranes: plots.Integers


@dataclass(frozen=True, kw_only=True)
class ReportData:
    """What the page shows. Accuracies and `utilisation` are shares of 1.

    `curve`: (samples learned, test accuracy) of the golden model. `accuracies`: final test accuracy per model, the
    golden model first. `phases`: phase -> (busy cycles, cycles). `weights_before/after`: stored weights per layer.
    """

    title: str
    command: str
    network: str
    facts: Mapping[str, str]
    curve: Sequence[tuple[int, float]]
    accuracies: Mapping[str, float]
    samples: Sequence[Sample]
    threshold: int
    weight_bits: int
    weights_before: Sequence[plots.Integers]
    weights_after: Sequence[plots.Integers]
    phases: Mapping[str, tuple[int, int]]
    utilisation: float
    compared: int
    mismatched: int
    rtl_samples: int
    first_mismatch: str | None = None
    counters: Mapping[str, int] = field(default_factory=dict)
    counter_docs: Mapping[str, str] = field(default_factory=dict)


def write_report(path: Path, data: ReportData) -> None:
    """Write the page to `path`; its folder is made where missing."""
    cycles = sum(cycles for _, cycles in data.phases.values())
    write_page(path, "report.html.jinja", data=data, pictures=_pictures(data), cycles=cycles)


def _pictures(data: ReportData) -> dict[str, Any]:
    starts = np.cumsum([0, *(len(sample.inputs) for sample in data.samples)])[:-1].tolist()
    references = dict(list(data.accuracies.items())[1:])
    pictures: dict[str, Any] = {
        "accuracy": _figure((6.2, 3.2), "accuracy", lambda axes: plots.accuracy(axes[0], data.curve, references)),
        "utilisation": _figure((6.2, 2.4), "utilisation", lambda axes: plots.utilisation(axes[0], data.phases)),
        "activity": _figure(
            (9.2, 7.4), "activity", lambda axes: _activity(axes, data, starts), rows=3, ratios=(2.1, 1.5, 1.7)
        ),
        "weights": _figure((9.2, 3.0), "weights", lambda axes: _weights(axes, data), columns=len(data.weights_after)),
    }
    return pictures


def _activity(axes: Sequence[Any], data: ReportData, starts: Sequence[int]) -> None:
    inputs = np.concatenate([sample.inputs for sample in data.samples])
    hidden = np.concatenate([sample.hidden for sample in data.samples])
    potentials = np.concatenate([sample.membranes for sample in data.samples])
    plots.raster(axes[0], inputs, starts=starts, color=plots.MUTED, label="input axon")
    for start, sample in zip(starts, data.samples, strict=True):
        middle = start + (len(sample.inputs) - 1) / 2
        said = (
            f"{sample.label}" if sample.label == sample.predicted else f"{sample.label}, taken for {sample.predicted}"
        )
        axes[0].annotate(
            said, (middle, inputs.shape[1]), xytext=(0, 4), textcoords="offset points", ha="center", weight="bold"
        )
    plots.raster(axes[1], hidden, starts=starts, color=plots.BLUE, label="hidden neuron")
    plots.membranes(axes[2], potentials, hidden, data.threshold, starts=starts)
    for ax in axes:
        ax.set_xlim(-0.5, len(inputs) - 0.5)
        ax.set_xticks([])


def _weights(axes: Sequence[Any], data: ReportData) -> None:
    for index, (ax, before, after) in enumerate(zip(axes, data.weights_before, data.weights_after, strict=True)):
        plots.weights(ax, before, after, data.weight_bits)
        readout = index == len(axes) - 1
        ax.set_title(f"layer {index}, {before.shape[0]} → {before.shape[1]}" + (" (readout)" if readout else ""))


def _figure(
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
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False, height_ratios=ratios)
        draw(list(grid.ravel()))
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
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

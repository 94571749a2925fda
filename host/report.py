# SPDX-License-Identifier: Apache-2.0
"""One run as one self-contained HTML page: inline SVG, no JavaScript, light and dark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from . import plots
from .figure import figure
from .page import write_page


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
        "accuracy": figure((6.2, 3.2), "accuracy", lambda axes: plots.accuracy(axes[0], data.curve, references)),
        "utilisation": figure((6.2, 2.4), "utilisation", lambda axes: plots.utilisation(axes[0], data.phases)),
        "activity": figure(
            (9.2, 7.4), "activity", lambda axes: _activity(axes, data, starts), rows=3, ratios=(2.1, 1.5, 1.7)
        ),
        "weights": figure((9.2, 3.0), "weights", lambda axes: _weights(axes, data), columns=len(data.weights_after)),
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

# SPDX-License-Identifier: Apache-2.0
"""Pages of `trifactor quantize --html`: what a network takes of its formats, and what a sweep over widths found."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import plots
from .figure import figure
from .page import write_page

if TYPE_CHECKING:
    from ..golden.quantise import Quantised

ROW = 0.42
"""Inches of a picture that a layer takes."""

LINEAR = 16
"""Membranes up to this are drawn linearly."""


def write_quantised(path: Path, made: Quantised, title: str) -> None:
    """One network: weights and membranes inside their formats, and every layer beside floating point."""
    write_page(path, "quantize.html.jinja", title=title, made=made, pictures=pictures(made))


def write_swept(path: Path, found: Mapping[int, Quantised], title: str) -> None:
    """One network in several widths."""
    drawn = {
        "spikes": figure((4.8, 3.2), "spikes", lambda axes: draw_spikes(axes[0], found)),
        "predictions": figure((4.8, 3.2), "predictions", lambda axes: draw_predictions(axes[0], found)),
    }
    write_page(path, "quantize_sweep.html.jinja", title=title, found=found, pictures=drawn)


def pictures(made: Quantised) -> dict[str, Any]:
    """Weights, and, with samples, membranes."""
    size = (9.2, 1.0 + ROW * len(made.layers))
    drawn = {"weights": figure(size, "weights", lambda axes: draw_weights(axes[0], made))}
    if all(one.membranes is not None for one in made.layers):
        drawn["membranes"] = figure(size, "membranes", lambda axes: draw_membranes(axes[0], made))
    return drawn


def draw_weights(ax: Any, made: Quantised) -> None:
    """Active weights of each layer, inside their format."""
    top = 1 << (made.array.synapse_bits - 1)
    name = f"weight, {made.array.synapse_bits} bits of {-top} … {top - 1}"
    plots.boxes(ax, {one.name: one.weights for one in made.layers}, (-top, top - 1), name=name)


def draw_membranes(ax: Any, made: Quantised) -> None:
    """Membranes of each layer after the reset, inside their format, with the thresholds."""
    ends = (made.array.membrane.min, made.array.membrane.max)
    name = f"membrane after the reset, {made.array.membrane_bits} bits; logarithmic beyond {LINEAR}"
    layers = {one.name: one.membranes for one in made.layers if one.membranes is not None}
    spiking = zip(made.layers, made.network.layers, strict=True)
    thresholds = {one.name: one.threshold for one, layer in spiking if layer.spiking}
    plots.boxes(ax, layers, ends, name=name, thresholds=thresholds, linear=LINEAR)


def draw_spikes(ax: Any, found: Mapping[int, Quantised]) -> None:
    """Spikes of each layer as in floating point, over widths."""
    series: dict[str, list[float]] = {}
    for made in found.values():
        for one in made.layers:
            if one.spikes_equal is not None:
                series.setdefault(one.name, []).append(one.spikes_equal)
    plots.shares(ax, list(found), series, name="equal neuron-steps, %")


def draw_predictions(ax: Any, found: Mapping[int, Quantised]) -> None:
    """Predictions as in floating point, and those that are right, over widths."""
    series = {"same class as float": [made.predictions_equal or 0.0 for made in found.values()]}
    accuracies = [made.accuracy for made in found.values() if made.accuracy is not None]
    if accuracies:
        series["right class"] = [own for _, own in accuracies]
    plots.shares(ax, list(found), series, name="samples, %")
    if accuracies:
        real = 100 * accuracies[0][0]
        ax.axhline(real, color=plots.INK, linewidth=1.0, linestyle=(0, (4, 3)), label="right class, float")
        plots.legend_below(ax)

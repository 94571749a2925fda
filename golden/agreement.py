# SPDX-License-Identifier: Apache-2.0
"""How far the integers of a quantised network go along with the same network in floating point, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ..arch.array import ArrayConfig
from ..arch.device import DeviceState, IntArray
from ..arch.graph import FloatArray, Graph, Neuron
from ..arch.network import Network
from . import network as net
from .arguments import checked_inputs, checked_labels
from .counters import count, zero_counters
from .floating.device import FloatDevice
from .readout import predicted

BATCH = 256
"""Samples that run at once."""

Box = tuple[float, float, float, float, float]
"""The least value, the quarters between, and the greatest: what a box plot draws."""


@dataclass(frozen=True, kw_only=True)
class LayerAgreement:
    """One layer over all samples, neurons and steps. `membranes`: integers after the reset. `saturated`: the share that
    was clamped to the format.

    Where floating point has such a population: `membrane_error`, the root mean square of the membranes' difference
    after the reset, in thresholds; of a readout, in root mean squares of its membranes in floating point. Where that
    spikes: `spikes_equal`, the share of neuron-steps that spike, or not, alike, and all `spikes`, in floating point and
    in integers.
    """

    membranes: Box
    saturated: float
    membrane_error: float | None = None
    spikes_equal: float | None = None
    spikes: tuple[int, int] | None = None


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Over all samples: the share that both forms predict alike (`predictions_equal`), and, if there were labels, the
    shares that floating point and integers predict rightly (`accuracy`). `counters` are those of the integers.
    """

    layers: tuple[LayerAgreement, ...]
    samples: int
    predictions_equal: float
    accuracy: tuple[float, float] | None
    counters: dict[str, int]


@torch.inference_mode()
def compare(
    graph: Graph,
    array: ArrayConfig,
    network: Network,
    state: DeviceState,
    scales: Sequence[FloatArray],
    samples: IntArray,
    labels: IntArray | None = None,
) -> Agreement:
    """Run samples (B, T, inputs) in both forms; `scales` are integers for 1.0, (neurons,) of each layer.

    Raises `ConfigurationError` for samples and labels that the array does not take.
    """
    values = checked_inputs(samples, network, array)
    known = checked_labels(labels, len(values), network, learn=False)
    params = net.network_params(network, array)
    weights = [torch.tensor(weight, dtype=torch.int32) for weight in state.weights]
    counters = zero_counters()
    parts: list[list[tuple[Any, Any, Any]]] = [[] for _ in weights]
    for start in range(0, len(values), BATCH):
        histories = net.forward(params, weights, torch.as_tensor(values[start : start + BATCH]))
        for name, number in count(histories, array).items():
            counters[name] += number
        for part, layer in zip(parts, histories, strict=True):
            part.append((layer.after.numpy(), layer.spikes.numpy(), layer.saturated.numpy()))
    out, _, real = FloatDevice(graph)(values, record=("spikes", "membranes"))
    populations = [node.neuron for node in graph.of_kind("neuron") if node.neuron is not None]
    layers = []
    for index, part in enumerate(parts):
        membranes, spikes, saturated = (np.concatenate(one) for one in zip(*part, strict=True))
        words: dict[str, Any] = {}
        if index < len(populations):
            neuron = populations[index]
            own = real.spikes[index] if index < len(real.spikes) else None
            words["membrane_error"] = _distance(membranes / scales[index], real.membranes[index], own, neuron)
            if own is not None:
                words |= {
                    "spikes_equal": float((own == spikes).mean()),
                    "spikes": (int(own.sum()), int(spikes.sum())),
                }
        layers.append(LayerAgreement(membranes=box(membranes), saturated=float(saturated.mean()), **words))
    readout = torch.as_tensor(np.concatenate([after[:, -1] for after, _, _ in parts[-1]]))
    classes = predicted(readout).numpy()
    rights = None if known is None else (float((out.predicted == known).mean()), float((classes == known).mean()))
    return Agreement(
        layers=tuple(layers),
        samples=len(values),
        predictions_equal=float((out.predicted == classes).mean()),
        accuracy=rights,
        counters=counters,
    )


def box(values: npt.NDArray[Any]) -> Box:
    """Least, quarters, greatest of all values.

    >>> box(np.array([[0, 1], [2, 4], [3, 9]]))
    (0.0, 1.25, 2.5, 3.75, 9.0)
    """
    found = np.quantile(values, (0, 0.25, 0.5, 0.75, 1)).tolist()
    return found[0], found[1], found[2], found[3], found[4]


def _distance(integers: FloatArray, real: npt.NDArray[Any], spikes: IntArray | None, neuron: Neuron) -> float:
    """The `membrane_error` of `LayerAgreement`: of integers over their scale, and of floating point."""
    if neuron.threshold is None or spikes is None:
        unit: Any = max(float(np.sqrt(np.square(real).mean())), np.finfo(np.float32).tiny)
    else:
        unit = neuron.threshold.reshape(-1)
        # What these take off in the step after, the array has taken off already.
        if neuron.reset == "delayed-subtract":
            real = real - unit * spikes
        elif neuron.reset == "delayed-zero":
            real = np.where(spikes > 0, 0.0, real)
    return float(np.sqrt(np.square((integers - real) / unit).mean()))

# SPDX-License-Identifier: Apache-2.0
"""Starting weights, drawn from the noise hash: the same on every machine."""

from __future__ import annotations

from math import isqrt

import torch

from ..arch.array import ArrayConfig
from ..arch.device import DeviceState
from ..arch.network import Layer, Network
from ..arch.noise import Domain, domain_key, step_key
from .fixed import saturate
from .noise import mix

HIDDEN_VARIANCE = 9 * 9 * 784
"""Variance of a hidden layer's active weights times its fan-in, at synapse_bits = 8."""

READOUT_VARIANCE = 6 * 6 * 256
"""The same of the readout's."""

VARIANCE_MAX = 40 * 40
"""Few inputs do not make weights larger than this: most must stay inside the format."""

BYTES = 8
BYTE_SUM_MEAN_TWICE = BYTES * 255
BYTE_SUM_VARIANCE = BYTES * (256 * 256 - 1) // 12
FRACTION = 16


def initial_state(network: Network, array: ArrayConfig, seed: int) -> DeviceState:
    """A state with bell-shaped weights (the sum of 8 hash bytes), `seed` as its seed, and the next sample 0.

    In units of the active weight at `synapse_bits = 8`, standard deviations are `9 * sqrt(784 / inputs)` in hidden
    layers and `6 * sqrt(256 / inputs)` in the readout, at most 40. Means are half a unit of the active weight, so that
    the floor which makes the active weight leaves it without bias.
    """
    last = len(network.layers) - 1
    weights = []
    for index, layer in enumerate(network.layers):
        variance = READOUT_VARIANCE if index == last else HIDDEN_VARIANCE
        weights.append(_draw(layer, array, domain_key(step_key(seed, 0, 0), index, Domain.INIT), variance).numpy())
    return DeviceState(weights=weights, seed=seed, sample=0)


def _draw(layer: Layer, array: ArrayConfig, key: int, variance: int) -> torch.Tensor:
    """Stored weights, shape (inputs, outputs): two hash words each."""
    cells = layer.inputs * layer.outputs
    total = torch.zeros(cells, dtype=torch.int64)
    words = mix(mix(torch.arange(2 * cells) ^ key)).view(2, cells)
    for word in words:
        for lsb in (0, 8, 16, 24):
            total += word >> lsb & 0xFF
    # sigma * 2**(weight_bits - 8 + FRACTION) / sqrt(BYTE_SUM_VARIANCE), in integers; half of it: the sum is doubled.
    per_layer = min(VARIANCE_MAX * layer.inputs, variance)
    scale = isqrt((per_layer << (2 * (array.weight_bits + FRACTION))) // (layer.inputs * BYTE_SUM_VARIANCE)) >> 9
    centre = (1 << (array.weight_bits - array.synapse_bits)) >> 1
    half = 1 << (FRACTION - 1)
    drawn = (((2 * total - BYTE_SUM_MEAN_TWICE) * scale + half) >> FRACTION) + centre
    return saturate(drawn, array.weight_bits).view(layer.inputs, layer.outputs)

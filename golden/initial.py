# SPDX-License-Identifier: Apache-2.0
"""Starting weights, drawn from the noise hash: the same on every machine."""

from __future__ import annotations

from math import isqrt

import numpy as np
import torch

from ..arch.array import ArrayConfig
from ..arch.device import DeviceState, IntArray
from ..arch.network import Block, Layer, Network
from ..arch.noise import Domain, domain_key, step_key
from ..arch.rules import range_of
from .fixed import saturate
from .noise import mix

HIDDEN_VARIANCE = 9 * 9 * 784
"""Variance of a hidden layer's active weights times its fan-in, at synapse_bits = 8."""

VARIANCE_GAIN_MAX = 8
"""A membrane that hardly leaks is taken to sum no more than this: samples are short."""

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
    layers, less where a threshold is less (`arch.rules.range_of`), and `6 * sqrt(256 / inputs)` in the readout and in
    fixed matrices, at most 40; rows of a layer's own spikes count as inputs. Means are half a unit of the active
    weight, so that the floor which makes the active weight leaves it without bias. Biases start from 0, an identity has
    the largest weight in its diagonal, and a square wave is `sign(sin(f_c k))`, f_c from 50 to 512 over the classes,
    times the standard deviation.
    """
    last = len(network.layers) - 1
    weights = []
    for index, block in enumerate(network.blocks):
        layer = network.layers[block.layer]
        if block.fixed and layer.fixed == "square-wave":
            weights.append(_square_wave(block, array))
            continue
        if not block.fixed and layer.start == "identity":
            drawn = array.weight.max * torch.eye(layer.outputs, dtype=torch.int64)
        else:
            variance = READOUT_VARIANCE if block.fixed or index == last else _hidden_variance(layer, array)
            key = domain_key(step_key(seed, 0, 0), index, Domain.FIXED if block.fixed else Domain.INIT)
            drawn = _draw(block.rows - (layer.bias and not block.fixed), block.columns, array, key, variance)
        if layer.bias and not block.fixed:
            drawn = torch.cat((drawn, torch.zeros_like(drawn[:1])))
        weights.append(drawn.numpy())
    return DeviceState(weights=weights, seed=seed, sample=0)


def _hidden_variance(layer: Layer, array: ArrayConfig) -> int:
    """`HIDDEN_VARIANCE` where the leak is 0.5: a membrane with a leak sums `1 / (1 - leak**2)` of its input's
    variance."""
    one = array.decay_one
    kept = max(one * one - layer.decay * layer.decay, one * one // VARIANCE_GAIN_MAX)
    return HIDDEN_VARIANCE * 4 * kept // (3 * one * one * range_of(layer, array) ** 2)


def _draw(rows: int, columns: int, array: ArrayConfig, key: int, variance: int) -> torch.Tensor:
    """Stored weights, shape (rows, columns): two hash words each."""
    cells = rows * columns
    total = torch.zeros(cells, dtype=torch.int64)
    words = mix(mix(torch.arange(2 * cells) ^ key)).view(2, cells)
    for word in words:
        for lsb in (0, 8, 16, 24):
            total += word >> lsb & 0xFF
    # sigma * 2**(weight_bits - 8 + FRACTION) / sqrt(BYTE_SUM_VARIANCE), in integers; half of it: the sum is doubled.
    per_layer = min(VARIANCE_MAX * rows, variance)
    scale = isqrt((per_layer << (2 * (array.weight_bits + FRACTION))) // (rows * BYTE_SUM_VARIANCE)) >> 9
    centre = (1 << (array.weight_bits - array.synapse_bits)) >> 1
    half = 1 << (FRACTION - 1)
    drawn = (((2 * total - BYTE_SUM_MEAN_TWICE) * scale + half) >> FRACTION) + centre
    return saturate(drawn, array.weight_bits).view(rows, columns)


def _square_wave(block: Block, array: ArrayConfig) -> IntArray:
    """`sign(sin(f_c k))` of neuron k and class c, at the standard deviation of a random matrix.

    The fixed basis of Apolinario, Roy & Frenkel, IJCNN 2025.
    """
    size = isqrt(min(VARIANCE_MAX, READOUT_VARIANCE // block.rows) << (2 * array.weight_bits)) >> 8
    frequencies = np.linspace(50, 512, block.columns)
    signs = np.sign(np.round(np.sin(np.outer(np.arange(block.rows), frequencies)), 9)).astype(np.int64)
    wave: IntArray = np.clip(signs * size, array.weight.min, array.weight.max)
    return wave

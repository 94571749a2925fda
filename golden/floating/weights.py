# SPDX-License-Identifier: Apache-2.0
"""Matrices that a float network starts from: drawn, or those of an array."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ...arch.array import ArrayConfig
from .network import FloatNetwork

FloatArray = npt.NDArray[Any]

HIDDEN_GAIN = 2.0
"""Variance of a starting weight times its fan-in."""

READOUT_GAIN = 0.5

FIXED_STREAM = 1
"""The fixed matrices of a seed have a stream of their own."""

SQUARE_WAVE_FREQUENCIES = (50.0, 512.0)
"""Radians per neuron of the first and the last class."""


def initial_weights(network: FloatNetwork, seed: int) -> list[FloatArray]:
    """Normal float32 weights, (rows, outputs) a layer, in units of the threshold.

    Their variance is `HIDDEN_GAIN`, in the readout `READOUT_GAIN`, over the rows without the bias, which starts at 0.
    """
    random = np.random.default_rng(seed)
    weights: list[FloatArray] = []
    for layer in network.layers:
        if layer.identity:
            weights.append(np.eye(layer.outputs, dtype=np.float32))
            continue
        gain = HIDDEN_GAIN if layer.spiking else READOUT_GAIN
        drawn = random.normal(0.0, (gain / layer.synapses) ** 0.5, (layer.synapses, layer.outputs))
        bias = np.zeros((int(layer.bias), layer.outputs))
        weights.append(np.concatenate([drawn, bias]).astype(np.float32))
    return weights


def fixed_matrices(network: FloatNetwork, seed: int) -> list[FloatArray]:
    """The float32 matrices, (neurons, classes), of `network.fixed_layers`; N is the neurons of each.

    A `random` one is uniform: within 1 / sqrt(N) where it is a local readout (TFR), within sqrt(6 / N) where it feeds
    the error back (S-TLLR's Kaiming-uniform). A `square-wave` is that of TESS, `sign(sin(f_c k)) / N` for neuron k and
    class c, f evenly from 50 to 512; neuron 0 gets no signal by it.
    """
    random = np.random.default_rng([seed, FIXED_STREAM])
    classes = network.layers[-1].outputs
    matrices: list[FloatArray] = []
    for index in network.fixed_layers:
        layer = network.layers[index]
        if network.rule.fixed == "square-wave":
            angles = np.multiply.outer(np.arange(layer.outputs), np.linspace(*SQUARE_WAVE_FREQUENCIES, classes))
            matrix = np.sign(np.sin(angles)) / layer.outputs
        else:
            reach = ((1 if layer.signal == "local" else 6) / layer.outputs) ** 0.5
            matrix = random.uniform(-reach, reach, (layer.outputs, classes))
        matrices.append(matrix.astype(np.float32))
    return matrices


def from_array(array: ArrayConfig, stored: Sequence[npt.NDArray[np.int64]]) -> list[FloatArray]:
    """Stored weights of an array, or its fixed matrices, as float32 in units of the threshold.

    They are what the array computes with: `(W >> (weight_bits - synapse_bits)) / 2**(synapse_bits - 1)`. A network of
    `network_for(rule, sizes, array, …)` and `float_network(rule, Shape(sizes, …))` have weights of the same shapes.
    """
    shift, unit = array.weight_bits - array.synapse_bits, 1 << (array.synapse_bits - 1)
    return [((weight >> shift) / unit).astype(np.float32) for weight in stored]

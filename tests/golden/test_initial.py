# SPDX-License-Identifier: Apache-2.0
"""Starting weights: deterministic, of the promised width, and centred after the floor."""

from __future__ import annotations

import numpy as np
import pytest

from trifactor.arch.array import ArrayConfig
from trifactor.arch.network import Network
from trifactor.arch.placement import fitted
from trifactor.arch.rules import network_for, rule_named
from trifactor.golden.device import GoldenDevice
from trifactor.golden.initial import initial_state


def case(weight_bits: int = 16, synapse_bits: int = 8) -> tuple[Network, ArrayConfig]:
    array = ArrayConfig(weight_bits=weight_bits, synapse_bits=synapse_bits)
    network = network_for(rule_named("ottt"), (784, 256, 10), array)
    return network, fitted(network, array)


@pytest.mark.parametrize(("weight_bits", "synapse_bits"), [(16, 8), (12, 8), (8, 8), (16, 5)])
def test_widths_and_centre(weight_bits: int, synapse_bits: int) -> None:
    network, array = case(weight_bits, synapse_bits)
    state = initial_state(network, array, 3)
    unit = 1 << (array.synapse_bits - 8 + 8)
    for weights, sigma in zip(state.weights, (9, 6), strict=True):
        active = weights >> (weight_bits - synapse_bits)
        expected = sigma * unit / 256
        assert active.std() == pytest.approx((expected**2 + 1 / 12) ** 0.5, rel=0.1)
        assert abs(active.mean()) < 0.2 + 0.5 * (weight_bits == synapse_bits)


def test_same_seed_same_weights_and_another_seed_others() -> None:
    network, array = case()
    first, again, other = (initial_state(network, array, seed) for seed in (1, 1, 2))
    assert first.seed == 1
    assert first.sample == 0
    for a, b, c in zip(first.weights, again.weights, other.weights, strict=True):
        assert np.array_equal(a, b)
        assert (a != c).mean() > 0.9


def test_few_inputs_stay_inside_the_format() -> None:
    array = ArrayConfig(lanes=4)
    network = network_for(rule_named("sltt"), (2, 300, 2), array)
    array = fitted(network, array)
    state = initial_state(network, array, 0)
    GoldenDevice(array, network, state)
    assert 30 < (state.weights[0] >> 8).std() < 50
    assert (np.abs(state.weights[0] >> 8) < 127).mean() > 0.99

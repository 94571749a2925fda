# SPDX-License-Identifier: Apache-2.0
"""Starting weights: deterministic, of the promised width, and centred after the floor."""

from __future__ import annotations

import numpy as np
import pytest

from trifactor.arch.array import ArrayConfig
from trifactor.arch.network import Layer, Network
from trifactor.arch.placement import fitted
from trifactor.arch.rules import network_for, rule_named
from trifactor.golden.device import GoldenDevice
from trifactor.golden.initial import initial_state


def case(weight_bits: int = 16, synapse_bits: int = 8) -> tuple[Network, ArrayConfig]:
    array = ArrayConfig(weight_bits=weight_bits, synapse_bits=synapse_bits)
    network = network_for(rule_named("ottt-o"), (784, 256, 10), array)
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
        error = 4 * expected / active.size**0.5
        assert abs(active.mean()) < error + 0.5 * (weight_bits == synapse_bits)


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


def test_every_block_gets_weights_of_its_kind() -> None:
    layers = (
        Layer(inputs=30, outputs=20, recurrent=True, bias=True, signal="feedback"),
        Layer(inputs=20, outputs=10, signal="local", fixed="square-wave", bias=True),
        Layer(inputs=10, outputs=10, spiking=False, start="identity"),
    )
    network = Network(layers=layers, surrogate=(1,) * 16)
    array = fitted(network, ArrayConfig())
    state = initial_state(network, array, 7)
    assert [block.shape for block in state.weights] == [(51, 20), (21, 10), (10, 10), (20, 10), (10, 10)]
    GoldenDevice(array, network, state)
    first, second, identity, random, wave = state.weights
    for weights in (first, second):
        assert not weights[-1].any(), "a bias starts from 0"
        assert np.abs(weights[:-1]).min(axis=1).max() > 0
    # The own rows count as inputs: 50 rows, not 30; 6 * sqrt(256 / 20) is the deviation of a random matrix.
    assert first[:-1].std() / 256 == pytest.approx(9 * (784 / 50) ** 0.5, rel=0.1)
    assert random.std() / 256 == pytest.approx(6 * (256 / 20) ** 0.5, rel=0.15)
    assert np.array_equal(identity, 32767 * np.eye(10, dtype=int))
    assert not np.array_equal(random, first[:20, :10])
    assert set(np.unique(np.abs(wave))) == {0, np.abs(wave).max()}
    assert np.abs(wave).max() / 256 == pytest.approx(6 * (256 / 10) ** 0.5, rel=0.01)
    assert not wave[0].any(), "sin(0) has no sign"
    expected = np.sign(np.sin(np.outer(np.arange(1, 10), np.linspace(50, 512, 10))))
    assert np.array_equal(np.sign(wave[1:]), expected)


def test_a_fixed_matrix_is_not_the_readout() -> None:
    layers = (Layer(inputs=8, outputs=16, signal="feedback"), Layer(inputs=16, outputs=10, spiking=False))
    network = Network(layers=layers, surrogate=(1,) * 16)
    array = fitted(network, ArrayConfig())
    _, readout, fixed = initial_state(network, array, 7).weights
    assert (readout != fixed).mean() > 0.9

# SPDX-License-Identifier: Apache-2.0
"""A float network is the array's, with reals in place of integers."""

from __future__ import annotations

from typing import Any

import pytest

from trifactor.arch.array import ArrayConfig
from trifactor.arch.errors import ConfigurationError
from trifactor.arch.rules import RULES, network_for
from trifactor.golden.floating.network import Shape, float_network

ARRAY = ArrayConfig(decay_bits=8)
SIZES = (12, 9, 8, 5)
SHAPES: list[dict[str, Any]] = [
    {},
    {"recurrent": True, "bias": True},
    {"readout_decay": 0.75, "bias": True},
    {"spiking_readout": True, "recurrent": True, "bias": True},
    {"spiking_readout": True, "readout_decay": 0.5},
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", RULES)
def test_its_layers_are_those_of_the_array(name: str, shape: dict[str, Any]) -> None:
    network, integers = float_network(name, Shape(SIZES, **shape)), network_for(RULES[name], SIZES, ARRAY, **shape)
    one = ARRAY.decay_one
    assert len(network.layers) == len(integers.layers)
    for ours, theirs in zip(network.layers, integers.layers, strict=True):
        for field in ("inputs", "outputs", "rows", "spiking", "recurrent", "bias", "learns", "signal", "eligibility"):
            assert getattr(ours, field) == getattr(theirs, field), field
        assert round(ours.decay * one) == theirs.decay
        assert ours.identity == (theirs.start == "identity")
        if not ours.eligibility:
            assert round(ours.trace_decay * one) == theirs.trace_decay
    assert network.fixed_layers == tuple(block.layer for block in integers.blocks if block.fixed)
    assert network.error_on == integers.error_on


def test_the_rate_of_dalton_is_classes_over_neurons_above() -> None:
    assert [layer.gain for layer in float_network("dalton", Shape(SIZES)).layers] == [5 / 8, 1.0, 1.0]


def test_leaks_of_layers_take_the_traces_that_follow_the_membrane_along() -> None:
    shape = Shape(SIZES, decays=(0.25, 0.75))
    ottt, s_tllr = float_network("ottt-o", shape).layers, float_network("s-tllr", shape).layers
    assert [(layer.decay, layer.trace_decay) for layer in ottt] == [(0.25, 0.25), (0.75, 0.75), (1.0, 0.0)]
    assert [(layer.decay, layer.trace_decay) for layer in s_tllr[:2]] == [(0.25, 0.75), (0.75, 0.75)]


def test_the_output_layer_of_otpe_is_ottt_s() -> None:
    spiking = float_network("otpe", Shape(SIZES, spiking_readout=True)).layers
    assert [layer.second_trace_decay > 0 for layer in spiking] == [True, True, False, False]
    assert [layer.psi_decay > 0 for layer in spiking] == [True, True, False, False]
    assert [layer.trace_decay > 0 for layer in spiking] == [True, True, True, False]


@pytest.mark.parametrize(
    ("arguments", "settings", "message"),
    [
        ((64,), {}, "layers '64' need an input and a readout"),
        ((64, 0, 10), {}, "layers '64-0-10' need"),
        ((64, 32, 10), {"decays": (0.5, 0.5)}, r"decays are 1 numbers of 0 to 1, not \(0.5, 0.5\)"),
        ((64, 32, 10), {"decays": (1.5,)}, "decays are 1 numbers"),
    ],
)
def test_other_shapes_are_refused(arguments: tuple[int, ...], settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Shape(arguments, **settings)

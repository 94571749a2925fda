# SPDX-License-Identifier: Apache-2.0
"""Networks: what is refused and how it says so, and their blocks of weights."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from trifactor.arch.network import Block, Layer, Network

FLAT = (0,) * 16
NOTHING = "a readout has no recurrent rows, no post trace, no eligibility and no signal"


def layer(inputs: int, outputs: int, **values: Any) -> Layer:
    return Layer(inputs=inputs, outputs=outputs, **values)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ((layer(4, 5), layer(6, 2, spiking=False)), "layer 0 has 5 outputs but layer 1 takes 6 inputs"),
        ((layer(4, 5), layer(5, 2)), r"layer 1: the last layer, and only it, is a readout \(spiking = false\)"),
        ((layer(4, 5, spiking=False), layer(5, 2, spiking=False)), "layer 0: the last layer, and only it"),
        ((), "layers\n.*at least 1 item"),
        ((layer(4, 2, spiking=False, recurrent=True),), f"layer 0: {NOTHING}"),
        ((layer(4, 2, spiking=False, post=-1),), f"layer 0: {NOTHING}"),
        ((layer(4, 2, spiking=False, eligibility=True),), f"layer 0: {NOTHING}"),
        ((layer(4, 5), layer(5, 2, spiking=False, signal="local")), f"layer 1: {NOTHING}"),
        (
            (layer(4, 3, thresholds=(1, 2)), layer(3, 2, spiking=False)),
            "layer 0: thresholds must be 3 integers of 1 to 32767",
        ),
        (
            (layer(4, 2, spiking=False, thresholds=(0, 2)),),
            "layer 0: thresholds must be 2 integers of 1 to 32767",
        ),
        (
            (layer(4, 2, spiking=False, thresholds=(1, 32768)),),
            "layer 0: thresholds must be 2 integers of 1 to 32767",
        ),
        (
            (layer(4, 3), layer(3, 2, spiking=False, start="identity")),
            "layer 1: an identity has as many inputs as outputs",
        ),
    ],
)
def test_layers_that_do_not_make_a_network_say_why(layers: tuple[Layer, ...], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Network(layers=layers, surrogate=FLAT)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"inputs": 0}, "inputs\n.*greater than or equal to 1"),
        ({"threshold": 0}, "threshold\n.*greater than or equal to 1"),
        ({"post": 2}, "post\n.*should be -1, 0 or 1"),
        ({"post_read": "new"}, "post_read\n.*should be 'old' or 'decayed'"),
        ({"signal": "global"}, "signal\n.*should be 'backprop', 'local', 'feedback' or 'sign-feedback'"),
        ({"fixed": "sine"}, "fixed\n.*should be 'random' or 'square-wave'"),
        ({"post_shift": 16}, "post_shift\n.*less than or equal to 15"),
        ({"post_decay": 4097}, "post_decay\n.*less than or equal to 4096"),
        ({"neuron": "cuba"}, "neuron\n.*not permitted"),
    ],
)
def test_settings_out_of_range_say_so(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Layer.model_validate({"inputs": 3, "outputs": 3} | values)


@pytest.mark.parametrize(
    ("surrogate", "message"),
    [
        ((0,) * 15, "surrogate\n.*at least 16 items"),
        ((0,) * 17, "surrogate\n.*at most 16 items"),
        ((0,) * 15 + (-1,), "surrogate entries must not be negative"),
    ],
)
def test_a_surrogate_table_has_sixteen_entries_none_negative(surrogate: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Network(layers=(layer(4, 2, spiking=False),), surrogate=surrogate)


def test_a_network_knows_its_sizes_and_its_layers_their_rows() -> None:
    layers = (layer(20, 40, recurrent=True, bias=True), layer(40, 30, recurrent=True), layer(30, 10, spiking=False))
    network = Network(layers=layers, surrogate=FLAT)
    assert (network.inputs, network.outputs, network.sizes) == (20, 10, (20, 40, 30, 10))
    assert [own.rows for own in network.layers] == [61, 70, 30]
    assert layer(4, 2, bias=True, spiking=False).rows == 5


def test_fixed_matrices_follow_the_layers_own_in_order() -> None:
    layers = (
        layer(20, 40, bias=True, signal="local"),
        layer(40, 30, recurrent=True),
        layer(30, 25, signal="sign-feedback"),
        layer(25, 22, signal="feedback"),
        layer(22, 10, spiking=False, bias=True),
    )
    network = Network(layers=layers, surrogate=FLAT)
    assert network.blocks == (
        Block(0, False, 21, 40),
        Block(1, False, 70, 30),
        Block(2, False, 30, 25),
        Block(3, False, 25, 22),
        Block(4, False, 23, 10),
        Block(0, True, 40, 10),
        Block(2, True, 25, 10),
        Block(3, True, 22, 10),
    )
    assert [network.signal_block(index) for index in range(4)] == [5, 2, 6, 7]
    for index in (0, 2, 3):
        block = network.blocks[network.signal_block(index)]
        assert (block.fixed, block.layer) == (True, index)

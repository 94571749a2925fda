# SPDX-License-Identifier: Apache-2.0
"""Where layers and fixed matrices stand, and what does not fit."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from trifactor.arch.array import UNITS, ArrayConfig, Unit
from trifactor.arch.errors import DoesNotFitError
from trifactor.arch.network import Layer, Network
from trifactor.arch.placement import fitted, measure, needs_unit, place

FLAT = (0,) * 16

USES: dict[Unit, tuple[str, dict[str, Any]]] = {
    "cuba": ("current_decay and clamp", {"current_decay": 1}),
    "post-trace": ("post", {"post": -1}),
    "recurrent": ("recurrent", {"recurrent": True}),
    "bias": ("bias", {"bias": True}),
    "thresholds": ("thresholds", {"thresholds": (3,) * 40}),
    "feedback": ("signal", {"signal": "sign-feedback"}),
    "eligibility": ("eligibility", {"eligibility": True}),
}
"""What an error calls the settings that take a unit, and one of them."""


def layer(inputs: int, outputs: int, **values: Any) -> Layer:
    return Layer(inputs=inputs, outputs=outputs, **values)


def two_layers(hidden: dict[str, Any] | None = None, **values: Any) -> Network:
    layers = (layer(20, 40, **(hidden or {})), layer(40, 10, spiking=False))
    return Network(layers=layers, surrogate=FLAT, **values)


def test_every_capacity_that_overflows_is_named() -> None:
    array = ArrayConfig(lanes=4, weight_words=100, groups=5, axons=59, events=39, layers=1, classes=9)
    with pytest.raises(DoesNotFitError) as caught:
        place(two_layers(), array)
    # 10 groups of 20 rows and 3 of 40; rows of a layer fill whole trace words.
    needs = "layers 2 > 1, weight_words 320 > 100, groups 13 > 5, axons 60 > 59, events 40 > 39, classes 10 > 9"
    assert caught.value.message == f"network 20-40-10 does not fit the array: {needs}"
    assert "use more lanes" in caught.value.hint
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    ("hidden", "lanes", "needs"),
    [
        # A fixed matrix is a block of 40 rows and 3 groups; feedback shares the readout's neurons.
        ({"signal": "feedback"}, 4, "layers 3 > 1, weight_words 440 > 1, groups 13 > 4, axons 60 > 1, events 40 > 1"),
        ({"signal": "local"}, 4, "layers 3 > 1, weight_words 440 > 1, groups 16 > 4, axons 60 > 1, events 40 > 1"),
        # 61 rows, all of which may have an event.
        (
            {"recurrent": True, "bias": True},
            8,
            "layers 2 > 1, weight_words 385 > 1, groups 7 > 4, axons 101 > 1, events 61 > 1",
        ),
    ],
)
def test_optional_rows_and_blocks_are_counted(hidden: dict[str, Any], lanes: int, needs: str) -> None:
    array = ArrayConfig.model_validate(
        {"lanes": lanes, "weight_words": 1, "groups": 4, "axons": 1, "events": 1, "layers": 1, "units": list(UNITS)}
    )
    with pytest.raises(DoesNotFitError) as caught:
        place(two_layers(hidden), array)
    assert caught.value.message == f"network 20-40-10 does not fit the array: {needs}"


@pytest.mark.parametrize("bits", [1, 3])
def test_a_list_has_room_for_every_bit_and_what_is_behind(bits: int) -> None:
    array = ArrayConfig.model_validate({"event_bits": bits})
    assert measure(two_layers({"recurrent": True, "bias": True}), array).events == 20 * bits + 41
    assert measure(two_layers({"bias": True}), array).events == max(20 * bits + 1, 40)


@pytest.mark.parametrize("unit", USES)
@pytest.mark.parametrize("at", [0, 1])
def test_a_setting_whose_unit_is_missing_says_which(unit: Unit, at: int) -> None:
    called, setting = USES[unit]
    plain = layer(40, 40)
    layers = [layer(20, 40), plain, layer(40, 10, spiking=False)]
    layers[at] = layer(layers[at].inputs, 40, **setting)
    network = Network(layers=tuple(layers), surrogate=FLAT)
    everything_else: tuple[Unit, ...] = tuple(other for other in UNITS if other != unit)
    with pytest.raises(DoesNotFitError) as caught:
        place(network, ArrayConfig(units=everything_else))
    assert caught.value.message == f"layer {at}: {called} takes a unit that the array lacks"
    assert caught.value.hint == f'build it with "{unit}" among its units: {UNITS[unit]}'
    place(network, ArrayConfig(units=(unit,)))
    assert [other for other in UNITS if needs_unit(network, other)] == [unit]
    assert fitted(network, ArrayConfig()).units == (unit,)


def test_a_clamp_takes_the_current_s_unit() -> None:
    with pytest.raises(DoesNotFitError, match="layer 0: current_decay and clamp takes a unit"):
        place(two_layers({"clamp": True}), ArrayConfig())


def test_weights_that_act_by_sample_take_a_unit() -> None:
    network = two_layers(apply="sample")
    with pytest.raises(DoesNotFitError) as caught:
        place(network, ArrayConfig(units=tuple(unit for unit in UNITS if unit != "shadow")))
    assert caught.value.message == 'apply = "sample" takes a unit that the array lacks'
    assert caught.value.hint == f'build it with "shadow" among its units: {UNITS["shadow"]}'
    assert fitted(network, ArrayConfig()).units == ("shadow",)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"decay": 257}, "layer 0: decay 257 exceeds 256"),
        ({"trace_decay": 300}, "layer 0: trace_decay 300 exceeds 256"),
        ({"current_decay": 301}, "layer 0: current_decay 301 exceeds 256"),
        ({"post_decay": 302}, "layer 0: post_decay 302 exceeds 256"),
        ({"threshold": 128}, "layer 0: threshold 128 exceeds 127"),
        ({"thresholds": (1, 130, 2, 3)}, "layer 0: threshold 130 exceeds 127"),
    ],
)
def test_coefficients_must_be_inside_the_array_s_formats(change: dict[str, Any], message: str) -> None:
    network = Network(
        layers=(layer(4, 4, **({"threshold": 9} | change)), layer(4, 2, spiking=False, threshold=9)), surrogate=FLAT
    )
    with pytest.raises(DoesNotFitError) as caught:
        place(network, ArrayConfig(membrane_bits=8, units=tuple(UNITS)))
    assert caught.value.message == message
    assert caught.value.hint == "lower it, or build the array with wider formats"


def test_surrogate_values_must_be_inside_the_array_s_format() -> None:
    network = Network(layers=(layer(4, 2, spiking=False),), surrogate=(16,) * 16)
    with pytest.raises(DoesNotFitError) as caught:
        place(network, ArrayConfig(surrogate_bits=4))
    assert caught.value.message == "surrogate value 16 exceeds 15"
    assert caught.value.hint == "raise surrogate_bits"


@pytest.mark.parametrize("lanes", [1, 4, 16])
@pytest.mark.parametrize("rows", [1, 8])
def test_blocks_are_stacked_without_overlap(lanes: int, rows: int) -> None:
    array = ArrayConfig.model_validate({"lanes": lanes, "traces_per_word": rows})
    layers = (
        layer(21, 40, recurrent=True, signal="local"),
        layer(40, 33, bias=True, signal="feedback"),
        layer(33, 20, signal="local"),
        layer(20, 10, spiking=False),
    )
    network = Network(layers=layers, surrogate=FLAT)
    placed = measure(network, array)
    expected = {"weight_base": 0, "state_base": 0, "trace_base": 0, "list_base": 0, "gather_base": 0}
    for own, where in zip(network.layers, placed.blocks, strict=False):
        groups = -(-own.outputs // lanes)
        assert where.groups == groups
        assert {name: getattr(where, name) for name in expected} == expected
        expected["weight_base"] += groups * own.rows
        expected["state_base"] += groups
        expected["trace_base"] += -(-own.rows // rows)
        expected["list_base"] += own.rows
        expected["gather_base"] += own.outputs
    # Matrices have weights; only a local readout has neurons of its own, and nobody has their traces and lists.
    readout, first, second, third = placed.blocks[3:]
    groups = -(-10 // lanes)
    state = expected["state_base"]
    assert [block.state_base for block in (first, second, third)] == [state, readout.state_base, state + groups]
    assert [block.groups for block in (first, second, third)] == [groups] * 3
    bases = [block.weight_base for block in (first, second, third)]
    assert bases == [expected["weight_base"] + groups * rows_before for rows_before in (0, 40, 73)]
    assert not any(block.trace_base or block.list_base or block.gather_base for block in (first, second, third))
    assert placed.weight_words == expected["weight_base"] + groups * 93
    assert placed.groups == state + 2 * groups
    assert placed.axons == expected["trace_base"] * rows
    assert (placed.events, placed.classes) == (61, 10)


def test_fitted_raises_what_is_short_and_lowers_nothing() -> None:
    small = ArrayConfig(lanes=2, weight_words=1, groups=1, axons=1, events=1, layers=1, classes=2)
    for hidden in ({}, *(setting for _, setting in USES.values())):
        network = two_layers(hidden)
        array = fitted(network, small)
        assert place(network, array) == measure(network, small)
        assert array.lanes == 2
    assert fitted(two_layers(), ArrayConfig()) == ArrayConfig()
    for one, two in itertools.combinations(UNITS, 2):
        array = ArrayConfig(units=(one, two))
        assert fitted(two_layers(), array) == array


def test_an_error_that_was_not_built_is_named() -> None:
    array = fitted(two_layers(error="mse"), ArrayConfig(errors=("mse",)))
    place(two_layers(error="mse"), array)
    with pytest.raises(DoesNotFitError, match="softmax") as caught:
        place(two_layers(), array)
    assert caught.value.hint == 'build it with "softmax" among its errors, or set error = "mse" (learn --error)'
    assert fitted(two_layers(), array).errors == ("softmax", "mse")


def test_lists_of_sparse_inputs_need_to_hold_what_hidden_layers_send() -> None:
    assert measure(two_layers(), ArrayConfig(sparse_inputs=True)).events == 40
    wide = Network(layers=(layer(300, 10), layer(10, 4, spiking=False)), surrogate=FLAT)
    assert measure(wide, ArrayConfig(sparse_inputs=True)).events == 10
    assert measure(wide, ArrayConfig()).events == 300

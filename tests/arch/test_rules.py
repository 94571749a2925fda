# SPDX-License-Identifier: Apache-2.0
"""The rule table, and the networks that it makes."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from trifactor.arch.array import ArrayConfig
from trifactor.arch.errors import ConfigurationError, DoesNotFitError
from trifactor.arch.network import Network
from trifactor.arch.placement import fitted, place
from trifactor.arch.rules import (
    RULES,
    SURROGATES,
    WEIGHT_RANGES,
    Rule,
    network_for,
    range_of,
    rule_named,
    surrogate_table,
    surrogate_value,
)

SIZES = (20, 30, 10)
ARRAYS: tuple[dict[str, Any], ...] = (
    {},
    {"weight_bits": 8},
    {"weight_bits": 4, "synapse_bits": 4, "membrane_bits": 8, "decay_bits": 4},
    {"weight_bits": 12, "synapse_bits": 6, "surrogate_bits": 1, "decay_bits": 12},
    {"surrogate_bits": 8},
)


def differences(one: str, two: str) -> dict[str, tuple[Any, Any]]:
    """Settings, of the network or its first layer, that two rules do not share."""
    networks = [network_for(rule_named(name), SIZES, ArrayConfig()) for name in (one, two)]
    settings = [{**dict(network), **dict(network.layers[0])} for network in networks]
    return {
        name: (a, b)
        for (name, a), b in zip(settings[0].items(), settings[1].values(), strict=True)
        if a != b and name != "layers"
    }


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("settings", ARRAYS)
def test_every_rule_makes_a_network_that_any_array_can_hold(name: str, settings: dict[str, Any]) -> None:
    rule = rule_named(name)
    for event_value_bits in (1, 8):
        array = ArrayConfig.model_validate({**settings, "lanes": 4})
        network = network_for(rule, SIZES, array, event_value_bits=event_value_bits)
        place(network, fitted(network, array))
        hidden, readout = network.layers
        one = array.decay_one
        units = {
            "cuba": rule.current_decay > 0 or rule.clamp,
            "post-trace": rule.post_gain != 0,
            "shadow": rule.apply == "sample",
            # The frozen readout of all layers is the topmost layer's own.
            "feedback": rule.signal != "backprop" and not (rule.signal == "local" and not rule.readout_learns),
            "eligibility": rule.eligibility,
        }
        assert set(fitted(network, array).units) == {unit for unit, used in units.items() if used}
        assert (hidden.spiking, readout.spiking, readout.reset) == (True, False, "none")
        assert (readout.decay, hidden.decay) == (one, round(rule.decay * one))
        first = rule.hidden_trace_decay if rule.first_trace_decay is None else rule.first_trace_decay
        assert hidden.trace_decay == round(first * one)
        assert readout.trace_decay == round(rule.readout_trace_decay * one)
        assert (hidden.reset, hidden.post) == (rule.reset, (rule.post_gain > 0) - (rule.post_gain < 0))
        assert (network.apply, network.gate, network.error) == (rule.apply, rule.gate, rule.error)
        assert max(network.surrogate) > 0
        # The largest event is worth one fresh spike, or less where a train of them adds up.
        for own, bits in ((hidden, event_value_bits), (readout, 1)):
            fresh = (1 << bits - 1) << own.trace_shift
            assert fresh == 128 or (fresh < 128 and own.trace_decay > one // 2) or own.trace_shift == 0
            if own.trace_shift and own.trace_decay < 0.98 * one:
                assert fresh / (1 - own.trace_decay / one) <= 256, "a train of spikes stays in the format"


@pytest.mark.parametrize("name", RULES)
def test_every_rule_takes_all_options_in_nets_of_any_depth(name: str) -> None:
    rule = rule_named(name)
    for sizes in ((7, 4), (7, 6, 4), (7, 6, 5, 9, 4)):
        for spiking_readout in (False, True):
            network = network_for(
                rule,
                sizes,
                ArrayConfig(),
                recurrent=True,
                bias=True,
                readout_decay=0.9,
                spiking_readout=spiking_readout,
            )
            place(network, fitted(network, ArrayConfig()))
            assert network.sizes == ((*sizes, 4) if spiking_readout else sizes)


def test_rules_have_names_of_their_own_and_say_where_they_come_from() -> None:
    assert [rule.name for rule in RULES.values()] == list(RULES)
    assert len(set(RULES.values())) == len(RULES)
    assert all(isinstance(rule, Rule) and rule.source for rule in RULES.values())
    assert len({rule.source for rule in RULES.values()}) == len(RULES)


@pytest.mark.parametrize(
    ("one", "two", "expected"),
    [
        ("ottt-o", "sltt", {"trace_decay": (128, 0)}),
        ("ottt-o", "ottt-a", {"apply": ("step", "sample")}),
        ("ottt-o", "ottt-o-raw", {"trace_decay": (128, 0)}),
        ("ottt-a", "ottt-a-raw", {"trace_decay": (128, 0)}),
        ("sltt", "sltt-k", {"gate": ("all", "random"), "gate_steps": (0, 2)}),
        ("s-tllr", "s-tllr-paper", {"post_read": ("old", "decayed")}),
        ("s-tllr", "s-tllr-dfa", {"signal": ("backprop", "feedback")}),
        ("s-tllr", "s-tllr-sdfa", {"signal": ("backprop", "sign-feedback")}),
        ("e-prop", "e-prop-random", {"signal": ("backprop", "feedback")}),
        ("temporal-sbp", "temporal-sbp-hard", {"reset": ("soft", "hard")}),
        (
            "s-tllr",
            "tess",
            {
                "trace_decay": (192, 128),
                "trace_shift": (6, 7),
                "post": (-1, 0),
                "post_decay": (51, 0),
                "signal": ("backprop", "local"),
                "fixed": ("random", "square-wave"),
                "rate_shift": (8, 9),
            },
        ),
    ],
)
def test_relatives_differ_in_their_settings_alone(one: str, two: str, expected: dict[str, tuple[Any, Any]]) -> None:
    assert differences(one, two) == expected


def test_a_rule_without_an_own_first_layer_has_the_same_trace_everywhere() -> None:
    raw, plain = (network_for(rule_named(name), (20, 30, 25, 10), ArrayConfig()) for name in ("ottt-o-raw", "ottt-o"))
    assert [layer.trace_decay for layer in raw.layers] == [0, 128, 0]
    assert [layer.trace_decay for layer in plain.layers] == [128, 128, 0]


def test_a_counter_for_a_trace_does_not_saturate_at_once() -> None:
    hidden, readout = network_for(rule_named("s-tllr-shd"), SIZES, ArrayConfig(), rate=0).layers
    for layer, decay in ((hidden, 256), (readout, 253)):
        assert (layer.trace_decay, layer.trace_shift) == (decay, 1)
        # What a trace lacks its rate has: 2**6 either way.
        assert layer.rate_shift == 7 - 6
    assert (hidden.post, hidden.post_decay, readout.post) == (1, 128, 0)


def test_dalton_slows_wide_layers_by_a_power_of_two() -> None:
    network = network_for(rule_named("dalton"), (20, 30, 80, 40, 10), ArrayConfig())
    first, second, third, readout = network.layers
    assert [layer.rate_shift - third.rate_shift for layer in (first, second, third)] == [3, 2, 0]
    assert [layer.learns for layer in network.layers] == [True, True, True, False]
    assert (readout.reset, readout.clamp, readout.current_decay) == ("none", False, 0)
    assert (first.reset, first.clamp, first.threshold) == ("hard", True, 129)


def test_the_topmost_layer_of_tfr_sees_through_the_readout_of_all() -> None:
    network = network_for(rule_named("tfr"), (20, 30, 25, 10), ArrayConfig())
    assert [layer.signal for layer in network.layers] == ["local", "backprop", "backprop"]
    assert len(network.blocks) == 4
    tess = network_for(rule_named("tess"), (20, 30, 25, 10), ArrayConfig())
    assert [layer.signal for layer in tess.layers] == ["local", "local", "backprop"]


def options(**values: Any) -> Network:
    return network_for(rule_named("ottt-o"), (20, 30, 25, 10), ArrayConfig(), **values)


def test_hidden_layers_may_be_recurrent_and_what_learns_have_a_bias() -> None:
    assert [layer.recurrent for layer in options(recurrent=True).layers] == [True, True, False]
    assert [layer.bias for layer in options(bias=True).layers] == [True, True, True]
    dalton = network_for(rule_named("dalton"), (20, 30, 10), ArrayConfig(), bias=True)
    assert [layer.bias for layer in dalton.layers] == [True, False]
    assert not any(layer.recurrent or layer.bias for layer in options().layers)


@pytest.mark.parametrize(("decay", "on", "expected"), [(1.0, "current", 256), (0.9, "membrane", 230)])
def test_a_readout_that_leaks_has_its_error_from_the_membrane(decay: float, on: str, expected: int) -> None:
    network = options(readout_decay=decay)
    assert (network.layers[-1].decay, network.error_on) == (expected, on)
    assert network.layers[0] == options().layers[0]


def test_traces_that_leak_as_the_membrane_follow_another_leak() -> None:
    ottt, tllr, raw = (
        network_for(rule_named(name), (20, 30, 25, 10), ArrayConfig(), decay=0.75)
        for name in ("ottt-o", "s-tllr-shd", "ottt-o-raw")
    )
    assert [(layer.decay, layer.trace_decay) for layer in ottt.layers] == [(192, 192), (192, 192), (256, 0)]
    assert [(layer.decay, layer.trace_decay) for layer in tllr.layers] == [(192, 256), (192, 256), (256, 253)]
    assert [(layer.decay, layer.trace_decay) for layer in raw.layers] == [(192, 0), (192, 192), (256, 0)]
    assert options(decay=0.5) == options()


@pytest.mark.parametrize("synapse_bits", range(4, 9))
def test_a_wider_range_of_hidden_weights_lowers_their_thresholds_and_all_that_follows(synapse_bits: int) -> None:
    array = ArrayConfig(synapse_bits=synapse_bits)
    for name in ("ottt-o", "dalton", "s-tllr-dfa"):
        rule = rule_named(name)
        narrow = network_for(rule, (20, 30, 25, 10), array)
        for bits, weight_range in enumerate(WEIGHT_RANGES[: synapse_bits - 1]):
            wide = network_for(rule, (20, 30, 25, 10), array, weight_range=weight_range)
            assert wide.layers[-1].model_copy(update={"threshold": 0, "surrogate_shift": 0}) == narrow.layers[
                -1
            ].model_copy(update={"threshold": 0, "surrogate_shift": 0})
            below = bits if rule.signal == "backprop" else 0
            for own, old, larger in zip(wide.layers[:-1], narrow.layers[:-1], (below, 0), strict=True):
                assert range_of(own, array) == weight_range
                assert own.threshold - rule.strict == (old.threshold - rule.strict) >> bits
                assert (own.rate_shift, own.signal_shift) == (old.rate_shift + bits, max(0, old.signal_shift - larger))
                assert own.surrogate_shift == max(0, old.surrogate_shift - bits)


def test_a_range_is_a_power_of_two() -> None:
    with pytest.raises(ConfigurationError, match="weight_range 3 is none of 1, 2, 4, 8"):
        options(weight_range=3)
    with pytest.raises(ConfigurationError, match="weight_range 8 leaves thresholds of 1 with synapse_bits = 4"):
        network_for(rule_named("ottt-o"), (20, 30, 10), ArrayConfig(synapse_bits=4), weight_range=8)


def test_the_range_is_seen_of_the_least_membranes_and_of_thresholds_of_one_more() -> None:
    for array in (ArrayConfig(membrane_bits=8), ArrayConfig(synapse_bits=6, membrane_bits=8), ArrayConfig()):
        for rule, weight_range in itertools.product(("ottt-o", "dalton"), WEIGHT_RANGES):
            network = network_for(rule_named(rule), (20, 30, 10), array, weight_range=weight_range)
            assert range_of(network.layers[0], array) == weight_range


def test_a_spiking_readout_is_counted_by_a_frozen_identity() -> None:
    network = options(spiking_readout=True, bias=True, recurrent=True)
    assert network.sizes == (20, 30, 25, 10, 10)
    *_, spiking, counter = network.layers
    assert (spiking.spiking, spiking.learns, spiking.bias, spiking.recurrent) == (True, True, True, True)
    assert (counter.start, counter.learns, counter.bias, counter.reset) == ("identity", False, False, "none")
    assert counter.decay == 256
    assert all(layer.start == "normal" for layer in network.layers[:-1])


def test_the_rate_means_the_same_whatever_the_stored_width() -> None:
    for bits in (8, 12, 16):
        assert options(rate=1).layers[0].rate_shift == 8
        array = ArrayConfig(weight_bits=bits)
        assert network_for(rule_named("ottt-o"), SIZES, array, rate=1).layers[0].rate_shift == 24 - bits
    assert options(rate=-40).layers[0].rate_shift == 0
    assert options(rate=40).layers[0].rate_shift == 23


@pytest.mark.parametrize("kind", SURROGATES)
def test_a_surrogate_falls_from_its_peak_alike_on_both_sides(kind: str) -> None:
    assert surrogate_value(kind, 0.0) == pytest.approx(1.0)
    values = [surrogate_value(kind, k / 50) for k in range(100)]
    assert values == sorted(values, reverse=True)
    assert values == pytest.approx([surrogate_value(kind, -k / 50) for k in range(100)])
    assert surrogate_value(kind, 2.0) < 0.02


@pytest.mark.parametrize("kind", SURROGATES)
def test_a_surrogate_table_samples_the_middle_of_its_intervals(kind: str) -> None:
    table = surrogate_table(kind, peak=255, threshold=128, shift=4)
    assert len(table) == 16
    for index, value in enumerate(table):
        # The middle of 16 whole numbers from 16 index on.
        assert value == round(255 * surrogate_value(kind, (16 * index + 7.5) / 128))


def test_a_network_needs_a_readout() -> None:
    with pytest.raises(ConfigurationError, match="layers '10' need an input and a readout") as caught:
        network_for(rule_named("ottt-o"), (10,), ArrayConfig())
    assert caught.value.hint == "write 784-256-10"


def test_a_misspelt_rule_brings_a_suggestion() -> None:
    with pytest.raises(ConfigurationError, match="no rule is called 'otttt'") as caught:
        rule_named("otttt")
    assert caught.value.hint == "did you mean 'ottt-o'?"


def test_an_array_without_a_unit_that_the_rule_needs_says_which() -> None:
    network = network_for(rule_named("dalton"), SIZES, ArrayConfig())
    with pytest.raises(DoesNotFitError, match="layer 0: current_decay and clamp takes a unit") as caught:
        place(network, ArrayConfig())
    assert caught.value.hint.startswith('build it with "cuba" among its units: ')

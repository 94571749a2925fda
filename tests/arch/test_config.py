# SPDX-License-Identifier: Apache-2.0
"""The shared layer: what is refused and how it says so, the register map, placement, rules."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from collections import Counter
from typing import Any

import pytest
from pydantic import ValidationError

import trifactor.arch
from trifactor.arch import errors
from trifactor.arch.array import ArrayConfig, ceil_log2
from trifactor.arch.errors import ConfigurationError, DoesNotFitError, did_you_mean
from trifactor.arch.events import ITEM_BITS, ROW_BITS, SHIFT_BITS, ItemKind, pack_item
from trifactor.arch.formats import RATE_SHIFT_MAX, SIGNAL_SHIFT_MAX, QFormat
from trifactor.arch.network import Layer, Network
from trifactor.arch.placement import fitted, measure, place
from trifactor.arch.registers import (
    BY_NAME,
    COUNTERS,
    CYCLE_COUNTERS,
    DATA_BITS,
    DESCRIPTOR,
    DESCRIPTOR_WORDS,
    REGISTERS,
    SIGNATURES,
    descriptor_words,
    error_word,
    shape_word,
    weight_chunks,
)
from trifactor.arch.rules import RULES, Rule, network_for, rule_named, surrogate_table

MODULES = sorted(module.name for module in pkgutil.iter_modules(trifactor.arch.__path__))
FLAT = (0,) * 16


def layer(inputs: int, outputs: int, **values: Any) -> Layer:
    return Layer(inputs=inputs, outputs=outputs, **values)


def two_layers(**values: Any) -> Network:
    return Network(layers=(layer(20, 40), layer(40, 10, spiking=False)), surrogate=FLAT, **values)


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_the_docstrings(name: str) -> None:
    assert doctest.testmod(importlib.import_module(f"trifactor.arch.{name}")).failed == 0


def test_examples_are_there_at_all() -> None:
    attempted = {name: doctest.testmod(importlib.import_module(f"trifactor.arch.{name}")).attempted for name in MODULES}
    assert {name for name, count in attempted.items() if count} >= {"events", "formats", "noise"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"weight_bits": 6, "synapse_bits": 8}, r"synapse_bits \(8\) must not exceed weight_bits \(6\)"),
        ({"groups": 3, "lanes": 2, "classes": 7}, r"groups \* cores \* lanes \(6\) must reach classes \(7\)"),
        ({"lanes": 3}, "lanes\n.*should be 1, 2, 4, 8 or 16"),
        ({"cores": 16}, "cores\n.*should be 1, 2, 4 or 8"),
        ({"weight_bits": 17}, "weight_bits\n.*less than or equal to 16"),
        ({"traces_per_word": 3}, "traces_per_word\n.*should be 1, 2, 4 or 8"),
        ({"products": "multiply"}, "products\n.*should be 'shift' or 'exact'"),
        ({"lane": 4}, "lane\n.*not permitted"),
    ],
)
def test_an_array_that_cannot_be_built_says_why(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ArrayConfig(**values)


def test_an_array_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        ArrayConfig().lanes = 4  # type: ignore[misc]


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ((layer(4, 5), layer(6, 2, spiking=False)), "layer 0 has 5 outputs but layer 1 takes 6 inputs"),
        ((layer(4, 5), layer(5, 2)), "layer 1: the last layer, and only it, is a readout"),
        ((layer(4, 5, spiking=False), layer(5, 2, spiking=False)), "layer 0: the last layer, and only it"),
        ((), "layers\n.*at least 1 item"),
    ],
)
def test_layers_that_do_not_make_a_network_say_why(layers: tuple[Layer, ...], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Network(layers=layers, surrogate=FLAT)


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


def test_a_network_knows_its_sizes() -> None:
    network = two_layers()
    assert (network.inputs, network.outputs, network.sizes) == (20, 10, (20, 40, 10))


def test_every_capacity_that_overflows_is_named() -> None:
    array = ArrayConfig(lanes=4, weight_words=100, groups=5, axons=59, events=39, layers=1, classes=9)
    with pytest.raises(DoesNotFitError) as caught:
        place(two_layers(), array)
    # 10 groups of 20 rows and 3 of 40; rows of a layer fill whole trace words of 4.
    needs = "layers 2 > 1, weight_words 320 > 100, groups 13 > 5, axons 60 > 59, events 40 > 39, classes 10 > 9"
    assert caught.value.message == f"network 20-40-10 does not fit the array: {needs}"
    assert "use more lanes" in caught.value.hint
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"decay": 257}, "layer 0: decay 257 exceeds 256"),
        ({"trace_decay": 300}, "layer 0: trace_decay 300 exceeds 256"),
        ({"threshold": 128}, "layer 0: threshold 128 exceeds 127"),
    ],
)
def test_coefficients_must_be_inside_the_array_s_formats(change: dict[str, int], message: str) -> None:
    network = Network(
        layers=(layer(4, 4, threshold=9).model_copy(update=change), layer(4, 2, spiking=False, threshold=9)),
        surrogate=FLAT,
    )
    with pytest.raises(DoesNotFitError, match=message):
        place(network, ArrayConfig(membrane_bits=8))


def test_surrogate_values_must_be_inside_the_array_s_format() -> None:
    network = Network(layers=(layer(4, 2, spiking=False),), surrogate=(16,) * 16)
    with pytest.raises(DoesNotFitError, match="surrogate value 16 exceeds 15"):
        place(network, ArrayConfig(surrogate_bits=4))


@pytest.mark.parametrize("lanes", [1, 4, 16])
@pytest.mark.parametrize("rows", [1, 8])
def test_layers_are_stacked_without_overlap(lanes: int, rows: int) -> None:
    array = ArrayConfig.model_validate({"lanes": lanes, "traces_per_word": rows})
    network = Network(layers=(layer(21, 40), layer(40, 33), layer(33, 10, spiking=False)), surrogate=FLAT)
    placed = measure(network, array)
    expected = {"weight_base": 0, "state_base": 0, "trace_base": 0, "list_base": 0, "gather_base": 0}
    for own, where in zip(network.layers, placed.layers, strict=True):
        groups = -(-own.outputs // lanes)
        assert where.groups == groups
        assert {name: getattr(where, name) for name in expected} == expected
        expected["weight_base"] += groups * own.inputs
        expected["state_base"] += groups
        expected["trace_base"] += -(-own.inputs // rows)
        expected["list_base"] += own.inputs
        expected["gather_base"] += own.outputs
    assert (placed.weight_words, placed.groups) == (expected["weight_base"], expected["state_base"])
    assert placed.axons == expected["trace_base"] * rows
    assert (placed.events, placed.classes) == (40, 10)


def test_fitted_raises_what_is_short_and_lowers_nothing() -> None:
    small = ArrayConfig(lanes=2, weight_words=1, groups=1, axons=1, events=1, layers=1, classes=2)
    network = two_layers()
    array = fitted(network, small)
    assert place(network, array) == measure(network, small)
    assert array.lanes == 2
    assert fitted(network, ArrayConfig()) == ArrayConfig()


def test_formats_hold_their_range_and_no_more() -> None:
    form = QFormat(bits=8)
    assert [form.holds(value) for value in (-129, -128, 127, 128)] == [False, True, True, False]
    assert (QFormat(bits=8, signed=False).min, QFormat(bits=8, signed=False).max) == (0, 255)
    with pytest.raises(ConfigurationError, match="at least 1 bit, not 0"):
        QFormat(bits=0)


@pytest.mark.parametrize(("value", "bits"), [(1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (1024, 10), (1025, 11)])
def test_ceil_log2(value: int, bits: int) -> None:
    assert ceil_log2(value) == bits


@pytest.mark.parametrize("events", [1, 3, 4, 255, 256])
@pytest.mark.parametrize("event_bits", [1, 8])
def test_a_current_never_overflows(events: int, event_bits: int) -> None:
    array = ArrayConfig(events=events, event_bits=event_bits)
    most = events << event_bits - 1
    assert array.current.holds(most * array.synapse.min)
    assert array.current.holds(most * array.synapse.max)


def test_a_learning_signal_never_overflows() -> None:
    array = ArrayConfig(lanes=2, groups=16)
    assert array.signal.holds(array.parallel * array.groups * array.synapse.min * 256)
    assert array.signal.holds(-array.parallel * array.groups * array.synapse.min * 255)


def test_registers_have_offsets_of_their_own_in_order() -> None:
    assert [register.offset for register in REGISTERS] == list(range(len(REGISTERS)))
    assert max(Counter(register.name for register in REGISTERS).values()) == 1
    assert len(BY_NAME) == len(REGISTERS) <= 64
    for register in REGISTERS:
        assert 1 <= register.bits <= DATA_BITS
        assert register.doc
    for names in (COUNTERS, CYCLE_COUNTERS, SIGNATURES):
        assert all(BY_NAME[name].access == "ro" for name, _ in names)


def test_descriptor_fields_do_not_overlap() -> None:
    taken: dict[int, int] = {}
    for field in DESCRIPTOR:
        mask = ((1 << field.width) - 1) << field.lsb
        assert field.word < DESCRIPTOR_WORDS
        assert mask < 1 << DATA_BITS, field.name
        assert not taken.get(field.word, 0) & mask, field.name
        taken[field.word] = taken.get(field.word, 0) | mask
    assert max(Counter(field.name for field in DESCRIPTOR).values()) == 1


def test_descriptors_hold_every_coefficient_and_every_base() -> None:
    network = Network(
        layers=(
            layer(20, 40, decay=256, threshold=32767, reset="hard", surrogate_shift=15, trace_decay=256, trace_shift=7),
            layer(
                40,
                10,
                spiking=False,
                reset="none",
                rate_shift=RATE_SHIFT_MAX,
                signal_shift=SIGNAL_SHIFT_MAX,
                trace_decay=0,
                threshold=1,
            ),
        ),
        surrogate=FLAT,
    )
    placement = place(network, ArrayConfig())
    table = descriptor_words(network, placement)
    assert [len(words) for words in table] == [DESCRIPTOR_WORDS] * 2
    for own, where, words in zip(network.layers, placement.layers, table, strict=True):
        values = {field.name: words[field.word] >> field.lsb & ((1 << field.width) - 1) for field in DESCRIPTOR}
        for name, value in values.items():
            if name == "reset":
                assert value == ["soft", "hard", "none"].index(own.reset)
            else:
                assert value == int(getattr(own if hasattr(own, name) else where, name)), name
        assert set(values) == {*own.model_fields_set | set(type(own).model_fields), *vars(where)}


def test_the_widest_values_fit_their_descriptor_field() -> None:
    limits = {"inputs": 65535, "outputs": 65535, "groups": 4096, "state_base": 4096, "weight_base": 1 << 18}
    limits |= {"trace_base": 65535, "list_base": 65535, "gather_base": 65535, "threshold": 32767, "decay": 4096}
    limits |= {
        "trace_decay": 4096,
        "trace_shift": 7,
        "surrogate_shift": 15,
        "rate_shift": 24,
        "signal_shift": SIGNAL_SHIFT_MAX,
    }
    fields = {field.name: field.width for field in DESCRIPTOR}
    for other, limit in limits.items():
        assert limit < 1 << fields[other], other


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"error": "softmax", "error_on": "current", "error_shift": 0}, 0x00),
        ({"error": "mse", "error_on": "current", "error_shift": 1}, 0x11),
        ({"error": "softmax", "error_on": "membrane", "error_shift": 15}, 0xF2),
    ],
)
def test_error_word(settings: dict[str, Any], word: int) -> None:
    assert error_word(two_layers(**settings)) == word


def test_shape_word() -> None:
    assert shape_word(ArrayConfig(cores=2, lanes=4, weight_bits=12, synapse_bits=6)) == 0x060C0402


@pytest.mark.parametrize(("lanes", "bits", "chunks"), [(1, 4, 1), (2, 16, 1), (4, 16, 2), (16, 16, 8), (8, 11, 3)])
def test_weight_chunks(lanes: int, bits: int, chunks: int) -> None:
    assert weight_chunks(ArrayConfig.model_validate({"lanes": lanes, "weight_bits": bits, "synapse_bits": 4})) == chunks


def test_items_use_their_bits_and_no_two_share_one() -> None:
    assert pack_item(ItemKind.EVENT) | pack_item(ItemKind.STEP) | pack_item(ItemKind.BEGIN) == 3
    widest = pack_item(ItemKind(0), row=(1 << ROW_BITS) - 1, shift=(1 << SHIFT_BITS) - 1)
    assert widest == (1 << ITEM_BITS) - 1 - 3


@pytest.mark.parametrize("name", RULES)
def test_every_rule_makes_a_network_that_any_array_can_hold(name: str) -> None:
    rule = rule_named(name)
    for settings in (
        {},
        {"weight_bits": 8},
        {"weight_bits": 4, "synapse_bits": 4, "membrane_bits": 8, "decay_bits": 4},
    ):
        for event_value_bits in (1, 8):
            array = ArrayConfig.model_validate({**settings, "lanes": 4})
            network = network_for(rule, (20, 30, 10), array, event_value_bits=event_value_bits)
            place(network, fitted(network, array))
            hidden, readout = network.layers
            assert fitted(network, array).neuron == rule.neuron
            assert (hidden.spiking, readout.spiking, readout.reset) == (True, False, "none")
            assert readout.decay == array.decay_one
            assert hidden.decay == round(rule.decay * array.decay_one)
            assert hidden.trace_decay == round(rule.hidden_trace_decay * array.decay_one)
            assert readout.trace_decay == round(rule.readout_trace_decay * array.decay_one)
            # The largest event is worth one fresh spike.
            assert (1 << event_value_bits - 1) << hidden.trace_shift == 128
            assert 1 << readout.trace_shift == 128


def test_rules_differ_by_coefficients_alone() -> None:
    array = ArrayConfig()
    ottt, sltt = (network_for(rule_named(name), (20, 30, 10), array) for name in ("ottt", "sltt"))
    hidden, _ = ottt.layers
    same = hidden.model_copy(update={"trace_decay": sltt.layers[0].trace_decay})
    assert sltt.layers[0] == same != hidden
    assert all(isinstance(rule, Rule) and rule.source for rule in RULES.values())


@pytest.mark.parametrize("kind", ["sigmoid", "triangle"])
def test_a_surrogate_table_falls_from_its_peak(kind: str) -> None:
    table = surrogate_table(kind, peak=255, threshold=128, shift=4)
    assert len(table) == 16
    assert list(table) == sorted(table, reverse=True)
    assert 200 < table[0] <= 255
    assert table[15] < 16


def test_a_network_needs_a_readout() -> None:
    with pytest.raises(ConfigurationError, match="need an input and a readout") as caught:
        network_for(rule_named("ottt"), (10,), ArrayConfig())
    assert caught.value.hint == "write 784-256-10"


def test_a_misspelt_rule_brings_a_suggestion() -> None:
    with pytest.raises(ConfigurationError, match="no rule is called 'otttt'") as caught:
        rule_named("otttt")
    assert caught.value.hint == "did you mean 'ottt'?"


def test_did_you_mean_names_the_nearest_or_all() -> None:
    assert did_you_mean("lane", ["cores", "lanes"]) == "did you mean 'lanes'?"
    assert did_you_mean("xyz", ["lanes", "cores"]) == "known: cores, lanes"


def test_every_error_has_an_exit_code_of_its_own() -> None:
    kinds = [kind for kind in errors.TrifactorError.__subclasses__() if kind.__module__ == errors.__name__]
    codes = {kind.__name__: kind("x", "y").exit_code for kind in kinds}
    assert sorted(codes.values()) == list(range(1, 7))
    assert str(errors.DeviceError("message", "hint")) == "message"


def test_an_array_without_a_unit_that_the_rule_needs_says_which() -> None:
    array = ArrayConfig()
    network = network_for(rule_named("dalton"), (20, 30, 10), array)
    with pytest.raises(DoesNotFitError, match="layer 0: current_decay and clamp need neurons") as caught:
        place(network, array)
    assert caught.value.hint == "build it with neuron = 'cuba'"


def test_dalton_slows_wide_layers_by_a_power_of_two() -> None:
    network = network_for(rule_named("dalton"), (20, 30, 80, 40, 10), ArrayConfig())
    first, second, third, readout = network.layers
    assert [layer.rate_shift - third.rate_shift for layer in (first, second, third)] == [3, 2, 0]
    assert [layer.learns for layer in network.layers] == [True, True, True, False]
    assert (readout.reset, readout.clamp, readout.current_decay) == ("none", False, 0)
    assert (first.reset, first.clamp, first.threshold) == ("hard", True, 129)

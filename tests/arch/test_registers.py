# SPDX-License-Identifier: Apache-2.0
"""The register map: registers, and descriptors that hold a whole network."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from trifactor.arch.array import UNITS, ArrayConfig
from trifactor.arch.formats import RATE_SHIFT_MAX, SIGNAL_SHIFT_MAX
from trifactor.arch.network import Layer, Network
from trifactor.arch.placement import fitted, place
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
    units_word,
    weight_chunks,
)

FLAT = (0,) * 16


def layer(inputs: int, outputs: int, **values: Any) -> Layer:
    return Layer(inputs=inputs, outputs=outputs, **values)


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


def descriptors(network: Network, array: ArrayConfig) -> list[dict[str, int]]:
    """The fields of every descriptor."""
    table = descriptor_words(network, place(network, array))
    assert [len(words) for words in table] == [DESCRIPTOR_WORDS] * len(network.blocks)
    return [
        {field.name: words[field.word] >> field.lsb & ((1 << field.width) - 1) for field in DESCRIPTOR}
        for words in table
    ]


def test_descriptors_hold_every_coefficient_and_every_base() -> None:
    network = Network(
        layers=(
            layer(
                20,
                40,
                recurrent=True,
                bias=True,
                decay=256,
                threshold=32767,
                reset="hard",
                current_decay=255,
                clamp=True,
                surrogate_shift=15,
                trace_decay=256,
                trace_shift=7,
                signal="local",
                post=-1,
                post_decay=254,
                post_read="decayed",
                post_shift=SIGNAL_SHIFT_MAX,
            ),
            layer(40, 30, signal="sign-feedback", post=1, learns=False),
            layer(30, 30, signal="feedback", reset="none"),
            layer(
                30,
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
    array = fitted(network, ArrayConfig())
    placement = place(network, array)
    table = descriptors(network, array)
    named = {
        "reset": [1, 0, 2, 2],
        "signal_block": [4, 5, 6, 0],
        "signal_local": [1, 0, 0, 0],
        "signal_sign": [0, 1, 0, 0],
        "post": [1, 1, 0, 0],
        "post_negative": [1, 0, 0, 0],
        "post_decayed": [1, 0, 0, 0],
        "inputs": [61, 40, 30, 30],
    }
    for index, (own, where) in enumerate(zip(network.layers, placement.blocks, strict=False)):
        for name, value in table[index].items():
            expected = named[name][index] if name in named else getattr(own if hasattr(own, name) else where, name)
            assert value == int(expected), (name, index)
    settings = set(Layer.model_fields) - {"thresholds", "start", "signal", "fixed", "post_read"}
    assert set(table[0]) == settings | set(named) | set(vars(placement.blocks[0]))


def test_the_descriptor_of_a_fixed_matrix_is_that_of_a_readout_which_keeps_nothing() -> None:
    network = Network(
        layers=(
            layer(20, 40, bias=True, signal="local", post=1, decay=9, current_decay=8, clamp=True, post_decay=7),
            layer(40, 30, recurrent=True, signal="feedback"),
            layer(30, 10, spiking=False),
        ),
        surrogate=FLAT,
    )
    array = fitted(network, ArrayConfig(lanes=4))
    *_, local, feedback = descriptors(network, array)
    for index, fields in ((3, local), (4, feedback)):
        where = place(network, array).blocks[index]
        shape = {"inputs": network.layers[index - 3].outputs, "outputs": 10}
        expected = shape | vars(where) | {"threshold": 1, "reset": 2}
        assert fields == dict.fromkeys(fields, 0) | expected


def test_the_widest_values_fit_their_descriptor_field() -> None:
    limits = {"inputs": 65535, "outputs": 65535, "groups": 4096, "state_base": 4096, "weight_base": 1 << 18}
    limits |= {"trace_base": 65535, "list_base": 65535, "gather_base": 65535, "threshold": 32767, "decay": 4096}
    limits |= {"trace_decay": 4096, "trace_shift": 7, "surrogate_shift": 15, "rate_shift": RATE_SHIFT_MAX}
    limits |= {"signal_shift": SIGNAL_SHIFT_MAX, "post_shift": SIGNAL_SHIFT_MAX, "current_decay": 4096}
    limits |= {"post_decay": 4096, "signal_block": 15, "reset": 2}
    flags = {"spiking", "clamp", "learns", "signal_local", "signal_sign", "bias", "recurrent", "post", "post_negative"}
    flags |= {"post_decayed", "eligibility"}
    limits |= dict.fromkeys(flags, 1)
    fields = {field.name: field.width for field in DESCRIPTOR}
    assert limits.keys() == fields.keys()
    for name, limit in limits.items():
        assert limit < 1 << fields[name], name


def test_a_field_is_a_unit_s_where_only_that_unit_reads_it() -> None:
    units = {field.name: field.unit for field in DESCRIPTOR if field.unit}
    assert units == {
        "clamp": "cuba",
        "current_decay": "cuba",
        "signal_block": "feedback",
        "signal_local": "feedback",
        "signal_sign": "feedback",
        "bias": "bias",
        "recurrent": "recurrent",
        "post": "post-trace",
        "post_negative": "post-trace",
        "post_decayed": "post-trace",
        "post_decay": "post-trace",
        "post_shift": "post-trace",
        "eligibility": "eligibility",
    }
    plain = Network(layers=(layer(4, 5), layer(5, 2, spiking=False)), surrogate=FLAT)
    changes = {"recurrent": True, "bias": True, "current_decay": 3, "clamp": True, "signal": "local", "post": -1}
    changes |= {"post_decay": 5}
    used = Network(
        layers=(layer(4, 5, **changes), layer(5, 2, spiking=False)),
        surrogate=FLAT,
    )
    array = fitted(used, ArrayConfig())
    one, two = descriptors(plain, array)[0], descriptors(used, array)[0]
    moved = {name for name in one if one[name] != two[name]}
    assert moved <= units.keys() | {"inputs"}
    assert len(moved) >= 8


def test_registers_hold_their_widest_value() -> None:
    assert ArrayConfig(layers=16).layers < 1 << BY_NAME["layers"].bits
    assert units_word(ArrayConfig(units=tuple(UNITS))) < 1 << BY_NAME["units"].bits
    assert BY_NAME["error"].bits == 0xF3.bit_length()


@pytest.mark.parametrize("bit", range(len(UNITS)))
def test_units_word(bit: int) -> None:
    unit = list(UNITS)[bit]
    assert units_word(ArrayConfig(units=(unit,))) == 1 << bit
    assert ArrayConfig(units=(unit,)).has(unit)
    assert not ArrayConfig().has(unit)


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"error": "softmax", "error_on": "current", "error_shift": 0}, 0x00),
        ({"error": "mse", "error_on": "current", "error_shift": 1}, 0x11),
        ({"error": "softmax", "error_on": "membrane", "error_shift": 15}, 0xF2),
    ],
)
def test_error_word(settings: dict[str, Any], word: int) -> None:
    network = Network(layers=(layer(4, 2, spiking=False),), surrogate=FLAT, **settings)
    assert error_word(network) == word


def test_shape_word() -> None:
    assert shape_word(ArrayConfig(cores=2, lanes=4, weight_bits=12, synapse_bits=6)) == 0x060C0402


@pytest.mark.parametrize(("lanes", "bits", "chunks"), [(1, 4, 1), (2, 16, 1), (4, 16, 2), (16, 16, 8), (8, 11, 3)])
def test_weight_chunks(lanes: int, bits: int, chunks: int) -> None:
    assert weight_chunks(ArrayConfig.model_validate({"lanes": lanes, "weight_bits": bits, "synapse_bits": 4})) == chunks


def test_an_active_copy_makes_weight_words_wider() -> None:
    assert weight_chunks(ArrayConfig(lanes=16, units=("shadow",))) == 12
    assert ArrayConfig(units=("shadow",)).weight_bytes == ArrayConfig().weight_bytes * 3 // 2

# SPDX-License-Identifier: Apache-2.0
"""Networks, weights and samples as the array's words, and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trifactor.arch.array import ArrayConfig
from trifactor.arch.errors import DeviceError
from trifactor.arch.events import EVENT_NEURON_BITS, ItemKind, pack_item
from trifactor.arch.placement import fitted
from trifactor.arch.rules import network_for, rule_named
from trifactor.cosim.image import Image, sample_items, step_items

TINY = ArrayConfig(weight_words=1, groups=2, axons=1, events=1, layers=1, classes=2)


def image(
    cores: int = 2,
    lanes: int = 4,
    weight_bits: int = 9,
    sizes: tuple[int, ...] = (7, 11, 3),
    *,
    rule: str = "ottt-o",
    **options: bool,
) -> Image:
    array = TINY.model_copy(update={"cores": cores, "lanes": lanes, "weight_bits": weight_bits, "synapse_bits": 4})
    network = network_for(rule_named(rule), sizes, array, **options)
    return Image(network, fitted(network, array))


@given(
    st.sampled_from([1, 2, 4, 8]),
    st.sampled_from([1, 2, 4, 8, 16]),
    st.integers(4, 16),
    st.lists(st.integers(1, 40), min_size=2, max_size=4),
    st.sampled_from(["ottt-o", "s-tllr-dfa", "tess"]),
    st.booleans(),
    st.integers(0, 1 << 32),
)
def test_weights_survive_packing(
    cores: int, lanes: int, weight_bits: int, sizes: list[int], rule: str, more: bool, seed: int
) -> None:
    made = image(cores, lanes, weight_bits, tuple(sizes), rule=rule, recurrent=more, bias=more)
    rng = np.random.default_rng(seed)
    half = 1 << (weight_bits - 1)
    weights = [rng.integers(-half, half, (block.rows, block.columns)) for block in made.network.blocks]
    packed = made.pack_weights(weights)
    assert packed.shape == (cores, made.placement.weight_words, made.chunks)
    for before, after in zip(weights, made.unpack_weights(packed), strict=True):
        assert np.array_equal(before, after)
    if made.array.has("shadow"):
        for before, active in zip(weights, made.unpack_active(packed), strict=True):
            assert np.array_equal(before >> (weight_bits - 4), active)


@pytest.mark.parametrize("rule", ["ottt-o", "tess"])
def test_each_weight_stands_where_the_map_says(rule: str) -> None:
    made = image(rule=rule, recurrent=True, bias=True)
    array = made.array
    for index, (own, placed) in enumerate(zip(made.network.blocks, made.placement.blocks, strict=True)):
        for row in range(own.rows):
            for neuron in range(own.columns):
                weights = [np.zeros((block.rows, block.columns), np.int64) for block in made.network.blocks]
                weights[index][row, neuron] = 1
                packed = made.pack_weights(weights)
                bit = int(neuron % array.parallel // array.cores) * array.lane_bits
                word = placed.weight_base + neuron // array.parallel * own.rows + row
                assert packed[neuron % array.cores, word, bit // 32] == 1 << bit % 32
                assert np.count_nonzero(packed) == 1


def test_states_and_traces_come_back_by_layer() -> None:
    made = image(recurrent=True, bias=True, rule="tess")
    array, placed = made.array, made.placement
    states = np.zeros((array.cores, placed.groups * array.lanes), np.int64)
    for layer, (own, at) in enumerate(zip(made.network.layers, placed.blocks, strict=False)):
        for neuron in range(own.outputs):
            index = (at.state_base + neuron // array.parallel) * array.lanes + neuron % array.parallel // array.cores
            states[neuron % array.cores, index] = 100 * layer + neuron
    found = made.unpack_states(states)
    for layer, values in enumerate(found):
        assert values.tolist() == [100 * layer + neuron for neuron in range(made.network.layers[layer].outputs)]
    assert np.array_equal(made.pack_states(found), states)
    traces = made.unpack_traces(np.arange(placed.axons, dtype=np.uint32))
    assert [len(values) for values in traces] == [7 + 11 + 1, 11 + 1]
    assert [values[0] for values in traces] == [
        at.trace_base * array.traces_per_word for at in placed.blocks[: len(made.network.layers)]
    ]


def test_items_of_graded_values() -> None:
    items = step_items(np.array([0, 5, 0, 1]), event_bits=3, last=True)
    assert items.tolist() == [
        pack_item(ItemKind.EVENT, row=1, shift=0),
        pack_item(ItemKind.EVENT, row=1, shift=2),
        pack_item(ItemKind.EVENT, row=3, shift=0),
        pack_item(ItemKind.STEP, row=1),
    ]


def test_items_of_a_sample() -> None:
    steps = sample_items(np.array([[1, 0], [0, 0]]), label=9, learn=True, event_bits=1)
    assert [len(items) for items in steps] == [3, 1]
    assert steps[0][0] == pack_item(ItemKind.BEGIN, row=9, shift=1)
    assert steps[0][2] == pack_item(ItemKind.STEP, row=0)
    assert steps[1][0] == pack_item(ItemKind.STEP, row=1)


def test_spikes_are_counted_and_must_be_of_a_neuron() -> None:
    made = image()
    events = np.array([3, 3, 10, 1 | 1 << EVENT_NEURON_BITS], np.uint32)
    hidden, readout = made.spikes(events)
    assert hidden.tolist() == [0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 1]
    assert readout.tolist() == [0, 1, 0]
    with pytest.raises(DeviceError, match="neuron 11 of layer 0, which has 11"):
        made.spikes(np.array([11], np.uint32))
    with pytest.raises(DeviceError, match="layer 2 of 2"):
        made.spikes(np.array([2 << EVENT_NEURON_BITS], np.uint32))

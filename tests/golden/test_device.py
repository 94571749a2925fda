# SPDX-License-Identifier: Apache-2.0
"""The device: checks, state, and the ways to call it that must agree."""

from __future__ import annotations

import numpy as np
import pytest

from trifactor.arch.array import ArrayConfig
from trifactor.arch.device import Device, DeviceState
from trifactor.arch.errors import ConfigurationError, DoesNotFitError
from trifactor.arch.network import Network
from trifactor.arch.registers import COUNTERS
from trifactor.arch.rules import network_for, rule_named
from trifactor.golden.device import BATCH, GoldenDevice
from trifactor.golden.initial import initial_state

ARRAY = ArrayConfig(lanes=8, weight_bits=12, synapse_bits=8)
NETWORK = network_for(rule_named("ottt-o"), (20, 16, 4), ARRAY)


def device(array: ArrayConfig = ARRAY, network: Network = NETWORK) -> GoldenDevice:
    return GoldenDevice(array, network, initial_state(network, array, 5))


def data(samples: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(samples)
    return rng.integers(0, 2, (samples, 5, 20)), rng.integers(0, 4, samples)


def test_is_a_device() -> None:
    made: Device = device()
    assert made.array is ARRAY
    assert made.network is NETWORK


def test_learn_sample_gives_the_weights_of_the_call() -> None:
    inputs, labels = data(12)
    one, two = device(), device()
    out, state, record = one(inputs, labels, learn=True)
    assert [two.learn_sample(x, int(y)) for x, y in zip(inputs, labels, strict=True)] == out.predicted.tolist()
    assert record.counters["weight_updates"] > 1000
    assert two.state.sample == state.sample == 12
    for a, b, start in zip(state.weights, two.state.weights, device().state.weights, strict=True):
        assert np.array_equal(a, b)
        assert not np.array_equal(a, start)


def test_one_call_or_many_and_save_or_not() -> None:
    inputs, labels = data(8)
    whole = device()
    _, state, record = whole(inputs, labels, learn=True, record=("signatures",))
    parts = device(ARRAY.model_copy(update={"signatures": True}))
    parts(inputs[:3], labels[:3], learn=True)
    parts(inputs[3:], labels[3:], learn=True)
    assert parts.counters == whole.counters == record.counters
    resumed = device()
    _, middle, _ = resumed(inputs[:3], labels[:3], learn=True)
    resumed = GoldenDevice(ARRAY, NETWORK, middle)
    _, end, _ = resumed(inputs[3:], labels[3:], learn=True)
    assert record.signatures is not None
    _, _, last = parts(inputs[:1], record=("signatures",))
    assert last.signatures is not None
    assert last.signatures[0, -1, 0] == record.signatures[-1, -1, 0], "no weight was written since"
    assert last.signatures[0, -1, 1] != record.signatures[-1, -1, 1]
    for one, two, three in zip(state.weights, parts.state.weights, end.weights, strict=True):
        assert np.array_equal(one, two)
        assert np.array_equal(one, three)


def test_batches_do_not_matter_and_nothing_moves_without_learning() -> None:
    inputs, _ = data(BATCH + 3)
    made = device()
    before = made.state
    out, after, record = made(inputs, record=("spikes", "membranes", "traces", "signatures"))
    assert all(np.array_equal(a, b) for a, b in zip(before.weights, after.weights, strict=True))
    assert out.readout.shape == (BATCH + 3, 4)
    assert [part.shape for part in record.spikes] == [(BATCH + 3, 5, 16), (BATCH + 3, 5, 4)]
    assert [part.shape for part in record.traces] == [(BATCH + 3, 5, 20), (BATCH + 3, 5, 16)]
    assert sum(int(part.sum()) for part in record.traces) == 0
    assert record.counters["spikes"] == int(record.spikes[0].sum()) > 100
    assert np.array_equal(record.membranes[-1][:, -1], out.readout)
    single = device()
    for index in range(BATCH, BATCH + 3):
        alone, _, _ = single(inputs[index])
        assert np.array_equal(alone.readout[0], out.readout[index])


def test_only_what_was_asked_for_is_recorded() -> None:
    _, _, record = device()(data(2)[0])
    assert record.spikes == record.membranes == record.traces == []
    assert record.signatures is None
    assert list(record.counters) == [name for name, _ in COUNTERS]


def test_load_starts_afresh() -> None:
    inputs, labels = data(4)
    made = device()
    start = made.state
    first, _, _ = made(inputs, labels, learn=True)
    made.load(start)
    assert not any(made.counters.values())
    second, _, _ = made(inputs, labels, learn=True)
    assert np.array_equal(first.readout, second.readout)


def test_sample_numbers_wrap() -> None:
    made = GoldenDevice(ARRAY, NETWORK, DeviceState(weights=made_weights(), seed=1, sample=0xFFFFFFFF))
    inputs, labels = data(2)
    _, state, _ = made(inputs, labels, learn=True, record=("signatures",))
    assert state.sample == 1


def made_weights() -> list[np.ndarray]:
    return initial_state(NETWORK, ARRAY, 1).weights


def test_weights_are_zero_by_default() -> None:
    assert all(not weights.any() for weights in GoldenDevice(ARRAY, NETWORK).state.weights)


def test_wrong_calls_are_refused() -> None:
    made = device()
    inputs, labels = data(3)
    with pytest.raises(ConfigurationError, match="shape"):
        made(inputs[..., :19])
    with pytest.raises(ConfigurationError, match="shape"):
        made(inputs[:, :0])
    with pytest.raises(ConfigurationError, match="0 to 1"):
        made(inputs * 2)
    with pytest.raises(ConfigurationError, match="0 to 1"):
        made(inputs - 1)
    with pytest.raises(ConfigurationError, match="not integers"):
        made(inputs / 2)
    with pytest.raises(ConfigurationError, match="needs labels"):
        made(inputs, learn=True)
    with pytest.raises(ConfigurationError, match="labels have shape"):
        made(inputs, labels[:2], learn=True)
    with pytest.raises(ConfigurationError, match="0 to 3"):
        made(inputs, labels + 4, learn=True)
    with pytest.raises(ConfigurationError, match="recorded") as caught:
        made(inputs, record=("spike",))
    assert "spikes" in caught.value.hint
    assert made.state.sample == 0
    assert not any(made.counters.values())


def test_a_step_with_more_events_than_a_list_holds_is_refused() -> None:
    array = ARRAY.model_copy(update={"sparse_inputs": True, "events": 16})
    inputs = np.zeros((3, 5, 20), np.int64)
    inputs[2, 3, :16] = 1
    device(array)(inputs)
    inputs[2, 3, 19] = 1
    with pytest.raises(ConfigurationError, match="step 3 of sample 2 has 17 events, the array has room for 16"):
        device(array)(inputs)


def test_a_graded_value_is_an_event_for_each_of_its_bits() -> None:
    array = ArrayConfig(lanes=8, event_bits=3, sparse_inputs=True, events=17, units=("bias",))
    network = network_for(rule_named("ottt-o"), (20, 16, 4), array, event_value_bits=3, bias=True)
    inputs = np.zeros((1, 1, 20), np.int64)
    inputs[..., :5] = 7
    device(array, network)(inputs)
    inputs[..., 5] = 3
    with pytest.raises(ConfigurationError, match="has 17 events, the array has room for 16"):
        device(array, network)(inputs)


def test_wrong_states_are_refused() -> None:
    good = made_weights()
    with pytest.raises(ConfigurationError, match="shapes"):
        GoldenDevice(ARRAY, NETWORK, DeviceState(weights=good[:1]))
    with pytest.raises(ConfigurationError, match=r"weights 1 of .* leave the range -2048 to 2047"):
        GoldenDevice(ARRAY, NETWORK, DeviceState(weights=[good[0], good[1] + 4096]))
    with pytest.raises(ConfigurationError, match="32-bit"):
        GoldenDevice(ARRAY, NETWORK, DeviceState(weights=good, seed=1 << 32))
    with pytest.raises(DoesNotFitError, match="weight_words"):
        GoldenDevice(ARRAY.model_copy(update={"weight_words": 8}), NETWORK)

# SPDX-License-Identifier: Apache-2.0
"""One suite for every device that answers the call of `arch/device.py`: golden model, simulation, virtual board."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from trifactor.arch.array import ArrayConfig
from trifactor.arch.content import content_hash
from trifactor.arch.device import DeviceState
from trifactor.arch.errors import ConfigurationError, DoesNotFitError
from trifactor.arch.link import LinkConfig
from trifactor.arch.network import Network
from trifactor.arch.placement import fitted
from trifactor.arch.registers import COUNTERS, CYCLE_COUNTERS
from trifactor.arch.rules import network_for, rule_named
from trifactor.cosim.device import RtlDevice
from trifactor.cosim.virtual_board import VirtualBoard
from trifactor.golden.device import GoldenDevice
from trifactor.golden.initial import initial_state
from trifactor.host.board import BoardDevice

SMALL = ArrayConfig(
    cores=2, lanes=4, weight_bits=12, event_bits=2, signatures=True,
    weight_words=1, groups=1, axons=1, events=1, layers=1, classes=4,
)  # fmt: skip
SIZES = (18, 20, 12, 4)
LINK = LinkConfig(divisor=4, items=256, results=32, events=32)


def network_on(array: ArrayConfig, sizes: tuple[int, ...] = SIZES) -> Network:
    return network_for(rule_named("ottt-o"), sizes, array, event_value_bits=2)


NETWORK = network_on(SMALL)
# Room for every bit of every graded value.
ARRAY = fitted(NETWORK, SMALL).model_copy(update={"events": 2 * SIZES[0]})
STATE = initial_state(NETWORK, ARRAY, 7)
STATE.sample = 40


def data(samples: int, seed: int = 1) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 4, (samples, 4, SIZES[0]))
    return np.where(rng.random(values.shape) < 0.4, values, 0), rng.integers(0, SIZES[-1], samples)


def golden(network: Network = NETWORK, state: DeviceState | None = STATE) -> GoldenDevice:
    return GoldenDevice(ARRAY, network, state)


@pytest.fixture(
    params=[
        "golden",
        "board",
        *(
            pytest.param((sim, stall), id=f"{sim}-{stall}")
            for sim, stall in (("verilator", 0), ("icarus", 0), ("icarus", 3))
        ),
    ],
    scope="module",
)
def shared(request: pytest.FixtureRequest, need_simulator: Callable[[str], None]) -> Iterator[Any]:
    """A device of each kind, made once; tests load what they need."""
    if request.param == "golden":
        yield golden()
        return
    if request.param == "board":
        need_simulator("verilator")
        with VirtualBoard(ARRAY, LINK) as board, BoardDevice(ARRAY, NETWORK, STATE, port=board.url, link=LINK) as made:
            yield made
        return
    sim, stall = request.param
    need_simulator(sim)
    with RtlDevice(ARRAY, NETWORK, STATE, sim=sim, stall=stall) as made:
        yield made


@pytest.fixture
def device(shared: Any) -> Any:
    shared.load(STATE)
    return shared


def same(one: list[Any], two: list[Any]) -> bool:
    return len(one) == len(two) and all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


def test_starts_from_its_state(device: Any) -> None:
    assert device.array == ARRAY
    assert device.network == NETWORK
    state = device.state
    assert (state.seed, state.sample) == (7, 40)
    assert same(state.weights, STATE.weights)


def test_says_what_it_was_loaded_with_whatever_it_learns(device: Any) -> None:
    wanted = content_hash(ARRAY, NETWORK, STATE)
    assert device.content() == wanted[:16]
    inputs, labels = data(1)
    device(inputs, labels, learn=True)
    assert device.content() == wanted[:16]
    learned = device.state
    device.load(learned)
    assert device.content() == content_hash(ARRAY, NETWORK, learned)[:16] != wanted[:16]


def test_everything_is_recorded_alike(device: Any) -> None:
    inputs, labels = data(3)
    record = ("spikes", "membranes", "traces", "signatures")
    out, state, kept = device(inputs, labels, learn=True, record=record)
    expected_out, expected_state, expected = golden()(inputs, labels, learn=True, record=record)
    assert np.array_equal(out.readout, expected_out.readout)
    assert np.array_equal(out.predicted, expected_out.predicted)
    assert (state.seed, state.sample) == (7, 43)
    assert same(state.weights, expected_state.weights)
    for name in ("spikes", "membranes", "traces"):
        assert same(getattr(kept, name), getattr(expected, name)), name
    assert [layer.shape for layer in kept.membranes] == [(3, 4, size) for size in SIZES[1:]]
    assert [layer.shape for layer in kept.traces] == [(3, 4, size) for size in SIZES[:-1]]
    assert np.array_equal(kept.signatures, expected.signatures)
    for name, _ in COUNTERS:
        assert kept.counters[name] == expected.counters[name], name
    assert expected.counters["spikes"] > 50
    assert expected.counters["weight_updates"] > 1000


def test_a_call_without_learning_moves_nothing(device: Any) -> None:
    inputs, labels = data(4)
    out, state, kept = device(inputs, record=("traces",))
    expected, _, _ = golden()(inputs)
    assert np.array_equal(out.readout, expected.readout)
    assert same(state.weights, STATE.weights)
    assert state.sample == 44
    assert not any(layer.any() for layer in kept.traces)
    assert kept.counters["weight_updates"] == kept.counters["gather_words"] == 0
    assert kept.counters["spikes"] > 0
    device(inputs, labels)


def test_one_call_or_many(device: Any) -> None:
    inputs, labels = data(6)
    out, whole, _ = device(inputs, labels, learn=True)
    device.load(STATE)
    parts = [device(x, [y], learn=True) for x, y in zip(inputs, labels, strict=True)]
    assert np.array_equal(out.readout, np.concatenate([part[0].readout for part in parts]))
    assert same(whole.weights, parts[-1][1].weights)
    assert not same(whole.weights, STATE.weights)


def test_signatures_and_counters_start_over_when_loaded(device: Any) -> None:
    inputs, labels = data(2)
    one = device(inputs, labels, learn=True, record=("signatures",))[2]
    two = device(inputs, labels, learn=True, record=("signatures",))[2]
    assert not np.array_equal(one.signatures, two.signatures)
    device.load(STATE)
    three = device(inputs, labels, learn=True, record=("signatures",))[2]
    assert np.array_equal(one.signatures, three.signatures)
    assert {name: three.counters[name] for name, _ in COUNTERS} == {name: one.counters[name] for name, _ in COUNTERS}


def test_the_next_sample_number_wraps(device: Any) -> None:
    last = DeviceState(weights=STATE.weights, seed=3, sample=(1 << 32) - 1)
    device.load(last)
    inputs, labels = data(2)
    _, state, _ = device(inputs, labels, learn=True)
    expected = golden(state=last)(inputs, labels, learn=True)[1]
    assert state.sample == expected.sample == 1
    assert same(state.weights, expected.weights)


@pytest.mark.parametrize(
    ("inputs", "labels", "learn", "record", "message"),
    [
        (np.zeros((1, 2, 5), int), [0], True, (), "inputs have shape"),
        (np.zeros((1, 0, 18), int), [0], True, (), "inputs have shape"),
        (np.full((1, 2, 18), 4), [0], True, (), "leave the range 0 to 3"),
        (np.zeros((1, 2, 18)), [0], True, (), "not integers"),
        (np.zeros((1, 2, 18), int), None, True, (), "learning needs labels"),
        (np.zeros((1, 2, 18), int), [4], True, (), "leave the range 0 to 3"),
        (np.zeros((1, 2, 18), int), [0, 1], True, (), "labels have shape"),
        (np.zeros((1, 2, 18), int), [0], False, ("spices",), "cannot be recorded"),
    ],
)
def test_wrong_calls_are_refused(
    device: Any, inputs: Any, labels: Any, learn: bool, record: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        device(inputs, labels, learn=learn, record=record)
    assert device.state.sample == 40


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state.weights.pop(),
        lambda state: state.weights.__setitem__(0, np.zeros((18, 19), int)),
        lambda state: state.weights.__setitem__(0, np.full((18, 20), 2048)),
        lambda state: setattr(state, "seed", -1),
        lambda state: setattr(state, "sample", 1 << 32),
    ],
)
def test_wrong_states_are_refused(device: Any, change: Callable[[DeviceState], object]) -> None:
    state = DeviceState(weights=[weights.copy() for weights in STATE.weights])
    change(state)
    with pytest.raises(ConfigurationError):
        device.load(state)
    assert same(device.state.weights, STATE.weights)


def test_a_network_that_does_not_fit_is_refused_before_anything_is_built() -> None:
    large = network_on(ARRAY, (19, 20, 12, 4))
    for make in (GoldenDevice, RtlDevice):
        with pytest.raises(DoesNotFitError, match="does not fit the array"):
            make(ARRAY, large)


def test_the_hardware_counts_its_cycles(device: Any) -> None:
    if isinstance(device, GoldenDevice):
        pytest.skip("the golden model has no cycles")
    inputs, labels = data(2)
    counters = device(inputs, labels, learn=True)[2].counters
    assert set(counters) == {name for name, _ in (*COUNTERS, *CYCLE_COUNTERS)}
    phases = [name for name, _ in CYCLE_COUNTERS if name != "cycles"]
    assert all(counters[name] > 0 for name in phases)
    busy = sum(counters[name] for name in ("scatter_words", "fire_groups", "gather_words", "update_words"))
    assert busy < counters["cycles"]

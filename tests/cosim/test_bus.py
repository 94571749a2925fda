# SPDX-License-Identifier: Apache-2.0
"""An array on AXI4-Lite and on Wishbone: it learns as the golden model, and every access is answered."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

pytest.importorskip("cocotbext.axi")

from trifactor.arch.array import ArrayConfig
from trifactor.arch.bus import BUS_REGISTERS, BusRegister, Reply, bus_address, window_bits, windows
from trifactor.arch.errors import DeviceError
from trifactor.arch.link import Depths
from trifactor.arch.network import Network
from trifactor.arch.packets import EVENTS_SPACE, LINK_SPACE, RESULTS_SPACE
from trifactor.arch.placement import fitted
from trifactor.arch.registers import BY_NAME, IDENTITY, MAP_VERSION, REGISTERS, Space, weight_chunks
from trifactor.arch.rules import network_for, rule_named
from trifactor.cosim.bus_session import build_bus, bus_session
from trifactor.cosim.driven import DrivenDevice
from trifactor.cosim.image import sample_items
from trifactor.cosim.session import Session
from trifactor.cosim.simulators import Simulator
from trifactor.golden.device import GoldenDevice
from trifactor.golden.initial import initial_state
from trifactor.rtl.peripheral import Bus

BARE = ArrayConfig(lanes=2, weight_words=1, groups=1, axons=1, events=1, layers=1, classes=2)
NETWORK = network_for(rule_named("ottt-o"), (4, 3, 2), BARE)
ARRAY = fitted(NETWORK, BARE)
DEPTHS = Depths(items=64, results=32, events=32)
BITS = window_bits(ARRAY, DEPTHS)
STATE = initial_state(NETWORK, ARRAY, 1)
BUSES: tuple[Bus, ...] = ("axi-lite", "wishbone")
OKAY, SLVERR, DECERR = Reply.OKAY, Reply.SLVERR, Reply.DECERR


def at(space: int, offset: int) -> int:
    return bus_address(space, offset, BITS)


def own(register: BusRegister) -> int:
    return at(LINK_SPACE, register)


def samples(count: int, seed: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 2, (count, 4, 4)), rng.integers(0, 2, count)


def as_said(bus: Bus, reply: Reply) -> Reply:
    """Wishbone has one kind of error."""
    return reply if bus == "axi-lite" or reply == OKAY else SLVERR


def started(sim: Simulator, bus: Bus, stall_seed: int = 0) -> Session:
    return bus_session(build_bus(ARRAY, DEPTHS, bus, sim=sim), ARRAY, DEPTHS, bus, stall_seed=stall_seed)


def learns(session: Session, seed: int, count: int = 6, network: Network = NETWORK, array: ArrayConfig = ARRAY) -> None:
    """A learning run on the simulated peripheral is that of the golden model."""
    rng = np.random.default_rng(seed)
    inputs = rng.integers(0, 2, (count, 4, network.inputs))
    labels = rng.integers(0, network.outputs, count)
    state = initial_state(network, array, 1)
    expected, after, wanted = GoldenDevice(array, network, state)(inputs, labels, learn=True, record=("spikes",))
    assert wanted.counters["weight_updates"] > 30 * count
    with DrivenDevice(session, array, network, state) as device:
        outputs, learned, record = device(inputs, labels, learn=True, record=("spikes",))
        assert np.array_equal(outputs.readout, expected.readout)
        for got, want in zip(learned.weights, after.weights, strict=True):
            assert np.array_equal(got, want)
            assert want.any()
        for got, want in zip(record.spikes, wanted.spikes, strict=True):
            assert np.array_equal(got, want)
        assert {name: record.counters[name] for name in wanted.counters} == wanted.counters
    assert any(not np.array_equal(got, was) for got, was in zip(after.weights, state.weights, strict=True))


@pytest.mark.parametrize("bus", BUSES)
@pytest.mark.parametrize(
    ("sim", "stall"), [("icarus", 5), pytest.param("verilator", 3, marks=pytest.mark.slow), ("icarus", 0)]
)
def test_it_learns_as_the_golden_model(sim: Simulator, bus: Bus, stall: int) -> None:
    learns(started(sim, bus, stall_seed=stall), seed=stall)


@pytest.mark.slow
@pytest.mark.parametrize("sim", ["icarus"])
def test_words_wider_than_the_bus_and_several_cores(sim: Simulator) -> None:
    """Weight words of three chunks, of which the map has four: `shadow` on two cores."""
    bare = BARE.model_copy(update={"cores": 2, "lanes": 4})
    network = network_for(rule_named("ottt-a"), (6, 11, 3), bare)
    array = fitted(network, bare)
    assert weight_chunks(array) == 3
    build = build_bus(array, DEPTHS, "axi-lite", sim=sim)
    learns(bus_session(build, array, DEPTHS, "axi-lite", stall_seed=4), 4, 4, network, array)


@pytest.mark.parametrize("bus", BUSES)
@pytest.mark.parametrize("sim", ["icarus"])
def test_what_cannot_be_is_refused_and_changes_nothing(sim: Simulator, bus: Bus) -> None:
    seed = at(Space.REGISTERS, BY_NAME["seed"].offset)
    end = at(Space.REGISTERS, len(REGISTERS))
    accesses: list[tuple[str, int, int, Reply]] = [
        ("write", seed, 0xDEADBEEF, OKAY),
        ("2", seed, 0, SLVERR),
        ("write", at(Space.REGISTERS, BY_NAME["identity"].offset), 1, SLVERR),
        ("read", at(Space.REGISTERS, BY_NAME["command"].offset), 0, OKAY),
        ("read", end, 0, DECERR),
        ("write", end, 1, DECERR),
        ("read", at(Space.THRESHOLDS, 0), 0, DECERR),
        ("write", at(Space.POST_TRACES, 0), 0, DECERR),
        *(("read", at(space, 0), 0, DECERR) for space in (9, 10, 11, 12)),
        ("write", at(Space.FACTORS, 0), 0, SLVERR),
        ("write", at(RESULTS_SPACE, 0), 0, SLVERR),
        ("write", at(EVENTS_SPACE, 0), 0, SLVERR),
        ("read", at(RESULTS_SPACE, DEPTHS.results), 0, DECERR),
        ("write", own(BusRegister.ROOM), 0, SLVERR),
        ("read", own(BusRegister.ITEM), 0, OKAY),
        ("1", own(BusRegister.ITEM), 0, SLVERR),
        ("write", own(BusRegister.RESULTS_TAIL), 0, OKAY),
        ("write", at(Space.MEMBRANES, 0), 7, OKAY),
        ("read", seed, 0, OKAY),
        ("read", at(Space.MEMBRANES, 0), 0, OKAY),
        ("read", own(BusRegister.ROOM), 0, OKAY),
        ("read", own(BusRegister.FLAGS), 0, OKAY),
        ("write", own(BusRegister.CONTROL), 1, OKAY),
        ("read", own(BusRegister.FLAGS), 0, OKAY),
    ]
    with started(sim, bus) as session:
        answers = session.call("replies", accesses=[access[:3] for access in accesses])
        assert [reply for _, reply in answers] == [as_said(bus, access[3]) for access in accesses]
        words = [word for word, _ in answers]
        assert words[3] == 0
        assert words[-6:] == [0xDEADBEEF, 7, DEPTHS.items - 1, 0b11, 0, 0b01]


@pytest.mark.slow
@pytest.mark.parametrize("bus", BUSES)
@pytest.mark.parametrize("sim", ["icarus"])
def test_full_rings_stop_the_array_but_never_the_bus(sim: Simulator, bus: Bus) -> None:
    """Until the host takes what is in the rings: then nothing is missing, and nothing was learned twice."""
    inputs, labels = samples(40, 9)
    expected, after, _ = GoldenDevice(ARRAY, NETWORK, STATE)(inputs, labels, learn=True)
    items = [
        int(word)
        for sample, label in zip(inputs, labels, strict=True)
        for step in sample_items(sample, label=int(label), learn=True, event_bits=1)
        for word in step
    ]
    results: list[int] = []
    blocked = 0
    with started(sim, bus) as session:
        session.call("configure", network=NETWORK)
        session.call("load", weights=STATE.weights, seed=STATE.seed, sample=0)

        def say(*accesses: tuple[str, int, int]) -> list[tuple[int, int]]:
            answers: list[tuple[int, int]] = session.call("replies", accesses=accesses)
            return answers

        def take(most: int) -> int:
            (head, _), (flags, _) = say(("read", own(BusRegister.RESULTS_HEAD), 0), ("read", own(BusRegister.FLAGS), 0))
            places = [number % DEPTHS.results for number in range(len(results), min(head, len(results) + most))]
            found = say(*(("read", at(RESULTS_SPACE, place), 0) for place in places))
            results.extend(word for word, _ in found)
            say(("write", own(BusRegister.RESULTS_TAIL), len(results)))
            return flags & 1

        for item in items:
            while say(("write", own(BusRegister.ITEM), item)) == [(0, SLVERR)]:
                if not any(room for room, _ in say(*[("read", own(BusRegister.ROOM), 0)] * 200)):
                    blocked += 1
                    answers = say(
                        ("read", own(BusRegister.RESULTS_HEAD), 0),
                        ("read", own(BusRegister.ROOM), 0),
                        ("read", own(BusRegister.FLAGS), 0),
                        ("read", at(Space.REGISTERS, BY_NAME["status"].offset), 0),
                        ("read", at(Space.WEIGHTS, 0), 0),
                        ("write", at(Space.WEIGHTS, 0), 5),
                        ("write", at(Space.REGISTERS, BY_NAME["command"].offset), 1),
                        ("read", at(Space.REGISTERS, BY_NAME["steps"].offset), 0),
                    )
                    assert [reply for _, reply in answers] == [OKAY] * 4 + [SLVERR] * 3 + [OKAY]
                    # A ring is full when all places but one are, or all: the array's last word may come late.
                    assert len(results) + DEPTHS.results - answers[0][0] in (0, 1)
                    assert [word for word, _ in answers[1:4]] == [0, 2, 1]
                    take(7)
        while not take(7):
            pass
        take(DEPTHS.results)
        assert blocked > 3
        values = np.array(results, np.uint32).astype(np.uint16).astype(np.int16).reshape(-1, 2)
        assert np.array_equal(values, expected.readout)
        assert [word >> 16 for word in results[:4]] == [0, 0x8001] * 2
        for got, want in zip(session.call("read_weights"), after.weights, strict=True):
            assert np.array_equal(got, want)


@pytest.mark.parametrize("bus", ["wishbone", pytest.param("axi-lite", marks=pytest.mark.slow)])
@pytest.mark.parametrize("sim", ["icarus"])
def test_whatever_is_asked_is_answered(sim: Simulator, bus: Bus) -> None:
    """Random accesses, sensible and not, then a reset: the array learns as if nothing had been."""
    rng = random.Random(3)
    extents = {window.space: window.words for window in windows(ARRAY, DEPTHS)}
    read_only = {Space.FACTORS, RESULTS_SPACE, EVENTS_SPACE}
    fixed = {Space.REGISTERS: {item.offset for item in REGISTERS if item.access == "ro"}}
    fixed[LINK_SPACE] = {offset for offset in range(16) if offset not in BUS_REGISTERS}
    fixed[LINK_SPACE] |= {register for register, (access, _, _) in BUS_REGISTERS.items() if access == "ro"}
    unsure = {own(BusRegister.ITEM), own(BusRegister.CONTROL), at(Space.REGISTERS, BY_NAME["command"].offset)}
    accesses, expected = [], []
    for _ in range(1500):
        space = rng.choice([*range(16), Space.REGISTERS, LINK_SPACE, LINK_SPACE])
        offset = min(rng.randrange(rng.choice((8, 1 << BITS - 2))), (1 << BITS - 2) - 1)
        kind = rng.choice(("read", "read", "write", "write", "3"))
        there = offset < extents.get(space, 0)
        if there and space in (RESULTS_SPACE, EVENTS_SPACE):
            kind = "write"  # what no word has come to is unknown
        writable = space not in read_only and offset not in fixed.get(space, ())
        refused = kind != "read" and (kind != "write" or not writable)
        accesses.append((kind, at(space, offset), rng.getrandbits(rng.choice((2, 32)))))
        expected.append(DECERR if not there else SLVERR if refused else OKAY)
    kinds = {reply: expected.count(reply) for reply in (OKAY, SLVERR, DECERR)}
    assert min(kinds.values()) > 100
    with started(sim, bus, stall_seed=11) as session:
        answers = session.call("replies", accesses=accesses)
        assert len(answers) == len(accesses)
        asleep = True
        for access, (_, reply), wanted in zip(accesses, answers, expected, strict=True):
            # An item may begin something: from then on memories may be refused, and items may have no room.
            asleep = asleep and not (access[1] in unsure and access[0] == "write")
            if asleep or wanted != OKAY:
                assert reply == as_said(bus, wanted), access
            else:
                assert reply in (OKAY, SLVERR), access
        session.call("reset")
        learns(session, seed=4, count=3)


@pytest.mark.parametrize("bus", BUSES)
@pytest.mark.parametrize("sim", ["icarus"])
def test_a_reset_at_work_leaves_nothing_behind(sim: Simulator, bus: Bus) -> None:
    inputs, labels = samples(1, 2)
    with started(sim, bus, stall_seed=2) as session:
        session.call("configure", network=NETWORK)
        session.call("load", weights=STATE.weights, seed=STATE.seed, sample=0)
        session.call("begin", sample=inputs[0], label=int(labels[0]), learn=True)
        session.call("reset")
        assert not any(layer.any() for layer in session.call("read_traces"))
        learns(session, seed=2, count=2)


@pytest.mark.parametrize("sim", ["icarus"])
def test_many_accesses_are_under_way_at_once(sim: Simulator) -> None:
    """AXI4-Lite has channels for reads and for writes: each answer belongs to its access, none is lost."""
    names = ("identity", "version", "shape")
    reads = [at(Space.REGISTERS, BY_NAME[names[index % 3]].offset) for index in range(60)]
    state = [(at(Space.MEMBRANES, index % 4), 100 + index) for index in range(60)]
    with started(sim, "axi-lite", stall_seed=8) as session:
        words = session.call("together", reads=reads, writes=state)
        assert words[:2] == [IDENTITY, MAP_VERSION]
        assert words == words[:3] * 20
        answers = session.call("replies", accesses=[("read", address, 0) for address, _ in state[-4:]])
        assert [word for word, _ in answers] == [156, 157, 158, 159]


@pytest.mark.parametrize("sim", ["icarus"])
def test_another_export_is_noticed(sim: Simulator) -> None:
    build = build_bus(ARRAY, DEPTHS, "axi-lite", sim=sim)
    said = r"the bus has build [0-9a-f]{16}, version 1, not [0-9a-f]{16}, version 1"
    for array, depths in (
        (ARRAY, DEPTHS.model_copy(update={"items": 128})),
        (ARRAY.model_copy(update={"weight_bits": 12}), DEPTHS),
    ):
        with pytest.raises(DeviceError, match=said):
            bus_session(build, array, depths, "axi-lite")

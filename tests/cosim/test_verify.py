# SPDX-License-Identifier: Apache-2.0
"""Golden model against hardware, and hardware with a fault against the golden model."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Const

from trifactor.arch.array import UNITS, ArrayConfig
from trifactor.arch.device import DeviceState
from trifactor.arch.errors import ConfigurationError, MismatchError
from trifactor.arch.network import Layer, Network
from trifactor.arch.noise import MIX_STEPS
from trifactor.arch.placement import fitted
from trifactor.arch.readout import EXP2, LOG2
from trifactor.arch.rules import RULES, Rule, network_for, rule_named
from trifactor.cosim.device import RtlDevice
from trifactor.cosim.random_configurations import NETWORKS_PER_ARRAY
from trifactor.cosim.simulators import Simulator
from trifactor.cosim.verify import VerifyResult, verify_random, verify_samples
from trifactor.golden.device import GoldenDevice
from trifactor.golden.initial import initial_state

SIZES = (24, 20, 18, 5)
BARE = ArrayConfig(lanes=4, weight_words=1, groups=2, axons=1, events=1, layers=1, classes=5, signatures=True)


def small(rule: Rule = RULES["ottt-o"], **changes: object) -> tuple[ArrayConfig, Network, DeviceState]:
    array = BARE.model_copy(update=changes)
    network = network_for(rule, SIZES, array)
    return fitted(network, array), network, initial_state(network, array, 9)


def samples(count: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(count)
    return (rng.random((count, 5, SIZES[0])) < 0.4).astype(np.int64), rng.integers(0, SIZES[-1], count)


@pytest.mark.slow
@pytest.mark.parametrize("sim", ["icarus", "verilator"])
def test_random_configurations_agree(sim: Simulator) -> None:
    seen: list[int] = []
    result = verify_random(sim, 2, 19, lambda result: seen.append(result.configurations), first=NETWORKS_PER_ARRAY - 1)
    assert result.first_mismatch is None
    assert seen == [1, 2]
    assert result.samples == 2 * 27
    assert result.compared > 10_000
    assert result.counters["spikes"] > 100
    assert result.counters["weight_updates"] > 1000
    result.require_activity()


@pytest.mark.slow
@pytest.mark.parametrize("name", RULES)
def test_every_rule_agrees(name: str) -> None:
    # Three hidden layers, recurrent, with biases, at work by every rule, by that of a narrow surrogate too.
    result = verify_random("icarus", 1, 8, rule=rule_named(name), first=14)
    assert result.first_mismatch is None, result.first_mismatch
    assert (result.configurations, result.samples) == (1, 27)
    assert result.compared > 20_000
    assert result.counters["spikes"] > 100
    assert result.counters["gather_rows"] > 100
    assert result.counters["update_rows"] > 100
    assert result.counters["weight_updates"] > 1000
    result.require_activity()


def test_a_local_readout_beyond_the_membrane_s_format_agrees() -> None:
    """Its error on the current is that of what the array's neurons hold: with `cuba` a current that saturates."""
    layers = (
        Layer(inputs=8, outputs=8, signal="local", threshold=20, signal_shift=6),
        Layer(inputs=8, outputs=3, spiking=False, threshold=20),
    )
    network = Network(layers=layers, surrogate=(15,) * 16)
    rng = np.random.default_rng(1)
    state = DeviceState(
        weights=[
            rng.integers(-20, 100, (8, 8)),
            rng.integers(-20, 20, (8, 3)),
            rng.integers(-100, 100, (8, 3)),
        ],
        seed=3,
    )
    inputs, labels = rng.integers(0, 2, (4, 4, 8)), rng.integers(0, 3, 4)
    array = BARE.model_copy(update={"weight_bits": 8, "membrane_bits": 8, "classes": 3, "units": ("cuba",)})
    result = verify_samples("icarus", fitted(network, array), network, state, inputs, labels)
    assert result.first_mismatch is None, result.first_mismatch
    assert result.counters["membrane_saturations"] > 20
    result.require_activity()


@pytest.mark.slow
def test_units_that_are_there_and_not_used_change_nothing() -> None:
    array, network, state = small()
    inputs, labels = samples(6)
    everything = ("signatures", "spikes", "membranes", "traces")
    outputs, after, record = GoldenDevice(array, network, state)(inputs, labels, learn=True, record=everything)
    full = array.model_copy(update={"units": tuple(UNITS)})
    with RtlDevice(full, network, state, sim="icarus") as device:
        seen, moved, other = device(inputs, labels, learn=True, record=everything)
    assert np.array_equal(outputs.readout, seen.readout)
    assert all(np.array_equal(a, b) for a, b in zip(after.weights, moved.weights, strict=True))
    for name in everything[1:]:
        pairs = zip(getattr(record, name), getattr(other, name), strict=True)
        assert all(np.array_equal(a, b) for a, b in pairs), name
    assert np.array_equal(record.signatures, other.signatures)
    assert {name: other.counters[name] for name in record.counters} == record.counters
    assert record.counters["spikes"] > 100
    assert record.counters["weight_updates"] > 1000


@pytest.mark.slow
@pytest.mark.parametrize("products", ["shift", "exact"])
def test_what_saves_logic_changes_clocks_and_nothing_else(products: str) -> None:
    array, network, state = small(products=products)
    inputs, labels = samples(6)
    cycles = []
    for lean in (
        {},
        {"weight_memory": "single"},
        {"noise_latency": 2},
        {"weight_memory": "single", "noise_latency": 2, "serial_products": "multipliers"},
        {"pipeline": "short"},
        {"event_readers": "turns"},
        {"errors": (network.error,), "probes": False},
    ):
        result = verify_samples("icarus", array.model_copy(update=lean), network, state, inputs, labels)
        assert result.first_mismatch is None, (lean, result.first_mismatch)
        result.require_activity()
        cycles.append(result.cycles)
    usual, single, short, both, few, turns, blind = cycles
    assert short < usual < single
    assert both < single
    assert few < usual < turns
    assert blind == usual
    # At most the UPDATE takes twice as long.
    assert single < 2 * usual


@pytest.mark.slow
def test_without_probes_results_and_weights_come_out_alone() -> None:
    array, network, state = small(probes=False)
    inputs, labels = samples(2)
    with RtlDevice(array, network, state, sim="icarus") as device:
        with pytest.raises(ConfigurationError, match="this array shows no spikes"):
            device(inputs, labels, record=("spikes",))
        with pytest.raises(ConfigurationError, match="this array shows no membranes"):
            device.peek("membranes", front=True)
        with pytest.raises(ConfigurationError, match="this array shows no traces"):
            device.peek("traces", front=True)
        assert all(np.array_equal(a, b) for a, b in zip(state.weights, device.peek("weights", front=True), strict=True))


@pytest.mark.slow
def test_without_counters_all_else_agrees() -> None:
    array, network, state = small(counters=False)
    inputs, labels = samples(4)
    result = verify_samples("icarus", array, network, state, inputs, labels)
    assert result.first_mismatch is None
    result.require_activity()
    with RtlDevice(array, network, state, sim="icarus") as device:
        *_, record = device(inputs, labels, learn=True)
    assert record.counters == {}


@pytest.mark.slow
def test_two_hundred_random_configurations_agree() -> None:
    result = verify_random("verilator", 200, 1)
    assert result.first_mismatch is None
    assert result.configurations == 200
    assert result.compared >= 10**7
    result.require_activity()


@pytest.mark.parametrize("sim", ["icarus"])
@pytest.mark.parametrize("stall", [0, pytest.param(5, marks=pytest.mark.slow)])
def test_samples_agree_and_utilisation_is_reported(sim: Simulator, stall: int) -> None:
    array, network, state = small()
    inputs, labels = samples(6)
    result = verify_samples(sim, array, network, state, inputs, labels, stall=stall)
    assert result.first_mismatch is None
    assert result.samples == 6
    assert result.compared > 6 * (24 * 20 + 20 * 18 + 18 * 5)
    assert 0.02 < result.utilisation < 1.0
    result.require_activity()


def test_a_run_without_events_is_no_proof() -> None:
    with pytest.raises(MismatchError, match="no spikes and no weight_updates and no gather_rows"):
        VerifyResult(seed=1, compared=100).require_activity()


FAULTS = {
    "one bit of the hash's last constant": (
        "noise.MIX_STEPS",
        (*MIX_STEPS[:-1], (MIX_STEPS[-1][0] ^ 1, *MIX_STEPS[-1][1:])),
    ),
    "one of the exponentials": ("readout.EXP2", (*EXP2[:16], EXP2[16] - 16, *EXP2[17:])),
    "the logarithms": ("readout.LOG2", tuple(value + 1 for value in LOG2)),
}


UNIT_FAULTS: dict[str, tuple[str, object, dict[str, Any]]] = {
    "H's noise turned by a bit less": ("learning.POST_ROTATION", 12, {"rule": rule_named("s-tllr")}),
    "a sign that counts half": (
        "core.UNIT",
        64,
        {"rule": replace(rule_named("s-tllr-sdfa"), post_gain=0.0), "products": "exact"},
    ),
    "kappa's place": ("neuron.leading_one", lambda value: (Const(0), value), {"rule": rule_named("temporal-sbp-hard")}),
    "rows without a trace that move when a sample ends": (
        "rows.REACH_MIN",
        0,
        {"rule": replace(rule_named("sltt"), apply="sample")},
    ),
}
"""Faults of the units, each with what the network must use for it to show."""


def test_an_error_on_a_membrane_that_outgrew_a_step_s_current_agrees() -> None:
    layers = (Layer(inputs=6, outputs=3, spiking=False, decay=256, trace_decay=0, rate_shift=8),)
    network = Network(layers=layers, surrogate=(0,) * 16, error_on="membrane", error_shift=3)
    array = fitted(network, BARE.model_copy(update={"weight_bits": 8, "membrane_bits": 16, "classes": 3}))
    assert array.current.bits < 13
    state = DeviceState(weights=[np.array([[120, -120, 60]] * 6)])
    inputs, labels = np.ones((3, 12, 6), np.int64), np.array([0, 1, 2])
    outputs, _, record = GoldenDevice(array, network, state)(inputs, labels, learn=True)
    assert np.abs(outputs.readout).max() > 1 << (array.current.bits - 1)
    assert record.counters["weight_updates"] > 100
    result = verify_samples("icarus", array, network, state, inputs, labels)
    assert result.first_mismatch is None, result.first_mismatch


@pytest.mark.slow
@pytest.mark.parametrize("fault", UNIT_FAULTS)
def test_a_small_fault_of_a_unit_is_noticed(monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    where, wrong, settings = UNIT_FAULTS[fault]
    array, network, state = small(**settings)
    inputs, labels = samples(6)
    result = verify_samples("icarus", array, network, state, inputs, labels)
    assert result.first_mismatch is None
    result.require_activity()
    monkeypatch.setattr(f"trifactor.rtl.{where}", wrong)
    result = verify_samples("icarus", array, network, state, inputs, labels)
    assert not result.ok
    assert result.first_mismatch is not None
    assert result.first_mismatch.sample is not None


@pytest.mark.parametrize("sim", ["icarus"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_small_fault_of_the_hardware_is_noticed(monkeypatch: pytest.MonkeyPatch, sim: Simulator, fault: str) -> None:
    array, network, state = small(products="exact")
    inputs, labels = samples(8)
    where, wrong = FAULTS[fault]
    monkeypatch.setattr(f"trifactor.rtl.{where}", wrong)
    result = verify_samples(sim, array, network, state, inputs, labels)
    assert not result.ok
    assert result.first_mismatch is not None
    assert result.first_mismatch.sample is not None


@pytest.mark.slow
@pytest.mark.parametrize("sim", ["icarus"])
def test_weights_do_not_depend_on_lanes_or_cores(sim: Simulator) -> None:
    """The same network, samples and seed: the same weights, signatures and spikes from 1 to 64 lanes."""
    inputs, labels = samples(3)
    found = {}
    for cores, lanes in ((1, 1), (1, 4), (1, 16), (2, 4), (4, 4)):
        array, network, state = small(cores=cores, lanes=lanes)
        with RtlDevice(array, network, state, sim=sim, stall=lanes) as device:
            outputs, after, record = device(inputs, labels, learn=True, record=("signatures", "spikes"))
        assert record.counters["weight_updates"] > 1000
        assert not np.array_equal(after.weights[0], state.weights[0])
        assert record.signatures is not None
        found[cores, lanes] = (outputs.readout, *after.weights, *record.spikes, record.signatures)
    for one, two in itertools.combinations(found, 2):
        assert all(np.array_equal(a, b) for a, b in zip(found[one], found[two], strict=True)), (one, two)

# SPDX-License-Identifier: Apache-2.0
"""Golden model against hardware, and hardware with a fault against the golden model."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from trifactor.arch.array import ArrayConfig
from trifactor.arch.device import DeviceState
from trifactor.arch.errors import MismatchError
from trifactor.arch.network import Network
from trifactor.arch.noise import MIX_STEPS
from trifactor.arch.placement import fitted
from trifactor.arch.readout import EXP2, LOG2
from trifactor.arch.rules import RULES, network_for, rule_named
from trifactor.cosim.device import RtlDevice
from trifactor.cosim.random_configurations import NETWORKS_PER_ARRAY
from trifactor.cosim.simulators import Simulator
from trifactor.cosim.verify import VerifyResult, verify_random, verify_samples
from trifactor.golden.initial import initial_state

SIZES = (24, 20, 18, 5)
BARE = ArrayConfig(lanes=4, weight_words=1, groups=2, axons=1, events=1, layers=1, classes=5, signatures=True)


def small(**changes: object) -> tuple[ArrayConfig, Network, DeviceState]:
    array = BARE.model_copy(update=changes)
    network = network_for(rule_named("ottt"), SIZES, array)
    return fitted(network, array), network, initial_state(network, array, 9)


def samples(count: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(count)
    return (rng.random((count, 5, SIZES[0])) < 0.4).astype(np.int64), rng.integers(0, SIZES[-1], count)


@pytest.mark.parametrize("sim", [pytest.param("icarus", marks=pytest.mark.slow), "verilator"])
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
    result = verify_random("icarus", 1, 8, rule=rule_named(name))
    assert result.first_mismatch is None
    assert result.counters["weight_updates"] > 100
    assert result.counters["spikes"] > 30


@pytest.mark.slow
def test_two_hundred_random_configurations_agree() -> None:
    result = verify_random("verilator", 200, 1)
    assert result.first_mismatch is None
    assert result.configurations == 200
    assert result.compared >= 10**7
    result.require_activity()


@pytest.mark.parametrize("sim", ["icarus"])
@pytest.mark.parametrize("stall", [0, 5])
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

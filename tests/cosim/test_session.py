# SPDX-License-Identifier: Apache-2.0
"""Builds and simulations that go wrong, and what is said then."""

from __future__ import annotations

from pathlib import Path

import cocotb_tools.config
import numpy as np
import pytest

from trifactor.arch.array import ArrayConfig
from trifactor.arch.errors import DeviceError, ToolError
from trifactor.arch.placement import fitted
from trifactor.arch.rules import network_for, rule_named
from trifactor.cosim import simulators
from trifactor.cosim.device import RtlDevice
from trifactor.cosim.harness import build_array
from trifactor.cosim.session import Session
from trifactor.cosim.simulators import Simulator, build
from trifactor.cosim.verilog import to_verilog
from trifactor.golden.device import GoldenDevice
from trifactor.golden.initial import initial_state
from trifactor.rtl.array import Array

BARE = ArrayConfig(lanes=2, weight_words=1, groups=1, axons=1, events=1, layers=1, classes=2)
NETWORK = network_for(rule_named("ottt-o"), (4, 3, 2), BARE)
ARRAY = fitted(NETWORK, BARE)
SOURCE = {"top.v": "module top(input clk, output reg [3:0] n); always @(posedge clk) n <= n + 1; endmodule\n"}


def mutant(before: str, after: str) -> str:
    """The array's Verilog with its top module's text changed."""
    verilog = to_verilog(Array(ARRAY), name="array")
    assert before in verilog
    return verilog.replace(before, after, 1)


@pytest.mark.parametrize("sim", ["icarus"])
def test_equal_builds_are_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sim: Simulator) -> None:
    monkeypatch.setenv("TRIFACTOR_CACHE", str(tmp_path))
    one = build(sim, SOURCE, toplevel="top", parameters={})
    made = (one.folder / "sim.vvp").stat().st_mtime_ns
    assert build(sim, SOURCE, toplevel="top", parameters={}) == one
    assert (one.folder / "sim.vvp").stat().st_mtime_ns == made
    assert build(sim, {"top.v": SOURCE["top.v"] + "\n"}, toplevel="top", parameters={}).folder != one.folder


@pytest.mark.parametrize("sim", ["icarus", "verilator"])
def test_a_refused_design_shows_the_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sim: Simulator) -> None:
    monkeypatch.setenv("TRIFACTOR_CACHE", str(tmp_path))
    with pytest.raises(ToolError, match=r"failed: .*top\.v") as caught:
        build(sim, {"top.v": "module top; wire w = ; endmodule\n"}, toplevel="top", parameters={})
    assert str(tmp_path) in caught.value.hint


@pytest.mark.parametrize(("sim", "package"), [("icarus", "apt install iverilog"), ("verilator", "apt install perl")])
def test_a_missing_program_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sim: Simulator, package: str
) -> None:
    monkeypatch.setenv("TRIFACTOR_CACHE", str(tmp_path))
    monkeypatch.setattr(simulators.shutil, "which", lambda program: None)
    with pytest.raises(ToolError, match="was not found") as caught:
        build(sim, SOURCE, toplevel="top", parameters={})
    assert caught.value.exit_code == 4
    assert caught.value.hint == package


@pytest.mark.parametrize("sim", ["icarus"])
def test_a_hang_is_an_error_with_the_status(sim: Simulator) -> None:
    stuck = mutant("assign waiting = ", "assign waiting = 1'b0 & ")
    with Session(build_array(ARRAY, sim=sim, verilog=stuck), ARRAY, cycle_limit=2000) as session:
        session.call("configure", network=NETWORK)
        with pytest.raises(DeviceError, match=r"a burst \(item\) took over 2000 cycles, status 0x0"):
            session.call("run", inputs=np.ones((1, 1, 4), int), labels=[0], learn=True, record=())


@pytest.mark.parametrize("sim", ["icarus"])
def test_another_array_is_noticed(sim: Simulator) -> None:
    said = "array answers identity 0x54524946, version 0x3, shape 0x8100201, units 0x0"
    for change in ({"weight_bits": 8}, {"units": ("bias",)}):
        with pytest.raises(DeviceError, match=said):
            Session(build_array(ARRAY, sim=sim), ARRAY.model_copy(update=change))


@pytest.mark.parametrize("sim", ["icarus"])
def test_a_call_that_fails_ends_the_session_with_the_reason(sim: Simulator) -> None:
    with Session(build_array(ARRAY, sim=sim), ARRAY) as session:
        with pytest.raises(DeviceError, match="driver failed in configure") as caught:
            session.call("configure", network=None)
        assert "AttributeError" in caught.value.hint
        assert session.closed
        with pytest.raises(DeviceError, match="has ended"):
            session.call("counters")


@pytest.mark.parametrize("sim", ["icarus", pytest.param("verilator", marks=pytest.mark.slow)])
def test_waveforms_are_written_on_request(tmp_path: Path, sim: Simulator) -> None:
    made = build_array(ARRAY, sim=sim, waves=True, fast=False)
    with Session(made, ARRAY, waves=tmp_path / "some" / "wave.1") as session:
        assert session.call("counters")["cycles"] == 0
    (written,) = (tmp_path / "some").iterdir()
    assert written.name.startswith("wave.1.")
    assert written.stat().st_size > 1000


@pytest.mark.parametrize("sim", ["icarus"])
def test_a_reset_at_work_leaves_nothing_behind(sim: Simulator) -> None:
    inputs, labels = np.ones((2, 3, 4), int), [0, 1]
    state = initial_state(NETWORK, ARRAY, 1)
    expected, after, record = GoldenDevice(ARRAY, NETWORK, state)(inputs, labels, learn=True)
    assert record.counters["weight_updates"] > 50
    with Session(build_array(ARRAY, sim=sim), ARRAY) as session:
        for attempt in range(3):
            session.call("configure", network=NETWORK)
            session.call("load", weights=state.weights, seed=state.seed, sample=0)
            if attempt < 2:
                session.call("begin", sample=inputs[attempt], label=1, learn=True)
                assert session.call("read_register", name="status") == 1
                session.call("reset")
                assert session.call("read_register", name="status") == 0
                assert not any(layer.any() for layer in session.call("read_weights"))
                assert not any(session.call("counters").values())
        answer = session.call("run", inputs=inputs, labels=labels, learn=True, record=())
        assert np.array_equal(answer["readout"], expected.readout)
        for weights, wanted in zip(session.call("read_weights"), after.weights, strict=True):
            assert np.array_equal(weights, wanted)


@pytest.mark.parametrize("sim", ["icarus"])
def test_reads_of_a_host_at_any_time_change_nothing(sim: Simulator) -> None:
    rng = np.random.default_rng(2)
    inputs, labels = rng.integers(0, 2, (6, 4, 4)), rng.integers(0, 2, 6)
    state = initial_state(NETWORK, ARRAY, 1)
    with RtlDevice(ARRAY, NETWORK, state, sim=sim) as device:
        quiet = device.observe(inputs, labels, learn=True)
        weights = device.peek("weights")
        device.load(state)
        disturbed = device.observe(inputs, labels, learn=True, disturb=3)
        assert np.array_equal(quiet["readout"], disturbed["readout"])
        assert all(np.array_equal(a, b) for a, b in zip(weights, device.peek("weights"), strict=True))
    assert not np.array_equal(weights[0], state.weights[0])


@pytest.mark.parametrize("sim", ["icarus"])
def test_requests_are_answered_by_every_space(sim: Simulator) -> None:
    """What is written by requests is read back by requests, and is what the memories hold."""
    rng = np.random.default_rng(1)
    weights = [rng.integers(-999, 999, (layer.inputs, layer.outputs)) for layer in NETWORK.layers]
    with Session(build_array(ARRAY, sim=sim), ARRAY) as session:
        session.call("configure", network=NETWORK)
        session.call("load", weights=weights, seed=0xDEADBEEF, sample=77)
        session.call("run", inputs=np.ones((1, 2, 4), int), labels=[0], learn=False, record=())
        for front in (False, True):
            read = session.call("read_weights", front=front)
            assert all(np.array_equal(a, b) for a, b in zip(read, weights, strict=True))
            assert any(layer.any() for layer in session.call("read_membranes", front=front))
        assert session.call("read_register", name="seed") == 0xDEADBEEF
        assert session.call("read_register", name="sample") == 78


@pytest.mark.slow
def test_a_cached_build_outlives_the_environment_it_was_made_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIFACTOR_CACHE", str(tmp_path))
    made = build("verilator", SOURCE, toplevel="top", parameters={})
    assert str(cocotb_tools.config.libs_dir).encode() not in (made.folder / "top").read_bytes()


def test_a_call_that_is_interrupted_ends_the_simulation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its answer would otherwise be taken for that to the next call."""
    with Session(build_array(ARRAY, sim="icarus"), ARRAY) as session:

        def interrupted(seconds: float) -> bool:
            raise KeyboardInterrupt

        monkeypatch.setattr(type(session._connection), "poll", lambda connection, seconds: interrupted(seconds))
        with pytest.raises(KeyboardInterrupt):
            session.call("counters")
        monkeypatch.undo()
        with pytest.raises(DeviceError, match="the simulation has ended"):
            session.call("sample")

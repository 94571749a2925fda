# SPDX-License-Identifier: Apache-2.0
"""From a file of another framework to a network that learns on: `quantize --rule`, then `learn --model`."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

nir = pytest.importorskip("nir", reason="needs nir: pip install trifactor[nir]")

from trifactor.arch.array import ArrayConfig  # noqa: E402
from trifactor.golden.checkpoint import load_model  # noqa: E402
from trifactor.golden.device import GoldenDevice  # noqa: E402
from trifactor.golden.quantise import quantise  # noqa: E402
from trifactor.host.cli import call  # noqa: E402
from trifactor.host.nir import from_nir  # noqa: E402


def network(sizes: tuple[int, ...], *, recurrent: bool, bias: bool, current: bool = False) -> Any:
    """Spiking populations, and a readout that does not leak."""
    rng = np.random.default_rng(3)
    nodes: dict[str, Any] = {"in": nir.Input(input_type={"input": np.array([sizes[0]])})}
    edges = []
    before = "in"
    for index, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        weight = rng.normal(0, 1.5 / np.sqrt(inputs), (outputs, inputs))
        fc, lif, rec = f"fc{index}", f"lif{index}", f"rec{index}"
        nodes[fc] = nir.Affine(weight=weight, bias=rng.normal(0, 0.1, outputs)) if bias else nir.Linear(weight=weight)
        ones = np.ones(outputs)
        words = {"r": 2 * ones, "v_leak": 0 * ones, "v_threshold": ones}
        if index == len(sizes) - 2:
            nodes[lif] = nir.I(r=1e4 * ones)
        elif current:
            nodes[lif] = nir.CubaLIF(tau_mem=2e-4 * ones, tau_syn=2e-4 * ones, w_in=2 * ones, **words)
        else:
            nodes[lif] = nir.LIF(tau=2e-4 * ones, **words)
        edges += [(before, fc), (fc, lif)]
        if recurrent and index < len(sizes) - 2:
            nodes[rec] = nir.Linear(weight=rng.normal(0, 0.3, (outputs, outputs)))
            edges += [(lif, rec), (rec, lif)]
        before = lif
    nodes["out"] = nir.Output(output_type={"output": np.array([sizes[-1]])})
    return nir.NIRGraph(nodes, [*edges, (before, "out")])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    nir.write("a.nir", network((64, 24, 10), recurrent=True, bias=True))
    return tmp_path


QUANTIZE = ["quantize", "a.nir", "--reset", "subtract", "--dt", "1e-4"]


def test_a_file_learns_on(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("sklearn")
    assert call([*QUANTIZE, "--rule", "ottt-o", "--rate", "0", "--dataset", "digits", "--out", "start"]) == 0
    assert "trifactor learn --model start" in capsys.readouterr().out
    start = load_model("start")
    assert (start.rule, start.array.weight_bits, start.array.synapse_bits) == ("ottt-o", 16, 8)
    words = ["learn", "--model", "start", "--epochs", "2", "--limit", "300", "--steps", "8", "--out", "end", "--json"]
    assert call(words) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["test_accuracy"] > 0.6
    assert (found["rule"], found["dataset"], found["layers"]) == ("ottt-o", "digits", [64, 24, 10])
    end = load_model("end")
    assert end.network == start.network
    assert all((one != two).mean() > 0.2 for one, two in zip(end.state.weights, start.state.weights, strict=True))
    assert call(["learn", "--resume", "--out", "end"]) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--rule", "sltt"], "its network has its own rule"),
        (["--layers", "64-24-10"], "its network has its own layers"),
        (["--rate", "1"], "its network has its own rate"),
        (["--resume"], "leave one of them out"),
        ([], "names no data set"),
    ],
)
def test_what_the_network_has_decided_is_refused(
    folder: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call([*QUANTIZE, "--rule", "ottt-o", "--out", "start"]) == 0
    capsys.readouterr()
    assert call(["learn", "--model", "start", *words]) == 2
    assert message in capsys.readouterr().err


def test_data_of_another_shape_are_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("sklearn")
    nir.write("a.nir", network((63, 24, 10), recurrent=False, bias=False))
    assert call([*QUANTIZE, "--rule", "ottt-o", "--out", "start"]) == 0
    assert call(["learn", "--model", "start", "--dataset", "digits"]) == 2
    assert "start: 63-24-10 has 63 inputs and 10 outputs, digits has 64 inputs" in capsys.readouterr().err


def test_a_network_that_does_not_learn_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call([*QUANTIZE, "--out", "start"]) == 0
    assert call(["learn", "--model", "start", "--dataset", "digits"]) == 2
    assert "no layer learns" in capsys.readouterr().err
    assert call([*QUANTIZE, "--rule", "otto"]) == 2
    assert "no rule is called 'otto'" in capsys.readouterr().err
    nir.write("b.nir", network((4, 3, 2), recurrent=False, bias=False, current=True))
    assert call(["quantize", "b.nir", "--reset", "zero", "--dt", "1e-4", "--rule", "temporal-sbp"]) == 3
    assert "a trace per synapse" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rule", "method", "current"),
    [
        ("ottt-o", "global", False),
        ("s-tllr", "channel", False),
        ("dalton", "channel", True),
        ("tess", "global", False),
        ("temporal-sbp", "channel", False),
    ],
)
def test_the_hardware_learns_on_to_the_same_bits(rule: str, method: Any, current: bool) -> None:
    pytest.importorskip("cocotb", reason="needs cocotb: pip install trifactor[cosim]")
    from trifactor.cosim.device import RtlDevice

    graph = from_nir(network((16, 12, 9, 4), recurrent=True, bias=True, current=current), dt=1e-4, reset="subtract")
    made = quantise(graph, ArrayConfig(decay_bits=12, lanes=4), method=method, rule=rule, rate=0)
    rng = np.random.default_rng(1)
    inputs = (rng.random((12, 10, 16)) < 0.4).astype(np.int64)
    labels = np.arange(12) % 4
    record = ("spikes", "membranes")
    wanted = GoldenDevice(made.array, made.network, made.state)(inputs, labels, learn=True, record=record)
    with RtlDevice(made.array, made.network, made.state, sim="verilator") as device:
        found = device(inputs, labels, learn=True, record=record)
    assert np.array_equal(wanted[0].readout, found[0].readout)
    for one, two in zip(wanted[1].weights, found[1].weights, strict=True):
        assert np.array_equal(one, two)
    for name in record:
        for one, two in zip(getattr(wanted[2], name), getattr(found[2], name), strict=True):
            assert np.array_equal(one, two), name
    assert all((one != two).sum() > 20 for one, two in zip(wanted[1].weights[:2], made.state.weights, strict=False))

# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("amaranth")
pytest.importorskip("cocotb")

from trifactor.cosim import verify as cosim_verify
from trifactor.cosim.compare import Mismatch
from trifactor.cosim.verify import VerifyResult
from trifactor.host.cli import call

BUSY = {"spikes": 5, "weight_updates": 7, "gather_rows": 3}
DIFFERENT = Mismatch(
    field="membrane", golden=-13, rtl=-12, sample=2, step=41, layer=0, neuron=7, seed=3, configuration=1
)


class Runs:
    """Stands for `verify_random`: configuration `bad` differs."""

    def __init__(self, bad: int | None = None, *, idle: bool = False) -> None:
        self.bad = bad
        self.idle = idle
        self.calls: list[dict[str, Any]] = []
        self.reached = 0

    def __call__(self, sim: str, count: int, seed: int, progress: Any = None, **more: Any) -> VerifyResult:
        self.calls.append({"sim": sim, "count": count, "seed": seed, **more})
        result = VerifyResult(seed=seed, counters={} if self.idle else dict(BUSY))
        for number in range(more.get("first", 0), more.get("first", 0) + count):
            self.reached = number
            result.configurations += 1
            result.compared += 1000
            if number == self.bad:
                result.mismatched += 1
                result.first_mismatch = DIFFERENT
            if progress is not None:
                progress(result)
        if more.get("waves") is not None:
            more["waves"].with_suffix(".vcd").write_text("$end")
        return result


def test_equality_is_reported_in_the_promised_keys(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = Runs()
    monkeypatch.setattr(cosim_verify, "verify_random", runs)
    assert call(["verify", "--sim", "icarus", "--random", "4", "--seed", "9", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["configurations"] == 4
    assert result["compared"] == 4000
    assert result["mismatched"] == 0
    assert result["first_mismatch"] is None
    assert runs.calls == [{"sim": "icarus", "count": 4, "seed": 9, "rule": None, "verilog": None}]


def test_the_first_mismatch_ends_with_one_and_its_coordinates(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = Runs(bad=1)
    monkeypatch.setattr(cosim_verify, "verify_random", runs)
    assert call(["verify", "--random", "10", "--json"]) == 1
    stdout, stderr = capsys.readouterr()
    result = json.loads(stdout)
    assert result["mismatched"] == 1
    expected = {"sample": 2, "step": 41, "layer": 0, "neuron": 7, "golden": -13, "rtl": -12}
    assert expected.items() <= result["first_mismatch"].items()
    assert runs.reached == 1
    assert "error: golden model and hardware differ: sample=2 step=41 layer=0 neuron=7 membrane" in stderr


def test_a_waveform_of_the_mismatch_is_recorded(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    runs = Runs(bad=1)
    monkeypatch.setattr(cosim_verify, "verify_random", runs)
    assert call(["verify", "--random", "10", "--seed", "3", "--waves", str(tmp_path / "w")]) == 1
    assert runs.calls[1]["first"] == 1
    assert runs.calls[1]["count"] == 1
    (file,) = (tmp_path / "w").iterdir()
    assert str(file) in capsys.readouterr().err


def test_a_dead_design_does_not_pass(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(cosim_verify, "verify_random", Runs(idle=True))
    assert call(["verify", "--random", "2"]) == 1
    assert "no spikes" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("sim", ["verilator", "icarus"])
def test_the_real_hardware_is_equal(sim: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["verify", "--sim", sim, "--random", "2", "--seed", "5", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["configurations"] == 2
    assert result["compared"] > 1000


@pytest.mark.slow
def test_a_model_goes_on_learning_in_hardware(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("sklearn")
    monkeypatch.chdir(tmp_path)
    Path("c.toml").write_text("[array]\nlanes = 4\n")
    small = ["--layers", "64-8-10", "--steps", "3", "--epochs", "1", "--limit", "20", "--config", "c.toml"]
    assert call(["learn", *small, "--out", "golden.tri"]) == 0
    assert call(["learn", *small, "--out", "rtl.tri", "--device", "verilator", "--json"]) == 0
    learned = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert learned["counters"]["cycles"] > 0
    assert 0 < learned["utilisation"] < 1
    assert Path("golden.tri").read_bytes() == Path("rtl.tri").read_bytes()
    accuracies = []
    for device in ("golden", "verilator"):
        assert call(["run", "--model", "rtl.tri", "--device", device, "--limit", "20", "--json"]) == 0
        accuracies.append(json.loads(capsys.readouterr().out)["test_accuracy"])
    assert accuracies[0] == accuracies[1]
    assert call(["verify", "--model", "rtl.tri", "--limit", "4", "--json"]) == 0
    verified = json.loads(capsys.readouterr().out)
    assert verified["samples"] == 4
    assert verified["mismatched"] == 0
    assert verified["compared"] > 4 * (64 * 8 + 8 * 10)


def test_a_netlist_is_synthesised_for_each_random_array(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    runs = Runs()
    monkeypatch.setattr(cosim_verify, "verify_random", runs)
    assert call(["verify", "--netlist", "ecp5", "--random", "1", "--json"]) == 0
    assert callable(runs.calls[0]["verilog"])
    assert call(["verify", "--random", "1", "--json"]) == 0
    assert runs.calls[1]["verilog"] is None
    capsys.readouterr()
    assert call(["verify", "--netlist", "ecp5", "--model", str(tmp_path / "m.tri")]) == 2
    assert "--netlist belongs to --random" in capsys.readouterr().err
    assert call(["verify", "--netlist", "ecp7"]) == 2
    assert "no family is called" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--model", "m.tri", "--seed", "3"], "--seed belongs to --random"),
        (["--model", "m.tri", "--rule", "sltt"], "--rule belongs to --random"),
        (["--model", "m.tri", "--port", "socket://x:1", "--seed", "3"], "--port compares a model on a board"),
        (["--model", "m.tri", "--port", "socket://x:1", "--sim", "icarus"], "--port compares a model on a board"),
    ],
)
def test_options_that_would_do_nothing_are_refused(
    capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    assert call(["verify", *words]) == 2
    assert says in capsys.readouterr().err

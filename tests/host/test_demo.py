# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("sklearn")
pytest.importorskip("amaranth")
pytest.importorskip("cocotb")
pytest.importorskip("matplotlib")

from trifactor.arch.registers import COUNTERS, CYCLE_COUNTERS
from trifactor.cosim.compare import Mismatch
from trifactor.cosim.verify import VerifyResult
from trifactor.golden.train import order_of
from trifactor.host import demo
from trifactor.host.cli import call
from trifactor.host.config import Config, LearnConfig
from trifactor.host.plan import Plan, new_plan

PROMISED = {
    "test_accuracy", "samples_per_second", "counters", "configurations", "compared", "mismatched", "first_mismatch",
    "utilisation", "report",
}  # fmt: skip


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A demo of a few seconds: fewer digits, steps and epochs."""

    def plan(config: Config, settings: LearnConfig, data_dir: Path | None) -> Plan:
        few = settings.model_copy(update={"epochs": 2, "limit": 80, "steps": 4})
        return new_plan(config, few, data_dir)

    monkeypatch.setattr(demo, "new_plan", plan)
    monkeypatch.chdir(tmp_path)


def hardware(first: Mismatch | None) -> Any:
    """Stands for the simulated hardware."""
    counters = {name: 100 + place for place, (name, _) in enumerate((*COUNTERS, *CYCLE_COUNTERS))}

    def run(output: Any, plan: Plan, samples: int) -> demo.Hardware:
        verified = VerifyResult(seed=1, configurations=1, samples=samples, compared=5000, first_mismatch=first)
        verified.mismatched = int(first is not None)
        return demo.Hardware(verified=verified, counters=counters, samples_per_second=20.0)

    return run


def test_the_demo_says_and_writes_what_was_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "_hardware", hardware(None))
    assert call(["demo", "--out", "d", "--samples", "9", "--json"]) == 0
    stdout, stderr = capsys.readouterr()
    result = json.loads(stdout)
    assert set(result) >= PROMISED
    assert (result["compared"], result["mismatched"], result["samples"]) == (5000, 0, 9)
    assert set(result["accuracies"]) == {demo.GOLDEN, *demo.FLOATS}
    page = Path(result["report"]).read_text(encoding="utf-8")
    assert "trifactor demo --samples 9 --seed 1 --out d" in page
    assert [line for line in stderr.splitlines() if line.startswith(("1/4", "2/4", "3/4", "4/4"))]
    assert call(["demo", "--out", "d", "--samples", "9"]) == 0
    stdout = capsys.readouterr().out
    assert "float, BPTT" in stdout
    assert "state words compared" in stdout


def test_a_mismatch_is_shown_and_ends_with_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = Mismatch(field="weight", golden=1, rtl=2, sample=3, step=4, layer=0, row=5, neuron=6)
    monkeypatch.setattr(demo, "_hardware", hardware(found))
    assert call(["demo", "--out", "d", "--json"]) == 1
    stdout, stderr = capsys.readouterr()
    assert json.loads(stdout)["first_mismatch"]["neuron"] == 6
    assert "error: golden model and hardware differ" in stderr
    assert "golden=1 rtl=2" in Path("d/report.html").read_text(encoding="utf-8")


def test_hardware_gets_the_samples_that_the_training_begins_with() -> None:
    plan = demo.new_plan(Config(), LearnConfig(dataset="digits", layers="64-32-10"), None)
    inputs, labels = demo.first_samples(plan, 5)
    chosen = order_of(plan.model.state.seed, 0, 80)[:5]
    assert inputs.shape == (5, 4, 64)
    assert np.array_equal(labels, plan.dataset.train_labels[chosen])
    blank = plan.dataset.train_inputs[chosen] == 0
    assert not inputs.sum(axis=1)[blank].any()
    assert inputs.any()


@pytest.mark.slow
def test_the_whole_demo_with_real_hardware(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["demo", "--out", "d", "--samples", "6", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert set(result) >= PROMISED
    assert result["mismatched"] == 0
    assert result["compared"] > 6 * 2048
    assert 0 < result["utilisation"] < 1
    assert result["counters"]["weight_updates"] > 0
    assert Path(result["report"]).stat().st_size > 100_000

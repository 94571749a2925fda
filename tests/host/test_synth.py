# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from typing import Any

import pytest

pytest.importorskip("amaranth")

from trifactor.arch.array import ArrayConfig
from trifactor.arch.errors import TimingError
from trifactor.boards import synth
from trifactor.boards.report import SynthReport
from trifactor.host.cli import call

SEEN: list[ArrayConfig] = []


class Report:
    """Stands for `boards.report.SynthReport`: as much of it as the command line reads."""

    def __init__(self, array: ArrayConfig, device: str, seeds: int) -> None:
        self.values = {
            "device": device, "lanes": array.lanes, "cores": array.cores,
            "trellis_comb": 6000, "dp16kd": 34, "mult18x18d": 0,
            "fmax_mhz_median": 82.0, "fmax_mhz_best": 80.0 + seeds,
            "synaptic_operations_per_second": array.parallel * 82e6, "updates_per_second": array.parallel * 82e6,
        }  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        return dict(self.values)


def report_for(array: ArrayConfig, *, device: str, seeds: int, progress: Any) -> Report:
    """Stands for `boards.synth.synthesise`."""
    SEEN.append(array)
    progress("synthesis")
    return Report(array, device, seeds)


def test_the_report_has_what_the_command_line_reads() -> None:
    made = {name for name in vars(SynthReport) if not name.startswith("_")} | set(SynthReport.__dataclass_fields__)
    assert set(Report(ArrayConfig(), "25k", 1).values) <= made


def test_the_promised_keys(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(synth, "synthesise", report_for)
    words = ["--device", "25k", "--lanes", "8", "--cores", "2", "--seeds", "3", "--weight-bits", "10", "--json"]
    assert call(["synth", *words]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["trellis_comb"], result["dp16kd"], result["mult18x18d"]) == (6000, 34, 0)
    assert (result["fmax_mhz_median"], result["fmax_mhz_best"]) == (82.0, 83.0)
    assert (result["lanes"], result["cores"]) == (8, 2)
    assert result["synaptic_operations_per_second"] == 16 * 82e6
    assert result["array"]["weight_bits"] == 10
    assert (SEEN[-1].lanes, SEEN[-1].cores, SEEN[-1].weight_bits) == (8, 2, 10)


def test_a_person_gets_a_table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(synth, "synthesise", report_for)
    assert call(["synth", "--seeds", "3"]) == 0
    stdout, stderr = capsys.readouterr()
    assert "1 x 16 lanes, 8-bit weights, on 25k" in stdout
    assert "83.0 MHz" in stdout
    assert "synthesis" in stderr


def test_what_does_not_fit_ends_with_five(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def full(*_: object, **__: object) -> None:
        raise TimingError("DP16KD: 60 of 56", "lower weight_words")

    monkeypatch.setattr(synth, "synthesise", full)
    assert call(["synth"]) == 5
    assert "hint: lower weight_words" in capsys.readouterr().err

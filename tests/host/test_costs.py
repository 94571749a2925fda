# SPDX-License-Identifier: Apache-2.0
"""`trifactor costs`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from trifactor.host.cli import call

QUICK = ["costs", "--layers", "64-8-10", "--train", "5", "--samples", "2"]


def test_rules_papers_and_memory_are_counted(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    picture = tmp_path / "memory.png"
    assert call([*QUICK, "--rules", "sltt,s-tllr", "--json", "--out", str(picture)]) == 0
    result = json.loads(capsys.readouterr().out)
    sltt, s_tllr = result["rules"]
    assert (sltt["rule"], sltt["units"], s_tllr["units"]) == ("sltt", [], ["post-trace", "shadow"])
    assert sltt["bits_per_synapse"] == 8
    assert s_tllr["bits_per_synapse"] == 16
    assert 0 < sltt["operations"]["weights moved"] < s_tllr["operations"]["weights moved"]
    assert "cycles_ratio" not in sltt
    assert [case["memory_ratio"] for case in result["papers"]] == [5, 10, 50, 5]
    kept = result["float_training_bytes"]
    assert kept["bptt"]["100"] > 15 * kept["bptt"]["5"]
    assert len(set(kept["ottt-a"].values())) == len(set(kept["s-tllr"].values())) == 1
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_tables_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert call([*QUICK, "--rules", "tfr"]) == 0
    out = capsys.readouterr().out
    assert all(text in out for text in ("bits/synapse", "tfr", "optical flow", "bptt"))


@pytest.mark.slow
def test_cycles_of_the_hardware(capsys: pytest.CaptureFixture[str]) -> None:
    assert call([*QUICK, "--rules", "ottt-o", "--device", "icarus", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["rules"]
    assert row["cycles_learning"] > row["cycles_inference"] > 50
    assert row["cycles_ratio"] == row["cycles_learning"] / row["cycles_inference"]


def test_an_unknown_rule_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["costs", "--rules", "otto"]) == 2
    assert "no rule is called 'otto'" in capsys.readouterr().err

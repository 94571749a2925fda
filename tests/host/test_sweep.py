# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("sklearn")

from trifactor.arch.array import ArrayConfig
from trifactor.arch.errors import ConfigurationError
from trifactor.host import sweep_runs
from trifactor.host.cli import call
from trifactor.host.config import LearnConfig
from trifactor.host.sweep_points import AXES, Grid, checked_axes, grid_of
from trifactor.host.sweep_runs import Failure, Folder, Run, run_point, summaries

TINY = ["--layers", "64-8-10", "--axis", "steps=2", "--epochs", "1", "--limit", "12", "--jobs", "1"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def swept(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> dict[str, Any]:
    found = call(["sweep", *TINY, *words, "--json"])
    captured = capsys.readouterr()
    assert found == code, captured.err
    result: dict[str, Any] = json.loads(captured.out)
    return result


def files() -> dict[str, tuple[int, int]]:
    """Each run's file, and what tells whether it was written again."""
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in Path("sweep/runs").iterdir()}


def grid(**axes: list[Any]) -> Grid:
    return grid_of(LearnConfig(layers="64-8-10", steps=2, epochs=1, limit=12), ArrayConfig(), checked_axes(axes, "x"))


def made_up(of: Grid, accuracies: list[float]) -> dict[str, Run]:
    return {
        point.key: Run(
            version="0",
            point=point,
            accuracies=(0.0, accuracy),
            samples=1,
            seconds=2,
            counted=1,
            counters={"spikes": 5},
        )
        for point, accuracy in zip(of.points, accuracies, strict=False)
    }


def test_a_sweep_reports_what_scripts_rely_on(capsys: pytest.CaptureFixture[str]) -> None:
    result = swept(capsys, "--rules", "ottt-o,sltt", "--weight-bits", "8,16", "--seeds", "1,2")
    assert len(result["runs"]) == 8
    assert [one["values"] for one in result["combinations"]][1] == {"rule": "ottt-o", "weight_bits": 16}
    for one in result["combinations"]:
        assert one["seeds"] == [1, 2]
        assert one["min"] <= one["median"] <= one["max"]
        assert one["median"] == pytest.approx(sum(one["accuracies"]) / 2)
        assert one["missing"] == 0
    assert result["failures"] == []
    assert sorted(f"{run['key']}.json" for run in result["runs"]) == sorted(files())
    with Path(result["csv"]).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["key"] for row in rows] == [run["key"] for run in result["runs"]]
    assert set(AXES) < set(rows[0])
    assert {row["weight_bits"] for row in rows} == {"8", "16"}
    assert [float(row["accuracy"]) for row in rows] == [run["accuracy"] for run in result["runs"]]
    assert int(rows[0]["counter_weight_updates"]) > 0
    assert Path(result["plot"]).read_bytes().startswith(b"\x89PNG")


def test_a_run_is_what_learn_gives(capsys: pytest.CaptureFixture[str]) -> None:
    (run,) = swept(capsys, "--seeds", "7")["runs"]
    words = ["--layers", "64-8-10", "--steps", "2", "--epochs", "1", "--limit", "12", "--seed", "7", "--json"]
    assert call(["learn", *words]) == 0
    learned = json.loads(capsys.readouterr().out)
    assert (run["accuracy"], run["counters"]) == (learned["test_accuracy"], learned["counters"])


def test_people_get_a_table_and_progress(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["sweep", *TINY, "--weight-bits", "6,16", "--axis", "synapse_bits=6,8", "--seeds", "1,2"]) == 0
    stdout, stderr = capsys.readouterr()
    assert "weight_bits" in stdout
    assert "median" in stdout
    assert "every run in sweep/results.csv, drawn in sweep/accuracy.png" in stdout
    assert "runs: 6 = weight_bits (2) × synapse_bits (2) × seed (2)" in stderr
    assert "left out 2: array: synapse_bits (8) must not exceed weight_bits (6)" in stderr
    assert "sweep: 6/6  weight_bits 16, synapse_bits 8, seed 2: " in stderr


def test_finished_runs_are_not_done_again(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    first = swept(capsys, "--seeds", "1,2")
    before = files()
    wider = swept(capsys, "--seeds", "1,2,3")
    assert len(wider["runs"]) == 3
    assert {name: files()[name] for name in before} == before
    monkeypatch.setattr("trifactor.host.sweep_pool.run_point", lambda *arguments: pytest.fail("there is nothing to do"))
    again = swept(capsys, "--seeds", "1,2")
    assert again["runs"] == first["runs"]


@pytest.mark.parametrize("content", ["", '{"version": "0.1.0"}', "other"])
def test_a_damaged_or_foreign_file_is_no_run(capsys: pytest.CaptureFixture[str], content: str) -> None:
    first = swept(capsys, "--seeds", "1,2")
    one, two = (Path(f"sweep/runs/{run['key']}.json") for run in first["runs"])
    one.write_text(two.read_text() if content == "other" else content)
    again = swept(capsys, "--seeds", "1,2")
    assert [run["accuracies"] for run in again["runs"]] == [run["accuracies"] for run in first["runs"]]
    assert Run.model_validate_json(one.read_bytes()).point.seed == 1


def test_one_failed_point_does_not_lose_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--axis", "layers=64-8-10,63-8-10,64-6-10", "--seeds", "1"]
    result = swept(capsys, *words, code=2)
    assert [run["settings"]["layers"] for run in result["runs"]] == ["64-8-10", "64-6-10"]
    (failure,) = result["failures"]
    assert failure["settings"]["layers"] == "63-8-10"
    assert "63 inputs" in failure["reason"]
    assert [one["missing"] for one in result["combinations"]] == [0, 1, 0]
    assert result["combinations"][1]["median"] is None
    assert call(["sweep", *TINY, *words]) == 2
    stdout, stderr = capsys.readouterr()
    assert "0 of 1" in stdout
    assert "failed: layers 63-8-10, seed 1: --layers: 63-8-10 has 63 inputs" in stderr


def test_what_all_runs_would_fail_for_is_said_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["sweep", "--dataset", "mnist", "--data-dir", "nowhere", "--seeds", "1,2,3"]) == 2
    stderr = capsys.readouterr().err
    assert "error: no folder nowhere/MNIST/raw" in stderr
    assert "sweep: " not in stderr


def test_a_bug_in_one_run_is_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep_runs, "plan_of", lambda *arguments: 1 // 0)
    failure = run_point(grid().points[0], None)
    assert isinstance(failure, Failure)
    assert failure.reason.startswith("ZeroDivisionError: ")
    assert failure.exit_code == 70


def test_another_version_is_not_asked() -> None:
    failure = run_point(grid().points[0], None, "0.0.0")
    assert isinstance(failure, Failure)
    assert "not 0.0.0" in failure.reason


def test_a_run_is_written_whole_or_not_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    kept = Folder(tmp_path / "s")
    of = grid(seeds=[1, 2])
    first, second = made_up(of, [0.5, 0.6]).values()
    kept.keep(first)

    def broken(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", broken)
    for run in (first.model_copy(update={"accuracies": (0.1,)}), second):
        with pytest.raises(ConfigurationError, match="cannot be written: No space left on device"):
            kept.keep(run)
    assert [path.name for path in kept.runs.iterdir()] == [f"{first.point.key}.json"]
    assert kept.finished(of.points) == {first.point.key: first}


def test_medians_and_spread_are_over_the_seeds() -> None:
    of = grid(weight_bits=[8, 16], seeds=[1, 2, 3])
    found = summaries(of.points, made_up(of, [0.3, 0.1, 0.2, 0.9]), ["weight_bits"])
    assert [one.to_dict() | {"accuracies": None} for one in found] == [
        {"values": {"weight_bits": 8}, "seeds": [1, 2, 3], "accuracies": None, "seconds": 2, "missing": 0}
        | {"median": 0.2, "min": 0.1, "max": 0.3},
        {"values": {"weight_bits": 16}, "seeds": [1], "accuracies": None, "seconds": 2, "missing": 2}
        | {"median": 0.9, "min": 0.9, "max": 0.9},
    ]


def test_a_file_gives_axes_and_options_win(capsys: pytest.CaptureFixture[str]) -> None:
    text = '[learn]\nlayers = "64-8-10"\nsteps = 2\nepochs = 1\nlimit = 12\n[array]\ndecay_bits = 6\nlanes = 4\n'
    text += '[sweep]\nrules = ["ottt-o", "sltt"]\nweight_bits = 8\nseeds = [1, 2]\nlimit = [8, 9]\n'
    Path("c.toml").write_text(text)
    assert call(["sweep", "--config", "c.toml", "--jobs", "1", "--seeds", "5", "--limit", "7", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["axes"] == {"rule": ["ottt-o", "sltt"], "weight_bits": [8], "seed": [5]}
    assert {(run["settings"]["decay_bits"], run["settings"]["limit"]) for run in result["runs"]} == {(6, 7)}
    assert {run["settings"]["layers"] for run in result["runs"]} == {"64-8-10"}


@pytest.mark.slow
@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_sweep_goes_on(capsys: pytest.CaptureFixture[str], kind: signal.Signals) -> None:
    words = ["--layers", "64-16-10", "--axis", "steps=3", "--epochs", "2", "--limit", "1000"]
    words += ["--rules", "ottt-o,sltt", "--seeds", "1,2,3", "--jobs", "2"]
    code = "from trifactor.host.cli import main; main()"
    command = [sys.executable, "-u", "-c", code, "sweep", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("sweep: 2/"):
                break
        process.send_signal(kind)
        stdout, stderr = process.communicate(timeout=120)
    assert stdout == ""
    if kind == signal.SIGINT:
        assert process.returncode == 130
        assert "Traceback" not in stderr
        assert "of 6 runs are kept in sweep\nhint: the same command goes on" in stderr
    before = {name: known for name, known in files().items() if name.endswith(".json") and not name.startswith(".")}
    assert 2 <= len(before) < 6
    assert call(["sweep", *words, "--json"]) == 0
    captured = capsys.readouterr()
    assert len(json.loads(captured.out)["runs"]) == 6
    assert f"{len(before)} of them finished in sweep" in captured.err
    assert {name: files()[name] for name in before} == before


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--axis", "weight_bit=8"], "did you mean 'weight_bits'?"),
        (["--axis", "rate"], "write --axis name=value,value"),
        (["--weight-bits", "8,,16"], "--weight-bits: weight_bits '': input should be a valid integer"),
        (["--weight-bits", "3"], "--weight-bits: weight_bits '3': input should be greater than or equal to 4"),
        (["--weight-bits", "6"], "synapse_bits (8) must not exceed weight_bits (6)"),
        (["--rules", "otto"], "did you mean 'ottt-o'?"),
        (["--seeds", "one"], "--seeds: seed 'one'"),
        (["--dataset", "minst"], "did you mean 'mnist'?"),
        (["--layers", "64x10"], "write widths"),
        (["--epochs", "0"], "--epochs"),
        (["--jobs", "0"], "--jobs"),
        (["--jobs", "2", "--scheduler", "tcp://127.0.0.1:8786"], "--jobs and --scheduler exclude each other"),
        (["--config", "c.toml"], "c.toml: [sweep]: no axis is called 'weights_bits'"),
        (["--out", "text/x"], "text/x: "),
    ],
)
def test_bad_input_is_one_line(capsys: pytest.CaptureFixture[str], words: list[str], says: str) -> None:
    Path("c.toml").write_text("[sweep]\nweights_bits = [8]\n")
    Path("text").write_text("")
    before = sorted(Path().iterdir())
    assert call(["sweep", *words, "--json"]) == 2
    stdout, stderr = capsys.readouterr()
    report = json.loads(stdout)
    assert says in report["error"] + report["hint"]
    assert "Traceback" not in stderr
    assert sorted(Path().iterdir()) == before


ADAM = {"form": "float", "batch": 2, "optimiser": "adam", "rate": 7}


@pytest.mark.parametrize("experiment", [{"form": "float"}, {"rounding": "random"}, {"rounding": "nearest"}, ADAM])
def test_experiments_run_like_any_other_point(experiment: dict[str, Any]) -> None:
    axes = checked_axes({"limit": [60], "epochs": [1], **{name: [value] for name, value in experiment.items()}}, "x")
    run = run_point(grid_of(LearnConfig(), ArrayConfig(), axes).points[0], None)
    assert isinstance(run, Run), run
    assert run.accuracy > 0.15
    assert run.samples == 60

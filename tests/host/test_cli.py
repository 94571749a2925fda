# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer

import trifactor
from trifactor.arch.errors import (
    ConfigurationError,
    DeviceError,
    DoesNotFitError,
    MismatchError,
    TimingError,
    ToolError,
    TrifactorError,
)
from trifactor.host import cli
from trifactor.host.output import Interrupted

COMMANDS = ("demo", "doctor", "learn", "run", "sweep", "verify", "synth")


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Put a command that raises `error` in place of the real ones."""
    app = typer.Typer()

    @app.command("other")
    def other() -> None:
        """Two commands make a group."""

    @app.command("fail")
    def fail(
        json_output: bool = typer.Option(False, "--json"), verbose: int = typer.Option(0, "-v", count=True)
    ) -> None:
        raise error

    monkeypatch.setattr(cli, "app", app)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (MismatchError, 1),
        (ConfigurationError, 2),
        (DoesNotFitError, 3),
        (ToolError, 4),
        (TimingError, 5),
        (DeviceError, 6),
        (Interrupted, 130),
    ],
)
def test_each_error_has_its_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kind: type[TrifactorError], code: int
) -> None:
    failing(monkeypatch, kind("what went\nwrong", "what to do"))
    assert cli.call(["fail"]) == code
    stdout, stderr = capsys.readouterr()
    assert stdout == ""
    assert stderr == "error: what went wrong\nhint: what to do\n"
    assert cli.call(["fail", "--json"]) == code
    assert json.loads(capsys.readouterr().out) == {"error": "what went wrong", "hint": "what to do", "exit_code": code}


def test_control_c_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    failing(monkeypatch, KeyboardInterrupt())
    assert cli.call(["fail"]) == 130
    assert capsys.readouterr().err.strip() == "error: interrupted"


def test_a_bug_is_one_line_and_a_traceback_on_demand(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failing(monkeypatch, ZeroDivisionError("division by zero"))
    assert cli.call(["fail"]) == 70
    stderr = capsys.readouterr().err
    assert stderr.splitlines()[0] == "error: ZeroDivisionError: division by zero"
    assert "this is a bug" in stderr
    assert "Traceback" not in stderr
    assert cli.call(["fail", "-v", "-v"]) == 70
    assert "Traceback" in capsys.readouterr().err


def test_a_missing_package_is_a_missing_tool(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failing(monkeypatch, ModuleNotFoundError("No module named 'torch'", name="torch"))
    assert cli.call(["fail"]) == 4
    assert "Python package 'torch' is missing" in capsys.readouterr().err


def test_a_full_disk_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    failing(monkeypatch, OSError(28, "No space left on device", "/somewhere/file"))
    assert cli.call(["fail"]) == 2
    assert capsys.readouterr().err.startswith("error: /somewhere/file: No space left on device\n")


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.call(["--version"]) == 0
    assert capsys.readouterr().out.strip() == f"trifactor {trifactor.__version__}"
    assert cli.call([]) == 2
    shown = capsys.readouterr()
    assert "error" not in shown.err
    for command in COMMANDS:
        assert command in shown.out + shown.err
        assert cli.call([command, "--help"]) == 0
        assert "--json" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["lern"], 2, "learn"),
        (["learn", "--epochs", "many"], 2, "--epochs"),
        (["learn", "--epochs", "0"], 2, "--epochs"),
        (["learn", "--seed", "-1"], 2, "--seed"),
        (["learn", "--epoch", "3"], 2, "--epochs"),
        (["learn", "--dataset", "minst"], 2, "did you mean 'mnist'?"),
        (["learn", "--rule", "otttt"], 2, "did you mean 'ottt-o'?"),
        (["learn", "--layers", "64x10"], 2, "write widths"),
        (["learn", "--layers", "64"], 2, "write widths"),
        (["learn", "--layers", "63-10"], 2, "63"),
        (["learn", "--layers", "64-9"], 2, "9"),
        (["learn", "--device", "fpga"], 2, "no device is called 'fpga'"),
        (["learn", "--out", "nowhere/model.tri"], 2, "nowhere"),
        (["learn", "--out", "."], 2, "is a folder"),
        (["learn", "--config", "none.toml"], 2, "none.toml"),
        (["learn", "--dataset", "mnist", "--data-dir", "nowhere"], 2, "nowhere"),
        (["learn", "--resume", "--out", "none.tri"], 2, "none.tri"),
        (["learn", "--config", "small.toml", "--limit", "10"], 3, "does not fit the array: weight_words 640 > 16"),
        (["run"], 2, "--model"),
        (["run", "--model", "none.tri"], 2, "none.tri"),
        (["run", "--model", "text.tri"], 2, "text.tri"),
        (["run", "--model", "foreign.npz"], 2, "not a trifactor model"),
        (["run", "--model", "none.tri", "--record", "spike", "--out", "x.npz"], 2, "did you mean 'spikes'?"),
        (["run", "--model", "none.tri", "--record", "spikes"], 2, "--out"),
        (["run", "--model", "none.tri", "--device", "verilate"], 2, "did you mean 'verilator'?"),
        (["verify", "--sim", "modelsim"], 2, "no simulator is called 'modelsim'"),
        (["verify", "--random", "0"], 2, "--random"),
        (["verify", "--limit", "3"], 2, "--model"),
        (["verify", "--model", "none.tri"], 2, "none.tri"),
        (["synth", "--lanes", "3"], 2, "1, 2, 4, 8 or 16"),
        (["synth", "--weight-bits", "17"], 2, "weight_bits"),
        (["synth", "--device", "25F"], 2, "did you mean '25k'?"),
        (["synth", "--config", "text.tri"], 2, "text.tri"),
        (["demo", "--samples", "0"], 2, "--samples"),
        (["demo", "--out", "text.tri/x"], 2, "text.tri"),
    ],
)
def test_bad_input_is_one_line_and_a_hint(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    words: list[str],
    code: int,
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("small.toml").write_text('[array]\nweight_words = 16\n[learn]\nlayers = "64-128-10"\n')
    Path("text.tri").write_text("not an archive")
    np.savez("foreign.npz", values=np.arange(3))
    before = sorted(Path().iterdir())
    assert cli.call([*words, "--json"]) == code
    stdout, stderr = capsys.readouterr()
    report = json.loads(stdout)
    lines = stderr.strip().splitlines()
    assert says in report["error"] + report["hint"]
    assert report["exit_code"] == code
    assert lines[-2:] == [f"error: {report['error']}", f"hint: {report['hint']}"] or not report["hint"]
    assert "Traceback" not in stderr
    assert sorted(Path().iterdir()) == before


def test_the_script_is_installed() -> None:
    script = Path(sys.executable).parent / "trifactor"
    if not script.exists():
        pytest.skip("the package is not installed beside this Python")
    run = subprocess.run([script, "learn", "--rule", "x"], capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert run.stdout == ""
    assert run.stderr.startswith("error: no rule is called 'x'\nhint: ")

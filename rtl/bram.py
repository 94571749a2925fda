# SPDX-License-Identifier: Apache-2.0
"""The memories of the array: one read port with a register, one write port; or one port for both."""

from __future__ import annotations

import re

from amaranth.hdl import Assert, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..arch.array import ceil_log2

READ_REGISTER = "bram_read_register"
"""Name of the register behind every read port: where blocks cannot start at 0 a flow drops its initial value by it."""


_ZEROS = re.compile(
    r"^  cell \$meminit_v2 [^\n]*\n(?:    [^\n]*\n)*?    connect \\DATA \d+'0+\n(?:    [^\n]*\n)*?  end\n", re.M
)


def without_zeros(text: str) -> str:
    """An RTLIL text in which memories that would start at zero start unknown: only what the array clears is zero."""
    return _ZEROS.sub("", text)


class Bram(wiring.Component):
    """Memory of `depth` words of `width` bits; a block RAM, or LUT RAM where the tools find that smaller.

    `read_data` follows `read_address` one clock later while `read_enable`, and holds otherwise. Reading and writing the
    same word in the same clock is undefined in silicon: with `check` a simulation stops there.

    With `single_port` the memory has one address, and reads of a clock that writes are lost: what large memories such
    as SB_SPRAM256KA can do. `check` then stops a simulation at any clock that does both.

    The asynchronous read port with a register of its own and `no_rw_check` is what Yosys turns into a bare block RAM;
    Amaranth's synchronous port costs some 70 LUTs of collision logic.
    """

    latency = 1

    def __init__(self, *, width: int, depth: int, single_port: bool = False, check: bool = False) -> None:
        if width < 1 or depth < 1:
            raise ValueError(f"a memory needs at least one bit and one word, not {width} x {depth}")
        self.width = width
        self.depth = depth
        self.single_port = single_port
        self.check = check
        address_bits = max(1, ceil_log2(depth))
        super().__init__(
            {
                "read_enable": In(1),
                "read_address": In(address_bits),
                "read_data": Out(width),
                "write_enable": In(1),
                "write_address": In(address_bits),
                "write_data": In(width),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """One asynchronous read port behind a register, one synchronous write port."""
        m = Module()
        # A power of two of words: an address can then not point beyond the memory, and blocks map without glue.
        words = 1 << max(1, ceil_log2(self.depth))
        m.submodules.storage = storage = Memory(shape=self.width, depth=words, init=[], attrs={"no_rw_check": 1})
        write = storage.write_port()
        read = storage.read_port(domain="comb")

        m.d.comb += [
            write.en.eq(self.write_enable),
            write.addr.eq(self.write_address),
            write.data.eq(self.write_data),
            read.addr.eq(self.read_address),
        ]
        enable: Value = self.read_enable
        clash = enable & self.write_enable
        if self.single_port:
            address = Signal.like(self.read_address)
            m.d.comb += [
                address.eq(Mux(self.write_enable, self.write_address, self.read_address)),
                write.addr.eq(address),
                read.addr.eq(address),
            ]
            enable = enable & ~self.write_enable
        else:
            clash &= self.read_address == self.write_address
        # Nobody reads it before `read_enable`: without a reset it is the block's own register on every family.
        held = Signal(self.width, reset_less=True, name=READ_REGISTER)
        with m.If(enable):
            m.d.sync += held.eq(read.data)
        m.d.comb += self.read_data.eq(held)
        if self.check:
            m.d.sync += Assert(~clash, "read and write of one word in one clock")
        return m

# SPDX-License-Identifier: Apache-2.0
"""AXI4-Lite, the side that answers."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..arch.bus import BYTE_BITS
from ..arch.registers import DATA_BITS
from .bus import ANSWER_LAYOUT, BYTES, access_layout


class AxiLiteSignature(wiring.Signature):
    """The five channels of AXI4-Lite with 32 bits of data, as who asks sees them."""

    def __init__(self, address_bits: int) -> None:
        super().__init__(
            {
                "awaddr": Out(address_bits),
                "awprot": Out(3),
                "awvalid": Out(1),
                "awready": In(1),
                "wdata": Out(DATA_BITS),
                "wstrb": Out(BYTES),
                "wvalid": Out(1),
                "wready": In(1),
                "bresp": In(2),
                "bvalid": In(1),
                "bready": Out(1),
                "araddr": Out(address_bits),
                "arprot": Out(3),
                "arvalid": Out(1),
                "arready": In(1),
                "rdata": In(DATA_BITS),
                "rresp": In(2),
                "rvalid": In(1),
                "rready": Out(1),
            }
        )


class AxiLite(wiring.Component):
    """AXI4-Lite in front of a `Bridge` (`rtl/bus.py`): reads and writes in turn where both wait, one at a time.

    Every output comes from a register. An address and its data are taken in any order, the next ones while an answer
    waits to be taken; the two lowest address bits and the protection bits say nothing here. `bus` has byte addresses of
    `word_bits + 2` bits.
    """

    def __init__(self, *, word_bits: int) -> None:
        self.word_bits = word_bits
        super().__init__(
            {
                "bus": In(AxiLiteSignature(word_bits + BYTE_BITS)),
                "accesses": Out(stream.Signature(access_layout(word_bits))),
                "answers": In(stream.Signature(ANSWER_LAYOUT)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """A place for one of everything, and a state machine that does one access."""
        m = Module()
        bus, answer = self.bus, self.answers.payload
        write_address, read_address = Signal(self.word_bits), Signal(self.word_bits)
        data, strobes = Signal(DATA_BITS), Signal(BYTES)
        has_address, has_data, has_read, wrote = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [bus.awready.eq(~has_address), bus.wready.eq(~has_data), bus.arready.eq(~has_read)]
        with m.If(bus.awvalid & bus.awready):
            m.d.sync += [write_address.eq(bus.awaddr[BYTE_BITS:]), has_address.eq(1)]
        with m.If(bus.wvalid & bus.wready):
            m.d.sync += [data.eq(bus.wdata), strobes.eq(bus.wstrb), has_data.eq(1)]
        with m.If(bus.arvalid & bus.arready):
            m.d.sync += [read_address.eq(bus.araddr[BYTE_BITS:]), has_read.eq(1)]
        with m.If(bus.bready):
            m.d.sync += bus.bvalid.eq(0)
        with m.If(bus.rready):
            m.d.sync += bus.rvalid.eq(0)

        can_write = has_address & has_data & ~bus.bvalid
        can_read = has_read & ~bus.rvalid
        with m.FSM():
            with m.State("IDLE"):
                with m.If(can_write & ~(can_read & wrote)):
                    m.d.sync += wrote.eq(1)
                    m.next = "WRITE"
                with m.Elif(can_read):
                    m.d.sync += wrote.eq(0)
                    m.next = "READ"
            with m.State("WRITE"):
                m.d.comb += [
                    self.accesses.valid.eq(1),
                    self.accesses.payload.eq(Cat(write_address, data, strobes, Const(1, 1))),
                ]
                with m.If(self.accesses.ready):
                    m.next = "WRITTEN"
            with m.State("WRITTEN"):
                m.d.comb += self.answers.ready.eq(1)
                with m.If(self.answers.valid):
                    m.d.sync += [bus.bvalid.eq(1), bus.bresp.eq(answer.reply), has_address.eq(0), has_data.eq(0)]
                    m.next = "IDLE"
            with m.State("READ"):
                m.d.comb += [self.accesses.valid.eq(1), self.accesses.payload.eq(read_address)]
                with m.If(self.accesses.ready):
                    m.next = "HAS-READ"
            with m.State("HAS-READ"):
                m.d.comb += self.answers.ready.eq(1)
                with m.If(self.answers.valid):
                    m.d.sync += [
                        bus.rvalid.eq(1), bus.rresp.eq(answer.reply), bus.rdata.eq(answer.data), has_read.eq(0)
                    ]  # fmt: skip
                    m.next = "IDLE"
        return m

# SPDX-License-Identifier: Apache-2.0
"""Wishbone B4, classic cycles, the side that answers."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..arch.bus import BYTE_BITS, Reply
from ..arch.registers import DATA_BITS
from .bus import ANSWER_LAYOUT, BYTES, access_layout


class WishboneSignature(wiring.Signature):
    """Classic cycles with 32 bits of data and byte addresses, as who asks sees them."""

    def __init__(self, address_bits: int) -> None:
        super().__init__(
            {
                "cyc": Out(1),
                "stb": Out(1),
                "we": Out(1),
                "adr": Out(address_bits),
                "dat_w": Out(DATA_BITS),
                "sel": Out(BYTES),
                "dat_r": In(DATA_BITS),
                "ack": In(1),
                "err": In(1),
            }
        )


class Wishbone(wiring.Component):
    """Wishbone in front of a `Bridge` (`rtl/bus.py`): every cycle ends with `ack` or `err`, for one clock.

    Every output comes from a register. Both SLVERR and DECERR are `err`. A cycle that is broken off gets no answer; a
    write that had begun is done. `bus` has byte addresses of `word_bits + 2` bits, of which the two lowest say nothing.
    """

    def __init__(self, *, word_bits: int) -> None:
        self.word_bits = word_bits
        super().__init__(
            {
                "bus": In(WishboneSignature(word_bits + BYTE_BITS)),
                "accesses": Out(stream.Signature(access_layout(word_bits))),
                "answers": In(stream.Signature(ANSWER_LAYOUT)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """One access at a time."""
        m = Module()
        bus, answer = self.bus, self.answers.payload
        asked = bus.cyc & bus.stb
        access = Signal(access_layout(self.word_bits))
        broken = Signal()
        m.d.comb += self.accesses.payload.eq(access)
        m.d.sync += [bus.ack.eq(0), bus.err.eq(0)]
        with m.If(~asked):
            m.d.sync += broken.eq(1)
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [access.eq(Cat(bus.adr[BYTE_BITS:], bus.dat_w, bus.sel, bus.we)), broken.eq(0)]
                with m.If(asked):
                    m.next = "ASK"
            with m.State("ASK"):
                m.d.comb += self.accesses.valid.eq(1)
                with m.If(self.accesses.ready):
                    m.next = "WAIT"
            with m.State("WAIT"):
                m.d.comb += self.answers.ready.eq(1)
                with m.If(self.answers.valid):
                    m.d.sync += bus.dat_r.eq(answer.data)
                    m.next = "IDLE"
                    with m.If(asked & ~broken):
                        m.d.sync += [bus.ack.eq(answer.reply == Reply.OKAY), bus.err.eq(answer.reply != Reply.OKAY)]
                        m.next = "SAID"
            with m.State("SAID"):
                m.next = "IDLE"
        return m

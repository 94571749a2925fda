# SPDX-License-Identifier: Apache-2.0
"""The counter file: all counters in one small memory behind one adder."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..arch.registers import COUNTERS, CYCLE_COUNTERS
from .bram import Bram

NAMES = tuple(name for name, _ in (*COUNTERS, *CYCLE_COUNTERS))
INDEX: dict[str, int] = {name: index for index, name in enumerate(NAMES)}


class Counters(wiring.Component):
    """`post` adds `amount` to counter `index`; two posts in a row must name different counters.

    `clear` takes 33 clocks, during which `busy` is high and posts are lost. `read_data` is the counter at `read_index`
    one clock earlier; no read may be made while `taken`, when a post is made or still being written.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "post": In(1),
                "index": In(5),
                "amount": In(32),
                "clear": In(1),
                "busy": Out(1),
                "taken": Out(1),
                "read": In(1),
                "read_index": In(5),
                "read_data": Out(32),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Read, add and write in two clocks."""
        m = Module()
        # Deeper than needed, so that it becomes a block RAM: 32 words of LUT RAM cost over a hundred cells.
        m.submodules.memory = memory = Bram(width=32, depth=512)
        posted = Signal()
        index = Signal(5)
        amount = Signal(32)
        # Once around, and once more where a last post may have left its amount.
        sweep = Signal(6)
        m.d.sync += [posted.eq(self.post), index.eq(self.index), amount.eq(Mux(self.busy, 0, self.amount))]
        m.d.comb += [
            memory.read_enable.eq(self.post | self.read),
            memory.read_address.eq(Mux(self.post, self.index, self.read_index)),
            self.read_data.eq(memory.read_data),
            self.taken.eq(self.post | posted),
            memory.write_enable.eq(posted | self.busy),
            memory.write_address.eq(Mux(self.busy, sweep[:5], index)),
            memory.write_data.eq(Mux(self.busy, 0, memory.read_data) + amount),
        ]
        with m.If(self.clear):
            m.d.sync += [self.busy.eq(1), sweep.eq(0)]
        with m.Elif(self.busy):
            m.d.sync += sweep.eq(sweep + 1)
            with m.If(sweep[5]):
                m.d.sync += self.busy.eq(0)
        return m

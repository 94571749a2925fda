# SPDX-License-Identifier: Apache-2.0
"""Whether an array is at rest, so that its memories can be read and written without waiting for anyone."""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

SETTLED_CLOCKS = 15
"""Clocks for which the array must have been waiting: it is not busy at once with an item that it has taken."""


class Rest(wiring.Component):
    """Says when all that an array was given is done, and what came of it is in its rings.

    Members
    -------
    waiting : In(1)
        The array's.
    fed : In(1)
        Items wait for the array, or go to it.
    resting : Out(1)
        `waiting` has been there for `SETTLED_CLOCKS` clocks since the last item. Only items end it: that the array is
        busy with an access does not count, for it ends by itself.
    """

    def __init__(self) -> None:
        super().__init__({"waiting": In(1), "fed": In(1), "resting": Out(1)})

    def elaborate(self, platform: object) -> Module:
        """A counter."""
        m = Module()
        quiet = Signal(range(SETTLED_CLOCKS + 1))
        rested = Signal(init=1)
        m.d.comb += self.resting.eq(rested & ~self.fed)
        with m.If(self.fed):
            m.d.sync += [quiet.eq(0), rested.eq(0)]
        with m.Elif(~self.waiting):
            m.d.sync += quiet.eq(0)
        with m.Elif(quiet == SETTLED_CLOCKS):
            m.d.sync += rested.eq(1)
        with m.Else():
            m.d.sync += quiet.eq(quiet + 1)
        return m

# SPDX-License-Identifier: Apache-2.0
"""All that is on a board but its pins and clocks: array, link and serial line."""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect

from ..arch.array import ArrayConfig
from ..arch.link import LinkConfig
from .array import Array
from .link import Link
from .uart import UartReceiver, UartTransmitter

BLINK_BITS = 21
"""What happens once is shown for 2**21 to 2**22 clocks: long enough to be seen."""


class Top(wiring.Component):
    """An array behind a serial line, in one clock domain.

    Members
    -------
    rx, tx : In(1), Out(1)
        The line, idle high, at `link.divisor` clocks a bit.
    leds : Out(4)
        Configured (a host has said HELLO), link alive (a packet was done), an output spiked (a spike or a result went
        out), error (a packet asked for something impossible, or a byte was damaged).
    """

    def __init__(self, array: ArrayConfig, link: LinkConfig, *, version: str) -> None:
        self.array = array
        self.link = link
        self.version = version
        super().__init__({"rx": In(1, init=1), "tx": Out(1, init=1), "leds": Out(4)})

    def elaborate(self, platform: object) -> Module:
        """Streams from unit to unit, and lights."""
        m = Module()
        m.submodules.array = array = Array(self.array)
        m.submodules.link = link = Link(self.array, self.link, version=self.version)
        m.submodules.receiver = receiver = UartReceiver(divisor=self.link.divisor)
        m.submodules.transmitter = transmitter = UartTransmitter(divisor=self.link.divisor)
        connect(m, receiver.bytes, link.receive)
        connect(m, link.transmit, transmitter.bytes)
        connect(m, link.requests, array.requests)
        connect(m, array.responses, link.responses)
        connect(m, link.items, array.items)
        connect(m, array.events, link.events)
        connect(m, array.results, link.results)
        m.d.comb += [receiver.rx.eq(self.rx), self.tx.eq(transmitter.tx), link.waiting.eq(array.waiting)]

        before = Signal()
        m.d.sync += before.eq(link.active)
        out = array.events.valid | array.results.valid
        clocks = Signal(BLINK_BITS)
        m.d.sync += clocks.eq(clocks + 1)
        m.d.comb += self.leds[0].eq(link.session)
        for led, shown in ((1, link.active != before), (2, out), (3, link.fault | receiver.damaged)):
            seen = Signal(2, name=f"seen_{led}")
            m.d.comb += self.leds[led].eq(seen.any())
            with m.If(shown):
                m.d.sync += seen[0].eq(1)
            with m.Elif(clocks == 0):
                m.d.sync += seen.eq(seen << 1)
        return m

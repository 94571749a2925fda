# SPDX-License-Identifier: Apache-2.0
"""A serial line: 8 data bits, no parity, one stop bit, the divisor fixed when it is built."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

DIVISOR_MIN = 4
"""Clocks of a bit: fewer leave the middle of a bit too near to its edges."""

BITS = 8


class UartReceiver(wiring.Component):
    """Bytes from the pin `rx`; a byte whose stop bit is missing is dropped and `damaged` for one clock.

    A start bit is looked at again in its middle, each bit once in its middle. A byte that is not taken within the time
    of the next one is lost.
    """

    def __init__(self, *, divisor: int) -> None:
        self.divisor = _checked(divisor)
        super().__init__({"rx": In(1, init=1), "bytes": Out(stream.Signature(BITS)), "damaged": Out(1)})

    def elaborate(self, platform: object) -> Module:
        """A counter of clocks, a counter of bits, a shift register."""
        m = Module()
        line = Signal(init=1)
        m.submodules.synchroniser = FFSynchronizer(self.rx, line, init=1)
        clocks = Signal(range(self.divisor + self.divisor // 2))
        bits = Signal(range(BITS + 1))
        shift = Signal(BITS)
        with m.If(self.bytes.ready):
            m.d.sync += self.bytes.valid.eq(0)
        with m.If(clocks != 0):
            m.d.sync += clocks.eq(clocks - 1)
        with m.FSM():
            with m.State("IDLE"):
                with m.If(~line):
                    m.d.sync += clocks.eq(self.divisor // 2 - 1)
                    m.next = "START"
            with m.State("START"), m.If(clocks == 0):
                m.d.sync += [clocks.eq(self.divisor - 1), bits.eq(0)]
                m.next = "DATA"
                with m.If(line):
                    m.next = "IDLE"
            with m.State("DATA"), m.If(clocks == 0):
                m.d.sync += [clocks.eq(self.divisor - 1), bits.eq(bits + 1)]
                with m.If(bits == BITS):
                    m.next = "IDLE"
                    with m.If(line):
                        m.d.sync += [self.bytes.payload.eq(shift), self.bytes.valid.eq(1)]
                    with m.Else():
                        m.d.comb += self.damaged.eq(1)
                        m.next = "BREAK"
                with m.Else():
                    m.d.sync += shift.eq(Cat(shift[1:], line))
            with m.State("BREAK"), m.If(line):
                m.next = "IDLE"
        return m


class UartTransmitter(wiring.Component):
    """Bytes to the pin `tx`, one every ten bits when there always is a next one."""

    def __init__(self, *, divisor: int) -> None:
        self.divisor = _checked(divisor)
        super().__init__({"tx": Out(1, init=1), "bytes": In(stream.Signature(BITS))})

    def elaborate(self, platform: object) -> Module:
        """A shift register of start bit, data and stop bit."""
        m = Module()
        clocks = Signal(range(self.divisor))
        bits = Signal(range(BITS + 3))
        shift = Signal(BITS + 2, init=(1 << BITS + 2) - 1)
        m.d.comb += [self.tx.eq(shift[0]), self.bytes.ready.eq((bits == 0) | (bits == 1) & (clocks == 0))]
        with m.If(clocks != 0):
            m.d.sync += clocks.eq(clocks - 1)
        with m.Elif(bits != 0):
            m.d.sync += [clocks.eq(self.divisor - 1), bits.eq(bits - 1), shift.eq(Cat(shift[1:], 1))]
        with m.If(self.bytes.valid & self.bytes.ready):
            m.d.sync += [
                shift.eq(Cat(Const(0, 1), self.bytes.payload, Const(1, 1))),
                bits.eq(BITS + 2),
                clocks.eq(self.divisor - 1),
            ]
        return m


def _checked(divisor: int) -> int:
    if divisor < DIVISOR_MIN:
        raise ValueError(f"a bit needs {DIVISOR_MIN} clocks at least, not {divisor}")
    return divisor

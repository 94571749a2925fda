# SPDX-License-Identifier: Apache-2.0
"""Clock and reset of a board, from its oscillator through the family's PLL."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, ClockDomain, Const, Instance, Module, Signal, Value
from amaranth.lib import io, wiring
from amaranth.lib.wiring import Out

from .catalog import Board
from .pll import Pll, pll_for

RESET_BITS = 10
"""The design is held in reset for 2**10 clocks: block RAM of the iCE40 needs microseconds after configuration."""


class Clocks(wiring.Component):
    """Clock and reset of a board: its oscillator, or a PLL on it, and 1 until that has settled.

    `frequency` is the clock's, in Hz.
    """

    def __init__(self, board: Board, clock: int) -> None:
        self.board = board
        self.pll = pll_for(board.family, board.oscillator, clock)
        self.frequency = self.pll.clock if self.pll else float(board.oscillator)
        super().__init__({"clock": Out(1), "reset": Out(1, init=1)})

    def elaborate(self, platform: Any) -> Module:
        """Oscillator pin, PLL, a counter that ends the reset."""
        m = Module()
        m.domains.settling = settling = ClockDomain("settling", reset_less=True, local=True)
        pin = platform.request(platform.default_clk, dir="-")
        made = Signal()
        locked = Signal(init=1)
        if self.pll is None:
            m.submodules.pin = buffer = io.Buffer("i", pin)
            m.d.comb += made.eq(buffer.i)
        else:
            attach = {"ecp5": self._ecp5, "ice40": self._ice40, "gowin": self._gowin}[self.board.family]
            attach(m, self.pll, pin, made, locked)
        platform.add_clock_constraint(made, self.frequency)
        m.d.comb += [self.clock.eq(made), settling.clk.eq(made)]

        # The lock is of no clock: two registers, then a count that begins again whenever it is lost.
        steady = Signal(2)
        count = Signal(RESET_BITS + 1)
        m.d.settling += [steady.eq(Cat(locked, steady[0])), self.reset.eq(~count[RESET_BITS])]
        with m.If(~steady[1]):
            m.d.settling += count.eq(0)
        with m.Elif(~count[RESET_BITS]):
            m.d.settling += count.eq(count + 1)
        return m

    def _buffered(self, m: Module, pin: Any) -> Value:
        m.submodules.pin = buffer = io.Buffer("i", pin)
        return buffer.i

    def _ecp5(self, m: Module, pll: Pll, pin: Any, clock: Signal, locked: Signal) -> None:
        """EHXPLLL, as `ecppll` of Project Trellis sets it."""
        m.submodules.pll = Instance(
            "EHXPLLL",
            a_FREQUENCY_PIN_CLKI=f"{self.board.oscillator / 1e6:g}",
            a_FREQUENCY_PIN_CLKOP=f"{pll.clock / 1e6:g}",
            a_ICP_CURRENT="12",
            a_LPF_RESISTOR="8",
            a_MFG_ENABLE_FILTEROPAMP="1",
            a_MFG_GMCREF_SEL="2",
            p_PLLRST_ENA="DISABLED",
            p_INTFB_WAKE="DISABLED",
            p_STDBY_ENABLE="DISABLED",
            p_DPHASE_SOURCE="DISABLED",
            p_OUTDIVIDER_MUXA="DIVA",
            p_OUTDIVIDER_MUXB="DIVB",
            p_OUTDIVIDER_MUXC="DIVC",
            p_OUTDIVIDER_MUXD="DIVD",
            p_CLKI_DIV=pll.reference,
            p_CLKOP_ENABLE="ENABLED",
            p_CLKOP_DIV=pll.output,
            p_CLKOP_CPHASE=pll.output - 1,
            p_CLKOP_FPHASE=0,
            p_FEEDBK_PATH="CLKOP",
            p_CLKFB_DIV=pll.feedback,
            i_CLKI=self._buffered(m, pin),
            i_CLKFB=clock,
            i_RST=Const(0),
            i_STDBY=Const(0),
            i_PHASESEL0=Const(0),
            i_PHASESEL1=Const(0),
            i_PHASEDIR=Const(1),
            i_PHASESTEP=Const(1),
            i_PHASELOADREG=Const(1),
            i_PLLWAKESYNC=Const(0),
            i_ENCLKOP=Const(0),
            o_CLKOP=clock,
            o_LOCK=locked,
        )

    def _ice40(self, m: Module, pll: Pll, pin: Any, clock: Signal, locked: Signal) -> None:
        """A PLL beside whose pad the oscillator is must take it from there: the pad's own input is the PLL's output."""
        detector = self.board.oscillator / pll.reference
        filter_range = next(
            (row for row, below in enumerate((17e6, 26e6, 44e6, 66e6, 101e6), 1) if detector < below), 6
        )
        settings = {
            "p_FEEDBACK_PATH": "SIMPLE",
            "p_DIVR": Const(pll.reference - 1, 4),
            "p_DIVF": Const(pll.feedback - 1, 7),
            "p_DIVQ": Const(pll.output, 3),
            "p_FILTER_RANGE": Const(filter_range, 3),
            "i_RESETB": Const(1),
            "i_BYPASS": Const(0),
            "o_PLLOUTGLOBAL": clock,
            "o_LOCK": locked,
        }
        if self.board.flow == "ice40-u":
            m.submodules.pll = Instance("SB_PLL40_PAD", i_PACKAGEPIN=pin.io, **settings)
        else:
            m.submodules.pll = Instance("SB_PLL40_CORE", i_REFERENCECLK=self._buffered(m, pin), **settings)

    def _gowin(self, m: Module, pll: Pll, pin: Any, clock: Signal, locked: Signal) -> None:
        """rPLL with its settings fixed."""
        m.submodules.pll = Instance(
            "rPLL",
            p_DEVICE=self.board.fpga,
            p_FCLKIN=f"{self.board.oscillator / 1e6:g}",
            p_IDIV_SEL=pll.reference - 1,
            p_DYN_IDIV_SEL="false",
            p_FBDIV_SEL=pll.feedback - 1,
            p_DYN_FBDIV_SEL="false",
            p_ODIV_SEL=pll.output,
            p_DYN_ODIV_SEL="false",
            p_PSDA_SEL="0000",
            p_DUTYDA_SEL="1000",
            p_DYN_DA_EN="false",
            p_CLKFB_SEL="internal",
            p_CLKOUT_BYPASS="false",
            p_CLKOUTP_BYPASS="false",
            p_CLKOUTD_BYPASS="false",
            p_DYN_SDIV_SEL=2,
            p_CLKOUTD_SRC="CLKOUT",
            p_CLKOUTD3_SRC="CLKOUT",
            i_CLKIN=self._buffered(m, pin),
            i_CLKFB=Const(0),
            i_RESET=Const(0),
            i_RESET_P=Const(0),
            i_FBDSEL=Const(0, 6),
            i_IDSEL=Const(0, 6),
            i_ODSEL=Const(0, 6),
            i_PSDA=Const(0, 4),
            i_DUTYDA=Const(0, 4),
            i_FDLY=Const(0, 4),
            o_CLKOUT=clock,
            o_LOCK=locked,
        )

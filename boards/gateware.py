# SPDX-License-Identifier: Apache-2.0
"""The whole design of a board: pins, clocks, and the top level that is the same everywhere."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import ClockDomain, Elaboratable, Module
from amaranth.lib import io

from ..arch.array import ArrayConfig
from ..arch.link import LinkConfig
from ..rtl.top import Top
from .catalog import Board
from .clocks import Clocks
from .families import FAMILIES
from .netlist import TOP
from .platforms import platform_of


class Gateware(Elaboratable):
    """`Top` between the serial pins and lights of a board.

    Registers that the bitstream starts need no reset, which would cost logic at each of them: until the clock has
    settled the line is idle, and so all else stays as it started.
    """

    def __init__(self, board: Board, array: ArrayConfig, link: LinkConfig, *, version: str) -> None:
        self.board = board
        self.clocks = Clocks(board, link.clock)
        self.top = Top(array, link, version=version)

    def elaborate(self, platform: Any) -> Module:
        """Pins to ports; lights that the board lacks stay dark."""
        m = Module()
        kept = FAMILIES[self.board.family].registers_start
        m.domains.sync = sync = ClockDomain(reset_less=kept)
        m.submodules.clocks = self.clocks
        m.submodules.top = self.top
        m.d.comb += sync.clk.eq(self.clocks.clock)
        if not kept:
            m.d.comb += sync.rst.eq(self.clocks.reset)
        serial = platform.request("uart", 0, dir="-")
        m.submodules.rx = rx = io.Buffer("i", serial.rx)
        m.submodules.tx = tx = io.Buffer("o", serial.tx)
        m.d.comb += [self.top.rx.eq(rx.i | (self.clocks.reset & kept)), tx.o.eq(self.top.tx)]
        ports = [port for name, number in self.board.leds for port in _ports(platform.request(name, number, dir="-"))]
        for number, (port, light) in enumerate(zip(ports, self.top.leds, strict=False)):
            m.submodules[f"led_{number}"] = led = io.Buffer("o", port)
            m.d.comb += led.o.eq(light)
        return m


def _ports(light: Any) -> list[Any]:
    """A light's port, or those of one of several colours."""
    return [getattr(light, color) for color in "rgb"] if hasattr(light, "r") else [light]


def plan(board: Board, array: ArrayConfig, link: LinkConfig, *, version: str) -> tuple[str, str]:
    """The design as RTLIL without source positions, and its pins and clock as the family's placer reads them."""
    made = platform_of(board).prepare(Gateware(board, array, link, version=version), TOP, emit_src=False)
    files = made.files
    constraints = next(str(files[f"{TOP}.{kind}"]) for kind in ("lpf", "pcf", "cst") if f"{TOP}.{kind}" in files)
    text = files[f"{TOP}.il"]
    return (text.decode() if isinstance(text, bytes) else text), constraints

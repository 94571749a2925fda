# SPDX-License-Identifier: Apache-2.0
"""Pins of the boards: the platforms of amaranth-boards, and those that it lacks."""

from __future__ import annotations

import importlib
from typing import Any

from amaranth.build import Attrs, Clock, Pins, PinsN, Resource
from amaranth.vendor import GowinPlatform, LatticeECP5Platform
from amaranth_boards.resources import LEDResources, UARTResource

from .catalog import Board


class ColorlightI5Platform(LatticeECP5Platform):
    """Colorlight i5 v7.0: a module for LED walls, on the extension board that gives it USB."""

    device = "LFE5U-25F"
    package = "BG381"
    speed = "6"
    default_clk = "clk25"
    resources = [  # noqa: RUF012
        Resource("clk25", 0, Pins("P3", dir="i"), Clock(25e6), Attrs(IO_TYPE="LVCMOS33")),
        *LEDResources(pins="U16", invert=True, attrs=Attrs(IO_TYPE="LVCMOS25")),
        UARTResource(0, rx="H18", tx="J17", attrs=Attrs(IO_TYPE="LVCMOS33")),
    ]
    connectors: list[Any] = []  # noqa: RUF012


class TangNano20kPlatform(GowinPlatform):
    """Sipeed Tang Nano 20K."""

    part = "GW2AR-LV18QN88C8/I7"
    family = "GW2AR-18C"
    default_clk = "clk27"
    resources = [  # noqa: RUF012
        Resource("clk27", 0, Pins("4", dir="i"), Clock(27e6), Attrs(IO_TYPE="LVCMOS33")),
        *LEDResources(pins="15 16 17 18 19 20", invert=True, attrs=Attrs(IO_TYPE="LVCMOS33")),
        UARTResource(0, rx="70", tx="69", attrs=Attrs(PULL_MODE="UP", IO_TYPE="LVCMOS33")),
        Resource("button", 0, PinsN("88", dir="i"), Attrs(IO_TYPE="LVCMOS33")),
    ]
    connectors: list[Any] = []  # noqa: RUF012


def platform_of(board: Board) -> Any:
    """A fresh platform of a board."""
    module, _, name = board.platform.partition(":")
    home = __package__ if module.startswith(".") else None
    found = importlib.import_module(module if home else f"amaranth_boards.{module}", home)
    return getattr(found, name)()

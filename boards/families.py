# SPDX-License-Identifier: Apache-2.0
"""The FPGA families: which programs place and pack a netlist, with which words, and what their resources are called."""

from __future__ import annotations

from dataclasses import dataclass

from .tools import ECPPACK, GOWIN_PACK, ICEPACK, NEXTPNR_ECP5, NEXTPNR_GOWIN, NEXTPNR_ICE40, Tool


@dataclass(frozen=True, kw_only=True)
class Family:
    """One family. Files of a run: `top.json`, `top.pins`, `placed`, `bitstream`, `report.json`.

    Attributes
    ----------
    place : words of the placer beyond device, clock and seed
    pack : words of the packer; `{part}` stands for `parts[fpga]` of the board
    suffix : of the bitstream
    resources : nextpnr's name of each, and ours, most wanted first
    memories : cells that are block RAM
    seconds : a placement that takes longer is taken not to route: a router can go on for ever
    registers_start : registers have their first values from the bitstream, and a reset for them costs logic
    """

    placer: Tool
    place: tuple[str, ...]
    packer: Tool
    pack: tuple[str, ...]
    suffix: str
    resources: dict[str, str]
    memories: frozenset[str]
    seconds: int = 3600
    registers_start: bool = False


FAMILIES = {
    "ecp5": Family(
        placer=NEXTPNR_ECP5,
        place=("--lpf", "top.pins", "--textcfg", "placed"),
        packer=ECPPACK,
        pack=("--input", "placed", "--bit", "bitstream", "--compress"),
        suffix="bit",
        resources={
            "TRELLIS_COMB": "logic cells",
            "TRELLIS_FF": "flip-flops",
            "TRELLIS_RAMW": "LUT RAM",
            "DP16KD": "block RAM",
            "MULT18X18D": "multipliers",
        },
        memories=frozenset({"DP16KD"}),
    ),
    "ice40": Family(
        placer=NEXTPNR_ICE40,
        place=("--pcf", "top.pins", "--asc", "placed"),
        packer=ICEPACK,
        pack=("placed", "bitstream"),
        suffix="bin",
        resources={
            "ICESTORM_LC": "logic cells",
            "ICESTORM_RAM": "block RAM",
            "ICESTORM_SPRAM": "single-port RAM",
            "ICESTORM_DSP": "multipliers",
        },
        memories=frozenset({"SB_RAM40_4K", "SB_SPRAM256KA"}),
        seconds=900,
        registers_start=True,
    ),
    "gowin": Family(
        placer=NEXTPNR_GOWIN,
        place=("--vopt", "cst=top.pins", "--write", "placed"),
        packer=GOWIN_PACK,
        pack=("-d", "{part}", "-o", "bitstream", "placed"),
        suffix="fs",
        resources={
            "LUT4": "logic cells",
            "ALU": "adder cells",
            "DFF": "flip-flops",
            "RAM16SDP4": "LUT RAM",
            "BSRAM": "block RAM",
            "MULT18X18": "multipliers",
            "MULT9X9": "small multipliers",
        },
        memories=frozenset({"SDPB", "SDPX9B", "DPB", "DPX9B", "SP", "SPX9", "pROM", "pROMX9"}),
    ),
}
"""By name, as `catalog.Board.family` has it."""

GOWIN_PARTS = {"GW1NR-9C": "GW1N-9C", "GW2AR-18C": "GW2A-18C", "GW2A-18C": "GW2A-18C"}
"""What the packer calls a Gowin FPGA: its die."""

# SPDX-License-Identifier: Apache-2.0
"""The boards: what each is made of, how its host reaches it, and the array that it gets unless told otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..arch.array import ArrayConfig
from ..arch.errors import ConfigurationError, did_you_mean
from ..arch.link import LinkConfig
from .pll import pll_for

SIMULATED = "built, simulated at pin level, untested on hardware"
BUILT = "built, untested on hardware"

Usb = tuple[int, int, int]
"""Vendor, product and interface number of a serial port on USB."""

FT231X: Usb = (0x0403, 0x6015, 0)
FT2232_B: Usb = (0x0403, 0x6010, 1)
DAPLINK: Usb = (0x1D50, 0x602B, 0)


@dataclass(frozen=True, kw_only=True)
class Board:
    """One board. All of it is data: a new board is a row of `BOARDS`.

    Attributes
    ----------
    family, flow
        Row of `families.FAMILIES`, and of `netlist.FLOWS`.
    oscillator : clock of the board, Hz
    platform : `module:Class` of its pins, in `amaranth_boards` unless the module starts with a dot (then in here)
    device : what the placer is told of the part
    leds : resources that show: configured, link alive, an output, an error; as many as there are
    programmer : arguments of openFPGALoader; none: it is programmed in another way, which `programming` tells
    effort : options of the placer beyond the usual
    status : what is known to work
    clock : of the array by default, Hz; `baud` of its line, as near as a divisor comes
    """

    name: str
    title: str
    fpga: str
    family: str
    flow: str
    oscillator: int
    platform: str
    device: tuple[str, ...]
    leds: tuple[tuple[str, int], ...]
    usb: tuple[Usb, ...]
    programmer: tuple[str, ...] = ()
    programming: str = ""
    array: ArrayConfig
    clock: int
    status: str
    baud: int = 3_000_000
    packets: int = 2048
    items: int = 4096
    results: int = 512
    events: int = 512
    effort: tuple[str, ...] = ()

    def link(self, clock: int | None = None) -> LinkConfig:
        """The link at the clock in Hz that the board can make, nearest to `clock`, with the divisor nearest to `baud`.

        Raises `ConfigurationError` where the PLL can do nothing of the kind.
        """
        pll = pll_for(self.family, self.oscillator, clock or self.clock)
        clock = round(pll.clock) if pll else self.oscillator
        divisor = max(4, round(clock / self.baud))
        depths = {name: getattr(self, name) for name in ("packets", "items", "results", "events")}
        return LinkConfig(clock=clock, divisor=divisor, **depths)


_LEDS = (("led", 0), ("led", 1), ("led", 2), ("led", 3))
_RGB = (("rgb_led", 0),)

ECP5_25 = ArrayConfig(
    cores=2, lanes=16, weight_bits=8, weight_words=2048, groups=16, axons=1024, events=1024, layers=8, classes=16
)
"""784-64-10 and the like: 65 536 weights of 8 bits."""

ECP5_85 = ArrayConfig(
    cores=4, lanes=16, weight_bits=8, weight_words=4096, groups=32, axons=2048, events=1024, layers=8, classes=64
)
"""784-256-10 and the like: 262 144 weights of 8 bits."""

_SMALL: Any = {
    "weight_bits": 8,
    "decay_bits": 4,
    "noise_latency": 2,
    "classes": 10,
    "layers": 4,
}
"""Of the arrays of small FPGAs: formats and latencies that save logic."""

UP5K = ArrayConfig(
    **{**_SMALL, "layers": 3}, lanes=2, weight_words=50816, groups=69, axons=1024, events=512, sparse_inputs=True,
    serial_products="multipliers", weight_memory="single", counters=False, errors=("mse",), probes=False,
    event_readers="turns", pipeline="short",
)  # fmt: skip
"""784-128-10 with at most 512 spikes in a step of the input: 101 632 weights of 8 bits in single-port RAM."""

HX8K = ArrayConfig(**_SMALL, lanes=4, weight_words=1024, groups=16, axons=256, events=128, counters=False)
"""64-32-10 and the like: 4 096 weights of 8 bits."""

GW1N = ArrayConfig(
    **_SMALL, lanes=4, weight_words=4096, groups=32, axons=1024, events=512, serial_products="multipliers",
    counters=False,
)  # fmt: skip
"""Up to 512 inputs: 16 384 weights of 8 bits."""

GW2A = ArrayConfig(lanes=16, weight_bits=8, weight_words=1024, groups=16, axons=1024, events=512, layers=8, classes=16)


def _ulx3s(size: str, array: ArrayConfig, clock: int) -> Board:
    return Board(
        name=f"ulx3s-{size.lower()}",
        title=f"Radiona ULX3S {size}",
        fpga=f"LFE5U-{size}",
        family="ecp5",
        flow="ecp5",
        oscillator=25_000_000,
        platform=f"ulx3s:ULX3S_{size}_Platform",
        device=(f"--{size[:2]}k", "--package", "CABGA381", "--speed", "6"),
        leds=_LEDS,
        usb=(FT231X,),
        programmer=("-b", "ulx3s"),
        array=array,
        clock=clock,
        status=SIMULATED if size in ("25F", "85F") else BUILT,
        # The default placer scatters the array over a device that is three quarters empty: 70 % more wire.
        effort=("--placer", "static") if size == "85F" else (),
    )


def _up5k(name: str, title: str, platform: str, usb: Usb, **programming: object) -> Board:
    return Board(
        name=name,
        title=title,
        fpga="iCE40UP5K",
        family="ice40",
        flow="ice40-u",
        oscillator=12_000_000,
        platform=platform,
        device=("--up5k", "--package", "sg48"),
        leds=_LEDS[:2] if name == "icebreaker" else _LEDS[:3],
        usb=(usb,),
        array=UP5K,
        clock=16_000_000,
        status=SIMULATED if name == "icebreaker" else BUILT,
        baud=1_000_000,
        packets=512,
        items=256,
        results=32,
        events=32,
        **programming,  # type: ignore[arg-type]
    )


def _tang_20k(size: str, title: str, fpga: str, platform: str, part: str) -> Board:
    return Board(
        name=f"tang-{size}-20k",
        title=f"Sipeed Tang {title}",
        fpga=fpga,
        family="gowin",
        flow="gw2a",
        oscillator=27_000_000,
        platform=platform,
        device=("--device", part, "--vopt", "family=GW2A-18C"),
        leds=_LEDS,
        usb=(FT2232_B,),
        programmer=("-b", f"tang{size}20k"),
        array=GW2A,
        clock=40_500_000,
        status=BUILT,
        baud=1_500_000,
    )


_ALL = (
    _ulx3s("12F", ECP5_25, 60_000_000),
    _ulx3s("25F", ECP5_25, 60_000_000),
    _ulx3s("85F", ECP5_85, 60_000_000),
    Board(
        name="icepi-zero",
        title="Icepi Zero v1.3",
        fpga="LFE5U-25F",
        family="ecp5",
        flow="ecp5",
        oscillator=50_000_000,
        platform="icepi_zero:IcepiZero1_3Platform",
        device=("--25k", "--package", "CABGA256", "--speed", "6"),
        leds=_LEDS,
        usb=(FT231X,),
        programmer=("-b", "icepi-zero"),
        array=ECP5_25,
        clock=60_000_000,
        status=BUILT,
    ),
    Board(
        name="icesugar-pro",
        title="MuseLab iCESugar-Pro",
        fpga="LFE5U-25F",
        family="ecp5",
        flow="ecp5",
        oscillator=25_000_000,
        platform="icesugar_pro:ICESugarProPlatform",
        device=("--25k", "--package", "CABGA256", "--speed", "6"),
        leds=_RGB,
        usb=(DAPLINK,),
        programmer=("-c", "cmsisdap", "--vid", "0x1d50", "--pid", "0x602b"),
        array=ECP5_25,
        clock=60_000_000,
        status=BUILT,
        baud=115_200,
    ),
    Board(
        name="colorlight-i5",
        title="Colorlight i5 v7.0 on its extension board",
        fpga="LFE5U-25F",
        family="ecp5",
        flow="ecp5",
        oscillator=25_000_000,
        platform=".platforms:ColorlightI5Platform",
        device=("--25k", "--package", "CABGA381", "--speed", "6"),
        leds=_LEDS[:1],
        usb=(DAPLINK,),
        programmer=("-b", "colorlight-i5"),
        array=ECP5_25,
        clock=60_000_000,
        status=BUILT,
        baud=115_200,
    ),
    Board(
        name="ecpix5-85",
        title="LambdaConcept ECPIX-5 85F",
        fpga="LFE5UM5G-85F",
        family="ecp5",
        flow="ecp5",
        oscillator=100_000_000,
        platform="ecpix5:ECPIX585Platform",
        device=("--um5g-85k", "--package", "CABGA554", "--speed", "8"),
        leds=tuple(("rgb_led", index) for index in range(4)),
        usb=(FT2232_B,),
        programmer=("-b", "ecpix5"),
        array=ECP5_85,
        clock=75_000_000,
        status=BUILT,
    ),
    _up5k("icebreaker", "1BitSquared iCEBreaker", "icebreaker:ICEBreakerPlatform", FT2232_B,
          programmer=("-b", "ice40_generic")),
    _up5k("icesugar", "MuseLab iCESugar", "icesugar:ICESugarPlatform", DAPLINK,
          programming="copy the file onto the USB drive iCELink that the board shows"),
    Board(
        name="hx8k-evn",
        title="Lattice iCE40-HX8K breakout board",
        fpga="iCE40HX8K",
        family="ice40",
        flow="ice40-hx",
        oscillator=12_000_000,
        platform="ice40_hx8k_b_evn:ICE40HX8KBEVNPlatform",
        device=("--hx8k", "--package", "ct256"),
        leds=_LEDS,
        usb=(FT2232_B,),
        programmer=("-b", "ice40_generic"),
        array=HX8K,
        clock=30_000_000,
        status=SIMULATED,
        packets=512,
        items=256,
        results=32,
        events=32,
    ),
    Board(
        name="tang-nano-9k",
        title="Sipeed Tang Nano 9K",
        fpga="GW1NR-9C",
        family="gowin",
        flow="gw1n",
        oscillator=27_000_000,
        platform="tang_nano_9k:TangNano9kPlatform",
        device=("--device", "GW1NR-LV9QN88PC6/I5", "--vopt", "family=GW1N-9C"),
        leds=_LEDS,
        usb=(FT2232_B,),
        programmer=("-b", "tangnano9k"),
        array=GW1N,
        clock=27_000_000,
        status=SIMULATED,
        baud=1_500_000,
        packets=512,
        items=1024,
        results=64,
        events=64,
    ),
    _tang_20k("nano", "Nano 20K", "GW2AR-18C", ".platforms:TangNano20kPlatform", "GW2AR-LV18QN88C8/I7"),
    _tang_20k("primer", "Primer 20K with its dock", "GW2A-18C", "tang_primer_20k:TangPrimer20kDockPlatform",
              "GW2A-LV18PG256C8/I7"),
)  # fmt: skip

BOARDS: dict[str, Board] = {board.name: board for board in _ALL}


def board_named(name: str) -> Board:
    """The board; `ConfigurationError` with the nearest name if there is none."""
    if name not in BOARDS:
        raise ConfigurationError(f"no board is called {name!r}", did_you_mean(name, BOARDS))
    return BOARDS[name]

# SPDX-License-Identifier: Apache-2.0
"""A simulation of an array on a bus, as a system gets it by `trifactor export`."""

from __future__ import annotations

from ..arch.array import ArrayConfig
from ..arch.link import Depths
from ..rtl.peripheral import Bus, Peripheral
from .session import Session
from .simulators import Build, Simulator, build
from .verilog import to_verilog

TOPLEVEL = "trifactor"


def build_bus(array: ArrayConfig, depths: Depths, bus: Bus, *, sim: Simulator = "verilator") -> Build:
    """The peripheral compiled for `sim`. Raises `ToolError` when the simulator is missing."""
    from .. import __version__

    verilog = to_verilog(Peripheral(array, depths, bus, version=__version__), name=TOPLEVEL, separator="_")
    return build(sim, {"top.v": verilog}, toplevel=TOPLEVEL, parameters={}, fast=False)


def bus_session(build: Build, array: ArrayConfig, depths: Depths, bus: Bus, *, stall_seed: int = 0) -> Session:
    """A running `BusDriver` (`bench_bus.py`); its caller closes it. `stall_seed` not 0 disturbs the bus at random."""
    settings = {"bus": bus, "depths": depths.model_dump()}
    return Session(build, array, bench="bench_bus", stall_seed=stall_seed, settings=settings)

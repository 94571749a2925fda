# SPDX-License-Identifier: Apache-2.0
"""The simulated hardware behind the call that every backend answers (`arch/device.py`)."""

from __future__ import annotations

from pathlib import Path

from ..arch.array import ArrayConfig
from ..arch.device import DeviceState
from ..arch.network import Network
from ..arch.placement import place
from .driven import DrivenDevice
from .harness import build_array
from .session import Session
from .simulators import Build, Simulator


class RtlDevice(DrivenDevice):
    """The array's Verilog in Verilator or Icarus, with the outputs of `GoldenDevice`, bit for bit.

    `state` is what the device starts from, all weights zero by default. `stall` puts random gaps on every stream, a
    function of its value; results do not depend on it. `build` is a simulator build of `array`, made when not given;
    `waves` names a file for the waveform of the device's whole life. A context manager; `close` ends the simulation.

    Raises `DoesNotFitError` if `network` does not fit `array`, `ToolError` when the simulator is missing, `DeviceError`
    when the hardware does not answer as it should. `record=("signatures",)` needs an array built with them.
    """

    def __init__(
        self,
        array: ArrayConfig,
        network: Network,
        state: DeviceState | None = None,
        *,
        sim: Simulator = "verilator",
        stall: int | bool = False,
        build: Build | None = None,
        waves: Path | None = None,
    ) -> None:
        place(network, array)
        made = build or build_array(array, sim=sim, waves=waves is not None)
        super().__init__(Session(made, array, stall_seed=int(stall), waves=waves), array, network, state)

# SPDX-License-Identifier: Apache-2.0
"""Backends by name, all behind the same call."""

from __future__ import annotations

from typing import Literal, cast

from ..arch.array import ArrayConfig
from ..arch.device import Device, DeviceState
from ..arch.network import Network
from .config import DEVICES, check_choice


def make_device(name: str, array: ArrayConfig, network: Network, state: DeviceState) -> Device:
    """The backend called `name` (golden, verilator or icarus), loaded with `state`."""
    check_choice(name, DEVICES, "device")
    if name == "golden":
        from ..golden.device import GoldenDevice

        return GoldenDevice(array, network, state)
    from ..cosim.device import RtlDevice

    return RtlDevice(array, network, state, sim=cast(Literal["verilator", "icarus"], name))

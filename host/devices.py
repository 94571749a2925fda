# SPDX-License-Identifier: Apache-2.0
"""Backends by name, all behind the same call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, cast

from ..arch.array import ArrayConfig
from ..arch.device import Device, DeviceState
from ..arch.network import Network
from .config import DEVICES, check_choice


def is_port(name: str) -> bool:
    """Whether a device's name is that of a serial port: `/dev/ttyUSB1`, `COM3`, `socket://HOST:PORT`."""
    return "/" in name or (name[:3].upper() == "COM" and name[3:].isdigit())


def check_device(name: str) -> str:
    """`name` if it is a backend or a port; else a `ConfigurationError` naming the nearest backend."""
    return name if is_port(name) else check_choice(name, DEVICES, "device")


def make_device(name: str, array: ArrayConfig, network: Network, state: DeviceState) -> Device:
    """The backend called `name` (golden, verilator, icarus, or the port of a board), loaded with `state`."""
    check_device(name)
    if is_port(name):
        from .board import BoardDevice

        return BoardDevice(array, network, state, port=name)
    if name == "golden":
        from ..golden.device import GoldenDevice

        return GoldenDevice(array, network, state)
    from ..cosim.device import RtlDevice

    return RtlDevice(array, network, state, sim=cast(Literal["verilator", "icarus"], name))


@contextmanager
def closed_after(device: Device) -> Iterator[None]:
    """End a simulation, or let go of a port, when the block ends; a golden model has nothing to end."""
    try:
        yield
    finally:
        close = getattr(device, "close", None)
        if close is not None:
            close()

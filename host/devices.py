# SPDX-License-Identifier: Apache-2.0
"""Backends by name, all behind the same call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, cast

from ..arch.array import ArrayConfig
from ..arch.device import Device, DeviceState
from ..arch.errors import ConfigurationError
from ..arch.network import Network
from .config import DEVICES, Config, check_choice
from .ports import is_port


def check_device(name: str, baud: int | None = None) -> str:
    """`name` if it is a backend, a port or a board; else a `ConfigurationError` naming the nearest of them."""
    if is_port(name):
        return name
    from ..boards.catalog import BOARDS

    if baud is not None and name not in BOARDS:
        raise ConfigurationError("--baud belongs to a port", "name the port of a board as --device")
    return check_choice(name, (*DEVICES, *BOARDS), "device")


def make_device(name: str, array: ArrayConfig, network: Network, state: DeviceState, baud: int | None = None) -> Device:
    """The backend called `name` (golden, verilator, icarus, a port or the name of a board), loaded with `state`."""
    check_device(name, baud)
    if name not in DEVICES:
        from .board import BoardDevice

        return BoardDevice(array, network, state, port=name, baud=baud)
    if name == "golden":
        from ..golden.device import GoldenDevice

        return GoldenDevice(array, network, state)
    from ..cosim.device import RtlDevice

    return RtlDevice(array, network, state, sim=cast(Literal["verilator", "icarus"], name))


def with_array_of(name: str, config: Config) -> Config:
    """`config` with the array that a board gets unless told otherwise, if `name` is a board and there is none in it."""
    from ..boards.catalog import BOARDS

    if name not in BOARDS or config.array_given:
        return config
    return config.model_copy(update={"array": BOARDS[name].array, "array_given": True})


@contextmanager
def closed_after(device: Device) -> Iterator[None]:
    """End a simulation, or let go of a port, when the block ends; a golden model has nothing to end."""
    try:
        yield
    finally:
        close = getattr(device, "close", None)
        if close is not None:
            close()

# SPDX-License-Identifier: Apache-2.0
"""Serial ports by the name of a board: what is plugged in, by the numbers of its USB interfaces."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..arch.errors import ConfigurationError, DeviceError, did_you_mean
from ..arch.link import LinkConfig

Usb = tuple[int, int, int]
"""Vendor, product and interface number."""

COMMON_BAUDS = (3_000_000, 1_000_000, 1_500_000, 115_200, 2_000_000, 12_000_000, 921_600)
_INTERFACE = re.compile(r":\w+\.(\d+)$")


def is_port(name: str) -> bool:
    """Whether a device's name is that of a serial port: `/dev/ttyUSB1`, `COM3`, `socket://HOST:PORT`."""
    return "/" in name or (name[:3].upper() == "COM" and name[3:].isdigit())


def resolved(name: str, baud: int | None) -> tuple[str, int]:
    """What to open, and at how many bits a second, for a port or the name of a board that is plugged in.

    Raises `ConfigurationError` if `name` is neither, `DeviceError` if no such board is plugged in, or several are.
    """
    if is_port(name):
        return name, baud or round(LinkConfig().baud)
    from serial.tools import list_ports

    from ..boards.catalog import BOARDS

    known = {board.name: board.usb for board in BOARDS.values()}
    interactive = sys.stdin.isatty() and sys.stderr.isatty()
    url = find(name, known, list_ports.comports(), ask=_ask if interactive else None)
    return url, baud or round(BOARDS[name].link().baud)


def find(
    name: str, known: Mapping[str, tuple[Usb, ...]], ports: Sequence[Any], *, ask: Callable[[list[str]], str] | None
) -> str:
    """The path of the port, of `ports` as pyserial lists them, that is a board's.

    Where several are, `ask` chooses one of their paths; without it that is a `DeviceError`, as if there were none.
    A port whose interface number the system does not tell may be any of them.
    """
    if name not in known:
        hint = did_you_mean(name, [*known])
        raise ConfigurationError(f"{name!r} is neither a port nor a board", hint or "write /dev/ttyUSB0, COM3")
    wanted = known[name]
    fitting = [port for port in ports if any(_fits(port, usb) for usb in wanted)]
    if not fitting:
        looked = " or ".join(f"{vendor:04x}:{product:04x} interface {number}" for vendor, product, number in wanted)
        there = ", ".join(_text(port) for port in ports) or "none"
        raise DeviceError(f"no {name} is plugged in: no serial port on USB is {looked}", f"ports there: {there}")
    paths = [str(port.device) for port in fitting]
    if len(paths) > 1 and ask is None:
        raise DeviceError(
            f"which {name}? {', '.join(_text(port) for port in fitting)}", f"name the port: --port {paths[0]}"
        )
    return paths[0] if len(paths) == 1 or ask is None else ask(paths)


def _fits(port: Any, usb: Usb) -> bool:
    found = _INTERFACE.search(port.location or "")
    return (port.vid, port.pid) == usb[:2] and (found is None or int(found[1]) == usb[2])


def _text(port: Any) -> str:
    number = f" {port.vid:04x}:{port.pid:04x}" if port.vid is not None else ""
    return f"{port.device}{number}{f' {port.serial_number}' if port.serial_number else ''}"


def _ask(paths: list[str]) -> str:
    import typer

    lines = "\n".join(f"  {index}  {path}" for index, path in enumerate(paths, start=1))
    index: int = typer.prompt(f"several ports fit:\n{lines}\nwhich one", type=int, default=1, err=True)
    if not 1 <= index <= len(paths):
        raise ConfigurationError(f"there is no port number {index}", f"1 to {len(paths)}")
    return paths[index - 1]

# SPDX-License-Identifier: Apache-2.0
"""Bitstreams into boards: openFPGALoader's command, and what its usual failures mean."""

from __future__ import annotations

import subprocess
from pathlib import Path

from ..arch.errors import ConfigurationError, DeviceError, ToolError
from .catalog import Board
from .families import FAMILIES
from .tools import OPENFPGALOADER

FAILURES: tuple[tuple[str, str, str], ...] = (
    (
        "error while loading shared libraries",
        "openFPGALoader lacks a library of the system",
        "sudo apt-get install libusb-1.0-0 libftdi1-2 libhidapi-hidraw0",
    ),
    ("-3 (device not found)", "no such board on USB", "is it plugged in, with a cable that carries data?"),
    (
        "unable to open ftdi device: -4",
        "the board is there and may not be opened",
        "Linux: add openFPGALoader's udev rules and plug it in again; Windows: give it the WinUSB driver with Zadig",
    ),
    (
        "unable to open ftdi device: -5",
        "another program or driver holds the board's programming channel",
        "close it; on Linux the kernel's ftdi_sio may hold the wrong channel: plug the board in again",
    ),
    ("libusb_claim_interface", "another program holds the board", "close serial monitors and try again"),
    ("Permission denied", "no permission for the USB device", "add the udev rules of openFPGALoader, or use sudo once"),
    ("JTAG init failed", "the FPGA does not answer on JTAG", "is this the right board, and is it powered?"),
)
"""What openFPGALoader says, what it means, what to do; the first that fits counts."""


def bitstream_of(board: Board, folder: Path) -> Path:
    """The bitstream of a build; `ConfigurationError` where there is none."""
    path = folder / f"{board.name}.{FAMILIES[board.family].suffix}"
    if not path.is_file():
        raise ConfigurationError(f"{path}: there is no bitstream", f"trifactor build --board {board.name}")
    return path


def command(board: Board, bitstream: Path, *, flash: bool = False) -> list[str]:
    """openFPGALoader's words. `ConfigurationError` for a board that is programmed in another way, saying which."""
    if not board.programmer:
        raise ConfigurationError(f"{board.name} is not loaded by openFPGALoader", f"{board.programming}: {bitstream}")
    return [OPENFPGALOADER.program, *board.programmer, *(["-f"] if flash else []), str(bitstream)]


def run(board: Board, words: list[str]) -> None:
    """Run the command. Raises `ToolError` when openFPGALoader is missing or incomplete, `DeviceError` when it fails."""
    done = subprocess.run(
        [OPENFPGALOADER.path(), *words[1:]], capture_output=True, text=True, errors="replace", check=False
    )
    if done.returncode == 0:
        return
    said = done.stdout + done.stderr
    for text, meaning, hint in FAILURES:
        if text in said:
            raise (ToolError if "libraries" in text else DeviceError)(f"{board.name}: {meaning}", hint)
    last = (said.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
    raise DeviceError(f"{board.name}: {last}", f"by hand: {' '.join(words)}")

# SPDX-License-Identifier: Apache-2.0
"""A serial line of bytes: anything that pyserial opens by a URL, and what can go wrong with it in one line."""

from __future__ import annotations

import time
from typing import Protocol

from ..arch.errors import DeviceError

READ_MOST = 65_536


class Line(Protocol):
    """Bytes to and from a board."""

    def write(self, data: bytes) -> None:
        """Send all of `data`. Raises `DeviceError` if the line is gone."""

    def read(self, seconds: float) -> bytes:
        """What has come, at least a byte unless `seconds` pass. Raises `DeviceError` if the line is gone."""

    def now(self) -> float:
        """Seconds, of the clock that silence is measured with."""

    def close(self) -> None:
        """Give the line back."""


class SerialLine:
    """`/dev/ttyUSB1`, `COM3`, `socket://HOST:PORT`, `loop://`: whatever `serial.serial_for_url` takes."""

    def __init__(self, url: str, baud: int) -> None:
        import serial

        self._url = url
        try:
            self._port = serial.serial_for_url(url, baudrate=baud, timeout=0, write_timeout=5, exclusive=True)
        except serial.SerialException as error:
            raise DeviceError(f"{url}: cannot be opened: {_reason(error)}", _advice(error)) from error
        except ValueError as error:
            raise DeviceError(
                f"{url}: no such kind of port: {error}", "write /dev/ttyUSB0 or socket://HOST:PORT"
            ) from error

    def write(self, data: bytes) -> None:
        """Send all of `data`."""
        import serial

        try:
            self._port.write(data)
        except (serial.SerialException, OSError) as error:
            raise self._gone(error) from error

    def read(self, seconds: float) -> bytes:
        """What has come, at least a byte unless `seconds` pass."""
        import serial

        try:
            self._port.timeout = seconds
            first: bytes = self._port.read(1)
            if not first:
                return b""
            self._port.timeout = 0
            return first + bytes(self._port.read(READ_MOST))
        except (serial.SerialException, OSError) as error:
            raise self._gone(error) from error

    def now(self) -> float:
        """Seconds of this machine."""
        return time.monotonic()

    def close(self) -> None:
        """Give the line back."""
        self._port.close()

    def _gone(self, error: Exception) -> DeviceError:
        return DeviceError(
            f"{self._url}: the line broke: {_reason(error)}",
            "plug the cable in again, then: trifactor weights pull; the board keeps what it learned while it has power",
        )


def _reason(error: Exception) -> str:
    text = str(error)
    return text.rsplit(": ", 1)[-1] if ": " in text else text


def _advice(error: Exception) -> str:
    text = str(error).lower()
    if "permission" in text:
        return "add yourself to the group that owns it: sudo usermod -aG dialout $USER, then log in again"
    if "busy" in text or "lock" in text:
        return "another program has it open: close it"
    return "is the board plugged in, and is this its port?"

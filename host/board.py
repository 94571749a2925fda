# SPDX-License-Identifier: Apache-2.0
"""A board, or its simulation, behind the call that every backend answers (`arch/device.py`)."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from ..arch.array import ArrayConfig
from ..arch.device import DeviceState
from ..arch.link import LinkConfig
from ..arch.network import Network
from ..arch.placement import place
from ..cosim.driven import DrivenDevice
from ..cosim.driver import ArrayDriver
from .line import Line, SerialLine
from .link import LinkSession
from .port import BoardPort


class BoardDevice(DrivenDevice):
    """An array on a board at the other end of a serial line, with the outputs of `GoldenDevice`, bit for bit.

    `port` is a line, or what pyserial opens: `/dev/ttyUSB1`, `socket://localhost:4000`. `array` and `link` are what the
    board's bitstream was built for. A context manager; `close` lets go of the port, and the board keeps what it has
    learned.

    Raises `DoesNotFitError` if `network` does not fit `array`, `DeviceError` if there is no such port, or the board is
    another one, or does not answer.
    """

    def __init__(
        self,
        array: ArrayConfig,
        network: Network,
        state: DeviceState | None = None,
        *,
        port: str | Line,
        link: LinkConfig | None = None,
    ) -> None:
        place(network, array)
        built = link or LinkConfig()
        line = SerialLine(port, round(built.baud)) if isinstance(port, str) else port
        self.link = LinkSession(line)
        super().__init__(_Driven(ArrayDriver(BoardPort(self.link, array, built), array), line), array, network, state)


class _Driven:
    """A driver in this process."""

    def __init__(self, driver: ArrayDriver, line: Line) -> None:
        self._driver = driver
        self._line = line
        self.closed = False
        try:
            self.call("reset")
        except BaseException:
            self.close()
            raise

    def call(self, method: str, /, **arguments: Any) -> Any:
        """Run a method of the driver, whose port never leaves it waiting."""
        coroutine: Coroutine[Any, Any, Any] = getattr(self._driver, method)(**arguments)
        try:
            coroutine.send(None)
        except StopIteration as end:
            return end.value
        raise RuntimeError(f"{method} waits for something that is not a board")

    def close(self) -> None:
        """Let go of the port."""
        self._line.close()
        self.closed = True

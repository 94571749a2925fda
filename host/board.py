# SPDX-License-Identifier: Apache-2.0
"""A board, or its simulation, behind the call that every backend answers (`arch/device.py`)."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from ..golden.checkpoint import Model


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
        driven = _Driven(array, link or LinkConfig(), port)
        self.link = driven.link
        driven.begin("reset")
        super().__init__(driven, array, network, state)


def learned(model: Model, *, port: str | Line, link: LinkConfig | None = None) -> DeviceState:
    """What a board has learned since `model` was loaded into it: nothing on it is changed.

    Also after the host that it learned for has died: the weights then are those after the last whole sample. Raises
    `DeviceError` as `BoardDevice` does.
    """
    driven = _Driven(model.array, link or LinkConfig(), port)
    try:
        driven.begin("reset", clear=False)
        driven.call("configure", network=model.network)
        return DeviceState(
            weights=driven.call("read_weights"),
            seed=driven.call("read_register", name="seed"),
            sample=driven.call("sample"),
        )
    finally:
        driven.close()


class _Driven:
    """A driver in this process, of the array at the other end of a line."""

    def __init__(self, array: ArrayConfig, link: LinkConfig, port: str | Line) -> None:
        self._line = SerialLine(port, round(link.baud)) if isinstance(port, str) else port
        self.link = LinkSession(self._line)
        self._driver = ArrayDriver(BoardPort(self.link, array, link), array)
        self.closed = False

    def begin(self, method: str, /, **arguments: Any) -> None:
        """The first call: where it fails, the line is given back."""
        try:
            self.call(method, **arguments)
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

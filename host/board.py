# SPDX-License-Identifier: Apache-2.0
"""A board, or its simulation, behind the call that every backend answers (`arch/device.py`)."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from ..arch.array import ArrayConfig
from ..arch.device import DeviceState, IntArray
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

BITS_OF_A_BYTE = 10
"""On the line: a start bit, 8 of data, a stop bit."""


class BoardDevice(DrivenDevice):
    """An array on a board at the other end of a serial line, with the outputs of `GoldenDevice`, bit for bit.

    `port` is what pyserial opens, `/dev/ttyUSB1` or `socket://localhost:4000`, or a line, or a session on one. `array`
    and `link` are what the board's bitstream was built for. A context manager; `close` lets go of the port, and the
    board keeps what it has learned.

    Raises `DoesNotFitError` if `network` does not fit `array`, `DeviceError` if there is no such port, or the board is
    another one, or does not answer.
    """

    def __init__(
        self,
        array: ArrayConfig,
        network: Network,
        state: DeviceState | None = None,
        *,
        port: str | Line | LinkSession,
        link: LinkConfig | None = None,
    ) -> None:
        place(network, array)
        driven = _Driven(array, link or LinkConfig(), port)
        self.link = driven.link
        driven.begin("reset")
        self._config = link or LinkConfig()
        super().__init__(driven, array, network, state)

    def load(self, state: DeviceState) -> None:
        """Write weights, seed and sample number; zero counters and signatures."""
        self._weights: list[IntArray] | None = None
        super().load(state)

    def _state_after(self, *, learn: bool) -> DeviceState:
        """Weights are read back where they can have changed only: that takes as long as many samples."""
        if learn or self._weights is None:
            self._weights = self._session.call("read_weights")
        weights = [values.copy() for values in self._weights]
        return DeviceState(weights=weights, seed=self._seed, sample=self._session.call("sample"))

    def limits(self, samples: int, cycles: int) -> dict[str, float]:
        """Samples a second that the `line` can carry, that the `array` can do, and the lower of both, `theoretical`.

        `samples` are all that ran since the device was made, and took so many `cycles` of the array.
        """
        bits = self.link.statistics.item_bytes * BITS_OF_A_BYTE
        line, array = self._config.baud * samples / bits, self._config.clock * samples / cycles
        return {"line": line, "array": array, "theoretical": min(line, array)}


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

    def __init__(self, array: ArrayConfig, link: LinkConfig, port: str | Line | LinkSession) -> None:
        line = SerialLine(port, round(link.baud)) if isinstance(port, str) else port
        self.link = line if isinstance(line, LinkSession) else LinkSession(line)
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
        self.link.line.close()
        self.closed = True

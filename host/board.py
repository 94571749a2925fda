# SPDX-License-Identifier: Apache-2.0
"""A board, or its simulation, behind the call that every backend answers (`arch/device.py`)."""

from __future__ import annotations

from collections.abc import Collection, Coroutine, Sequence
from typing import TYPE_CHECKING, Any

from ..arch.array import ArrayConfig
from ..arch.device import DeviceState, IntArray
from ..arch.errors import DeviceError
from ..arch.link import LinkConfig, build_hash
from ..arch.network import Network
from ..cosim.driven import DrivenDevice
from ..cosim.driver import ArrayDriver
from .identify import check_usable, check_version, identity, recognise
from .line import Line, SerialLine
from .link import SETTLED, LinkSession
from .port import BoardPort
from .ports import resolved

if TYPE_CHECKING:
    from ..golden.checkpoint import Model

BITS_OF_A_BYTE = 10
"""On the line: a start bit, 8 of data, a stop bit."""


class BoardDevice(DrivenDevice):
    """An array on a board at the other end of a serial line, with the outputs of `GoldenDevice`, bit for bit.

    `port` is the name of a board, or what pyserial opens, `/dev/ttyUSB1` or `socket://localhost:4000`, or a line, or a
    session on one. The board was built for `array`, or is a board's default build with the same number formats: then
    `array` of the device is that one. With `link` it must be the one it was built for. A context manager; `close` lets
    go of the port, and the board keeps what it has learned.

    Raises `DoesNotFitError` if `network` does not fit, `DeviceError` if there is no such port, or the board is another
    one, or does not answer.
    """

    def __init__(
        self,
        array: ArrayConfig,
        network: Network,
        state: DeviceState | None = None,
        *,
        port: str | Line | LinkSession,
        link: LinkConfig | None = None,
        baud: int | None = None,
    ) -> None:
        driven = _Driven(array, link, port, baud)
        self.link, self._config = driven.link, driven.config
        driven.begin("reset")
        super().__init__(driven, driven.array, network, state)

    def load(self, state: DeviceState) -> None:
        """Write weights, seed and sample number; zero counters and signatures."""
        self._weights: list[IntArray] | None = None
        super().load(state)

    def observe(
        self,
        inputs: IntArray,
        labels: Sequence[int] | IntArray | None = None,
        *,
        learn: bool = False,
        record: Collection[str] = (),
        disturb: int = 0,
    ) -> dict[str, Any]:
        """As `DrivenDevice.observe`."""
        if learn:
            self._weights = None
        return super().observe(inputs, labels, learn=learn, record=record, disturb=disturb)

    def _state_after(self, *, learn: bool) -> DeviceState:
        """Weights are read back where they can have changed only: that takes as long as many samples."""
        if self._weights is None:
            self._weights = self._session.call("read_weights")
        weights = [values.copy() for values in self._weights]
        return DeviceState(weights=weights, seed=self._seed, sample=self._session.call("sample"))

    def limits(self, samples: int, cycles: int) -> dict[str, float]:
        """Samples a second that the `line` can carry, that the `array` can do, and the lower of both, `theoretical`.

        `samples` are all that ran since the device was made, and took so many `cycles` of the array; where it has no
        counters, and `cycles` is 0, only the line's share is known.
        """
        bits = self.link.statistics.item_bytes * BITS_OF_A_BYTE
        line = self._config.baud * samples / bits
        if not cycles:
            return {"line": line}
        array = self._config.clock * samples / cycles
        return {"line": line, "array": array, "theoretical": min(line, array)}


def learned(model: Model, *, port: str | Line, baud: int | None = None) -> DeviceState:
    """What a board has learned since `model` was loaded into it: nothing on it is changed.

    Also after the host that it learned for has died: the weights then are those after the last whole sample. Raises
    `DeviceError` as `BoardDevice` does, and if the board holds another network.
    """
    driven = _Driven(model.array, None, port, baud)
    try:
        driven.begin("reset", clear=False)
        driven.call("attach", network=model.network)
        return DeviceState(
            weights=driven.call("read_weights"),
            seed=driven.call("read_register", name="seed"),
            sample=driven.call("sample"),
        )
    finally:
        driven.close()


def loaded(session: LinkSession, array: ArrayConfig, link: LinkConfig) -> str | None:
    """The first digits of the hash of what a board was loaded with, `Model.hash`; empty if nothing was.

    None while it is at work: its memories are not to be had.
    """
    if not session.poll().flags & SETTLED:
        return None
    return str(_now(ArrayDriver(BoardPort(session, array, link), array).content()))


def _now(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """The result of a method of a driver whose port never leaves it waiting."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise RuntimeError(f"{coroutine} waits for something that is not a board")


class _Driven:
    """A driver in this process, of the array at the other end of a line."""

    def __init__(
        self, array: ArrayConfig, link: LinkConfig | None, port: str | Line | LinkSession, baud: int | None
    ) -> None:
        rate = baud or round((link or LinkConfig()).baud)
        line: Line | LinkSession
        if isinstance(port, str):
            url, rate = resolved(port, baud or (round(link.baud) if link else None))
            line = SerialLine(url, rate)
        else:
            line = port
        self.link = line if isinstance(line, LinkSession) else LinkSession(line)
        try:
            self.array, self.config = self._recognised(array, link, rate)
        except BaseException:
            self.link.line.close()
            raise
        self._driver = ArrayDriver(BoardPort(self.link, self.array, self.config), self.array)
        self.closed = False

    def _recognised(self, array: ArrayConfig, link: LinkConfig | None, baud: int) -> tuple[ArrayConfig, LinkConfig]:
        """The array and link that are there, if they are of use."""
        self.link.hello()
        found = identity(self.link)
        check_version(found)
        known = None if link and build_hash(array, link) != found.build else recognise(found, (array,), baud)
        if known is None:
            meant = build_hash(array, link or found.link(max(4, round(found.clock / baud))))
            raise DeviceError(
                f"the board holds build {found.build:016x}, not {meant:016x}",
                "upload the bitstream of this configuration",
            )
        check_usable(array, known[0])
        return known

    def begin(self, method: str, /, **arguments: Any) -> None:
        """The first call: where it fails, the line is given back."""
        try:
            self.call(method, **arguments)
        except BaseException:
            self.close()
            raise

    def call(self, method: str, /, **arguments: Any) -> Any:
        """Run a method of the driver, whose port never leaves it waiting."""
        return _now(getattr(self._driver, method)(**arguments))

    def close(self) -> None:
        """Let go of the port."""
        self.link.line.close()
        self.closed = True

# SPDX-License-Identifier: Apache-2.0
"""The call that every backend answers, for any array that an `ArrayDriver` drives."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from types import TracebackType
from typing import Any, Literal, Protocol, Self

import numpy as np

from ..arch.array import ArrayConfig
from ..arch.device import DeviceState, IntArray, Outputs, Record
from ..arch.errors import ConfigurationError
from ..arch.network import Network
from ..arch.noise import WORD_MASK
from ..arch.placement import place
from ..golden.arguments import checked_inputs, checked_labels, checked_record, checked_state

Peekable = Literal["membranes", "currents", "traces", "post_traces", "weights", "active"]
"""Memories that can be read while nothing is at work."""


class Caller(Protocol):
    """Where an `ArrayDriver` is, and how its methods are called."""

    def call(self, method: str, /, **arguments: Any) -> Any:
        """The result of one method of the driver."""

    def close(self) -> None:
        """End it."""

    @property
    def closed(self) -> bool:
        """Whether it was ended."""


class DrivenDevice:
    """An array behind `caller`, with the outputs of `GoldenDevice`, bit for bit; a context manager that closes it."""

    def __init__(self, caller: Caller, array: ArrayConfig, network: Network, state: DeviceState | None) -> None:
        self.array = array
        self._session = caller
        try:
            self.configure(network, state)
        except BaseException:
            self._session.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the simulation, or let go of the board."""
        self._session.close()

    @property
    def closed(self) -> bool:
        """Whether that was done."""
        return self._session.closed

    def configure(self, network: Network, state: DeviceState | None = None) -> None:
        """Put another network on the same hardware, from `state` or with all weights zero."""
        place(network, self.array)
        self.network = network
        self._session.call("configure", network=network)
        self.load(state or DeviceState(weights=[np.zeros((own.rows, own.columns), np.int64) for own in network.blocks]))

    @property
    def state(self) -> DeviceState:
        """A copy of the state, read back from the hardware."""
        return DeviceState(
            weights=self._session.call("read_weights"), seed=self._seed, sample=self._session.call("sample")
        )

    def content(self) -> str:
        """The first digits of the hash (`arch/content.py`) of what was loaded last, whatever was learned since."""
        return str(self._session.call("content"))

    def load(self, state: DeviceState) -> None:
        """Write weights, seed and sample number; zero counters and signatures."""
        loaded = checked_state(state, self.network, self.array)
        self._session.call("load", weights=loaded.weights, seed=loaded.seed, sample=loaded.sample)
        self._seed = loaded.seed
        self._counters: dict[str, int] = dict.fromkeys(self._session.call("counters"), 0)

    def __call__(
        self,
        inputs: IntArray,
        labels: Sequence[int] | IntArray | None = None,
        *,
        learn: bool = False,
        record: Collection[str] = (),
    ) -> tuple[Outputs, DeviceState, Record]:
        """Run samples of shape (B, T, inputs) one after the other (or (T, inputs), one sample); see `arch/device.py`.

        The record's counters have the cycle counters beside those of the golden model.
        """
        if "signatures" in checked_record(record, self.array) and not self.array.signatures:
            raise ConfigurationError("this array has no write signatures", "build it with signatures = true")
        answer = self.observe(inputs, labels, learn=learn, record=record)
        readout = answer["readout"]
        kept = Record(counters=answer["counters"], signatures=answer.get("signatures"))
        for name in ("spikes", "membranes", "traces", "post_traces"):
            setattr(kept, name, answer.get(name, []))
        return Outputs(readout=readout, predicted=readout.argmax(axis=1)), self._state_after(learn=learn), kept

    def _state_after(self, *, learn: bool) -> DeviceState:
        """The state after a call."""
        return self.state

    def peek(self, what: Peekable, *, front: bool = False) -> list[IntArray]:
        """What a memory holds now, one array per layer; read by requests if `front`, else from the simulator."""
        values: list[IntArray] = self._session.call(f"read_{what}", front=front)
        return values

    def signatures(self) -> IntArray:
        """The write signatures now: weights, neurons, traces."""
        signatures: IntArray = self._session.call("signatures")
        return signatures

    def observe(
        self,
        inputs: IntArray,
        labels: Sequence[int] | IntArray | None = None,
        *,
        learn: bool = False,
        record: Collection[str] = (),
        disturb: int = 0,
    ) -> dict[str, Any]:
        """The answer of `ArrayDriver.run`, whose `record` can name more, and the `counters` of this call.

        In a simulation `disturb` other than 0 seeds reads that come in between.
        """
        values = checked_inputs(inputs, self.network, self.array)
        known = checked_labels(labels, len(values), self.network, learn=learn)
        reads = {"disturb": disturb} if disturb else {}
        answer: dict[str, Any] = self._session.call(
            "run", inputs=values, labels=known, learn=learn, record=set(record), **reads
        )
        counters = self._session.call("counters")
        answer["counters"] = {name: (value - self._counters[name]) & WORD_MASK for name, value in counters.items()}
        self._counters = counters
        return answer

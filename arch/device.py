# SPDX-License-Identifier: Apache-2.0
"""The call that every backend answers: golden model, simulated hardware, board."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from .array import ArrayConfig
from .network import Network

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    IntArray = npt.NDArray[np.int64]
else:
    IntArray = Any

RECORDABLE = ("spikes", "membranes", "traces", "post_traces", "signatures")


@dataclass(kw_only=True)
class DeviceState:
    """All that survives between calls: enough to go on to the same bits.

    `weights` has one matrix of stored weights per block of the network (`Network.blocks`): (rows, outputs) for every
    layer, then the fixed ones. `sample` is the number that the next sample gets.
    """

    weights: list[IntArray]
    seed: int = 0
    sample: int = 0


@dataclass(kw_only=True)
class Outputs:
    """`readout`: (B, classes), the readout's membrane after the last step. `predicted`: (B,)."""

    readout: IntArray
    predicted: IntArray


@dataclass(kw_only=True)
class Record:
    """What was asked for, and the counters of this call.

    `spikes[l]`, `membranes[l]` and `post_traces[l]` are (B, T, outputs), `traces[l]` (B, T, rows), `signatures`
    (B, T, 3): sums since the device was made or loaded.
    """

    counters: dict[str, int] = field(default_factory=dict)
    spikes: list[IntArray] = field(default_factory=list)
    membranes: list[IntArray] = field(default_factory=list)
    traces: list[IntArray] = field(default_factory=list)
    post_traces: list[IntArray] = field(default_factory=list)
    signatures: IntArray | None = None


class Device(Protocol):
    """`out, state, record = device(inputs, labels, record=("spikes",))`."""

    array: ArrayConfig
    network: Network

    def load(self, state: DeviceState) -> None:
        """Write weights, seed and sample number; zero counters and signatures."""

    def content(self) -> str:
        """The first digits of the hash (`arch/content.py`) of what was loaded last, whatever was learned since."""

    def __call__(
        self,
        inputs: IntArray,
        labels: Sequence[int] | IntArray | None = None,
        *,
        learn: bool = False,
        record: Collection[str] = (),
    ) -> tuple[Outputs, DeviceState, Record]:
        """Run samples of shape (B, T, inputs) one after the other (or (T, inputs), one sample).

        Values are integers of 0 … 2**event_bits - 1. With `learn` each sample needs a label, and weights move at every
        step. Raises `ConfigurationError` on a wrong shape, value, label or record name.
        """
        ...

# SPDX-License-Identifier: Apache-2.0
"""A network as its framework has it: nodes of real numbers with a time step, nothing that depends on the array."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float64]
else:
    FloatArray = Any

Kind = Literal["input", "output", "linear", "scale", "flatten", "conv2d", "sum-pool", "average-pool", "delay", "neuron"]

Reset = Literal["zero", "subtract", "none", "snntorch-subtract", "delayed-subtract", "delayed-zero"]
"""What a spike does to the membrane, u being the membrane that the threshold is compared with, v what is kept of it:

`zero`: v = reset_value where it spiked. `subtract`: v = u - threshold s. `none`: v = u. `snntorch-subtract`, which is
snnTorch's with `reset_delay=False`: with pre = v > threshold, u has threshold pre taken off before it is compared, and
v = u - threshold (s - pre). `delayed-subtract`, which is snnTorch's default: the
threshold is taken off in the step after the spike, when the leak has acted. `delayed-zero`, which is that of
`Synaptic`, `RLeaky` and `RSynaptic`: the step after a spike has u = 0, whatever comes in.
"""


class Source(NamedTuple):
    """Where a node's input comes from: `late` is the value of the step before, zeros in the first."""

    name: str
    late: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Neuron:
    """Coefficients of a population, one value per neuron each, (neurons,)::

    c = current_decay c + current_gain I     (c = I where current_decay is None)
    u = decay v + gain c
    s = u > threshold                        (none where threshold is None: the population puts out u)

    and `reset` makes v of u. Gains that are None are 1. For a time constant tau and a step dt, forward Euler has decay
    `1 - dt / tau` and gain `r dt / tau`.
    """

    decay: FloatArray
    gain: FloatArray | None = None
    current_decay: FloatArray | None = None
    current_gain: FloatArray | None = None
    threshold: FloatArray | None = None
    reset: Reset = "none"
    reset_value: FloatArray | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Node:
    """One node: its input is the sum of what its `sources` put out, added in their order.

    `shape` is that of its output. `parameters`: `weight` (outputs, inputs) and, maybe, `bias` of `linear`; `scale`;
    `delay` in steps; `weight` (channels out, channels in, height, width), `bias`, `stride`, `padding`, `dilation` and
    `groups` of `conv2d`; `kernel`, `stride`, `padding` of pools.
    """

    name: str
    kind: Kind
    shape: tuple[int, ...]
    sources: tuple[Source, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    neuron: Neuron | None = None

    @property
    def spiking(self) -> bool:
        """Whether it puts out spikes."""
        return self.neuron is not None and self.neuron.threshold is not None


@dataclass(frozen=True, kw_only=True, eq=False)
class Graph:
    """Nodes in the order in which a step visits them.

    `origin` is where it came from, `dt` its time step in seconds (1.0 where no node has a time constant), `notes` what
    was decided on the way, with the reasons.
    """

    nodes: tuple[Node, ...]
    origin: str
    dt: float = 1.0
    notes: tuple[str, ...] = ()

    def of_kind(self, kind: Kind) -> tuple[Node, ...]:
        """Nodes of one kind, in order."""
        return tuple(node for node in self.nodes if node.kind == kind)

    @property
    def spiking(self) -> tuple[Node, ...]:
        """Spiking populations, in order."""
        return tuple(node for node in self.nodes if node.spiking)

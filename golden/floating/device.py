# SPDX-License-Identifier: Apache-2.0
"""An imported network in floating point, behind the call of all devices: what quantisation is measured against."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ...arch.device import DeviceState, IntArray, Outputs, Record
from ...arch.errors import ConfigurationError, did_you_mean
from ...arch.graph import Graph, Neuron, Node

RECORDABLE = ("spikes", "membranes")

Kept = tuple[Tensor, Tensor | None]
"""v, and c where there is one."""


class FloatDevice:
    """`graph` in floating point of `dtype`; a step is every node once, in the graph's order (`arch/graph.py`).

    With 32 bits and the sums in this order it does what snnTorch does, to the last bit.
    """

    def __init__(self, graph: Graph, *, dtype: torch.dtype = torch.float32) -> None:
        self.graph = graph
        self.dtype = dtype
        self._constants = {node.name: self._tensors(node) for node in graph.nodes}
        self._needed_late = {source.name for node in graph.nodes for source in node.sources if source.late}

    @torch.no_grad()
    def __call__(
        self,
        inputs: Any,
        labels: Sequence[int] | IntArray | None = None,
        *,
        learn: bool = False,
        record: Collection[str] = (),
    ) -> tuple[Outputs, DeviceState, Record]:
        """Run samples of shape (B, T, inputs), or one of (T, inputs); with several inputs a mapping of such by name.

        The readout, (B, outputs), counts the spikes of a spiking output and is the last value of any other; several
        outputs stand side by side. `record` names of `spikes` and `membranes` (v, after the reset): an array (B, T,
        neurons) for each spiking population, or each population, in the graph's order; (T, neurons) for one sample.
        Nothing survives a call, so the state is empty, and nothing learns.

        Raises `ConfigurationError` on a wrong shape or name, and for `learn`.
        """
        if learn:
            raise ConfigurationError("an imported network in floating point does not learn", "quantise it, then learn")
        for name in record:
            if name not in RECORDABLE:
                raise ConfigurationError(f"cannot record {name!r}", did_you_mean(name, RECORDABLE))
        values, single = self._inputs(inputs)
        batch, steps = next(iter(values.values())).shape[:2]
        states: dict[str, Any] = {}
        late: dict[str, Tensor] = {}
        spikes: dict[str, list[Tensor]] = {node.name: [] for node in self.graph.spiking}
        membranes: dict[str, list[Tensor]] = {node.name: [] for node in self.graph.of_kind("neuron")}
        put_out: dict[str, Tensor] = {}
        for step in range(steps):
            made: dict[str, Tensor] = {}
            for node in self.graph.nodes:
                if node.kind == "input":
                    made[node.name] = values[node.name][:, step].reshape(batch, *node.shape)
                    continue
                arriving = [late.get(s.name) if s.late else made[s.name] for s in node.sources]
                made[node.name] = self._run(node, arriving, states, batch)
                if node.neuron is not None:
                    if "membranes" in record:
                        membranes[node.name].append(states[node.name][0].flatten(1))
                    if "spikes" in record and node.spiking:
                        spikes[node.name].append(made[node.name].flatten(1))
            late = {name: made[name] for name in self._needed_late}
            for node in self.graph.of_kind("output"):
                value = made[node.name].flatten(1)
                counts = self._counts(node)
                put_out[node.name] = put_out[node.name] + value if counts and step else value
        readout = torch.cat(list(put_out.values()), 1).double().numpy()

        def stacked(kept: Mapping[str, list[Tensor]]) -> list[Any]:
            arrays = [torch.stack(parts, 1).numpy() for parts in kept.values() if parts]
            return [array[0] for array in arrays] if single else arrays

        found = Record(
            spikes=[array.astype(np.int64) for array in stacked(spikes)] if "spikes" in record else [],
            membranes=stacked(membranes) if "membranes" in record else [],
        )
        return Outputs(readout=readout, predicted=readout.argmax(1)), DeviceState(weights=[]), found

    def _inputs(self, inputs: Any) -> tuple[dict[str, Tensor], bool]:
        """(B, T, size) of every input, and whether it was one sample without the first of these."""
        nodes = self.graph.of_kind("input")
        given = inputs if isinstance(inputs, Mapping) else {nodes[0].name: inputs}
        if set(given) != {node.name for node in nodes}:
            wanted = ", ".join(node.name for node in nodes)
            raise ConfigurationError(f"inputs {', '.join(map(str, given))}, not {wanted}", "pass {name: array, …}")
        found = {}
        single = False
        for node in nodes:
            array = torch.tensor(np.array(given[node.name]), dtype=self.dtype)
            size = prod(node.shape)
            single = array.ndim == 2
            array = array.unsqueeze(0) if single else array
            array = array.flatten(2) if array.ndim > 2 else array
            if array.ndim != 3 or array.shape[2] != size or not array.shape[1]:
                shape = tuple(np.shape(given[node.name]))
                raise ConfigurationError(
                    f"input {node.name!r} has shape {shape}", f"wanted (T, {size}) or (B, T, {size}), T >= 1"
                )
            found[node.name] = array
        if len({tuple(array.shape[:2]) for array in found.values()}) > 1:
            raise ConfigurationError("inputs differ in samples or steps", "give every input as many of both")
        return found, single

    def _counts(self, output: Node) -> bool:
        """Whether all that an output is fed by are spikes."""
        by_name = {node.name: node for node in self.graph.nodes}
        return all(by_name[source.name].spiking for source in output.sources)

    def _tensors(self, node: Node) -> dict[str, Tensor]:
        """The node's arrays as tensors of our type."""
        arrays = dict(node.parameters) if node.neuron is None else vars(node.neuron)
        return {
            name: torch.tensor(np.array(value), dtype=self.dtype)
            for name, value in arrays.items()
            if value is not None and not isinstance(value, str)
        }

    def _run(self, node: Node, arriving: Sequence[Tensor | None], states: dict[str, Any], batch: int) -> Tensor:
        """What a node puts out in this step; a late source has nothing to say in the first."""
        there = [value for value in arriving if value is not None]
        if node.neuron is not None:
            zero = torch.zeros(batch, *node.shape, dtype=self.dtype)
            state = states.get(node.name, (zero, None if node.neuron.current_decay is None else zero))
            shaped = [value.reshape(zero.shape) for value in there]
            states[node.name], out = step(node.neuron, self._constants[node.name], state, shaped)
            return out
        x = there[0] if there else self._nothing(node, batch)
        for value in there[1:]:
            x = x + value.reshape(x.shape)
        if node.kind == "delay":
            history = [*states.get(node.name, []), x.reshape(batch, *node.shape)]
            states[node.name] = history
            delays = self._constants[node.name]["delay"].long()
            longest = int(delays.max())
            padded = torch.stack([torch.zeros_like(history[0])] * longest + history)
            states[node.name] = history[-longest:] if longest else []
            places = (len(padded) - 1 - delays).expand(padded.shape[1:]).unsqueeze(0)
            return padded.gather(0, places)[0]
        return TRANSFORMS[node.kind](x, self._constants[node.name], node)

    def _nothing(self, node: Node, batch: int) -> Tensor:
        """The input of a node whose only sources are late, in the first step."""
        by_name = {one.name: one for one in self.graph.nodes}
        return torch.zeros(batch, *by_name[node.sources[0].name].shape, dtype=self.dtype)


def step(
    neuron: Neuron, constants: Mapping[str, Tensor], state: Kept, arriving: Sequence[Tensor]
) -> tuple[Kept, Tensor]:
    """One step of a population from what arrives, added in order: the new v and c, and what it puts out."""
    v, c = state
    current_gain, gain = constants.get("current_gain"), constants.get("gain")
    if c is not None:
        c = constants["current_decay"] * c
        for value in arriving:
            c = c + (value if current_gain is None else current_gain * value)
        arriving = (c,)
    u = constants["decay"] * v
    for value in arriving:
        u = u + (value if gain is None else gain * value)
    if neuron.threshold is None:
        return (u, c), u
    threshold = constants["threshold"]
    before = (v > threshold).to(u.dtype)
    if neuron.reset in ("snntorch-subtract", "delayed-subtract"):
        u = u - before * threshold
    elif neuron.reset == "delayed-zero":
        u = u - before * u
    s = (u > threshold).to(u.dtype)
    kept = u
    if neuron.reset == "zero":
        kept = torch.where(s > 0, constants.get("reset_value", u.new_zeros(())), u)
    elif neuron.reset == "subtract":
        kept = u - threshold * s
    elif neuron.reset == "snntorch-subtract":
        kept = u - (s - before) * threshold
    return (kept, c), s


def _pair(constants: Mapping[str, Tensor], name: str) -> tuple[int, int]:
    first, second = constants[name].long().expand(2).tolist()
    return first, second


def _conv2d(x: Tensor, constants: Mapping[str, Tensor], node: Node) -> Tensor:
    stride, padding, dilation = (_pair(constants, name) for name in ("stride", "padding", "dilation"))
    groups = int(constants["groups"])
    return functional.conv2d(x, constants["weight"], constants.get("bias"), stride, padding, dilation, groups)


def _average_pool(x: Tensor, constants: Mapping[str, Tensor], node: Node) -> Tensor:
    kernel, stride, padding = (_pair(constants, name) for name in ("kernel", "stride", "padding"))
    return functional.avg_pool2d(x, kernel, stride, padding)


def _sum_pool(x: Tensor, constants: Mapping[str, Tensor], node: Node) -> Tensor:
    kernel, stride, padding = (_pair(constants, name) for name in ("kernel", "stride", "padding"))
    return functional.avg_pool2d(x, kernel, stride, padding, divisor_override=1)


TRANSFORMS: dict[str, Callable[[Tensor, Mapping[str, Tensor], Node], Tensor]] = {
    "linear": lambda x, constants, node: functional.linear(x.flatten(1), constants["weight"], constants.get("bias")),
    "scale": lambda x, constants, node: x.reshape(len(x), *node.shape) * constants["scale"],
    "flatten": lambda x, constants, node: x.reshape(len(x), *node.shape),
    "output": lambda x, constants, node: x,
    "conv2d": _conv2d,
    "sum-pool": _sum_pool,
    "average-pool": _average_pool,
}

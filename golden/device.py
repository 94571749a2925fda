# SPDX-License-Identifier: Apache-2.0
"""The golden model behind the call that every backend answers (`arch/device.py`)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from ..arch.array import ArrayConfig
from ..arch.content import content_hash, shown
from ..arch.device import DeviceState, IntArray, Outputs, Record
from ..arch.gate import open_steps
from ..arch.network import Network
from ..arch.noise import WORD_MASK
from ..arch.placement import place
from . import network as net
from .arguments import checked_inputs, checked_labels, checked_record, checked_state
from .counters import count, step_signatures, zero_counters
from .learning import Rounding
from .plan import SampleNoise, use_keys
from .readout import predicted

BATCH = 256
"""Samples that run forward at once: bounds the memory of a call that does not learn."""


class GoldenDevice:
    """The array as the law has it: every weight, membrane, counter and signature of the hardware, bit for bit.

    `state` is what the device starts from, all weights zero by default. `torch_device` may be any that torch knows; the
    result does not depend on it. A `rounding` other than that of the hash (`learning.Rounding`) is an experiment that
    no hardware repeats. Raises `DoesNotFitError` if `network` does not fit `array`, `ConfigurationError` on weights of
    another shape or outside `weight_bits`.
    """

    def __init__(
        self,
        array: ArrayConfig,
        network: Network,
        state: DeviceState | None = None,
        *,
        torch_device: str = "cpu",
        rounding: Rounding = "hash",
    ) -> None:
        place(network, array)
        self.array = array
        self.network = network
        self.torch_device = torch_device
        self.rounding = rounding
        self._params = net.network_params(network, array, torch_device, rounding)
        self.load(state or DeviceState(weights=[np.zeros((own.rows, own.columns), np.int64) for own in network.blocks]))

    @property
    def state(self) -> DeviceState:
        """A copy of the state, to go on from later or elsewhere."""
        weights = [layer.cpu().numpy().astype(np.int64) for layer in self._weights]
        return DeviceState(weights=weights, seed=self._seed, sample=self._sample)

    @property
    def counters(self) -> dict[str, int]:
        """Totals of all calls since the device was loaded; `learn_sample` does not count."""
        return dict(self._counters)

    def load(self, state: DeviceState) -> None:
        """Write weights, seed and sample number; zero counters and signatures."""
        loaded = checked_state(state, self.network, self.array)
        self._weights = [
            torch.tensor(np.ascontiguousarray(weights), dtype=torch.int32, device=self.torch_device)
            for weights in loaded.weights
        ]
        self._seed = state.seed
        self._sample = state.sample
        self._ahead = (state.sample, torch.empty(0, 0, 0))
        self._counters = zero_counters()
        self._signatures = np.zeros(3, np.int64)
        self._content = shown(content_hash(self.array, self.network, loaded))

    def content(self) -> str:
        """The first digits of the hash (`arch/content.py`) of what was loaded last, whatever was learned since."""
        return self._content

    @torch.inference_mode()
    def __call__(
        self,
        inputs: IntArray,
        labels: Sequence[int] | IntArray | None = None,
        *,
        learn: bool = False,
        record: Collection[str] = (),
    ) -> tuple[Outputs, DeviceState, Record]:
        """Run samples of shape (B, T, inputs) one after the other (or (T, inputs), one sample); see `arch/device.py`.

        `record` may name spikes, membranes (after the reset), traces (zero where nothing was learned) and signatures.
        Unless the array has signatures, their sums are over the calls that asked for them.
        """
        values = checked_inputs(inputs, self.network, self.array)
        known = checked_labels(labels, len(values), self.network, learn=learn)
        result = _Result(self.array, checked_record(record, self.array))
        size = 1 if learn else BATCH
        for start in range(0, len(values), size):
            events = torch.as_tensor(values[start : start + size], device=self.torch_device)
            numbers = (torch.arange(len(events), device=self.torch_device) + self._sample) & WORD_MASK
            if learn and known is not None:
                noise = SampleNoise(self._params.plan, self._keys(events.shape[1]))
                steps = net.learn(
                    self._params, self._weights, events[0], int(known[start]), noise, self._gate(len(events[0]))
                )
                histories = net.history_of(self._params, list(steps))
                numbers = numbers[0]
            else:
                histories = net.forward(self._params, self._weights, events)
            result.add(histories, self._seed, numbers)
            self._sample = (self._sample + len(events)) & WORD_MASK
        for name, value in result.counters.items():
            self._counters[name] += value
        kept = result.record(self._signatures)
        if kept.signatures is not None:
            self._signatures = kept.signatures[-1, -1].copy()
        return result.outputs(), self.state, kept

    @torch.inference_mode()
    def learn_sample(self, events: Tensor | IntArray, label: int) -> int:
        """Learn one sample of shape (T, inputs) with T ≥ 1; return the class that it predicted.

        The weights of `device(events, [label], learn=True)` at the least cost: nothing is checked, counted or signed.
        """
        for step in self._learn(events, label):
            readout, _ = step.outputs[-1]
        return int(predicted(readout.membrane))

    @torch.inference_mode()
    def weights_by_step(self, events: Tensor | IntArray, label: int) -> list[list[IntArray]]:
        """Learn one sample as `learn_sample` does; return all weights after each of its steps."""
        return [self.state.weights for _ in self._learn(events, label)]

    def _learn(self, events: Tensor | IntArray, label: int) -> Iterator[net.LearningStep]:
        values = torch.as_tensor(events, dtype=torch.int64, device=self.torch_device)
        noise = SampleNoise(self._params.plan, self._keys(len(values)))
        yield from net.learn(self._params, self._weights, values, label, noise, self._gate(len(values)))
        self._sample = (self._sample + 1) & WORD_MASK

    def _gate(self, steps: int) -> tuple[bool, ...]:
        """Which steps of the next sample learn."""
        return open_steps(self.network, steps, seed=self._seed, sample=self._sample)

    def _keys(self, steps: int) -> Tensor:
        """Noise keys of the next sample, hashed for `BATCH` samples at a time."""
        first, known = self._ahead
        if not (first <= self._sample < first + BATCH and known.shape[1] == steps):
            numbers = torch.arange(self._sample, self._sample + BATCH, device=self.torch_device)
            first, known = self._sample, use_keys(self._params.plan, self._seed, numbers, steps)
            self._ahead = first, known
        return known[self._sample - first]


class _Result:
    """Collects what the batches of one call gave, on the CPU."""

    def __init__(self, array: ArrayConfig, record: Collection[str]) -> None:
        self._array = array
        self._record = set(record) | ({"signatures"} if array.signatures else set())
        self._parts: dict[str, list[list[Tensor]]] = {name: [] for name in ("readout", *self._record)}
        self.counters = zero_counters()

    def add(self, histories: list[net.LayerHistory], seed: int, numbers: Tensor) -> None:
        """Take in samples of the given numbers, whose shape leads that of the histories."""
        for name, value in count(histories, self._array).items():
            self.counters[name] += value
        self._keep("readout", [histories[-1].after[..., -1:, :]])
        if "spikes" in self._record:
            self._keep("spikes", [layer.spikes for layer in histories])
        if "membranes" in self._record:
            self._keep("membranes", [layer.after for layer in histories])
        if "post_traces" in self._record:
            self._keep("post_traces", [layer.post for layer in histories if layer.post is not None])
        if "traces" in self._record:
            traces = (
                torch.zeros_like(layer.events) if layer.learned is None else layer.learned.trace for layer in histories
            )
            self._keep("traces", list(traces))
        if "signatures" in self._record:
            self._keep("signatures", [step_signatures(histories, self._array, seed, numbers)])

    def outputs(self) -> Outputs:
        """The readout after the last step of every sample."""
        readout = self._joined("readout")[0][:, 0]
        return Outputs(readout=readout, predicted=predicted(torch.as_tensor(readout)).numpy())

    def record(self, signatures: IntArray) -> Record:
        """What was asked for; signatures go on from `signatures`, shape (3,)."""
        record = Record(counters=self.counters)
        for name in ("spikes", "membranes", "traces", "post_traces"):
            setattr(record, name, self._joined(name))
        for terms in self._joined("signatures"):
            record.signatures = (signatures + terms.reshape(-1, 3).cumsum(0).reshape(terms.shape)) & WORD_MASK
        return record

    def _keep(self, name: str, layers: list[Tensor]) -> None:
        self._parts[name].append([part.reshape(-1, *part.shape[-2:]).cpu() for part in layers])

    def _joined(self, name: str) -> list[IntArray]:
        """Per layer, all samples: (B, T, n); nothing if it was not asked for."""
        return [torch.cat(parts).numpy() for parts in zip(*self._parts.get(name, []), strict=True)]

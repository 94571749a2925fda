# SPDX-License-Identifier: Apache-2.0
"""Networks, weights and samples as the words that the array's memories and streams hold: numpy only, no simulator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ..arch.array import ArrayConfig, ceil_log2
from ..arch.device import IntArray
from ..arch.errors import DeviceError
from ..arch.events import EVENT_NEURON_BITS, ROW_BITS, ItemKind, pack_item
from ..arch.network import Network
from ..arch.placement import Placement, place
from ..arch.registers import DATA_BITS, weight_chunks
from .port import Words

_SHIFT_AT = 2 + ROW_BITS


def step_items(values: IntArray, *, event_bits: int, last: bool, closed: bool = False) -> Words:
    """Items of one time step: for each axon, ascending, one EVENT per set bit of its value, then STEP."""
    bits = (np.asarray(values)[:, None] >> np.arange(event_bits)) & 1
    rows, shifts = np.nonzero(bits)
    events = (int(ItemKind.EVENT) | rows << 2 | shifts << _SHIFT_AT).astype(np.uint32)
    return np.append(events, np.uint32(pack_item(ItemKind.STEP, row=int(last) | closed << 1)))


def sample_items(
    inputs: IntArray, *, label: int, learn: bool, event_bits: int, gate: Sequence[bool] | None = None
) -> list[Words]:
    """Items of one sample of shape (T, inputs), step by step; the first step's begin with BEGIN.

    `gate` says which steps learn, all if it is None.
    """
    last = len(inputs) - 1
    steps = [
        step_items(values, event_bits=event_bits, last=step == last, closed=gate is not None and not gate[step])
        for step, values in enumerate(inputs)
    ]
    begin = np.uint32(pack_item(ItemKind.BEGIN, row=label, shift=int(learn)))
    steps[0] = np.insert(steps[0], 0, begin)
    return steps


@dataclass(frozen=True)
class Image:
    """Where the values of a network stand in an array's memories.

    Neuron `n` of a layer is in core `n % cores`, group `n // parallel`, lane `(n % parallel) // cores`.
    """

    network: Network
    array: ArrayConfig

    @cached_property
    def placement(self) -> Placement:
        """Bases of the layers; raises `DoesNotFitError`."""
        return place(self.network, self.array)

    @property
    def chunks(self) -> int:
        """32-bit chunks of a weight word."""
        return weight_chunks(self.array)

    @property
    def weight_skip(self) -> int:
        """Unused chunk addresses after each word."""
        return (1 << ceil_log2(self.chunks)) - self.chunks

    def weight_offset(self, core: int, word: int = 0) -> int:
        """Offset of a core's weight word in its space."""
        return (core << ceil_log2(self.array.weight_words) | word) << ceil_log2(self.chunks)

    def state_offset(self, core: int) -> int:
        """Offset of a core's first membrane or factor in its space."""
        return core << ceil_log2(self.array.groups * self.array.lanes)

    def pack_weights(self, weights: Sequence[IntArray]) -> Words:
        """Chunks of every used weight word, shape (cores, words, chunks), from one array (rows, columns) per block.

        A `shadow` array has the active weight above the stored one.
        """
        cores, lanes, bits = self.array.cores, self.array.lanes, self.array.lane_bits
        stored_bits = self.array.weight_bits
        by_core = []
        for values, block, placed in zip(weights, self.network.blocks, self.placement.blocks, strict=True):
            padded = np.zeros((block.rows, placed.groups * self.array.parallel), dtype=np.int64)
            active = values >> (stored_bits - self.array.synapse_bits)
            padded[:, : block.columns] = values & ((1 << stored_bits) - 1) | active << stored_bits
            # (row, group, lane, core) -> (core, group, row, lane)
            grouped = padded.reshape(block.rows, placed.groups, lanes, cores).transpose(3, 1, 0, 2)
            by_core.append(grouped.reshape(cores, -1, lanes))
        words = np.concatenate(by_core, axis=1)
        flat = ((words[..., None] >> np.arange(bits)) & 1).astype(np.uint8).reshape(*words.shape[:2], lanes * bits)
        padding = self.chunks * DATA_BITS - lanes * bits
        packed = np.packbits(np.pad(flat, ((0, 0), (0, 0), (0, padding))), axis=-1, bitorder="little")
        return np.ascontiguousarray(packed).view("<u4")

    def unpack_weights(self, words: Words | npt.NDArray[np.uint8]) -> list[IntArray]:
        """The inverse of `pack_weights`; `words` may as well be bytes, (cores, words, bytes)."""
        return self._unpack(words, 0, self.array.weight_bits)

    def unpack_active(self, words: Words | npt.NDArray[np.uint8]) -> list[IntArray]:
        """The active weights of a `shadow` array, from the same words."""
        return self._unpack(words, self.array.weight_bits, self.array.synapse_bits)

    def _unpack(self, words: Words | npt.NDArray[np.uint8], first: int, bits: int) -> list[IntArray]:
        """`bits` bits of every lane of every word, from bit `first` on, as signed values per block."""
        cores, lanes = self.array.cores, self.array.lanes
        raw = np.unpackbits(np.ascontiguousarray(words).view(np.uint8), axis=-1, bitorder="little")
        raw = raw[..., : lanes * self.array.lane_bits].reshape(cores, -1, lanes, self.array.lane_bits)
        raw = raw[..., first : first + bits]
        values = (raw.astype(np.int64) << np.arange(bits)).sum(axis=-1)
        values -= (values >> (bits - 1)) << bits
        weights = []
        for block, placed in zip(self.network.blocks, self.placement.blocks, strict=True):
            start, size = placed.weight_base, placed.groups * block.rows
            part = values[:, start : start + size].reshape(cores, placed.groups, block.rows, lanes)
            weights.append(part.transpose(2, 1, 3, 0).reshape(block.rows, -1)[:, : block.columns].copy())
        return weights

    def unpack_states(self, values: IntArray) -> list[IntArray]:
        """Values per neuron and layer from those of every core, (cores, groups * lanes)."""
        grouped = np.asarray(values, dtype=np.int64).reshape(self.array.cores, -1, self.array.lanes)
        states = []
        for layer, placed in zip(self.network.layers, self.placement.blocks, strict=False):
            block = grouped[:, placed.state_base : placed.state_base + placed.groups]
            states.append(block.transpose(1, 2, 0).reshape(-1)[: layer.outputs].copy())
        return states

    def unpack_traces(self, words: Words) -> list[IntArray]:
        """Traces per row and layer from words of shape (axons,) as read back."""
        size = self.array.traces_per_word
        values = np.asarray(words, dtype=np.int64)
        return [
            values[placed.trace_base * size : placed.trace_base * size + layer.rows].copy()
            for layer, placed in zip(self.network.layers, self.placement.blocks, strict=False)
        ]

    def pack_states(self, values: Sequence[IntArray]) -> IntArray:
        """The inverse of `unpack_states`: (cores, groups * lanes), 0 where no neuron of a layer is."""
        cores, lanes = self.array.cores, self.array.lanes
        grouped = np.zeros((cores, self.placement.groups, lanes), dtype=np.int64)
        for layer, placed, own in zip(self.network.layers, self.placement.blocks, values, strict=False):
            padded = np.zeros(placed.groups * self.array.parallel, dtype=np.int64)
            padded[: layer.outputs] = own
            block = padded.reshape(placed.groups, lanes, cores).transpose(2, 0, 1)
            grouped[:, placed.state_base : placed.state_base + placed.groups] = block
        return grouped.reshape(cores, -1)

    def spikes(self, events: Words) -> list[IntArray]:
        """How often each neuron of each layer is in one step's entries of the event stream.

        Raises `DeviceError` on an entry that names no neuron.
        """
        neurons, layers = events & ((1 << EVENT_NEURON_BITS) - 1), events >> EVENT_NEURON_BITS
        spikes = []
        for index, layer in enumerate(self.network.layers):
            counts = np.bincount(neurons[layers == index], minlength=layer.outputs)
            if len(counts) > layer.outputs:
                raise DeviceError(f"a spike of neuron {len(counts) - 1} of layer {index}, which has {layer.outputs}")
            spikes.append(counts)
        if layers.size and layers.max() >= len(spikes):
            raise DeviceError(f"a spike of layer {layers.max()} of {len(spikes)}")
        return spikes

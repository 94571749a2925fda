# SPDX-License-Identifier: Apache-2.0
"""What every device accepts: the checks of `arch/device.py`'s call."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from ..arch.array import ArrayConfig
from ..arch.device import RECORDABLE, DeviceState, IntArray
from ..arch.errors import ConfigurationError, did_you_mean
from ..arch.network import Network
from ..arch.noise import WORD_MASK
from ..arch.placement import own_entries


def checked_inputs(inputs: IntArray, network: Network, array: ArrayConfig) -> IntArray:
    """`inputs` as (B, T, inputs), or a `ConfigurationError`."""
    values = _integers(inputs, "inputs")
    values = values[None] if values.ndim == 2 else values
    if values.ndim != 3 or 0 in values.shape or values.shape[2] != network.inputs:
        raise ConfigurationError(
            f"inputs have shape {np.shape(inputs)}", f"give (samples, steps, {network.inputs}), none of them empty"
        )
    _check_range(values, 0, (1 << array.event_bits) - 1, "inputs")
    if array.sparse_inputs:
        _check_events(values, network, array)
    return values


def _check_events(values: IntArray, network: Network, array: ArrayConfig) -> None:
    """The events of every step must find room in a list."""
    room = array.events - own_entries(network.layers[0])
    counts = sum((values >> bit & 1).sum(axis=2) for bit in range(array.event_bits))
    if (most := counts.max()) > room:
        sample, step = np.unravel_index(counts.argmax(), counts.shape)
        raise ConfigurationError(
            f"step {step} of sample {sample} has {most} events, the array has room for {room}",
            "encode with fewer spikes, or build it with more events",
        )


def checked_labels(
    labels: Sequence[int] | IntArray | None, samples: int, network: Network, *, learn: bool
) -> IntArray | None:
    """One label per sample, none where none is needed, or a `ConfigurationError`."""
    if labels is None:
        if learn:
            raise ConfigurationError("learning needs labels", "give one class per sample, or learn=False")
        return None
    values = np.atleast_1d(_integers(labels, "labels"))
    if values.shape != (samples,):
        raise ConfigurationError(f"labels have shape {values.shape}, not ({samples},)", "give one class per sample")
    _check_range(values, 0, network.outputs - 1, "labels")
    return values


def checked_record(record: Collection[str], array: ArrayConfig) -> frozenset[str]:
    """Names of `arch.device.RECORDABLE`, or a `ConfigurationError`."""
    for name in record:
        if name not in RECORDABLE:
            raise ConfigurationError(f"{name!r} cannot be recorded", did_you_mean(name, RECORDABLE))
    if "post_traces" in record and not array.has("post-trace"):
        raise ConfigurationError("this array has no post traces", 'build it with "post-trace" among its units')
    return frozenset(record)


def checked_state(state: DeviceState, network: Network, array: ArrayConfig) -> DeviceState:
    """A copy of `state`, or a `ConfigurationError` when it is not one of `network` on `array`."""
    shapes = [(block.rows, block.columns) for block in network.blocks]
    if [np.shape(weights) for weights in state.weights] != shapes:
        raise ConfigurationError(
            f"weights of shapes {[np.shape(weights) for weights in state.weights]} do not fit the network's {shapes}",
            "a layer's weights have shape (rows, outputs); fixed matrices follow, (neurons, classes)",
        )
    for name, number in (("seed", state.seed), ("sample", state.sample)):
        if not 0 <= number <= WORD_MASK:
            raise ConfigurationError(f"{name} {number} is not a 32-bit number", "use 0 to 4294967295")
    loaded = [_integers(weights, f"weights {index}") for index, weights in enumerate(state.weights)]
    for index, weights in enumerate(loaded):
        _check_range(weights, array.weight.min, array.weight.max, f"weights {index}")
    return DeviceState(weights=loaded, seed=state.seed, sample=state.sample)


def _integers(values: object, name: str) -> IntArray:
    array = np.array(values)
    if array.dtype.kind not in "biu":
        raise ConfigurationError(f"{name} are {array.dtype}, not integers", "round them first")
    return array.astype(np.int64)


def _check_range(values: IntArray, low: int, high: int, name: str) -> None:
    if values.size and not low <= values.min() <= values.max() <= high:
        raise ConfigurationError(
            f"{name} of {values.min()} to {values.max()} leave the range {low} to {high}", "scale or clip them first"
        )

# SPDX-License-Identifier: Apache-2.0
"""Encoders: from images and event streams to the integers that an array takes, shape (..., T, inputs)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ..arch.device import IntArray
from ..arch.errors import ConfigurationError
from ..arch.noise import WORD_BITS, Domain
from .noise import domain_keys, mix, step_keys

INTENSITY_BITS = 8


def bernoulli(images: npt.NDArray[Any], seed: int, samples: npt.ArrayLike, steps: int) -> IntArray:
    """Spikes whose probability is the intensity over 256, from the shared hash.

    Pixel n of a sample spikes at a step iff `(mix(key ^ n) >> 24) < intensity`, with
    `key = domain_key(step_key(seed, sample, step), 0, ENCODE)`.

    `images` is (inputs,) or (B, inputs) of 0 … 255, `samples` one sample number or B of them; the result is
    (T, inputs) or (B, T, inputs) of 0 and 1. Raises `ConfigurationError` on wrong shapes or intensities.
    """
    numbers = torch.as_tensor(np.asarray(samples, dtype=np.int64))
    intensity = _intensities(images)
    if tuple(numbers.shape) != tuple(intensity.shape[:-1]):
        raise ConfigurationError(
            f"images of shape {tuple(intensity.shape)} and {numbers.numel()} sample numbers do not belong together",
            "give one sample number per image",
        )
    keys = domain_keys(step_keys(seed, numbers, steps), 0, Domain.ENCODE).view(-1, steps)
    flat = intensity.view(-1, intensity.shape[-1])
    # Most pixels of most images are black: only the others are hashed.
    image, pixel = flat.nonzero(as_tuple=True)
    noise = mix(keys[image] ^ pixel.unsqueeze(1)) >> (WORD_BITS - INTENSITY_BITS)
    events = torch.zeros(len(flat), steps, flat.shape[1], dtype=torch.int64)
    events[image, :, pixel] = (noise < flat[image, pixel].unsqueeze(1)).long()
    return events.view(*numbers.shape, steps, -1).numpy()


def graded(images: npt.NDArray[Any], bits: int, steps: int) -> IntArray:
    """Direct coding: the upper `bits` bits of each intensity, the same at every step.

    `images` is (inputs,) or (B, inputs) of 0 … 255; the result is (T, inputs) or (B, T, inputs) of 0 … 2**bits - 1.
    """
    if not 1 <= bits <= INTENSITY_BITS:
        raise ConfigurationError(f"an event value of {bits} bits is not possible", "use 1 to 8 bits")
    values = (_intensities(images) >> (INTENSITY_BITS - bits)).unsqueeze(-2)
    return values.repeat(*(1,) * (values.ndim - 2), steps, 1).numpy()


def binned(
    times: npt.NDArray[Any], channels: npt.NDArray[Any], *, duration: int, steps: int, inputs: int, limit: int = 1
) -> IntArray:
    """One recording of events as counts per time bin: (T, inputs) of 0 … `limit`.

    An event at `time` (0 … `duration - 1`, any unit) of `channel` is counted in bin `time * steps // duration`; later
    events are dropped, and counts above `limit` clamped. Raises `ConfigurationError` on a channel or time out of range.
    """
    time = np.asarray(times, dtype=np.int64)
    channel = np.asarray(channels, dtype=np.int64)
    if time.shape != channel.shape or time.ndim != 1:
        raise ConfigurationError(f"{time.size} times and {channel.size} channels", "give one channel per time")
    if channel.size and not 0 <= channel.min() <= channel.max() < inputs:
        raise ConfigurationError(f"channels {channel.min()} to {channel.max()} leave 0 to {inputs - 1}", "raise inputs")
    if time.size and time.min() < 0:
        raise ConfigurationError(f"time {time.min()} is before the start", "subtract the first time")
    inside = time < duration
    counts = np.zeros((steps, inputs), dtype=np.int64)
    np.add.at(counts, (time[inside] * steps // duration, channel[inside]), 1)
    return np.minimum(counts, limit)


def _intensities(images: npt.NDArray[Any]) -> torch.Tensor:
    values = np.asarray(images)
    if values.dtype.kind not in "iu" or values.ndim not in (1, 2):
        raise ConfigurationError(
            f"images are {values.dtype} of shape {values.shape}", "give integers of shape (inputs,) or (B, inputs)"
        )
    if values.size and not 0 <= values.min() <= values.max() < 1 << INTENSITY_BITS:
        raise ConfigurationError(f"intensities {values.min()} to {values.max()} leave 0 to 255", "scale them to 8 bits")
    return torch.as_tensor(values.astype(np.int64))

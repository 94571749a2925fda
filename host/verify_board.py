# SPDX-License-Identifier: Apache-2.0
"""A board against the golden model: the same network on both, the same samples, results and weights compared."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..arch.device import IntArray
from ..cosim.compare import Comparison
from ..cosim.verify import VerifyResult
from .board import BoardDevice

if TYPE_CHECKING:
    from ..golden.device import GoldenDevice

CHUNK = 50
"""Samples after which all weights are read back and compared: that takes as long as some samples."""


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Samples of shape (B, T, inputs) that are learned, or only run."""

    inputs: IntArray
    labels: IntArray
    learn: bool


def verify_board(
    device: BoardDevice,
    golden: GoldenDevice,
    work: Sequence[Samples],
    progress: Callable[[VerifyResult], None] = lambda result: None,
) -> VerifyResult:
    """Do `work` on both, from the state that both have, up to the first mismatch.

    Compared are the results of every sample, and every `CHUNK` samples the counters and, if they learned, every weight:
    a weight that differs then carries the number of the last of them.
    """
    result = VerifyResult(seed=golden.state.seed, configurations=1)
    started = time.monotonic()
    for samples in work:
        for start in range(0, len(samples.inputs), CHUNK):
            part = slice(start, start + CHUNK)
            comparison = Comparison(seed=result.seed)
            _compare(device, golden, samples, part, comparison, result)
            result.take(comparison)
            result.seconds = time.monotonic() - started
            progress(result)
            if not result.ok:
                return result
    return result


def _compare(
    device: BoardDevice,
    golden: GoldenDevice,
    samples: Samples,
    part: slice,
    comparison: Comparison,
    result: VerifyResult,
) -> None:
    inputs, labels = samples.inputs[part], samples.labels[part]
    outputs, state, kept = golden(inputs, labels, learn=samples.learn)
    answer = device.observe(inputs, labels, learn=samples.learn)
    for index, (expected, seen) in enumerate(zip(outputs.readout, answer["readout"], strict=True)):
        comparison.values("result", expected, seen, sample=result.samples + index)
    last = result.samples + len(inputs) - 1
    for layer, values in enumerate(device.peek("weights") if samples.learn else ()):
        comparison.values("weight", state.weights[layer], values, sample=last, layer=layer)
    comparison.counters(kept.counters, answer["counters"], sample=last)
    result.samples += len(inputs)
    result.count(kept.counters, answer["counters"])

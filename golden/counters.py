# SPDX-License-Identifier: Apache-2.0
"""Counters and write signatures, computed after the fact from what the layers did."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..arch.array import ArrayConfig
from ..arch.formats import FACTOR_MAX, TRACE_MAX
from ..arch.noise import WORD_MASK, Domain
from ..arch.registers import COUNTERS
from .fixed import popcount, saturate
from .network import LayerHistory, LearningHistory
from .noise import digest, domain_keys, mix, step_keys

SPIKE_BIT = 16
PSI_BIT = 17
MEMBRANE_MASK = (1 << SPIKE_BIT) - 1


def zero_counters() -> dict[str, int]:
    """Every counter of `arch.registers.COUNTERS` at 0."""
    return {name: 0 for name, _ in COUNTERS}


def count(histories: Sequence[LayerHistory], array: ArrayConfig) -> dict[str, int]:
    """Counters of the samples in `histories`, one history of shape (..., T, n) per layer."""
    counts = zero_counters()
    *batch, steps, _ = histories[0].events.shape
    counts["samples"] = int(torch.Size(batch).numel())
    counts["steps"] = counts["samples"] * steps
    for index, layer in enumerate(histories):
        groups = -(-layer.after.shape[-1] // array.parallel)
        events = int(popcount(layer.events).sum()) if index == 0 else int(layer.events.sum())
        counts["spikes"] += int(layer.spikes.sum())
        _count_forward(counts, groups, events, counts["steps"], layer.saturated)
        if layer.learned is not None:
            _count_learning(counts, layer, layer.learned, array)
    return counts


def _count_forward(counts: dict[str, int], groups: int, events: int, steps: int, saturated: Tensor) -> None:
    """Add what SCATTER and FIRE count."""
    counts["events"] += events
    counts["scatter_words"] += groups * events
    counts["fire_groups"] += groups * steps
    counts["membrane_saturations"] += int(saturated.sum())


def _count_learning(counts: dict[str, int], layer: LayerHistory, learned: LearningHistory, array: ArrayConfig) -> None:
    """Add what one layer counts when it learns."""
    counts["trace_saturations"] += int((learned.trace_raw > TRACE_MAX).sum())
    for update in (update for updates in learned.updates for update in updates):
        rows, groups = len(update.rows), -(-len(update.factor) // array.parallel)
        busy = groups if update.all_groups else int(_busy_groups(update.factor, array.parallel).sum())
        counts["update_rows"] += rows
        counts["rows_skipped"] += learned.trace.shape[-1] - rows
        counts["update_words"] += rows * busy
        counts["update_words_skipped"] += rows * (groups - busy)
        counts["weight_updates"] += update.raw.numel()
        counts["weight_saturations"] += _clamped(update.raw, array.weight_bits)
    for step, signal in enumerate(learned.signal):
        if signal is None:
            continue
        for raw in (signal.raw, signal.post_raw):
            counts["signal_saturations"] += 0 if raw is None else int((raw > FACTOR_MAX).sum())
        if signal.gathered is not None and signal.source is not None:
            rows = int((signal.gathered != 0).sum())
            busy_groups = _busy_groups(signal.source, array.parallel)
            busy_groups[-1] = True
            counts["gather_rows"] += rows
            counts["gather_words"] += rows * int(busy_groups.sum())
        if signal.side is not None:
            groups = -(-len(signal.side.after) // array.parallel)
            _count_forward(counts, groups, int(layer.spikes[step].sum()), 1, signal.side.saturated)


def step_signatures(histories: Sequence[LayerHistory], array: ArrayConfig, seed: int, samples: Tensor) -> Tensor:
    """Terms of each step for the signatures (weights, neurons, traces), modulo 2**32: shape (*samples.shape, T, 3).

    `samples` holds the sample numbers, one per leading index of the histories.
    """
    steps = histories[0].events.shape[-2]
    keys = step_keys(seed, samples, steps)
    weights, neurons, traces = (torch.zeros_like(keys) for _ in range(3))
    for index, layer in enumerate(histories):
        word = _words(keys, index, Domain.STATE, layer.after.shape[-1])
        state = (layer.after & MEMBRANE_MASK) ^ (layer.spikes << SPIKE_BIT) ^ (layer.psi << PSI_BIT)
        neurons += digest(word ^ state).sum(-1)
        if layer.learned is None:
            continue
        trace = layer.learned.trace
        word = _words(keys, index, Domain.TRACE, trace.shape[-1])
        traces += digest(word ^ trace).masked_fill(trace == 0, 0).sum(-1)
        terms = ([_weight_terms(each.noise, each.raw, array) for each in step] for step in layer.learned.updates)
        weights += torch.stack([torch.cat([*step, keys.new_zeros(1)]).sum() for step in terms])
        for step, signal in enumerate(layer.learned.signal):
            if signal is not None and signal.side is not None:
                after = signal.side.after
                word = _words(keys[step], signal.side.block, Domain.STATE, len(after))
                neurons[step] += digest(word ^ (after & MEMBRANE_MASK)).sum()
    return torch.stack((weights, neurons, traces), -1) & WORD_MASK


def _weight_terms(noise: Tensor, raw: Tensor, array: ArrayConfig) -> Tensor:
    new = saturate(raw, array.weight_bits).long() & ((1 << array.weight_bits) - 1)
    return digest((noise.long().flatten() & WORD_MASK) ^ new)


def _words(keys: Tensor, layer: int, domain: Domain, size: int) -> Tensor:
    """`mix(key ^ i)` for every step and index."""
    return mix(domain_keys(keys, layer, domain).unsqueeze(-1) ^ torch.arange(size, device=keys.device))


def _busy_groups(factor: Tensor, parallel: int) -> Tensor:
    """Which groups of `parallel` neurons hold a nonzero G: shape (..., groups)."""
    groups = -(-factor.shape[-1] // parallel)
    padded = torch.nn.functional.pad(factor, (0, groups * parallel - factor.shape[-1]))
    return (padded.view(*factor.shape[:-1], groups, parallel) != 0).any(-1)


def _clamped(raw: Tensor, bits: int) -> int:
    return int((raw != saturate(raw, bits)).sum())

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
from .network import LayerHistory
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
    psi_below: Tensor | None = None
    for index, layer in enumerate(histories):
        groups = -(-layer.after.shape[-1] // array.parallel)
        events = int(popcount(layer.events).sum()) if index == 0 else int(layer.events.sum())
        counts["events"] += events
        counts["spikes"] += int(layer.spikes.sum())
        counts["scatter_words"] += groups * events
        counts["fire_groups"] += groups * counts["steps"]
        counts["membrane_saturations"] += int(layer.saturated.sum())
        if layer.trace is not None:
            _count_learning(counts, layer, psi_below, array)
        psi_below = layer.psi
    return counts


def _count_learning(counts: dict[str, int], layer: LayerHistory, psi_below: Tensor | None, array: ArrayConfig) -> None:
    """Add what one layer counts when it learns."""
    assert layer.trace is not None
    assert layer.trace_raw is not None
    assert layer.factor is not None
    assert layer.signal_raw is not None
    assert layer.updates is not None
    assert layer.gate is not None
    learned = layer.gate * layer.learns
    rows = (layer.trace != 0).sum(-1) * learned
    busy = _busy_groups(layer.factor, array.parallel)
    update_words = int((rows * busy.sum(-1)).sum())
    counts["update_rows"] += int(rows.sum())
    counts["rows_skipped"] += int(((layer.trace == 0).sum(-1) * learned).sum())
    counts["update_words"] += update_words
    counts["update_words_skipped"] += int(rows.sum()) * busy.shape[-1] - update_words
    counts["trace_saturations"] += int((layer.trace_raw > TRACE_MAX).sum())
    for update in layer.updates:
        counts["weight_updates"] += update.raw.numel()
        counts["weight_saturations"] += _clamped(update.raw, array.weight_bits)
    if psi_below is not None:
        gathered = (psi_below != 0).sum(-1) * layer.gate
        busy[..., -1] = True
        counts["gather_rows"] += int(gathered.sum())
        counts["gather_words"] += int((gathered * busy.sum(-1)).sum())
    counts["signal_saturations"] += int((layer.signal_raw > FACTOR_MAX).sum())


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
        if layer.trace is not None and layer.updates is not None:
            word = _words(keys, index, Domain.TRACE, layer.trace.shape[-1])
            traces += digest(word ^ layer.trace).masked_fill(layer.trace == 0, 0).sum(-1)
            weights += torch.stack([_weight_terms(step.noise, step.raw, array).sum() for step in layer.updates])
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

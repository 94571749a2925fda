# SPDX-License-Identifier: Apache-2.0
"""Counters that depend on the number of lanes, on a case small enough to count by hand."""

from __future__ import annotations

import torch

from trifactor.arch.array import ArrayConfig
from trifactor.golden.counters import count, zero_counters
from trifactor.golden.learning import Update
from trifactor.golden.network import LayerHistory


def layer(events: list[int], psi: list[int], trace: list[int], factor: list[int]) -> LayerHistory:
    """One sample of one step."""
    zero = torch.zeros(1, len(factor), dtype=torch.int64)
    moved = torch.zeros(sum(map(bool, trace)), sum(map(bool, factor)), dtype=torch.int64)
    return LayerHistory(
        events=torch.tensor([events]),
        saturated=zero,
        after=zero,
        spikes=torch.tensor([[0] * len(factor)]),
        psi=torch.tensor([psi]),
        trace=torch.tensor([trace]),
        trace_raw=torch.tensor([trace]),
        factor=torch.tensor([factor]),
        signal_raw=torch.tensor([factor]).abs(),
        updates=[Update(moved, moved)],
        gate=torch.tensor([True]),
    )


def test_words_by_hand() -> None:
    # Two lanes: the five hidden neurons are 3 groups, the four outputs 2.
    hidden = layer(events=[3, 0, 1], psi=[1, 0, 2, 0, 7], trace=[9, 0, 4], factor=[0, 0, 5, -1, 0])
    readout = layer(events=[0, 1, 0, 0, 1], psi=[0] * 4, trace=[0, 1, 1, 0, 1], factor=[2, 0, 0, 0])
    got = count([hidden, readout], ArrayConfig(lanes=2, event_bits=2))
    expected = zero_counters() | {
        "samples": 1,
        "steps": 1,
        "events": 3 + 2,
        "scatter_words": 3 * 3 + 2 * 2,
        "fire_groups": 3 + 2,
        "gather_rows": 3,
        "gather_words": 3 * 2,  # the first group holds a G; the last one is always counted
        "update_rows": 2 + 3,
        "rows_skipped": 1 + 2,
        "update_words": 2 * 1 + 3 * 1,
        "update_words_skipped": 2 * 2 + 3 * 1,
        "weight_updates": 2 * 2 + 3 * 1,
    }
    assert got == expected


def test_nothing_is_learned_without_traces() -> None:
    still = layer(events=[1, 1, 0], psi=[3, 3], trace=[1, 0, 0], factor=[1, 1])
    still = still._replace(trace=None, trace_raw=None, factor=None, signal_raw=None, updates=None)
    got = count([still], ArrayConfig(lanes=4))
    assert {name for name, value in got.items() if value} == {
        "samples",
        "steps",
        "events",
        "scatter_words",
        "fire_groups",
    }

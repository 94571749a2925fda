# SPDX-License-Identifier: Apache-2.0
"""Counters that depend on the number of lanes, on a case small enough to count by hand."""

from __future__ import annotations

from typing import Any

import torch

from trifactor.arch.array import ArrayConfig
from trifactor.golden.counters import count, zero_counters
from trifactor.golden.learning import Update
from trifactor.golden.network import LayerHistory, LearningHistory, SideStep, SignalStep


def moved(rows: list[int], factor: list[int], *, all_groups: bool = False) -> Update:
    """An update that visited `rows`."""
    raw = torch.zeros(len(rows), sum(map(bool, factor)), dtype=torch.int64)
    return Update(raw, raw, torch.tensor(rows), torch.tensor(factor), all_groups)


def layer(
    events: list[int],
    psi: list[int],
    trace: list[int],
    factor: list[int],
    above: list[int] | None = None,
    **signal: Any,
) -> LayerHistory:
    """One sample of one step, whose signal was gathered from the factors `above`."""
    zero = torch.zeros(1, len(factor), dtype=torch.int64)
    step = SignalStep(
        gathered=None if above is None else torch.tensor(psi),
        source=None if above is None else torch.tensor(above),
        factor=torch.tensor(factor),
        raw=torch.tensor(factor).abs(),
        post_factor=None,
        post_raw=None,
        side=None,
    )
    return LayerHistory(
        events=torch.tensor([events]),
        saturated=zero,
        after=zero,
        spikes=torch.tensor([[0] * len(factor)]),
        psi=torch.tensor([psi]),
        learned=LearningHistory(
            trace=torch.tensor([trace]),
            trace_raw=torch.tensor([trace]),
            signal=[step._replace(**signal)],
            updates=[(moved([row for row, value in enumerate(trace) if value], factor),)],
        ),
    )


def test_words_by_hand() -> None:
    # Two lanes: the five hidden neurons are 3 groups, the four outputs 2.
    last = [2, 0, 0, 0]
    hidden = layer(events=[3, 0, 1], psi=[1, 0, 2, 0, 7], trace=[9, 0, 4], factor=[0, 0, 5, -1, 0], above=last)
    readout = layer(events=[0, 1, 0, 0, 1], psi=[0] * 4, trace=[0, 1, 1, 0, 1], factor=last)
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


def test_a_second_update_and_a_readout_of_its_own_by_hand() -> None:
    # Four lanes: six neurons are 2 groups, five classes 2. Row 4 is a bias, rows 2 and 3 had a trace earlier.
    own = torch.tensor([0, 0, 0, 9, 0])
    hidden = layer(
        events=[1, 0, 0, 0, 1],
        psi=[1, 0, 2, 0, 7, 0],
        trace=[9, 0, 0, 0, 64],
        factor=[0, 0, 5, -1, 0, 0],
        above=[0, 0, 0, 0, 1],
        gathered=torch.tensor([1, 0, 2, 3, 7, 0]),
        post_raw=torch.tensor([0, 0, 129, 200, 128, 0]),
        post_factor=torch.tensor([0, 0, 0, 0, 4, 8]),
        side=SideStep(2, own, own > 5),
    )
    assert hidden.learned is not None
    hidden.learned.updates[0] = (
        moved([0, 2, 3, 4], [0, 0, 5, -1, 0, 0], all_groups=True),
        moved([0, 4], [0, 0, 0, 0, 4, 8]),
    )
    hidden = hidden._replace(spikes=torch.tensor([[1, 0, 1, 0, 0, 1]]))
    got = count([hidden], ArrayConfig(lanes=4))
    expected = zero_counters() | {
        "samples": 1,
        "steps": 1,
        "events": 2 + 3,
        "spikes": 3,
        "scatter_words": 2 * 2 + 2 * 3,
        "fire_groups": 2 + 2,
        "gather_rows": 4,
        "gather_words": 4,
        "update_rows": 4 + 2,
        "rows_skipped": 1 + 3,
        "update_words": 4 * 2 + 2,
        "update_words_skipped": 2,
        "weight_updates": 4 * 2 + 2 * 2,
        "membrane_saturations": 1,
        "signal_saturations": 2,
    }
    assert got == expected


def test_nothing_is_learned_without_traces() -> None:
    still = layer(events=[1, 1, 0], psi=[3, 3], trace=[1, 0, 0], factor=[1, 1])
    got = count([still._replace(learned=None)], ArrayConfig(lanes=4))
    assert {name for name, value in got.items() if value} == {
        "samples",
        "steps",
        "events",
        "scatter_words",
        "fire_groups",
    }

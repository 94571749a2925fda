# SPDX-License-Identifier: Apache-2.0
"""The neuron: exhaustive at the smallest membrane, and the resets one by one."""

from __future__ import annotations

from typing import Any, Literal

import pytest
import torch

from trifactor.golden import neuron
from trifactor.golden.neuron import NeuronParams, NeuronState

TABLE = tuple(range(15, -1, -1))


def params(**changes: Any) -> NeuronParams:
    base = NeuronParams(
        decay=11,
        current_decay=None,
        clamp=False,
        decay_bits=4,
        membrane_bits=8,
        threshold=40,
        reset="soft",
        spiking=True,
        surrogate=torch.tensor([*TABLE, 0]),
        surrogate_shift=2,
    )
    return base._replace(**changes)


@pytest.mark.parametrize("reset", ["soft", "hard", "none"])
@pytest.mark.parametrize("spiking", [True, False])
def test_every_membrane_and_current(reset: Literal["soft", "hard", "none"], spiking: bool) -> None:
    state = torch.arange(-128, 128).unsqueeze(1).expand(256, 400)
    current = torch.arange(-200, 200).unsqueeze(0).expand(256, 400)
    (after, _), out = neuron.step(params(reset=reset, spiking=spiking), NeuronState(state, None), current)
    fired = 0
    for v in range(-128, 128, 3):
        for c in range(-200, 200):
            raw = (11 * v >> 4) + c
            u = max(-128, min(127, raw))
            s = int(spiking and u >= 40)
            entry = abs(u - 40) >> 2
            psi = TABLE[entry] if spiking and entry < 16 else 0
            kept = u
            if s:
                kept = {"soft": u - 40, "hard": 0, "none": u}[reset]
            at = (v + 128, c + 200)
            got = [int(field[at]) for field in (out.saturated, out.membrane, out.spikes, out.psi, after)]
            assert got == [u != raw, u, s, psi, kept]
            fired += s
    assert (fired > 1000) == spiking


@pytest.mark.parametrize("clamp", [True, False])
def test_a_synaptic_current_leaks_by_itself_and_a_clamp_stops_at_zero(clamp: bool) -> None:
    own = params(current_decay=7, clamp=clamp)
    held = torch.arange(-128, 128, 5).view(-1, 1, 1)
    state = torch.arange(-128, 128, 7).view(1, -1, 1)
    current = torch.arange(-200, 200, 9).view(1, 1, -1)
    before = NeuronState(state.expand(52, 37, 45), held.expand(52, 37, 45))
    (after, kept), out = neuron.step(own, before, current.expand(52, 37, 45))
    assert kept is not None
    floored = 0
    for index in range(0, 52 * 37 * 45, 11):
        at = (index // 45 // 37, index // 45 % 37, index % 45)
        raw_c = (7 * int(held[at[0], 0, 0]) >> 4) + int(current[0, 0, at[2]])
        c = max(-128, min(127, raw_c))
        raw = (11 * int(state[0, at[1], 0]) >> 4) + c
        u = max(-128, min(127, raw))
        over = c != raw_c or u != raw
        below = clamp and u < 0
        u = 0 if below else u
        s = int(u >= 40)
        entry = abs(u - 40) >> 2
        psi = TABLE[entry] if entry < 16 and not below else 0
        got = [int(field[at]) for field in (out.saturated, out.current, out.membrane, out.spikes, out.psi, after, kept)]
        assert got == [over, c, u, s, psi, u - 40 * s, c]
        floored += below
    assert (floored > 1000) == clamp


def test_psi_is_zero_beyond_the_table() -> None:
    current = torch.tensor([40 - 64, 40 - 63, 40 + 63, 40 + 64])
    own = params(surrogate=torch.tensor([*(9,) * 16, 0]))
    _, out = neuron.step(own, neuron.first_state(own, current), current)
    assert out.psi.tolist() == [0, 9, 9, 0]


@pytest.mark.parametrize("current_decay", [None, 7])
def test_shape_does_not_matter(current_decay: int | None) -> None:
    own = params(current_decay=current_decay)
    current = torch.arange(-60, 60)
    flat_state, flat = neuron.step(own, neuron.first_state(own, current), current)
    shaped = current.view(4, 5, 6)
    state, out = neuron.step(own, neuron.first_state(own, shaped), shaped)
    assert torch.equal(state.membrane.flatten(), flat_state.membrane)
    assert all(torch.equal(a.flatten(), b) for a, b in zip(out, flat, strict=True))

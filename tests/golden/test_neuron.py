# SPDX-License-Identifier: Apache-2.0
"""The neuron: exhaustive at the smallest membrane, and the resets one by one."""

from __future__ import annotations

from typing import Any, Literal

import pytest
import torch

from trifactor.golden import neuron
from trifactor.golden.neuron import NeuronParams

TABLE = tuple(range(15, -1, -1))


def params(**changes: Any) -> NeuronParams:
    base = NeuronParams(
        decay=11,
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
    after, out = neuron.step(params(reset=reset, spiking=spiking), state, current)
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
            got = [int(field[at]) for field in (out.raw, out.membrane, out.spikes, out.psi, after)]
            assert got == [raw, u, s, psi, kept]
            fired += s
    assert (fired > 1000) == spiking


def test_psi_is_zero_beyond_the_table() -> None:
    current = torch.tensor([40 - 64, 40 - 63, 40 + 63, 40 + 64])
    _, out = neuron.step(params(surrogate=torch.tensor([*(9,) * 16, 0])), torch.zeros(4, dtype=torch.int64), current)
    assert out.psi.tolist() == [0, 9, 9, 0]


def test_shape_does_not_matter() -> None:
    current = torch.arange(-60, 60)
    flat_state, flat = neuron.step(params(), torch.zeros_like(current), current)
    state, out = neuron.step(params(), torch.zeros(4, 5, 6, dtype=torch.int64), current.view(4, 5, 6))
    assert torch.equal(state.flatten(), flat_state)
    assert all(torch.equal(a.flatten(), b) for a, b in zip(out, flat, strict=True))

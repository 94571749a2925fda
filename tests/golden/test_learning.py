# SPDX-License-Identifier: Apache-2.0
"""Traces, modulated signals and updates, one operation at a time."""

from __future__ import annotations

import random
from typing import Any, Literal

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trifactor.arch import noise as arch_noise
from trifactor.arch.array import ArrayConfig
from trifactor.arch.formats import RATE_SHIFT_MAX
from trifactor.arch.network import Layer, Network
from trifactor.golden import learning
from trifactor.golden.fixed import pow2_round
from trifactor.golden.learning import LearningParams, Rows
from trifactor.golden.noise import doubled


def params(products: Literal["shift", "exact"] = "shift", **changes: Any) -> LearningParams:
    layer = Layer(inputs=12, outputs=70, spiking=False)
    network = Network(layers=(layer,), surrogate=(0,) * 16)
    array = ArrayConfig(weight_bits=10, synapse_bits=6, decay_bits=4, products=products)
    return learning.learning_params(network, array, 0)._replace(**changes)


def test_every_trace_decay_and_event() -> None:
    state = torch.arange(256).unsqueeze(1)
    events = torch.arange(256).unsqueeze(0)
    for decay in range(17):
        for shift in (0, 3, 7):
            trace, raw = learning.trace_step(params(trace_decay=decay, trace_shift=shift), state, events)
            expected = ((decay * state) >> 4) + (events << shift)
            assert torch.equal(raw, expected)
            assert torch.equal(trace, torch.minimum(expected, torch.tensor(255)))


def test_rounded_to_a_power_of_two_unless_products_are_exact() -> None:
    factor = torch.arange(256)
    noise = torch.arange(256) * 37 % 128
    assert torch.equal(learning.rounded(params(), factor, noise), pow2_round(factor, noise))
    assert torch.equal(learning.rounded(params("exact"), factor, noise), factor)


@settings(deadline=None)
@given(
    st.integers(-(1 << 31), 1 << 31), st.integers(0, 255), st.integers(0, 0xFFFFFFFF), st.integers(0, 15), st.booleans()
)
def test_modulate(delta: int, psi: int, word: int, shift: int, exact: bool) -> None:
    own = params("exact" if exact else "shift", signal_shift=shift)
    tensors = (torch.tensor([value]) for value in (delta, psi, word, word >> 25))
    factor, raw = learning.modulate(own, *tensors)
    a = (min(65535, abs(delta)) * psi + (word & ((1 << shift) - 1))) >> shift
    clamped = min(128, a)
    if not exact:
        clamped = int(pow2_round(torch.tensor(clamped), torch.tensor(word >> 25)))
    assert int(raw) == a
    assert int(factor) == clamped * ((delta > 0) - (delta < 0))
    assert psi or int(factor) == 0


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(0, RATE_SHIFT_MAX))
def test_update_moves_exactly_the_synapses_with_both_factors(seed: int, rate_shift: int) -> None:
    rng = random.Random(seed)
    own = params("exact", rate_shift=rate_shift)
    stored = torch.tensor([[rng.randint(-512, 511) for _ in range(70)] for _ in range(12)], dtype=torch.int32)
    weights = stored.clone()
    trace = [rng.choice([0, rng.randint(1, 255)]) for _ in range(12)]
    factor = [rng.choice([0, rng.randint(-128, 128)]) for _ in range(70)]
    words = [rng.randrange(1 << 32) for _ in range(12)]
    rows = Rows(torch.tensor(trace), torch.tensor(trace), doubled(torch.tensor(words)))
    moved = learning.update(own, weights, rows, torch.tensor(factor))

    expected = stored.tolist()
    for j, p in enumerate(trace):
        for i, g in enumerate(factor):
            if p and g:
                fraction = arch_noise.update_noise(words[j], i) >> (RATE_SHIFT_MAX - rate_shift)
                a = (abs(g) * p + fraction) >> rate_shift
                expected[j][i] = max(-512, min(511, expected[j][i] - (a if g > 0 else -a)))
    assert weights.tolist() == expected
    assert moved.raw.numel() == sum(map(bool, trace)) * sum(map(bool, factor))


def test_update_of_nothing_writes_nothing() -> None:
    stored = torch.ones(12, 70, dtype=torch.int32)
    weights = stored.clone()
    nothing = torch.zeros(12, dtype=torch.int64)
    moved = learning.update(params(), weights, Rows(nothing, nothing, nothing), torch.ones(70, dtype=torch.int64))
    assert moved.raw.numel() == 0
    assert torch.equal(weights, stored)

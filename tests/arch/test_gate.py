# SPDX-License-Identifier: Apache-2.0
"""Which steps learn."""

from __future__ import annotations

from typing import Literal

from hypothesis import given
from hypothesis import strategies as st

from trifactor.arch.gate import open_steps
from trifactor.arch.network import Layer, Network


def gated(gate: Literal["all", "last", "after", "random"], count: int) -> Network:
    layer = Layer(inputs=2, outputs=2, spiking=False)
    return Network(layers=(layer,), surrogate=(0,) * 16, gate=gate, gate_steps=count)


def test_steps_by_place() -> None:
    assert open_steps(gated("all", 0), 3, seed=1, sample=2) == (True, True, True)
    assert open_steps(gated("last", 1), 3, seed=1, sample=2) == (False, False, True)
    assert open_steps(gated("last", 9), 2, seed=1, sample=2) == (True, True)
    assert open_steps(gated("after", 1), 3, seed=1, sample=2) == (False, True, True)
    assert open_steps(gated("after", 9), 2, seed=1, sample=2) == (False, False)


@given(st.integers(0, 12), st.integers(1, 12), st.integers(0, 0xFFFFFFFF), st.integers(0, 0xFFFFFFFF))
def test_so_many_steps_by_lot(count: int, steps: int, seed: int, sample: int) -> None:
    chosen = open_steps(gated("random", count), steps, seed=seed, sample=sample)
    assert sum(chosen) == min(count, steps)
    assert chosen == open_steps(gated("random", count), steps, seed=seed, sample=sample)


def test_the_lot_is_even() -> None:
    picked = [0] * 8
    for sample in range(2000):
        for step, is_open in enumerate(open_steps(gated("random", 2), 8, seed=5, sample=sample)):
            picked[step] += is_open
    # 500 each in the mean, standard deviation below 20.
    assert all(400 < count < 600 for count in picked)

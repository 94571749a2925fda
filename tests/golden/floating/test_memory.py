# SPDX-License-Identifier: Apache-2.0
"""Through time, memory grows with the steps; within the step, it does not."""

from __future__ import annotations

import pytest
import torch

from trifactor.golden.floating.memory import training_memory
from trifactor.golden.floating.network import Shape
from trifactor.golden.floating.rules import FLOAT_RULES

SHAPE = Shape((12, 9, 8, 5), recurrent=True, bias=True)
ONLINE = [name for name, rule in FLOAT_RULES.items() if rule.backward == "step"]


@pytest.mark.parametrize("name", sorted(set(FLOAT_RULES) - set(ONLINE)))
def test_through_time_it_is_linear_in_the_steps(name: str) -> None:
    few, more, most = (training_memory(name, SHAPE, steps) for steps in (10, 20, 40))
    assert more - few > 10 * 4 * (9 + 8)
    assert most - more == 2 * (more - few)
    # Weights are not counted, nor anything else that is there once.
    assert 2 * few - more < 100


@pytest.mark.parametrize("name", ONLINE)
def test_within_the_step_it_is_flat(name: str) -> None:
    few, many = (training_memory(name, SHAPE, steps) for steps in (2, 40))
    assert few == many > 0


def test_what_is_carried_is_counted_to_the_byte() -> None:
    shape = Shape((12, 9, 8, 5))
    membranes = 9 + 8 + 5
    assert training_memory("sltt", shape, 5) == 4 * membranes
    assert training_memory("ottt-a", shape, 5, batch=3) == 3 * 4 * (membranes + 12 + 9)
    assert training_memory("s-tllr", shape, 5) == 4 * (membranes + 12 + 9 + 9 + 8)
    assert training_memory("temporal-sbp", shape, 5) == 4 * (membranes + 12 * 9 + 9 * 8)
    assert training_memory("sltt", shape, 5, dtype=torch.float64) == 8 * membranes

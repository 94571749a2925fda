# SPDX-License-Identifier: Apache-2.0
"""Losses: value and derivative belong together, and to the papers' formulas."""

from __future__ import annotations

import math

import pytest
import torch

from trifactor.arch.errors import ConfigurationError
from trifactor.arch.rules import RULES
from trifactor.golden.floating.losses import BASE_2, LOSSES, Loss, loss_named


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("mean", [False, True])
@pytest.mark.parametrize("name", LOSSES)
def test_the_error_is_the_derivative_of_the_value(name: str, mean: bool, gated: bool) -> None:
    loss = Loss(**{**vars(LOSSES[name]), "mean_over_steps": mean})
    make = torch.Generator().manual_seed(1)
    y = torch.randn(3, 4, 5, generator=make, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([0, 3, 4])
    gate = torch.rand(3, 4, generator=make) < 0.5 if gated else None
    (expected,) = torch.autograd.grad(loss.value(y, labels, gate), y)
    target = torch.nn.functional.one_hot(labels, 5).double()
    found = torch.stack([loss.error(step, target) for step in y.detach().unbind(1)], 1) * loss.share(3, 4)
    if gate is not None:
        found = found * gate.unsqueeze(2)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-13)
    assert found.abs().max() > 1e-3


def test_ottt_s_loss_is_a_mixture_in_the_mean_over_steps() -> None:
    y = torch.tensor([[[0.2, -0.4], [1.0, 0.5]]], dtype=torch.float64)
    expected = 0.0
    for a, b in y[0].tolist():
        entropy = -math.log(math.exp(a) / (math.exp(a) + math.exp(b)))
        expected += 0.95 * entropy + 0.05 * ((a - 1) ** 2 + b**2) / 2
    assert LOSSES["ottt"].value(y, torch.tensor([0])).item() == pytest.approx(expected / 2)


def test_base_2_halves_the_probability_every_half_threshold() -> None:
    odds = torch.softmax(BASE_2 * torch.tensor([0.0, -0.5, -1.0], dtype=torch.float64), 0)
    assert (odds / odds[0]).tolist() == pytest.approx([1.0, 0.5, 0.25])
    assert LOSSES["softmax-2"].logit_scale == BASE_2


def test_every_rule_s_error_is_a_loss() -> None:
    assert {rule.error for rule in RULES.values()} <= set(LOSSES)


def test_an_unknown_loss_is_refused() -> None:
    assert loss_named(Loss(alpha=0.1)) == Loss(alpha=0.1)
    with pytest.raises(ConfigurationError, match="no loss is called 'softmx'") as caught:
        loss_named("softmx")
    assert caught.value.hint == "did you mean 'softmax'?"

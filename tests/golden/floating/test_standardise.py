# SPDX-License-Identifier: Apache-2.0
"""Scaled weight standardisation: its value by the formula, its gradient by autograd and by differences."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from trifactor.golden.floating.standardise import standardise


def case(inputs: int = 13, outputs: int = 5) -> tuple[Tensor, Tensor, Tensor]:
    make = torch.Generator().manual_seed(inputs)
    weight = torch.randn(inputs, outputs, generator=make, dtype=torch.float64) + 0.3
    gain = 0.5 + torch.rand(outputs, generator=make, dtype=torch.float64)
    return weight, gain, torch.randn(inputs, outputs, generator=make, dtype=torch.float64)


def plain(weight: Tensor, gain: Tensor) -> Tensor:
    """The formula, left to autograd."""
    return gain * (weight - weight.mean(0)) / torch.sqrt(len(weight) * weight.var(0, unbiased=True) + 1e-4)


@pytest.mark.parametrize("inputs", [2, 13, 200])
def test_value_and_gradient_are_those_of_the_formula(inputs: int) -> None:
    weight, gain, along = case(inputs)
    found, expected = [], []
    for results, function in ((found, standardise), (expected, plain)):
        leaves = [weight.clone().requires_grad_(), gain.clone().requires_grad_()]
        used = function(*leaves)
        results.extend([used.detach(), *torch.autograd.grad(used, leaves, along)])
    assert len(found) == 3
    for one, two in zip(found, expected, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-10, atol=1e-12)
        assert one.abs().max() > 1e-6


def test_gradient_is_the_finite_difference() -> None:
    weight, gain, _ = case()
    assert torch.autograd.gradcheck(standardise, (weight.requires_grad_(), gain.requires_grad_()))


def test_rows_have_mean_zero_and_a_norm_just_below_the_gain() -> None:
    weight, _, _ = case(13)
    used = standardise(weight, torch.full((5,), 0.8, dtype=torch.float64))
    torch.testing.assert_close(used.mean(0), torch.zeros(5, dtype=torch.float64), rtol=0, atol=1e-12)
    expected = torch.full((5,), 0.8 * (12 / 13) ** 0.5, dtype=torch.float64)
    torch.testing.assert_close(used.norm(dim=0), expected, rtol=1e-4, atol=0)

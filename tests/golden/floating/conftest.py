# SPDX-License-Identifier: Apache-2.0
"""Problems small enough to be exact about, with weights that make neurons fire."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from trifactor.golden.floating.gradients import gradients
from trifactor.golden.floating.network import FloatNetwork


class Problem(NamedTuple):
    weights: list[Tensor]
    inputs: Tensor
    labels: Tensor
    fixed: list[Tensor]

    def gradients(self, network: FloatNetwork, **settings: object) -> list[list[Tensor]]:
        """All that the rule applies, with the matrices that this problem has for it."""
        settings.setdefault("fixed", self.fixed[: len(network.fixed_layers)])
        return list(gradients(network, self.weights, self.inputs, self.labels, **settings))  # type: ignore[arg-type]

    def total(self, network: FloatNetwork, **settings: object) -> list[Tensor]:
        """Its sum."""
        return [torch.stack(parts).sum(0) for parts in zip(*self.gradients(network, **settings), strict=True)]


def make_problem(network: FloatNetwork, seed: int = 3, *, batch: int = 4, steps: int = 7) -> Problem:
    make = torch.Generator().manual_seed(seed)
    double = torch.float64
    weights = [
        torch.eye(layer.outputs, dtype=double)
        if layer.identity
        else 1.5 * torch.randn(layer.rows, layer.outputs, generator=make, dtype=double) / layer.rows**0.5
        for layer in network.layers
    ]
    inputs = (torch.rand(batch, steps, network.layers[0].inputs, generator=make) < 0.5).to(double)
    classes = network.layers[-1].outputs
    labels = torch.randint(classes, (batch,), generator=make)
    fixed = [
        torch.randn(layer.outputs, classes, generator=make, dtype=double) / layer.outputs**0.5
        for layer in network.layers[:-1]
    ]
    return Problem(weights, inputs, labels, fixed)


@pytest.fixture
def problem() -> Callable[..., Problem]:
    """Makes a problem for a network."""
    return make_problem


@pytest.fixture
def same() -> Callable[[list[Tensor], list[Tensor]], None]:
    """Asserts that gradients are equal to float64's precision, and that there are any."""

    def check(left: list[Tensor], right: list[Tensor]) -> None:
        assert sum(int((term.abs() > 1e-6).sum()) for term in left) > 20
        for one, two in zip(left, right, strict=True):
            torch.testing.assert_close(one, two, rtol=1e-10, atol=1e-13)

    return check

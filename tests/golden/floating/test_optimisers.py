# SPDX-License-Identifier: Apache-2.0
"""What a step of each optimiser does, and how a gradient reaches standardised weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from trifactor.arch.errors import ConfigurationError
from trifactor.golden.floating.network import Shape, float_network
from trifactor.golden.floating.optimisers import OPTIMISERS, SCHEDULES, SPIKE_GAIN, Parameters, schedule_named
from trifactor.golden.floating.standardise import standardise

SHAPE = Shape((12, 9, 5))


def moved(optimiser: str, problem: Any, steps: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    """How far the first layer's weights are moved by one gradient in `steps` steps of rate 0.1, and the gradient."""
    network = float_network("ottt-a", SHAPE)
    case = problem(network)
    (terms,) = case.gradients(network)
    parameters = Parameters(network, case.weights, optimiser=optimiser, rate=0.1)
    for _ in range(steps):
        parameters.move(terms)
    assert torch.equal(case.weights[0], problem(network).weights[0])
    return parameters.weights[0] - case.weights[0], terms[0]


def test_descent_and_its_momentum(problem: Any) -> None:
    change, gradient = moved("sgd", problem)
    torch.testing.assert_close(change, -0.2 * gradient)
    change, gradient = moved("momentum", problem)
    torch.testing.assert_close(change, -0.1 * (1 + 1.9) * gradient)


@pytest.mark.parametrize("optimiser", ["adam", "adamax"])
def test_others_make_steps_of_the_rate(problem: Any, optimiser: str) -> None:
    change, gradient = moved(optimiser, problem, steps=1)
    large = gradient.abs() > 1e-4
    assert large.sum() > 20
    torch.testing.assert_close(change[large], -0.1 * gradient[large].sign(), rtol=1e-3, atol=0)


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_what_does_not_learn_is_not_moved(problem: Any, optimiser: str) -> None:
    network = float_network("dalton", Shape((12, 9, 5), bias=True, spiking_readout=True))
    case = problem(network)
    parameters = Parameters(network, case.weights, optimiser=optimiser, rate=0.1)
    parameters.move([torch.ones_like(weight) for weight in case.weights])
    assert not torch.equal(parameters.weights[0], case.weights[0])
    assert torch.equal(parameters.weights[2], case.weights[2])


def test_standardised_layers_learn_what_lies_below_their_weights(problem: Any) -> None:
    network = float_network("ottt-a", Shape((12, 9, 5), bias=True, standardised=True))
    case = problem(network)
    parameters = Parameters(network, case.weights, optimiser="sgd", rate=0.1)
    gains = torch.ones(9, dtype=torch.float64)
    torch.testing.assert_close(parameters.weights[0][:12], standardise(case.weights[0][:12], gains))
    torch.testing.assert_close(parameters.weights[0][12], case.weights[0][12])
    torch.testing.assert_close(parameters.weights[1], case.weights[1])
    (terms,) = case._replace(weights=parameters.weights).gradients(network)
    leaves = [case.weights[0][:12].clone().requires_grad_(), gains.requires_grad_()]
    below = torch.autograd.grad(standardise(*leaves), leaves, terms[0][:12])
    parameters.move(terms)
    after = standardise(leaves[0] - 0.1 * below[0], leaves[1] - 0.1 * below[1])
    torch.testing.assert_close(parameters.weights[0][:12], after.detach())
    torch.testing.assert_close(parameters.weights[0][12], case.weights[0][12] - 0.1 * terms[0][12])
    assert all(part.abs().max() > 1e-4 for part in below)


def test_the_layers_above_the_first_start_with_the_gain_of_spikes(problem: Any) -> None:
    network = float_network("ottt-a", Shape((12, 20, 9, 5), standardised=True))
    case = problem(network)
    weights = Parameters(network, case.weights, optimiser="sgd", rate=0.1).weights
    assert (weights[0].norm(dim=0) / (11 / 12) ** 0.5).tolist() == pytest.approx([1.0] * 20, rel=1e-3)
    assert (weights[1].norm(dim=0) / (19 / 20) ** 0.5).tolist() == pytest.approx([2.74] * 9, rel=1e-3)
    x = torch.randn(100_000, generator=torch.Generator().manual_seed(1))
    assert 1 / (x >= 1).double().std().item() == pytest.approx(SPIKE_GAIN, rel=0.01)


def test_schedules() -> None:
    def factors(name: str) -> list[float]:
        return [schedule_named(name)(epoch, 4, 3) for epoch in range(4)]

    assert factors("constant") == [1.0, 1.0, 1.0, 1.0]
    assert factors("halving") == [1.0, 0.5, 0.25, 0.125]
    assert factors("cosine") == pytest.approx([1.0, 0.853553, 0.5, 0.146447], abs=1e-6)


def test_unknown_names_are_refused(problem: Any) -> None:
    network = float_network("ottt-a", SHAPE)
    with pytest.raises(ConfigurationError, match="no optimiser is called 'adm'") as caught:
        Parameters(network, problem(network).weights, optimiser="adm", rate=0.1)
    assert caught.value.hint == "did you mean 'adam'?"
    with pytest.raises(ConfigurationError, match="no schedule is called 'cosin'"):
        schedule_named("cosin")
    assert len(SCHEDULES) == 3

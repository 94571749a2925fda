# SPDX-License-Identifier: Apache-2.0
"""Float references: exact equivalences between the rules, hand-computed gradients, finite differences."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from trifactor.arch.errors import ConfigurationError
from trifactor.golden import floating
from trifactor.golden.floating import OTTT, SLTT

EXACT = {"rtol": 0.0, "atol": 1e-14}


def problem(
    seed: int, sizes: tuple[int, ...], *, batch: int = 3, steps: int = 7
) -> tuple[list[Tensor], Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    weights = [
        torch.randn(below, above, generator=generator, dtype=torch.float64) * (1.5 / math.sqrt(below))
        for below, above in itertools.pairwise(sizes)
    ]
    inputs = (torch.rand(batch, steps, sizes[0], generator=generator) < 0.5).to(torch.float64)
    labels = torch.randint(sizes[-1], (batch,), generator=generator)
    return weights, inputs, labels


def assert_same(left: list[Tensor], right: list[Tensor]) -> None:
    assert sum(int((term != 0).sum()) for term in left) > 20
    for a, b in zip(left, right, strict=True):
        torch.testing.assert_close(a, b, **EXACT)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 1000))
def test_ottt_of_one_hidden_layer_is_bptt_with_detached_reset(seed: int) -> None:
    weights, inputs, labels = problem(seed, (12, 9, 4))
    assert_same(
        floating.gradients("ottt-a", weights, inputs, labels), floating.gradients("bptt", weights, inputs, labels)
    )


def test_ottt_of_two_hidden_layers_differs_from_bptt_only_below_the_last() -> None:
    weights, inputs, labels = problem(1, (12, 9, 8, 4))
    ottt = floating.gradients("ottt-a", weights, inputs, labels)
    bptt = floating.gradients("bptt", weights, inputs, labels)
    assert_same(ottt[1:], bptt[1:])
    assert (ottt[0] - bptt[0]).abs().max() > 1e-4


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 1000))
def test_ottt_without_trace_is_sltt(seed: int) -> None:
    weights, inputs, labels = problem(seed, (12, 9, 8, 4))
    ottt = floating.gradients("ottt-a", weights, inputs, labels, SLTT)
    assert_same(ottt, floating.gradients("sltt", weights, inputs, labels, OTTT))


def test_the_reset_path_matters() -> None:
    weights, inputs, labels = problem(2, (12, 9, 4))
    detached = floating.gradients("bptt", weights, inputs, labels)
    attached = floating.gradients("bptt-attached", weights, inputs, labels)
    assert (detached[0] - attached[0]).abs().max() > 1e-4
    torch.testing.assert_close(detached[1], attached[1], **EXACT)


def test_forward_eligibility_is_bptt_with_attached_reset() -> None:
    """`E = decay (1 - threshold psi_i) E + x_j` per synapse gives the attached gradient of one hidden layer."""
    weights, inputs, labels = problem(3, (12, 9, 4), batch=1)
    hidden, readout = weights
    expected = floating.gradients("bptt-attached", weights, inputs, labels)[0]
    eligibility = torch.zeros_like(hidden)
    v = torch.zeros(9, dtype=torch.float64)
    psi = torch.zeros(9, dtype=torch.float64)
    total = torch.zeros_like(hidden)
    for x in inputs[0]:
        eligibility = 0.5 * (1 - psi) * eligibility + x.unsqueeze(1)
        u = 0.5 * v + x @ hidden
        soft = torch.sigmoid(4 * (u - 1))
        psi = 4 * soft * (1 - soft)
        s = (u >= 1).to(torch.float64)
        v = u - s
        error = torch.softmax(s @ readout, 0) - torch.nn.functional.one_hot(labels[0], 4)
        total += eligibility * ((readout @ error) * psi) / inputs.shape[1]
    torch.testing.assert_close(total, expected, **EXACT)


def test_mode_a_is_a_shadow_copied_at_the_end_of_the_sample() -> None:
    weights, inputs, labels = problem(4, (12, 9, 8, 4))
    active = [weight.clone() for weight in weights]
    shadow = [weight.clone() for weight in weights]
    for terms in floating.step_gradients(active, inputs, labels):
        for kept, term in zip(shadow, terms, strict=True):
            kept.sub_(0.3 * term)
    floating.descend("ottt-a", weights, inputs, labels, rate=0.3)
    assert_same(
        [w - a for w, a in zip(weights, active, strict=True)], [s - a for s, a in zip(shadow, active, strict=True)]
    )


def test_mode_o_sees_its_own_updates() -> None:
    weights, inputs, labels = problem(5, (12, 9, 4))
    at_once = [weight.clone() for weight in weights]
    floating.descend("ottt-o", at_once, inputs, labels, rate=0.3)
    floating.descend("ottt-a", weights, inputs, labels, rate=0.3)
    assert (at_once[0] - weights[0]).abs().max() > 1e-4
    one_step = [weight.clone() for weight in weights]
    floating.descend("ottt-o", one_step, inputs[:, :1], labels, rate=0.3)
    floating.descend("ottt-a", weights, inputs[:, :1], labels, rate=0.3)
    for a, b in zip(one_step, weights, strict=True):
        torch.testing.assert_close(a, b, **EXACT)


def test_two_steps_by_hand() -> None:
    """One input, one hidden neuron, two classes; spikes in at both steps, the neuron fires at the second only."""
    weights = [torch.tensor([[0.8]], dtype=torch.float64), torch.tensor([[1.0, -1.0]], dtype=torch.float64)]
    inputs = torch.ones(1, 2, 1, dtype=torch.float64)
    hidden, readout = floating.gradients("ottt-a", weights, inputs, torch.tensor([0]))

    def psi(u: float) -> float:
        soft = 1 / (1 + math.exp(-4 * (u - 1)))
        return 4 * soft * (1 - soft)

    # Step 1: u = 0.8, silent, y = (0, 0), error (-1/2, 1/2), delta = -1, trace 1.
    # Step 2: u = 0.4 + 0.8 = 1.2, fires, y = (1, -1), error (-q, q), delta = -2q, trace 1.5.
    q = 1 / (1 + math.exp(2))
    expected = (-1.0 * psi(0.8) * 1.0 - 2 * q * psi(1.2) * 1.5) / 2
    assert hidden.item() == pytest.approx(expected, abs=1e-15)
    assert readout[0].tolist() == pytest.approx([-q / 2, q / 2], abs=1e-15)


def test_readout_gradient_is_the_finite_difference_of_the_loss() -> None:
    base_2 = replace(OTTT, logit_scale=floating.BASE_2)
    weights, inputs, labels = problem(6, (12, 9, 4))
    gradient = floating.gradients("ottt-a", weights, inputs, labels, base_2)[1]
    step = 1e-6
    for row, column in ((0, 0), (3, 2), (8, 3)):
        values = []
        for sign in (1, -1):
            moved = [weight.clone() for weight in weights]
            moved[1][row, column] += sign * step
            values.append(floating.loss(floating.forward(moved, inputs, base_2), labels, base_2).item())
        assert gradient[row, column].item() == pytest.approx((values[0] - values[1]) / (2 * step), abs=1e-9)
    assert gradient.abs().max() > 1e-3


def test_base_2_halves_the_probability_every_half_threshold() -> None:
    odds = torch.softmax(floating.BASE_2 * torch.tensor([0.0, -0.5, -1.0], dtype=torch.float64), 0)
    assert (odds / odds[0]).tolist() == pytest.approx([1.0, 0.5, 0.25])


def test_a_batch_is_the_mean_of_its_samples() -> None:
    weights, inputs, labels = problem(7, (12, 9, 4))
    together = floating.gradients("ottt-a", weights, inputs, labels)
    alone = [floating.gradients("ottt-a", weights, inputs[n : n + 1], labels[n : n + 1]) for n in range(3)]
    assert_same(together, [torch.stack(terms).mean(0) for terms in zip(*alone, strict=True)])


def test_spikes_are_exactly_zero_or_one() -> None:
    x = torch.linspace(-2, 2, 401, requires_grad=True)
    s = floating.spike(x)
    assert set(s.tolist()) == {0.0, 1.0}
    s.sum().backward()
    assert x.grad is not None
    assert x.grad.max().item() == pytest.approx(1.0)


def test_unknown_rule_is_refused() -> None:
    weights, inputs, labels = problem(8, (12, 9, 4))
    with pytest.raises(ConfigurationError, match="otttt"):
        floating.gradients("otttt", weights, inputs, labels)

# SPDX-License-Identifier: Apache-2.0
"""The law against autograd step by step, against the papers' sums written out, and by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from trifactor.golden.floating import law
from trifactor.golden.floating.losses import Loss
from trifactor.golden.floating.network import FloatNetwork, Shape, float_network
from trifactor.golden.floating.rules import float_rule
from trifactor.golden.floating.surrogates import SURROGATES

SHAPES = {
    "deep": Shape((12, 9, 8, 5)),
    "bias": Shape((12, 9, 8, 5), bias=True),
    "recurrent": Shape((12, 9, 8, 5), recurrent=True, bias=True),
    "leaky": Shape((12, 9, 5), recurrent=True, bias=True, readout_decay=0.7),
    "spiking": Shape((12, 9, 8, 5), bias=True, spiking_readout=True),
    "leaks": Shape((12, 9, 8, 5), bias=True, decays=(0.3, 0.9)),
    "readout": Shape((12, 5), bias=True),
}


def by_autograd(network: FloatNetwork, case: Any) -> list[list[Tensor]]:
    """Gradients of every step: spikes for the values and the way down, traces for the weights, nothing through time."""
    rule, layers = network.rule, network.layers
    zeros = [torch.zeros(len(case.labels), layer.outputs, dtype=torch.float64) for layer in layers]
    v, c, own = list(zeros), list(zeros), list(zeros)
    p = [torch.zeros(len(case.labels), layer.synapses, dtype=torch.float64) for layer in layers]
    found = []
    for step in case.inputs.unbind(1):
        leaves = [weight.clone().requires_grad_() for weight in case.weights]
        below = step
        for index, (layer, leaf) in enumerate(zip(layers, leaves, strict=True)):
            x = torch.cat([below, own[index]], 1) if layer.recurrent else below
            p[index] = layer.trace_decay * p[index] + x.detach()
            synapses, bias = leaf[: layer.synapses], leaf[layer.synapses :].sum(0)
            traced = p[index] @ synapses
            current = x @ synapses.detach() + (traced - traced.detach()) + bias
            if not layer.spiking:
                v[index] = (layer.decay * v[index] + current).detach()
                membrane = current + (v[index] - current.detach())
                break
            c[index] = rule.current_decay * c[index].detach() + current
            free = layer.decay * v[index] + c[index]
            u = free.clamp(min=0) if rule.clamp else free
            soft = rule.peak * SURROGATES[rule.surrogate](u.detach() - 1)
            fired = (u.detach() > 1 if rule.strict else u.detach() >= 1).to(u.dtype)
            v[index] = (u - fired if rule.reset == "soft" else u * (1 - fired)).detach()
            own[index] = fired
            below = soft * u + (fired - soft * u).detach()
        y = membrane if network.error_on == "membrane" else current
        value = network.loss.value(y.unsqueeze(1), case.labels) / case.inputs.shape[1]
        found.append(list(torch.autograd.grad(value, leaves)))
    return found


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ["ottt-o", "ottt-o-raw", "sltt", "e-prop", "s-tllr-shd", "dalton"])
def test_gradients_of_every_step_are_those_of_autograd(problem: Any, same: Any, name: str, shape: str) -> None:
    rule = replace(float_rule(name), post_gain=0.0, scaled=False, readout_learns=True, apply="step")
    network = float_network(rule, SHAPES[shape], replace(float_network(rule, SHAPES[shape]).loss, alpha=0.3))
    case = problem(network)
    found, expected = case.gradients(network), by_autograd(network, case)
    assert len(found) == len(expected) == case.inputs.shape[1]
    learn = [layer.learns for layer in network.layers]
    for one, two in zip(found, expected, strict=True):
        for ours, theirs, learns in zip(one, two, learn, strict=True):
            torch.testing.assert_close(ours, theirs if learns else torch.zeros_like(theirs), rtol=1e-10, atol=1e-13)
    total = [torch.stack(parts).sum(0) for parts in zip(*found, strict=True)]
    assert all(bool(part.any()) for part, learns in zip(total, learn, strict=True) if learns)


def test_s_tllr_is_the_sum_in_its_paper(problem: Any, same: Any) -> None:
    """`e_ij[t] = psi_i[t] sum_{t' <= t} l_pre^(t-t') x_j[t'] + alpha x_j[t] sum_{t' < t} l_post^(t-t') psi_i[t']`."""
    network = float_network("s-tllr-paper", Shape((12, 9, 4)), Loss(mean_over_steps=False))
    case = problem(network, batch=1)
    rule, (hidden, readout) = network.rule, case.weights
    xs, psis, deltas = [], [], []
    v = torch.zeros(9, dtype=torch.float64)
    for x in case.inputs[0]:
        u = 0.5 * v + x @ hidden
        s = (u > 1).to(torch.float64)
        v = u - s
        xs.append(x)
        psis.append(0.3 * (1 - (u - 1).abs()).clamp(min=0))
        deltas.append(readout @ (torch.softmax(s @ readout, 0) - torch.eye(4, dtype=torch.float64)[case.labels[0]]))
    expected = torch.zeros_like(hidden)
    for t, (x, psi, delta) in enumerate(zip(xs, psis, deltas, strict=True)):
        causal = sum(0.75 ** (t - k) * xs[k] for k in range(t + 1))
        other = sum((0.2 ** (t - k) * psis[k] for k in range(t)), torch.zeros(9, dtype=torch.float64))
        expected += torch.outer(causal, delta * psi) + rule.post_gain * torch.outer(x, delta * other)
    same([case.total(network)[0]], [expected])


def test_otpe_is_its_sums(problem: Any, same: Any) -> None:
    """The trace twice filtered, psi in the normalised average, which the error is also sent down through."""
    network = float_network("otpe", Shape((12, 9, 8, 5)))
    case = problem(network, batch=1)
    decay = network.rule.decay
    w = case.weights
    v = [torch.zeros(9, dtype=torch.float64), torch.zeros(8, dtype=torch.float64)]
    xs: list[list[Tensor]] = [[], []]
    psis: list[list[Tensor]] = [[], []]
    total = [torch.zeros_like(weight) for weight in w]
    for t, step in enumerate(case.inputs[0]):
        x = step
        for layer in (0, 1):
            u = decay * v[layer] + x @ w[layer]
            xs[layer].append(x)
            psis[layer].append((1 + 25 * (u - 1).abs()) ** -2)
            x = (u >= 1).to(torch.float64)
            v[layer] = u - x
        error = torch.softmax(x @ w[2], 0) - torch.eye(5, dtype=torch.float64)[case.labels[0]]
        total[2] += torch.outer(x, error)
        down = error
        weights = torch.tensor([decay ** (t - k) for k in range(t + 1)], dtype=torch.float64)
        for layer in (1, 0):
            mean = weights @ torch.stack(psis[layer]) / weights.sum()
            second = (weights * torch.arange(t + 1, 0, -1)) @ torch.stack(xs[layer])
            down = (w[layer + 1] @ down) * mean
            total[layer] += torch.outer(second, down)
    same(case.total(network), [part / case.inputs.shape[1] for part in total])


def test_the_mean_of_psi_is_the_normalised_exponential_average(problem: Any) -> None:
    network = float_network("otpe", Shape((12, 9, 4)))
    case = problem(network)
    states = law.first_states(network, case.inputs)
    target = torch.zeros(4, 4, dtype=torch.float64)
    psis = []
    for x in case.inputs.unbind(1):
        v = states[0].neuron.membrane
        psis.append((1 + 25 * (network.rule.decay * v + x @ case.weights[0] - 1).abs()) ** -2)
        states, terms = law.step(network, case.weights, states, x, target)
        assert not terms
        weights = torch.tensor([network.rule.psi_decay**k for k in reversed(range(len(psis)))], dtype=torch.float64)
        expected = torch.einsum("t,tbn->bn", weights, torch.stack(psis)) / weights.sum()
        mean = states[0].traces.mean
        assert mean is not None
        torch.testing.assert_close(mean, expected, rtol=1e-12, atol=1e-14)
        assert states[0].traces.horizon == pytest.approx(float(weights.sum()))


def test_the_post_term_reads_the_trace_of_the_step_before(problem: Any, same: Any) -> None:
    network = float_network(replace(float_rule("s-tllr"), apply="step"), Shape((12, 9, 8, 5)))
    without = replace(network, rule=replace(network.rule, post_gain=0.0))
    case = problem(network)
    one, two = case.gradients(network), case.gradients(without)
    same(one[0], two[0])
    assert not torch.allclose(one[1][0], two[1][0], rtol=1e-3)


def test_a_bias_has_no_post_term_and_no_eligibility(problem: Any) -> None:
    shape = Shape((12, 9, 5), recurrent=True, bias=True)
    for name, changes in (("s-tllr", {"post_gain": 0.0}), ("temporal-sbp", {"eligibility": False})):
        rule = float_rule(name)
        network, plain = float_network(rule, shape), float_network(replace(rule, **changes), shape)
        case = problem(network)
        one, two = case.total(network)[0], case.total(plain)[0]
        torch.testing.assert_close(one[-1], two[-1], rtol=1e-10, atol=1e-13)
        assert one[-1].abs().max() > 1e-5
        assert not torch.allclose(one[:-1], two[:-1], rtol=1e-3)


def test_two_steps_by_hand(problem: Any) -> None:
    """One input, one hidden neuron, two classes; spikes in at both steps, the neuron fires at the second only."""
    network = float_network("ottt-a", Shape((1, 1, 2)))
    case = problem(network)._replace(
        weights=[torch.tensor([[0.8]], dtype=torch.float64), torch.tensor([[1.0, -1.0]], dtype=torch.float64)],
        inputs=torch.ones(1, 2, 1, dtype=torch.float64),
        labels=torch.tensor([0]),
    )
    hidden, readout = case.total(network)

    def psi(u: float) -> float:
        soft = 1 / (1 + math.exp(-4 * (u - 1)))
        return 4 * soft * (1 - soft)

    # Step 1: u = 0.8, silent, y = (0, 0), error (-1/2, 1/2), delta = -1, trace 1.
    # Step 2: u = 0.4 + 0.8 = 1.2, fires, y = (1, -1), error (-q, q), delta = -2q, trace 1.5.
    q = 1 / (1 + math.exp(2))
    expected = (-1.0 * psi(0.8) * 1.0 - 2 * q * psi(1.2) * 1.5) / 2
    assert hidden.item() == pytest.approx(expected, abs=1e-15)
    assert readout[0].tolist() == pytest.approx([-q / 2, q / 2], abs=1e-15)


def test_states_keep_what_the_rule_needs_and_nothing_else(problem: Any) -> None:
    def kept(name: str, **shape: Any) -> set[str]:
        network = float_network(name, Shape((12, 9, 4), **shape))
        state = law.first_states(network, problem(network).inputs)[0]
        parts = {**state.neuron._asdict(), **state.traces._asdict()}
        return {part for part, value in parts.items() if isinstance(value, Tensor)}

    assert kept("sltt") == {"membrane"}
    assert kept("ottt-o", recurrent=True) == {"membrane", "spikes", "pre"}
    assert kept("s-tllr") == {"membrane", "pre", "post"}
    assert kept("tfr") == {"membrane", "current"}
    assert kept("temporal-sbp") == {"membrane", "eligibility"}
    assert kept("otpe") == {"membrane", "pre", "second", "mean"}

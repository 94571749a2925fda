# SPDX-License-Identifier: Apache-2.0
"""The neuron by hand in its settings, and a network's forward pass."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from trifactor.golden.floating import neuron
from trifactor.golden.floating.network import Shape, float_network
from trifactor.golden.floating.rules import FloatRule, float_rule


def run(rule: FloatRule, currents: list[float], **state: Any) -> list[tuple[float, float, float, float]]:
    """(u, s, psi, v) at each step of one neuron."""
    layer = float_network(rule, Shape((1, 1, 2))).layers[0]
    at = neuron.first_state(rule, layer, torch.zeros(1, 1, dtype=torch.float64))
    found = []
    for current in currents:
        at, out = neuron.step(rule, layer, at, torch.tensor([[current]], dtype=torch.float64))
        found.append((out.membrane.item(), out.spikes.item(), out.psi.item(), at.membrane.item()))
    return found


OTTT = float_rule("ottt-a")


def test_soft_reset_takes_the_threshold_off() -> None:
    steps = run(replace(OTTT, surrogate="triangle", peak=0.3), [1.5, 0.25, 0.0])
    assert steps[0] == pytest.approx((1.5, 1.0, 0.15, 0.5))
    assert steps[1] == pytest.approx((0.5, 0.0, 0.15, 0.5))
    assert steps[2] == pytest.approx((0.25, 0.0, 0.3 * 0.25, 0.25))


def test_hard_reset_starts_from_zero_and_none_goes_on() -> None:
    assert [v for *_, v in run(replace(OTTT, reset="hard"), [1.5, 0.25])] == [0.0, 0.25]
    assert [v for *_, v in run(replace(OTTT, reset="none"), [1.5, 0.25])] == [1.5, 1.0]


@pytest.mark.parametrize(("strict", "fires"), [(False, 1.0), (True, 0.0)])
def test_at_the_threshold_only_the_strict_stay_silent(strict: bool, fires: float) -> None:
    ((_, s, psi, _),) = run(replace(OTTT, strict=strict), [1.0])
    assert s == fires
    assert psi == 1.0


def test_a_current_has_a_leak_of_its_own() -> None:
    rule = replace(OTTT, decay=1.0, current_decay=0.5, reset="none")
    assert [u for u, *_ in run(rule, [0.4, 0.0, 0.0])] == pytest.approx([0.4, 0.6, 0.7])


def test_a_clamp_stops_the_membrane_at_zero_and_its_psi_with_it() -> None:
    rule = replace(OTTT, clamp=True, surrogate="fast-sigmoid-5", decay=1.0)
    steps = run(rule, [-0.5, 0.0, 0.25])
    assert steps[0] == (0.0, 0.0, 0.0, 0.0)
    assert steps[1] == pytest.approx((0.0, 0.0, 6.0**-2, 0.0))
    assert steps[2] == pytest.approx((0.25, 0.0, 4.75**-2, 0.25))


def test_spikes_are_exactly_zero_or_one_with_psi_for_a_derivative() -> None:
    layer = float_network("bptt", Shape((1, 401, 2))).layers[0]
    state = neuron.first_state(OTTT, layer, torch.zeros(1, 1, dtype=torch.float64))
    current = torch.linspace(-1, 3, 401, dtype=torch.float64).unsqueeze(0).requires_grad_()
    _, out = neuron.step(OTTT, layer, state, current)
    assert set(out.spikes.unique().tolist()) == {0.0, 1.0}
    (slope,) = torch.autograd.grad(out.spikes.sum(), current)
    torch.testing.assert_close(slope, out.psi)
    assert slope.max().item() == 1.0


@pytest.mark.parametrize(
    ("name", "kappa"),
    [
        ("bptt", lambda u, s, psi: 0.5 + 0 * u),
        ("bptt-attached", lambda u, s, psi: 0.5 * (1 - psi)),
        ("stbp", lambda u, s, psi: 0.5 * (1 - s)),
        ("yang", lambda u, s, psi: 0.5 * ((1 - s) - u * psi)),
    ],
)
def test_the_membrane_s_derivative_is_the_rule_s(name: str, kappa: Any) -> None:
    rule = float_rule(name)
    layer = float_network(rule, Shape((1, 50, 2))).layers[0]
    state = neuron.first_state(rule, layer, torch.zeros(1, 1, dtype=torch.float64))
    current = torch.linspace(-1, 3, 50, dtype=torch.float64).unsqueeze(0).requires_grad_()
    after, out = neuron.step(rule, layer, state, current)
    _, later = neuron.step(rule, layer, after, torch.zeros_like(current))
    (found,) = torch.autograd.grad(later.membrane.sum(), current)
    torch.testing.assert_close(found, kappa(out.membrane, out.spikes, out.psi).detach())


def forward_by_hand(weights: list[Tensor], inputs: Tensor) -> tuple[Tensor, Tensor]:
    """OTTT's neurons, recurrent and with bias, below a readout that leaks by 0.8."""
    v, s, y = torch.zeros(4, 9).double(), torch.zeros(4, 9).double(), torch.zeros(4, 5).double()
    readouts = []
    for x in inputs.unbind(1):
        u = 0.5 * v + x @ weights[0][:12] + s @ weights[0][12:21] + weights[0][21]
        s = (u >= 1).double()
        v = u - s
        y = 0.8 * y + s @ weights[1][:9] + weights[1][9]
        readouts.append(y)
    return torch.stack(readouts, 1), y


def test_rows_are_inputs_then_own_spikes_of_the_step_before_then_the_bias(problem: Any) -> None:
    network = float_network("ottt-a", Shape((12, 9, 5), recurrent=True, bias=True, readout_decay=0.8))
    case = problem(network)
    outputs = neuron.forward(network, case.weights, case.inputs)
    readout, membrane = forward_by_hand(case.weights, case.inputs)
    torch.testing.assert_close(outputs.readout, readout)
    torch.testing.assert_close(outputs.membrane, membrane)
    assert torch.equal(neuron.predict(network, case.weights, case.inputs), membrane.argmax(1))


def test_a_readout_that_does_not_leak_sums_the_currents_that_its_error_is_taken_from(problem: Any) -> None:
    network = float_network("ottt-a", Shape((12, 9, 8, 5)))
    case = problem(network)
    outputs = neuron.forward(network, case.weights, case.inputs)
    torch.testing.assert_close(outputs.readout.sum(1), outputs.membrane)
    summed = float_network("ottt-a", Shape((12, 9, 8, 5), error_on="membrane"))
    torch.testing.assert_close(neuron.forward(summed, case.weights, case.inputs).readout, outputs.readout.cumsum(1))


def test_a_spiking_readout_counts_the_spikes_of_the_classes(problem: Any) -> None:
    network = float_network("ottt-a", Shape((12, 9, 5), spiking_readout=True))
    case = problem(network)
    outputs = neuron.forward(network, case.weights, case.inputs)
    assert set(outputs.readout.unique().tolist()) == {0.0, 1.0}
    torch.testing.assert_close(outputs.membrane, outputs.readout.sum(1))

# SPDX-License-Identifier: Apache-2.0
"""The equivalences between the rules, to float64's precision."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from trifactor.arch.errors import ConfigurationError
from trifactor.golden.floating.gradients import gradients
from trifactor.golden.floating.losses import LOSSES, Loss
from trifactor.golden.floating.network import FloatNetwork, Shape, float_network
from trifactor.golden.floating.rules import FloatRule, float_rule

ONE_HIDDEN = Shape((12, 9, 4))
DEEP = Shape((12, 9, 8, 5))
LEAKY = Shape((12, 9, 4), readout_decay=0.8)
STEPS, BATCH = 7, 4

few = settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])


def by_sample(rule: str, **changes: Any) -> FloatRule:
    return replace(float_rule(rule), **{"apply": "sample", **changes})


def through_time(rule: FloatRule, backward: str = "detached") -> FloatRule:
    return replace(rule, backward=backward)  # type: ignore[arg-type]


# 1. OTTT of one hidden layer is back-propagation through time with the reset detached.


@few
@given(seed=st.integers(0, 1000))
def test_ottt_of_one_hidden_layer_is_bptt(problem: Any, same: Any, seed: int) -> None:
    ottt, bptt = float_network("ottt-a", ONE_HIDDEN), float_network("bptt", ONE_HIDDEN)
    case = problem(ottt, seed)
    same(case.total(ottt), case.total(bptt))


def test_ottt_of_two_hidden_layers_differs_from_bptt_only_below_the_last(problem: Any, same: Any) -> None:
    ottt, bptt = float_network("ottt-a", DEEP), float_network("bptt", DEEP)
    case = problem(ottt)
    one, two = case.total(ottt), case.total(bptt)
    same(one[1:], two[1:])
    assert (one[0] - two[0]).abs().max() > 1e-4


@pytest.mark.parametrize("name", ["ottt-a", "e-prop", "s-tllr"])
def test_so_it_is_with_any_neuron_whose_trace_decays_as_it_does(problem: Any, same: Any, name: str) -> None:
    rule = by_sample(name, post_gain=0.0)
    rule = replace(rule, hidden_trace_decay=rule.decay)
    law, bptt = float_network(rule, ONE_HIDDEN), float_network(through_time(rule), ONE_HIDDEN)
    case = problem(law)
    same(case.total(law), case.total(bptt))


def test_a_leaky_readout_wants_a_trace_of_its_own_leak(problem: Any, same: Any) -> None:
    rule = by_sample("ottt-a", readout_trace_decay=LEAKY.readout_decay)
    law, bptt = float_network(rule, LEAKY), float_network("bptt", LEAKY)
    case = problem(law)
    assert law.error_on == "membrane"
    same(case.total(law)[1:], case.total(bptt)[1:])
    assert (case.total(law)[0] - case.total(bptt)[0]).abs().max() > 1e-4


# 2. Traces per synapse, shortened by the reset, are back-propagation through time with the reset attached.


@few
@given(seed=st.integers(0, 1000))
@pytest.mark.parametrize("name", ["temporal-sbp", "temporal-sbp-hard"])
def test_eligibility_is_bptt_with_the_reset_attached(problem: Any, same: Any, name: str, seed: int) -> None:
    law = float_network(name, ONE_HIDDEN)
    bptt = float_network({"temporal-sbp": "bptt-attached", "temporal-sbp-hard": "yang"}[name], ONE_HIDDEN)
    case = problem(law, seed)
    same(case.total(law), case.total(bptt))


@pytest.mark.parametrize("reset", ["soft", "hard", "none"])
def test_so_it_is_with_a_current_and_a_clamp(problem: Any, same: Any, reset: str) -> None:
    rule = by_sample("dalton", reset=reset, eligibility=True, decay=0.9, scaled=False, readout_learns=True)
    law, bptt = float_network(rule, ONE_HIDDEN), float_network(through_time(rule, "attached"), ONE_HIDDEN)
    case = problem(law)
    same(case.total(law), case.total(bptt))


@pytest.mark.parametrize(("detached", "attached"), [("bptt", "bptt-attached"), ("stbp", "yang")])
def test_the_reset_path_matters(problem: Any, same: Any, detached: str, attached: str) -> None:
    case = problem(float_network(detached, ONE_HIDDEN))
    one, two = (case.total(float_network(name, ONE_HIDDEN)) for name in (detached, attached))
    same(one[1:], two[1:])
    assert (one[0] - two[0]).abs().max() > 1e-4


# 3. OTTT, SLTT and S-TLLR differ by coefficients.


def test_ottt_without_a_trace_is_sltt(problem: Any, same: Any) -> None:
    ottt, sltt = float_network(by_sample("ottt-a", hidden_trace_decay=0.0), DEEP), float_network("sltt", DEEP)
    case = problem(ottt)
    same(case.total(ottt), case.total(sltt))


def test_s_tllr_without_its_post_trace_is_ottt_but_for_the_number_of_steps(problem: Any, same: Any) -> None:
    rule = by_sample("s-tllr", post_gain=0.0, hidden_trace_decay=0.5, strict=False, surrogate="sigmoid", peak=1.0)
    s_tllr, ottt = float_network(rule, DEEP, Loss(mean_over_steps=False)), float_network("ottt-a", DEEP)
    case = problem(ottt)
    same([term / STEPS for term in case.total(s_tllr)], case.total(ottt))


# 4. DALTON's local targets are back-propagation within the step, scaled by layer.


def test_dalton_is_sltt_scaled_by_classes_over_neurons_above(problem: Any, same: Any) -> None:
    rule = by_sample("dalton")
    dalton, sltt = float_network(rule, DEEP), float_network(replace(rule, scaled=False), DEEP)
    case = problem(dalton)
    one, two = case.total(dalton), case.total(sltt)
    same(one[:2], [term * 5 / above for term, above in zip(two, (8, 5), strict=False)])
    assert not one[2].any()


def test_dalton_is_what_its_local_targets_give(problem: Any, same: Any) -> None:
    """`t_L = onehot`, `t_l = y_l - psi_{l+1} R^T (y_{l+1} - t_{l+1})`, and each layer descends `mean (y_l - t_l)^2`."""
    network = float_network(by_sample("dalton"), DEEP)
    case = problem(network)
    w = case.weights
    target = torch.nn.functional.one_hot(case.labels, 5).to(torch.float64)
    v = [torch.zeros(BATCH, size, dtype=torch.float64) for size in (9, 8)]
    c = [torch.zeros_like(state) for state in v]
    total = [torch.zeros_like(weight) for weight in w]
    for step in case.inputs.unbind(1):
        x, psi = [step], []
        for layer in (0, 1):
            c[layer] = network.rule.current_decay * c[layer] + x[layer] @ w[layer]
            free = v[layer] + c[layer]
            u = torch.where(free < 0, torch.zeros_like(free), free)
            psi.append(torch.where(free < 0, torch.zeros_like(u), (1 + 5 * (u - 1).abs()) ** -2))
            x.append((u > 1).to(torch.float64))
            v[layer] = torch.where(u > 1, torch.zeros_like(u), u)
        y = [x[1] @ w[1], x[2] @ w[2]]
        difference = [torch.empty(0), y[1] - target]
        difference[0] = psi[1] * (difference[1] @ w[2].T)
        for layer, above in ((0, 8), (1, 5)):
            delta = 2 / (BATCH * above) * difference[layer] @ w[layer + 1].T
            total[layer] += x[layer].T @ (delta * psi[layer]) / STEPS
    same(case.total(network), total)


# 5. TFR and e-prop.


def test_tfr_of_one_hidden_layer_is_dalton(problem: Any, same: Any) -> None:
    tfr, dalton = float_network(by_sample("tfr"), ONE_HIDDEN), float_network(by_sample("dalton"), ONE_HIDDEN)
    case = problem(tfr)
    assert tfr.fixed_layers == ()
    same(case.total(tfr), case.total(dalton))


def test_a_local_readout_that_is_the_network_s_own_gives_its_error(problem: Any, same: Any) -> None:
    local = float_network(by_sample("tfr", readout_learns=True), ONE_HIDDEN)
    dalton = float_network(by_sample("dalton", readout_learns=True), ONE_HIDDEN)
    case = problem(local)
    assert local.fixed_layers == (0,)
    same(case.total(local, fixed=case.weights[-1:]), case.total(dalton))


def test_e_prop_with_symmetric_feedback_is_ottt_of_one_hidden_layer(problem: Any, same: Any) -> None:
    e_prop = float_network(by_sample("e-prop"), ONE_HIDDEN, "mse")
    rule = by_sample("ottt-a", decay=0.95, hidden_trace_decay=0.95, surrogate="triangle", peak=0.3)
    case = problem(e_prop)
    same(case.total(e_prop), case.total(float_network(rule, ONE_HIDDEN, "mse")))
    same(case.total(e_prop), case.total(float_network(through_time(rule), ONE_HIDDEN, "mse")))


def test_feedback_through_the_weights_themselves_is_back_propagation(problem: Any, same: Any) -> None:
    feedback, ottt = float_network(by_sample("ottt-a", signal="feedback"), ONE_HIDDEN), "ottt-a"
    case = problem(feedback)
    same(case.total(feedback, fixed=case.weights[-1:]), case.total(float_network(ottt, ONE_HIDDEN)))


def test_a_sign_of_the_error_forgets_how_large_it_is(problem: Any, same: Any) -> None:
    rule = by_sample("ottt-a", signal="sign-feedback")
    plain, louder = float_network(rule, DEEP), float_network(rule, DEEP, Loss(logit_scale=3.0))
    case = problem(plain)
    same(case.total(plain)[:-1], case.total(louder)[:-1])
    assert not torch.allclose(case.total(plain)[-1], case.total(louder)[-1])


# 6. OTPE.


def test_otpe_without_its_second_order_is_ottt(problem: Any, same: Any) -> None:
    off = by_sample("otpe", second_trace_decay=0.0, psi_decay=0.0)
    rule = by_sample("ottt-a", decay=off.decay, hidden_trace_decay=off.decay)
    otpe, ottt = float_network(off, DEEP), float_network(replace(rule, surrogate="fast-sigmoid-25"), DEEP)
    case = problem(otpe)
    same(case.total(otpe), case.total(ottt))
    assert not torch.allclose(case.total(otpe)[0], case.total(float_network("otpe", DEEP))[0], rtol=1e-3)


# 7. The paper's form and the code's, TESS and S-TLLR.


def test_the_paper_and_the_code_of_s_tllr_differ_by_a_factor_of_the_post_term(problem: Any, same: Any) -> None:
    paper, code = float_rule("s-tllr-paper"), float_rule("s-tllr")
    smaller = replace(code, post_gain=code.post_gain * code.post_decay)
    case = problem(float_network(code, DEEP))
    same(case.total(float_network(paper, DEEP)), case.total(float_network(smaller, DEEP)))
    assert not torch.allclose(
        case.total(float_network(paper, DEEP))[0], case.total(float_network(code, DEEP))[0], rtol=1e-3
    )


def test_tess_on_a_back_propagated_signal_is_s_tllr(problem: Any, same: Any) -> None:
    tess = by_sample("tess", signal="backprop")
    s_tllr = by_sample("s-tllr", hidden_trace_decay=0.5, post_gain=0.0)
    case = problem(float_network(tess, DEEP))
    same(case.total(float_network(tess, DEEP)), case.total(float_network(s_tllr, DEEP)))


# 8. When it is applied.


def shadowed(network: FloatNetwork, case: Any, rate: float) -> list[Tensor]:
    """Weights after every step was applied to a shadow, while the active ones stayed."""
    shadow = [weight.clone() for weight in case.weights]
    for terms in case.gradients(network):
        for kept, term in zip(shadow, terms, strict=True):
            kept.sub_(term, alpha=rate)
    return shadow


@pytest.mark.parametrize("name", ["ottt-o", "s-tllr", "temporal-sbp", "sltt-k"])
def test_applied_by_the_sample_is_a_shadow_copied_at_its_end(problem: Any, same: Any, name: str) -> None:
    step = float_network(replace(float_rule(name), apply="step"), DEEP)
    sample = float_network(by_sample(name), DEEP)
    case = problem(step)
    (summed,) = case.gradients(sample)
    moved = [after - before for after, before in zip(shadowed(step, case, 0.3), case.weights, strict=True)]
    same(moved, [-0.3 * term for term in summed])


def test_applied_by_the_step_sees_its_own_updates(problem: Any, same: Any) -> None:
    network = float_network("ottt-o", ONE_HIDDEN)
    case = problem(network)
    moving = [weight.clone() for weight in case.weights]
    for terms in gradients(network, moving, case.inputs, case.labels):
        for weight, term in zip(moving, terms, strict=True):
            weight.sub_(term, alpha=0.3)
    still = shadowed(network, case, 0.3)
    assert (moving[0] - still[0]).abs().max() > 1e-4
    one_step = case._replace(inputs=case.inputs[:, :1])
    same(one_step.gradients(network)[0], one_step.total(float_network("ottt-a", ONE_HIDDEN)))


# Batches, gates, and what is refused.


@pytest.mark.parametrize("name", ["ottt-a", "tess", "otpe", "bptt", "temporal-sbp-hard", "s-tllr-sdfa"])
def test_a_batch_is_the_mean_of_its_samples(problem: Any, same: Any, name: str) -> None:
    network = float_network(by_sample(name), Shape((12, 9, 8, 5), recurrent=True, bias=True))
    case = problem(network)
    alone = [
        case._replace(inputs=case.inputs[n : n + 1], labels=case.labels[n : n + 1]).total(network) for n in range(BATCH)
    ]
    same(case.total(network), [torch.stack(terms).mean(0) for terms in zip(*alone, strict=True)])


def test_a_gate_leaves_steps_out_and_traces_go_on(problem: Any) -> None:
    network = float_network("s-tllr", DEEP)
    network = replace(network, rule=replace(network.rule, apply="step"))
    case = problem(network)
    opened = torch.tensor([step % 3 == 2 for step in range(STEPS)])
    every, some = case.gradients(network), case.gradients(network, gate=opened.expand(BATCH, STEPS))
    assert len(some) == int(opened.sum())
    for one, two in zip(some, (step for step, is_open in zip(every, opened, strict=True) if is_open), strict=True):
        assert all(torch.allclose(a, b, rtol=1e-12) for a, b in zip(one, two, strict=True))


@pytest.mark.parametrize("backward", ["step", "detached"])
def test_every_sample_has_its_own_gate(problem: Any, same: Any, backward: str) -> None:
    network = float_network(through_time(by_sample("ottt-a"), backward), ONE_HIDDEN)
    case = problem(network)
    gate = torch.rand(BATCH, STEPS, generator=torch.Generator().manual_seed(1)) < 0.5
    alone = [
        case._replace(inputs=case.inputs[n : n + 1], labels=case.labels[n : n + 1]).total(network, gate=gate[n : n + 1])
        for n in range(BATCH)
    ]
    same(case.total(network, gate=gate), [torch.stack(terms).mean(0) for terms in zip(*alone, strict=True)])
    assert not torch.allclose(case.total(network, gate=gate)[1], case.total(network)[1])


def test_the_readout_s_gradient_is_the_finite_difference_of_the_loss(problem: Any) -> None:
    network = float_network("ottt-a", ONE_HIDDEN, replace(LOSSES["softmax-2"], alpha=0.3))
    bptt = replace(network, rule=float_rule("bptt"))
    case = problem(network)
    gradient = case.total(network)[1]
    for row, column in ((0, 0), (3, 2), (8, 3)):
        values = []
        for sign in (1, -1):
            moved = [weight.clone() for weight in case.weights]
            moved[1][row, column] += sign * 1e-6
            values.append(_value(bptt, moved, case))
        assert gradient[row, column].item() == pytest.approx((values[0] - values[1]) / 2e-6, abs=1e-9)
    assert gradient.abs().max() > 1e-3


def _value(network: FloatNetwork, weights: list[Tensor], case: Any) -> float:
    from trifactor.golden.floating.neuron import forward

    return float(network.loss.value(forward(network, weights, case.inputs).readout, case.labels))


def test_matrices_of_other_shapes_are_refused(problem: Any) -> None:
    network = float_network("tess", ONE_HIDDEN)
    case = problem(network)
    with pytest.raises(ConfigurationError, match=r"fixed matrices of shapes \[\], not \[\(9, 4\)\]"):
        case.gradients(network, fixed=[])
    with pytest.raises(ConfigurationError, match=r"weights of shapes \[\(12, 9\)\], not \[\(12, 9\), \(9, 4\)\]"):
        case._replace(weights=case.weights[:1]).gradients(network)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", ["ottt-a", "s-tllr", "temporal-sbp", "otpe", "tess", "bptt"])
def test_cuda_is_the_cpu(problem: Any, same: Any, name: str) -> None:
    network = float_network(by_sample(name), Shape((12, 9, 8, 5), recurrent=True, bias=True))
    case = problem(network)
    moved = type(case)(
        [w.cuda() for w in case.weights], case.inputs.cuda(), case.labels.cuda(), [m.cuda() for m in case.fixed]
    )
    same(case.total(network), [term.cpu() for term in moved.total(network)])

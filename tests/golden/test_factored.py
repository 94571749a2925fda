# SPDX-License-Identifier: Apache-2.0
"""One circuit for all rules: equivalences between them, and with autograd."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from trifactor.arch.errors import ConfigurationError
from trifactor.golden import floating
from trifactor.golden.factored import FACTORED, FactoredRule, factored_rule, step_gradients

SIZES = (12, 9, 7, 5)
BATCH, STEPS = 6, 8


def case(sizes: tuple[int, ...] = SIZES, seed: int = 3) -> tuple[list[Tensor], Tensor, Tensor, list[Tensor]]:
    """Weights that spike, inputs, labels, and a fixed matrix per hidden layer."""
    make = torch.Generator().manual_seed(seed)
    double = torch.float64
    weights = [
        1.5 * torch.randn(rows, columns, generator=make, dtype=double) / rows**0.5
        for rows, columns in itertools.pairwise(sizes)
    ]
    inputs = (torch.rand(BATCH, STEPS, sizes[0], generator=make) < 0.5).to(double)
    fixed = [torch.randn(size, sizes[-1], generator=make, dtype=double) / size**0.5 for size in sizes[1:-1]]
    return weights, inputs, torch.randint(sizes[-1], (BATCH,), generator=make), fixed


def total(rule: FactoredRule, sizes: tuple[int, ...] = SIZES) -> list[Tensor]:
    """Gradients summed over the steps; each of them must be there."""
    weights, inputs, labels, fixed = case(sizes)
    steps = list(step_gradients(rule, weights, inputs, labels, fixed=fixed))
    assert len(steps) == STEPS
    return [torch.stack(parts).sum(0) for parts in zip(*steps, strict=True)]


def assert_equal(one: list[Tensor], two: list[Tensor]) -> None:
    for a, b in zip(one, two, strict=True):
        assert a.abs().max() > 1e-4
        assert torch.allclose(a, b, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("scale", [1.0, floating.BASE_2])
def test_ottt_is_what_autograd_gives_step_by_step(scale: float) -> None:
    weights, inputs, labels, _ = case()
    settings = replace(floating.OTTT, logit_scale=scale, readout_trace_decay=0.3)
    rule = replace(FACTORED["ottt"], logit_scale=scale, readout_pre_decay=0.3)
    by_autograd = floating.step_gradients(weights, inputs, labels, settings)
    for one, two in zip(step_gradients(rule, weights, inputs, labels), by_autograd, strict=True):
        assert_equal(one, two)


def test_sltt_is_back_propagation_with_every_path_in_time_cut() -> None:
    weights, inputs, labels, _ = case()
    assert_equal(total(FACTORED["sltt"]), floating.gradients("sltt", weights, inputs, labels, floating.SLTT))


def test_ottt_without_a_trace_is_sltt() -> None:
    assert_equal(total(replace(FACTORED["ottt"], pre_decay=0.0)), total(FACTORED["sltt"]))


def test_one_hidden_layer_of_ottt_is_back_propagation_through_time() -> None:
    weights, inputs, labels, _ = case((12, 9, 5))
    assert_equal(total(FACTORED["ottt"], (12, 9, 5)), floating.gradients("bptt", weights, inputs, labels))


def test_s_tllr_without_its_post_trace_is_ottt_but_for_the_number_of_steps() -> None:
    causal = replace(FACTORED["s-tllr"], alpha_post=0.0, pre_decay=0.5, strict=False, surrogate="sigmoid")
    assert_equal([gradient / STEPS for gradient in total(causal)], total(FACTORED["ottt"]))


def test_the_paper_and_the_code_of_s_tllr_differ_by_a_factor_of_the_post_term() -> None:
    code = FACTORED["s-tllr"]
    paper = replace(code, post_gain=code.post_decay)
    assert_equal(total(paper), total(replace(code, alpha_post=code.alpha_post * code.post_decay)))
    assert not torch.allclose(total(paper)[0], total(code)[0], rtol=1e-3)


def test_the_post_term_reads_the_trace_of_the_step_before() -> None:
    # In the first step no neuron has a post trace yet.
    weights, inputs, labels, _ = case()
    with_post = next(step_gradients(FACTORED["s-tllr"], weights, inputs, labels))
    without = next(step_gradients(replace(FACTORED["s-tllr"], alpha_post=0.0), weights, inputs, labels))
    assert_equal(with_post, without)


def test_dalton_is_back_propagation_scaled_by_classes_over_neurons_above() -> None:
    scaled, plain = total(FACTORED["dalton"]), total(replace(FACTORED["dalton"], signal="backprop"))
    assert_equal(scaled[:2], [gradient * 5 / above for gradient, above in zip(plain[:2], (7, 5), strict=True)])
    assert not scaled[2].any()


def test_tfr_is_dalton_where_there_is_one_hidden_layer() -> None:
    weights, inputs, labels, _ = case((12, 9, 5))
    tfr = step_gradients(FACTORED["tfr"], weights, inputs, labels, fixed=[weights[-1]])
    for one, two in zip(tfr, step_gradients(FACTORED["dalton"], weights, inputs, labels), strict=True):
        assert torch.allclose(one[0], two[0], rtol=1e-10, atol=1e-13)
        assert one[0].abs().max() > 1e-4


def test_feedback_through_the_weights_themselves_is_back_propagation() -> None:
    weights, inputs, labels, _ = case((12, 9, 5))
    rule = replace(FACTORED["ottt"], signal="feedback")
    for one, two in zip(
        step_gradients(rule, weights, inputs, labels, fixed=[weights[-1]]),
        step_gradients(FACTORED["ottt"], weights, inputs, labels),
        strict=True,
    ):
        assert_equal(one, two)


def test_a_sign_of_the_error_keeps_its_direction_alone() -> None:
    weights, inputs, labels, fixed = case()
    rule = replace(FACTORED["ottt"], signal="sign-feedback")
    louder = replace(rule, logit_scale=1.0, mean_over_steps=False)
    for one, two in zip(
        step_gradients(rule, weights, inputs, labels, fixed=fixed),
        step_gradients(louder, weights, inputs, labels, fixed=fixed),
        strict=True,
    ):
        assert_equal(one[:-1], two[:-1])


def test_a_gate_leaves_steps_out_and_traces_go_on() -> None:
    weights, inputs, labels, _ = case()
    gate = [step % 3 == 2 for step in range(STEPS)]
    every = list(step_gradients(FACTORED["ottt"], weights, inputs, labels))
    some = list(step_gradients(FACTORED["ottt"], weights, inputs, labels, gate=gate))
    assert len(some) == sum(gate)
    for one, two in zip(some, (step for step, is_open in zip(every, gate, strict=True) if is_open), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


@pytest.mark.parametrize("name", FACTORED)
def test_learning_lowers_the_error(name: str) -> None:
    weights, inputs, labels, fixed = case(seed=11)
    if name in ("dalton", "tfr"):
        fixed[-1] = weights[-1]
    rule = factored_rule(name)
    before = _loss(rule, weights, inputs, labels)
    for _ in range(60):
        for gradients in step_gradients(rule, weights, inputs, labels, fixed=fixed):
            for weight, gradient in zip(weights, gradients, strict=True):
                weight.sub_(gradient, alpha=0.1)
    assert _loss(rule, weights, inputs, labels) < 0.9 * before


def _loss(rule: FactoredRule, weights: list[Tensor], inputs: Tensor, labels: Tensor) -> float:
    """The rule's own loss, in the mean over samples and steps."""
    readout: list[Tensor] = []
    v, c = ([inputs.new_zeros(len(inputs), weight.shape[1]) for weight in weights[:-1]] for _ in range(2))
    for step in inputs.unbind(1):
        x = step
        for layer, weight in enumerate(weights[:-1]):
            c[layer] = rule.current_decay * c[layer] + x @ weight
            u = rule.decay * v[layer] + c[layer]
            u = u.clamp(min=0) if rule.clamp else u
            x = ((u > rule.threshold) if rule.strict else (u >= rule.threshold)).to(u.dtype)
            v[layer] = u - rule.threshold * x if rule.reset == "soft" else u * (1 - x)
        readout.append(x @ weights[-1])
    y, wanted = torch.cat(readout), labels.repeat(inputs.shape[1])
    if rule.error == "mse":
        return float(torch.nn.functional.mse_loss(y, torch.nn.functional.one_hot(wanted, y.shape[1]).to(y.dtype)))
    return float(torch.nn.functional.cross_entropy(rule.logit_scale * y, wanted))


def test_what_is_missing_is_named() -> None:
    weights, inputs, labels, fixed = case()
    with pytest.raises(ConfigurationError, match="no factored rule is called 'stllr'") as caught:
        factored_rule("stllr")
    assert caught.value.hint == "did you mean 's-tllr'?"
    with pytest.raises(ConfigurationError, match=r"fixed matrices of shapes \[\], not \[\(9, 5\), \(7, 5\)\]"):
        next(step_gradients(FACTORED["tfr"], weights, inputs, labels))
    with pytest.raises(ConfigurationError, match="fixed matrices of shapes"):
        next(step_gradients(FACTORED["tfr"], weights, inputs, labels, fixed=fixed[:1]))

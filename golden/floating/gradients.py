# SPDX-License-Identifier: Apache-2.0
"""What any rule applies of a batch: by the law step by step, or by autograd through time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from . import law, neuron
from .network import FloatNetwork, check_matrices


def gradients(
    network: FloatNetwork,
    weights: Sequence[Tensor],
    inputs: Tensor,
    labels: Tensor,
    *,
    fixed: Sequence[Tensor] = (),
    gate: Tensor | None = None,
) -> Iterator[list[Tensor]]:
    """What the rule applies of a batch, one set of gradients, (rows, outputs) each, after the other.

    Of a rule that is applied by the step, those of every step that learns, where the next step reads `weights` anew, so
    that they may be moved in between; of one applied by the sample their sum; of one through time the gradient of the
    batch's loss. `inputs` has shape (B, T, inputs), `labels` (B,). `fixed` holds a matrix (neurons, classes) for each
    of `network.fixed_layers`, `gate` (B, T) is true where a sample learns; None: everywhere.

    Raises `ConfigurationError` where a matrix is missing or has another shape.
    """
    check_matrices(network, weights, fixed)
    if network.rule.backward != "step":
        yield _through_time(network, weights, inputs, labels, gate)
        return
    steps = _steps(network, weights, inputs, labels, fixed, gate)
    if network.rule.apply == "step":
        yield from steps
        return
    total = [torch.zeros_like(weight) for weight in weights]
    for terms in steps:
        for so_far, term in zip(total, terms, strict=True):
            so_far.add_(term)
    yield total


def _steps(
    network: FloatNetwork,
    weights: Sequence[Tensor],
    inputs: Tensor,
    labels: Tensor,
    fixed: Sequence[Tensor],
    gate: Tensor | None,
) -> Iterator[list[Tensor]]:
    """Gradients of every step in which any sample learns."""
    target = functional.one_hot(labels, network.layers[-1].outputs).to(inputs.dtype)
    states = law.first_states(network, inputs)
    share = network.loss.share(*inputs.shape[:2])
    for time, x in enumerate(inputs.unbind(1)):
        weighed: Tensor | float | None = share
        if gate is not None:
            opened = gate[:, time : time + 1]
            weighed = share * opened if bool(opened.any()) else None
        states, terms = law.step(network, weights, states, x, target, fixed=fixed, share=weighed)
        if terms:
            yield terms


def _through_time(
    network: FloatNetwork, weights: Sequence[Tensor], inputs: Tensor, labels: Tensor, gate: Tensor | None
) -> list[Tensor]:
    """The gradient of the batch's loss by autograd; zeros where a layer does not learn."""
    leaves = [
        weight.detach().requires_grad_(layer.learns) for layer, weight in zip(network.layers, weights, strict=True)
    ]
    value = network.loss.value(neuron.forward(network, leaves, inputs).readout, labels, gate)
    learned = iter(torch.autograd.grad(value, [leaf for leaf in leaves if leaf.requires_grad]))
    return [next(learned) if leaf.requires_grad else torch.zeros_like(leaf) for leaf in leaves]

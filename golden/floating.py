# SPDX-License-Identifier: Apache-2.0
"""Float references of the learning rules by autograd: OTTT, SLTT, and BPTT with the reset path detached or attached.

Networks are dense, without biases: LIF layers with soft reset and an instantaneous readout. A step is::

    u = decay * v + x @ W        s = u >= threshold        v = u - threshold * s        y = s @ W_readout

with the surrogate `ds/du = 4 s(4x) (1 - s(4x))`, x = u - threshold, s the logistic function. The loss is the cross
entropy of `softmax(logit_scale * y)`, in the mean over steps and samples. Weights have shape (inputs, outputs), inputs
(B, T, inputs), labels (B,); whatever device and float type the weights have is used.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from ..arch.errors import ConfigurationError, did_you_mean

BASE_2 = 2.0 * math.log(2.0)
"""The `logit_scale` of `Network`'s base-2 softmax: the probability halves every half threshold."""

RULES = ("ottt-a", "ottt-o", "sltt", "bptt", "bptt-attached")
"""A applies the sum over a sample's steps once, O applies each step's gradient at once; the others are like A."""

Path = Literal["attached", "detached", "none"]


@dataclass(frozen=True, kw_only=True)
class FloatSettings:
    """Coefficients of all layers; `trace_decay` is a_p of hidden layers, `readout_trace_decay` that of the readout."""

    decay: float = 0.5
    trace_decay: float = 0.5
    readout_trace_decay: float = 0.0
    threshold: float = 1.0
    logit_scale: float = 1.0


OTTT = FloatSettings()
SLTT = replace(OTTT, trace_decay=0.0)


def spike(x: Tensor) -> Tensor:
    """1 where x >= 0, with the derivative of sigmoid(4x)."""
    soft = torch.sigmoid(4.0 * x)
    return (x >= 0).to(x.dtype) + (soft - soft.detach())


def forward(
    weights: Sequence[Tensor], inputs: Tensor, settings: FloatSettings = OTTT, path: Path = "detached"
) -> Tensor:
    """The readout at every step, (B, T, classes).

    `path` says what gradients pass from step to step: through the membrane and the reset (`attached`), the membrane
    alone (`detached`: the reset's spike is a constant), or nothing at all (`none`).
    """
    membranes = [inputs.new_zeros(len(inputs), weight.shape[1]) for weight in weights[:-1]]
    outputs = []
    for step in inputs.unbind(1):
        x = step
        for layer, weight in enumerate(weights[:-1]):
            before = membranes[layer].detach() if path == "none" else membranes[layer]
            u = settings.decay * before + x @ weight
            x = spike(u - settings.threshold)
            membranes[layer] = u - settings.threshold * (x if path == "attached" else x.detach())
        outputs.append(x @ weights[-1])
    return torch.stack(outputs, dim=1)


def loss(outputs: Tensor, labels: Tensor, settings: FloatSettings = OTTT) -> Tensor:
    """Cross entropy of outputs (B, T, classes), in the mean over samples and steps."""
    logits = settings.logit_scale * outputs.flatten(0, 1)
    return torch.nn.functional.cross_entropy(logits, labels.repeat_interleave(outputs.shape[1]))


def step_gradients(
    weights: Sequence[Tensor], inputs: Tensor, labels: Tensor, settings: FloatSettings = OTTT
) -> Iterator[list[Tensor]]:
    """OTTT's gradient of each step in turn: back-propagation within the step, with traces for presynaptic spikes.

    The next step reads `weights` anew, so that they may be changed in place in between.
    """
    steps = inputs.shape[1]
    membranes = [inputs.new_zeros(len(inputs), weight.shape[1]) for weight in weights[:-1]]
    traces = [inputs.new_zeros(len(inputs), weight.shape[0]) for weight in weights]
    last = len(weights) - 1
    for step in inputs.unbind(1):
        leaves = [weight.detach().clone().requires_grad_() for weight in weights]
        x = step
        for layer, leaf in enumerate(leaves):
            decay = settings.readout_trace_decay if layer == last else settings.trace_decay
            traces[layer] = decay * traces[layer] + x.detach()
            through_trace = traces[layer] @ leaf
            # The value and the way down use the spikes; the gradient of the weights sees the traces.
            current = x @ leaf.detach() + (through_trace - through_trace.detach())
            if layer == last:
                outputs = current
            else:
                u = settings.decay * membranes[layer] + current
                x = spike(u - settings.threshold)
                membranes[layer] = (u - settings.threshold * x).detach()
        yield list(torch.autograd.grad(loss(outputs.unsqueeze(1), labels, settings) / steps, leaves))


def gradients(
    rule: str, weights: Sequence[Tensor], inputs: Tensor, labels: Tensor, settings: FloatSettings = OTTT
) -> list[Tensor]:
    """The gradient that `rule` applies once per sample. Raises `ConfigurationError` for a rule that is not in `RULES`.

    For `ottt-o` it is the same as for `ottt-a`: only `descend` moves weights between steps. `sltt` cuts every path in
    time and knows no trace.
    """
    if rule not in RULES:
        raise ConfigurationError(f"no float rule is called {rule!r}", did_you_mean(rule, RULES))
    if rule.startswith("ottt"):
        total = [torch.zeros_like(weight) for weight in weights]
        for terms in step_gradients(weights, inputs, labels, settings):
            total = [so_far + term for so_far, term in zip(total, terms, strict=True)]
        return total
    paths: dict[str, Path] = {"sltt": "none", "bptt": "detached", "bptt-attached": "attached"}
    leaves = [weight.detach().clone().requires_grad_() for weight in weights]
    value = loss(forward(leaves, inputs, settings, paths[rule]), labels, settings)
    return list(torch.autograd.grad(value, leaves))


@torch.no_grad()
def _move(weights: Sequence[Tensor], terms: Sequence[Tensor], rate: float) -> None:
    for weight, term in zip(weights, terms, strict=True):
        weight.sub_(term, alpha=rate)


def descend(
    rule: str,
    weights: Sequence[Tensor],
    inputs: Tensor,
    labels: Tensor,
    *,
    rate: float,
    settings: FloatSettings = OTTT,
) -> None:
    """Plain gradient descent on one batch, in place: once, or for `ottt-o` at every step."""
    if rule == "ottt-o":
        for terms in step_gradients(weights, inputs, labels, settings):
            _move(weights, terms, rate)
    else:
        _move(weights, gradients(rule, weights, inputs, labels, settings), rate)


@torch.no_grad()
def predict(weights: Sequence[Tensor], inputs: Tensor, settings: FloatSettings = OTTT) -> Tensor:
    """Classes (B,): the largest sum of the readout over the steps."""
    return forward(weights, inputs, settings).sum(1).argmax(1)

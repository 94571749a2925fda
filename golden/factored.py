# SPDX-License-Identifier: Apache-2.0
"""The law in floating point, batched, without autograd: every rule is one setting of two outer products a step.

Networks are dense, without biases; the last layer is an instantaneous readout. A step of layer `l` is::

    c = current_decay * c + x @ W           u = decay * v + c, 0 if it is below 0 and `clamp` is set
    s = u >= threshold (`strict`: >)        v = u - threshold * s (soft) or 0 where it spiked (hard)
    p = pre_decay * p + x                   q_old = q;  q = post_decay * q + psi
    G = alpha_pre * delta * psi             H = alpha_post * post_gain * delta * q_old
    gradient of W = p^T G + x^T H           summed over the batch

with `psi` at the membrane before the reset, 0 where it was clamped. What `delta` is, `Signal` says. These are equations
8.1 to 8.4 of the unified form in which OTTT, SLTT, S-TLLR, DALTON and TFR differ by coefficients alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ..arch.errors import ConfigurationError, did_you_mean

Signal = Literal["backprop", "scaled", "local", "feedback", "sign-feedback"]
"""`backprop`: `delta = W^T G` of the layer above, within the step and through psi alone. `scaled`: the same, times
classes / (neurons of the layer above) where it is used. `local`: the error of a fixed readout of the layer's own
spikes. `feedback`: the output's error, or its sign, through a fixed matrix.
"""

SURROGATES: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": lambda x: 4 * torch.sigmoid(4 * x) * torch.sigmoid(-4 * x),
    "triangle": lambda x: (1 - x.abs()).clamp(min=0),
    "triangle-0.3": lambda x: 0.3 * (1 - x.abs()).clamp(min=0),
    "fast-sigmoid-5": lambda x: (1 + 5 * x.abs()) ** -2,
    "fast-sigmoid-100": lambda x: (1 + 100 * x.abs()) ** -2,
}
"""psi of x = u - threshold."""


@dataclass(frozen=True, kw_only=True)
class FactoredRule:
    """Coefficients of one rule, the same in all layers but for `readout_pre_decay`, the readout's.

    `post_gain` is 1 where the code of S-TLLR is meant and `post_decay` for the paper's equation. The loss of a step is
    the cross entropy of `softmax(logit_scale * y)`, or the squared error to one-hot in the mean over classes; both in
    the mean over samples, and over steps too if `mean_over_steps`.
    """

    decay: float = 0.5
    current_decay: float = 0.0
    threshold: float = 1.0
    reset: Literal["soft", "hard"] = "soft"
    clamp: bool = False
    strict: bool = False
    pre_decay: float = 0.5
    readout_pre_decay: float = 0.0
    post_decay: float = 0.0
    post_gain: float = 1.0
    alpha_pre: float = 1.0
    alpha_post: float = 0.0
    surrogate: str = "sigmoid"
    error: Literal["softmax", "mse"] = "softmax"
    logit_scale: float = 1.0
    mean_over_steps: bool = True
    signal: Signal = "backprop"
    readout_learns: bool = True


_CURRENT_BASED = FactoredRule(
    decay=1.0, current_decay=0.36787944117144233, reset="hard", clamp=True, strict=True, pre_decay=0.0,
    surrogate="fast-sigmoid-5", error="mse", mean_over_steps=False, signal="scaled", readout_learns=False,
)  # fmt: skip

FACTORED: dict[str, FactoredRule] = {
    # Xiao et al., NeurIPS 2022.
    "ottt": FactoredRule(),
    # Meng et al., ICCV 2023, with the leak of ottt.
    "sltt": FactoredRule(pre_decay=0.0),
    # Apolinario & Roy, TMLR 2025, the settings for DVS gestures, as the code reads the post trace.
    "s-tllr": FactoredRule(
        pre_decay=0.75, post_decay=0.2, alpha_post=-1.0, strict=True, surrogate="triangle-0.3", mean_over_steps=False
    ),
    # Gaurav et al., IEEE TETC 2025, the online form of their code.
    "dalton": _CURRENT_BASED,
    "tfr": FactoredRule(**{**_CURRENT_BASED.__dict__, "signal": "local"}),
}


def factored_rule(name: str) -> FactoredRule:
    """The row called `name`, or a `ConfigurationError` that names the nearest."""
    if name not in FACTORED:
        raise ConfigurationError(f"no factored rule is called {name!r}", did_you_mean(name, FACTORED))
    return FACTORED[name]


def step_gradients(
    rule: FactoredRule,
    weights: Sequence[Tensor],
    inputs: Tensor,
    labels: Tensor,
    *,
    fixed: Sequence[Tensor] = (),
    gate: Sequence[bool] | None = None,
) -> Iterator[list[Tensor]]:
    """Gradients of all weights, (inputs, outputs) each, of every step that `gate` opens, all if it is None.

    `inputs` has shape (B, T, inputs), `labels` (B,). `fixed` holds one matrix (neurons, classes) per hidden layer where
    the signal is `local` or a feedback. The next step reads `weights` anew, so that they may be moved in between.
    Raises `ConfigurationError` when a fixed matrix is missing or of the wrong shape.
    """
    _check_fixed(rule, weights, fixed)
    hidden = range(len(weights) - 1)
    psi_of = SURROGATES[rule.surrogate]
    target = torch.nn.functional.one_hot(labels, weights[-1].shape[1]).to(inputs.dtype)
    v, c, q = ([inputs.new_zeros(len(inputs), weights[layer].shape[1]) for layer in hidden] for _ in range(3))
    p = [inputs.new_zeros(len(inputs), weight.shape[0]) for weight in weights]
    for time, step in enumerate(inputs.unbind(1)):
        x, psi, q_old = [step], [], list(q)
        for layer in hidden:
            c[layer] = rule.current_decay * c[layer] + x[layer] @ weights[layer]
            free = rule.decay * v[layer] + c[layer]
            u = free.clamp(min=0) if rule.clamp else free
            distance = u - rule.threshold
            s = ((distance > 0) if rule.strict else (distance >= 0)).to(u.dtype)
            v[layer] = u - rule.threshold * s if rule.reset == "soft" else u * (1 - s)
            psi.append(psi_of(distance) * (free >= 0 if rule.clamp else 1))
            q[layer] = rule.post_decay * q[layer] + psi[layer]
            x.append(s)
        p = [
            (rule.pre_decay if layer in hidden else rule.readout_pre_decay) * p[layer] + x[layer]
            for layer in range(len(weights))
        ]
        if gate is not None and not gate[time]:
            continue
        scale = 1 / inputs.shape[1] if rule.mean_over_steps else 1.0
        error = scale * _error(rule, x[-1] @ weights[-1], target)
        gradients = [p[-1].T @ error if rule.readout_learns else torch.zeros_like(weights[-1])]
        for layer, delta in _signals(rule, weights, x, psi, error, target, fixed):
            gain = weights[-1].shape[1] / weights[layer + 1].shape[1] if rule.signal == "scaled" else 1.0
            causal = gain * rule.alpha_pre * delta * psi[layer]
            other = gain * rule.alpha_post * rule.post_gain * delta * q_old[layer]
            gradients.insert(0, p[layer].T @ causal + x[layer].T @ other)
        yield gradients


def _signals(
    rule: FactoredRule,
    weights: Sequence[Tensor],
    x: Sequence[Tensor],
    psi: Sequence[Tensor],
    error: Tensor,
    target: Tensor,
    fixed: Sequence[Tensor],
) -> Iterator[tuple[int, Tensor]]:
    """`(layer, delta)` of every hidden layer, from the top down; delta has shape (B, neurons)."""
    above = error
    for layer in reversed(range(len(weights) - 1)):
        if rule.signal == "local":
            delta = _error(rule, x[layer + 1] @ fixed[layer], target) @ fixed[layer].T
        elif rule.signal == "feedback":
            delta = error @ fixed[layer].T
        elif rule.signal == "sign-feedback":
            delta = error.sign() @ fixed[layer].T
        else:
            delta = above @ weights[layer + 1].T
            above = delta * psi[layer]
        yield layer, delta


def _error(rule: FactoredRule, y: Tensor, target: Tensor) -> Tensor:
    """Derivative of a step's loss by the readout, in the mean over the batch."""
    if rule.error == "mse":
        return 2 * (y - target) / target.numel()
    return rule.logit_scale * (torch.softmax(rule.logit_scale * y, -1) - target) / len(target)


def _check_fixed(rule: FactoredRule, weights: Sequence[Tensor], fixed: Sequence[Tensor]) -> None:
    if rule.signal in ("backprop", "scaled"):
        return
    wanted = [(weight.shape[1], weights[-1].shape[1]) for weight in weights[:-1]]
    found = [tuple(matrix.shape) for matrix in fixed]
    if found != wanted:
        raise ConfigurationError(
            f"fixed matrices of shapes {found}, not {wanted}", "give one (neurons, classes) per hidden layer"
        )

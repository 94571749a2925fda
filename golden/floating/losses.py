# SPDX-License-Identifier: Apache-2.0
"""The loss of a step, its derivative for the rules of the law and its value for those through time."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from ...arch.errors import ConfigurationError, did_you_mean

BASE_2 = 2.0 * math.log(2.0)
"""The `logit_scale` of the array's base-2 softmax: the probability halves every half threshold."""


@dataclass(frozen=True, kw_only=True)
class Loss:
    """`L[t] = (1 - alpha) CE(softmax(logit_scale y[t])) + alpha mean((y[t] - onehot)^2)`, the mean over classes.

    A sample's loss is the mean of L over its steps, as in OTTT and SLTT, or with `mean_over_steps` unset their sum, as
    in S-TLLR, DALTON and TFR; a batch's is the mean over its samples.
    """

    alpha: float = 0.0
    logit_scale: float = 1.0
    mean_over_steps: bool = True

    def error(self, y: Tensor, target: Tensor) -> Tensor:
        """`dL[t]/dy` of each sample, (B, classes), from y and the one-hot `target` of that shape; no mean is taken."""
        squared = 2 / y.shape[-1] * (y - target)
        if self.alpha == 1:
            return squared
        entropy = self.logit_scale * (torch.softmax(self.logit_scale * y, -1) - target)
        return (1 - self.alpha) * entropy + self.alpha * squared

    def share(self, samples: int, steps: int) -> float:
        """What one step of one sample weighs in a batch's loss."""
        return 1 / (samples * steps) if self.mean_over_steps else 1 / samples

    def value(self, outputs: Tensor, labels: Tensor, gate: Tensor | None = None) -> Tensor:
        """The batch's loss from outputs (B, T, classes) and labels (B,), over the steps that `gate` (B, T) opens."""
        samples, steps, classes = outputs.shape
        repeated = labels.repeat_interleave(steps)
        flat = outputs.flatten(0, 1)
        terms = (1 - self.alpha) * functional.cross_entropy(self.logit_scale * flat, repeated, reduction="none")
        if self.alpha > 0:
            target = functional.one_hot(repeated, classes).to(flat.dtype)
            terms = terms + self.alpha * (flat - target).square().mean(-1)
        if gate is not None:
            terms = terms * gate.flatten()
        return terms.sum() * self.share(samples, steps)


LOSSES: dict[str, Loss] = {
    "softmax": Loss(),
    "softmax-2": Loss(logit_scale=BASE_2),
    "mse": Loss(alpha=1.0),
    "ottt": Loss(alpha=0.05),
}
"""`softmax` and `mse` are the `error` of a rule; `softmax-2` has the array's base; `ottt` is OTTT's for CIFAR."""


def loss_named(loss: str | Loss) -> Loss:
    """The loss called so, or the given one; a `ConfigurationError` names the nearest of unknown ones."""
    if isinstance(loss, Loss):
        return loss
    if loss not in LOSSES:
        raise ConfigurationError(f"no loss is called {loss!r}", did_you_mean(loss, LOSSES))
    return LOSSES[loss]

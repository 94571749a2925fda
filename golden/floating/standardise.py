# SPDX-License-Identifier: Apache-2.0
"""Scaled weight standardisation, with its exact gradient (Xiao et al. 2022, as their code)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

EPSILON = 1e-4


class _Standardise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, gain: Tensor) -> Tensor:
        centred = weight - weight.mean(0)
        scale = torch.sqrt(len(weight) * weight.var(0) + EPSILON)
        ctx.save_for_backward(centred, scale, gain)
        return gain * centred / scale

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        (gradient,) = gradients
        centred, scale, gain = ctx.saved_tensors
        inputs = len(centred)
        along = (gradient * centred).sum(0)
        turned = gradient - gradient.mean(0) - centred * (inputs / ((inputs - 1) * scale.square())) * along
        return gain / scale * turned, along / scale


def standardise(weight: Tensor, gain: Tensor) -> Tensor:
    """Weights (inputs, outputs), at least 2 inputs, and gains (outputs,) to the weights that the neurons use.

    ::

        w^ = gain (w - mean) / S,   S = sqrt(N var + 1e-4)         over a neuron's N inputs, var unbiased

    so that a neuron's weights have mean 0 and an L2 norm of about gain. The gradient is exact::

        dL/dw = gain/S (G - mean(G) - c N / ((N-1) S^2) sum(G c)),   dL/dgain = sum(G c) / S,   c = w - mean, G = dL/dw^
    """
    standardised: Tensor = _Standardise.apply(weight, gain)  # type: ignore[no-untyped-call]
    return standardised

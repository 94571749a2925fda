# SPDX-License-Identifier: Apache-2.0
"""Surrogate derivatives on tensors, under the names of `arch.rules.SURROGATES`."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ...arch.errors import ConfigurationError, did_you_mean


def _fast_sigmoid(slope: float) -> Callable[[Tensor], Tensor]:
    return lambda x: (1 + slope * x.abs()) ** -2


SURROGATES: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": lambda x: 1 - torch.tanh(2 * x).square(),
    "triangle": lambda x: (1 - x.abs()).clamp(min=0),
    "fast-sigmoid-5": _fast_sigmoid(5.0),
    "fast-sigmoid-25": _fast_sigmoid(25.0),
    "fast-sigmoid-100": _fast_sigmoid(100.0),
    "arctan-10": lambda x: 1 / (1 + (10 * x) ** 2),
}
"""psi of x = (u - threshold) / threshold, peak 1. `fast-sigmoid-25`, OTPE's, has no table in the array."""


def surrogate_named(name: str) -> Callable[[Tensor], Tensor]:
    """The surrogate called `name`, or a `ConfigurationError` that names the nearest."""
    if name not in SURROGATES:
        raise ConfigurationError(f"no surrogate is called {name!r}", did_you_mean(name, SURROGATES))
    return SURROGATES[name]

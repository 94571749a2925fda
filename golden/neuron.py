# SPDX-License-Identifier: Apache-2.0
"""The neuron: leak, integrate, fire, reset, and the surrogate derivative at the membrane before reset."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..arch.array import ArrayConfig
from ..arch.network import SURROGATE_ENTRIES, Network
from .fixed import saturate


class NeuronParams(NamedTuple):
    """Coefficients of one layer. `surrogate` is the table, with a zero after its last entry."""

    decay: int
    decay_bits: int
    membrane_bits: int
    threshold: int
    reset: str
    spiking: bool
    surrogate: Tensor
    surrogate_shift: int


class NeuronOutput(NamedTuple):
    """`raw`: the membrane before it saturates; `membrane`: u; `spikes`: 0 or 1; `psi`. Zeros of a readout are views."""

    raw: Tensor
    membrane: Tensor
    spikes: Tensor
    psi: Tensor


def neuron_params(network: Network, array: ArrayConfig, layer: int, torch_device: str = "cpu") -> NeuronParams:
    """The coefficients of `network.layers[layer]` on `array`."""
    own = network.layers[layer]
    return NeuronParams(
        decay=own.decay,
        decay_bits=array.decay_bits,
        membrane_bits=array.membrane_bits,
        threshold=own.threshold,
        reset=own.reset,
        spiking=own.spiking,
        surrogate=torch.tensor([*network.surrogate, 0], device=torch_device),
        surrogate_shift=own.surrogate_shift,
    )


def step(params: NeuronParams, state: Tensor, current: Tensor) -> tuple[Tensor, NeuronOutput]:
    """One step of every neuron: `state` is v of the step before, `current` is I; any shape, int64.

    ::

        u   = saturate(((decay * v) >> decay_bits) + I)
        s   = u >= threshold                                                  (0 in a readout)
        v'  = u - threshold * s (soft) | 0 if s else u (hard) | u (none, and a readout)
        psi = surrogate[abs(u - threshold) >> surrogate_shift], 0 beyond      (0 in a readout)
    """
    raw = ((state * params.decay) >> params.decay_bits) + current
    membrane = saturate(raw, params.membrane_bits)
    if not params.spiking:
        zero = torch.zeros((), dtype=torch.int64, device=raw.device).expand_as(raw)
        return membrane, NeuronOutput(raw, membrane, zero, zero)
    above = membrane - params.threshold
    fired = above >= 0
    if params.reset == "soft":
        after = torch.where(fired, above, membrane)
    elif params.reset == "hard":
        after = membrane.masked_fill(fired, 0)
    else:
        after = membrane
    index = (above.abs() >> params.surrogate_shift).clamp_(max=SURROGATE_ENTRIES)
    psi = params.surrogate.index_select(0, index.flatten()).view_as(index)
    return after, NeuronOutput(raw, membrane, fired.long(), psi)

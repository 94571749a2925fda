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
    """Coefficients of one layer. `surrogate` is the table, with a zero after its last entry.

    `current_decay` is None where neurons have no synaptic current.
    """

    decay: int
    current_decay: int | None
    clamp: bool
    decay_bits: int
    membrane_bits: int
    threshold: int
    reset: str
    spiking: bool
    surrogate: Tensor
    surrogate_shift: int


class NeuronState(NamedTuple):
    """v, and c of neurons that have a synaptic current."""

    membrane: Tensor
    current: Tensor | None


class NeuronOutput(NamedTuple):
    """`saturated`: whether u or c was clamped to its format; `current`: c, or I where there is none; `membrane`: u;
    `spikes`: 0 or 1; `psi`. Zeros of a readout are views.
    """

    saturated: Tensor
    current: Tensor
    membrane: Tensor
    spikes: Tensor
    psi: Tensor


def neuron_params(network: Network, array: ArrayConfig, layer: int, torch_device: str = "cpu") -> NeuronParams:
    """The coefficients of `network.layers[layer]` on `array`."""
    own = network.layers[layer]
    return NeuronParams(
        decay=own.decay,
        current_decay=own.current_decay if array.cuba else None,
        clamp=own.clamp,
        decay_bits=array.decay_bits,
        membrane_bits=array.membrane_bits,
        threshold=own.threshold,
        reset=own.reset,
        spiking=own.spiking,
        surrogate=torch.tensor([*network.surrogate, 0], device=torch_device),
        surrogate_shift=own.surrogate_shift,
    )


def first_state(params: NeuronParams, like: Tensor) -> NeuronState:
    """The state that a sample starts from, for neurons of the shape of `like`."""
    zero = torch.zeros_like(like)
    return NeuronState(zero, None if params.current_decay is None else zero)


def step(params: NeuronParams, state: NeuronState, current: Tensor) -> tuple[NeuronState, NeuronOutput]:
    """One step of every neuron: `state` is that of the step before, `current` is I; any shape, int64.

    ::

        c   = saturate(((current_decay * c) >> decay_bits) + I)               (I itself without a synaptic current)
        u   = saturate(((decay * v) >> decay_bits) + c); 0 if it is below 0 and `clamp` is set
        s   = u >= threshold                                                  (0 in a readout)
        v'  = u - threshold * s (soft) | 0 if s else u (hard) | u (none, and a readout)
        psi = surrogate[abs(u - threshold) >> surrogate_shift], 0 beyond      (0 in a readout, and where u was below 0)
    """
    saturated = None
    kept = None
    if params.current_decay is not None and state.current is not None:
        raw_current = ((state.current * params.current_decay) >> params.decay_bits) + current
        current = kept = saturate(raw_current, params.membrane_bits)
        saturated = raw_current != current
    raw = ((state.membrane * params.decay) >> params.decay_bits) + current
    membrane = saturate(raw, params.membrane_bits)
    saturated = raw != membrane if saturated is None else saturated | (raw != membrane)
    floored = membrane < 0 if params.clamp else None
    if params.clamp:
        membrane = membrane.clamp(min=0)
    if not params.spiking:
        zero = torch.zeros((), dtype=torch.int64, device=raw.device).expand_as(raw)
        return NeuronState(membrane, kept), NeuronOutput(saturated, current, membrane, zero, zero)
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
    if floored is not None:
        psi = psi.masked_fill(floored, 0)
    return NeuronState(after, kept), NeuronOutput(saturated, current, membrane, fired.long(), psi)

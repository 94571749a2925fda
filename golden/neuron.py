# SPDX-License-Identifier: Apache-2.0
"""The neuron: leak, integrate, fire, reset, and the surrogate derivative at the membrane before reset."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..arch.array import ArrayConfig
from ..arch.formats import FACTOR_BITS, TRACE_MAX
from ..arch.network import SURROGATE_ENTRIES, Layer, Network
from .fixed import floor_log2, saturate


class NeuronParams(NamedTuple):
    """Coefficients of one layer. `surrogate` is the table, with a zero after its last entry.

    `current_decay` is None where neurons have no synaptic current, `post` where they have no post trace; a threshold
    per neuron is a tensor.
    """

    decay: int
    current_decay: int | None
    clamp: bool
    decay_bits: int
    membrane_bits: int
    threshold: int | Tensor
    reset: str
    spiking: bool
    surrogate: Tensor
    surrogate_shift: int
    surrogate_bits: int
    eligibility: bool
    post: PostParams | None


class PostParams(NamedTuple):
    """Coefficients of a post trace: psi is moved up by `up` and down by `down`; `read` is none where there is no H."""

    decay: int
    up: int
    down: int
    read: str


class NeuronState(NamedTuple):
    """v; c of neurons that have a synaptic current, and q of those that have a post trace."""

    membrane: Tensor
    current: Tensor | None
    post: Tensor | None


class NeuronOutput(NamedTuple):
    """`saturated`: whether u, c or q was clamped to its format; `current`: c, or I where there is none; `membrane`: u;
    `spikes`: 0 or 1; `psi`; `post`: the post trace as H takes it, None where there is no H; `kappa`: what is left of
    the traces of its synapses, None where they have none. A readout's zeros are views.
    """

    saturated: Tensor
    current: Tensor
    membrane: Tensor
    spikes: Tensor
    psi: Tensor
    post: Tensor | None
    kappa: Tensor | None = None


def neuron_params(network: Network, array: ArrayConfig, layer: int, torch_device: str = "cpu") -> NeuronParams:
    """The coefficients of `network.layers[layer]` on `array`."""
    own = network.layers[layer]
    return NeuronParams(
        decay=own.decay,
        current_decay=own.current_decay if array.has("cuba") else None,
        clamp=own.clamp,
        decay_bits=array.decay_bits,
        membrane_bits=array.membrane_bits,
        threshold=own.threshold
        if own.thresholds is None
        else torch.tensor(own.thresholds, dtype=torch.int64, device=torch_device),
        reset=own.reset,
        spiking=own.spiking,
        surrogate=torch.tensor([*network.surrogate, 0], device=torch_device),
        surrogate_shift=own.surrogate_shift,
        surrogate_bits=array.surrogate_bits,
        eligibility=own.eligibility,
        post=_post_params(own, array) if array.has("post-trace") else None,
    )


def _post_params(own: Layer, array: ArrayConfig) -> PostParams:
    return PostParams(
        decay=own.post_decay,
        up=FACTOR_BITS - 1,
        down=array.surrogate_bits,
        read=own.post_read if own.post else "none",
    )


def first_state(params: NeuronParams, like: Tensor) -> NeuronState:
    """The state that a sample starts from, for neurons of the shape of `like`."""
    zero = torch.zeros_like(like)
    return NeuronState(zero, None if params.current_decay is None else zero, None if params.post is None else zero)


def step(params: NeuronParams, state: NeuronState, current: Tensor) -> tuple[NeuronState, NeuronOutput]:
    """One step of every neuron: `state` is that of the step before, `current` is I; any shape, int64.

    ::

        c   = saturate(((current_decay * c) >> decay_bits) + I)               (I itself without a synaptic current)
        u   = saturate(((decay * v) >> decay_bits) + c); 0 if it is below 0 and `clamp` is set
        s   = u >= threshold                                                  (0 in a readout)
        v'  = u - threshold * s (soft) | 0 if s else u (hard) | u (none, and a readout)
        psi = surrogate[abs(u - threshold) >> surrogate_shift], 0 beyond      (0 in a readout, and where u was below 0)
        q'  = min(255, ((post_decay * q) >> decay_bits) + ((psi << 7) >> surrogate_bits))
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
        # psi is 0, so q stays 0.
        return NeuronState(membrane, kept, state.post), NeuronOutput(saturated, current, membrane, zero, zero, None)
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
    post = read = None
    if params.post is not None and state.post is not None:
        decayed = (state.post * params.post.decay) >> params.decay_bits
        raw_post = decayed + ((psi << params.post.up) >> params.post.down)
        post = raw_post.clamp(max=TRACE_MAX)
        saturated = saturated | (raw_post != post)
        if params.post.read != "none":
            read = decayed if params.post.read == "decayed" else state.post
    left = kappa(params, membrane, fired.long(), psi) if params.eligibility else None
    return NeuronState(after, kept, post), NeuronOutput(saturated, current, membrane, fired.long(), psi, read, left)


def kappa(params: NeuronParams, membrane: Tensor, spikes: Tensor, psi: Tensor) -> Tensor:
    """The derivative of the next membrane by this one, the reset's included, in units of `decay`.

    ::

        m     = 2**surrogate_bits - psi (soft) | 2**surrogate_bits (none)
                clamp(2**surrogate_bits * (1 - s) - ((max(0, u) * psi) >> floor(log2 threshold))) (hard)
        kappa = sign(m) * ((decay * abs(m)) >> surrogate_bits)

    with `clamp` to the magnitude of `2**surrogate_bits`, and psi over that the surrogate in units where the threshold
    is 1: `decay (1 - theta psi)` and `decay ((1 - s) - u psi)` of Yang, arXiv 2011.09964.
    """
    one = 1 << params.surrogate_bits
    if params.reset == "hard":
        threshold = torch.as_tensor(params.threshold, device=membrane.device)
        lost = (membrane.clamp(min=0) * psi) >> floor_log2(threshold)
        kept = (one * (1 - spikes) - lost).clamp(-one, one)
    else:
        kept = one - psi if params.reset == "soft" else torch.full_like(psi, one)
    return kept.sign() * ((params.decay * kept.abs()) >> params.surrogate_bits)

# SPDX-License-Identifier: Apache-2.0
"""The learning unit: pre traces, modulated signals, and the update of the weights."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..arch.array import ArrayConfig
from ..arch.formats import DELTA_BITS, FACTOR_MAX, RATE_SHIFT_MAX, TRACE_MAX
from ..arch.network import Network
from ..arch.noise import ROUND_BITS
from .fixed import pow2_table, saturate, stochastic_shift
from .noise import doubled, rotation, row_noise, spread, update_noise


class LearningParams(NamedTuple):
    """Coefficients of one layer.

    `pow2` is the table of `fixed.pow2_table`, or None with exact products. `spread` and `rotation`, (outputs,),
    are each neuron's share of the synapse noise.
    """

    learns: bool
    trace_decay: int
    decay_bits: int
    trace_shift: int
    signal_shift: int
    rate_shift: int
    weight_bits: int
    active_shift: int
    pow2: Tensor | None
    spread: Tensor
    rotation: Tensor


class Rows(NamedTuple):
    """A layer's rows at a step, each (inputs,): p, p as the product takes it, and the doubled noise words."""

    trace: Tensor
    pre: Tensor
    words: Tensor


class Update(NamedTuple):
    """Synapses of one update, row by row: the noise word as an int32 of the same bits, and the unsaturated weight."""

    noise: Tensor
    raw: Tensor


def learning_params(network: Network, array: ArrayConfig, layer: int, torch_device: str = "cpu") -> LearningParams:
    """The coefficients of `network.layers[layer]` on `array`."""
    own = network.layers[layer]
    neurons = torch.arange(own.outputs, device=torch_device)
    return LearningParams(
        learns=own.learns,
        trace_decay=own.trace_decay,
        decay_bits=array.decay_bits,
        trace_shift=own.trace_shift,
        signal_shift=own.signal_shift,
        rate_shift=own.rate_shift,
        weight_bits=array.weight_bits,
        active_shift=array.weight_bits - array.synapse_bits,
        pow2=pow2_table(torch_device) if array.products == "shift" else None,
        spread=doubled(spread(neurons)),
        rotation=rotation(neurons),
    )


def trace_step(params: LearningParams, state: Tensor, events: Tensor) -> tuple[Tensor, Tensor]:
    """`raw = ((trace_decay * p) >> decay_bits) + (x << trace_shift)`; returns `(min(255, raw), raw)`."""
    raw = torch.add((state * params.trace_decay) >> params.decay_bits, events, alpha=1 << params.trace_shift)
    return raw.clamp(max=TRACE_MAX), raw


def rounded(params: LearningParams, factor: Tensor, noise: Tensor) -> Tensor:
    """0 … 255 as a product takes it: `pow2_round(factor, noise)` with 7-bit `noise`; unchanged with exact products."""
    if params.pow2 is None:
        return factor
    index = torch.add(noise, factor, alpha=1 << ROUND_BITS)
    return params.pow2.index_select(0, index.flatten()).view_as(factor)


def modulate(
    params: LearningParams, delta: Tensor, psi: Tensor, noise: Tensor, round_noise: Tensor
) -> tuple[Tensor, Tensor]:
    """G of hidden neurons from `delta` and `psi`, and the magnitude before it was clamped: `(G, a)`.

    ::

        a = (min(65535, abs(delta)) * psi + (noise & (2**signal_shift - 1))) >> signal_shift
        G = sign(delta) * min(128, a), rounded with the 7 bits of `round_noise`

    It is 0 where psi is.
    """
    raw = stochastic_shift(delta.abs().clamp(max=(1 << DELTA_BITS) - 1) * psi, noise, params.signal_shift)
    return rounded(params, raw.clamp(max=FACTOR_MAX), round_noise) * delta.sign(), raw


def update(params: LearningParams, stored: Tensor, rows: Rows, factor: Tensor) -> Update:
    """Move, in place, the weights of every synapse with `p != 0` and `G != 0`; return what was written.

    `stored` is W, (inputs, outputs), int32; `factor` is G, (outputs,); `pre` is the p that the product takes::

        a = (abs(G) * pre + (update_noise >> (23 - rate_shift))) >> rate_shift
        W = saturate(W - sign(G) * a)
    """
    row = rows.trace.nonzero()
    column = factor.nonzero().squeeze(1)
    # Few synapses move, so only they are gathered: by flat index, which is several times faster than rows and columns.
    flat = torch.add(column, row, alpha=factor.shape[0]).flatten()
    row = row.squeeze(1)
    signed = factor.index_select(0, column).int()
    words = rows.words.index_select(0, row).unsqueeze(1)
    own_rows = row_noise(words).int()
    word = words ^ params.spread.index_select(0, column)
    noise = word.bitwise_right_shift_(params.rotation.index_select(0, column)).int()
    product = rows.pre.index_select(0, row).int().unsqueeze(1) * signed.abs()
    fraction = update_noise(noise, own_rows) >> (RATE_SHIFT_MAX - params.rate_shift)
    amount = (product + fraction) >> params.rate_shift
    line = stored.view(-1)
    raw = line.index_select(0, flat) - (amount * signed.sign()).view(-1)
    line.scatter_(0, flat, saturate(raw, params.weight_bits))
    return Update(noise, raw)

# SPDX-License-Identifier: Apache-2.0
"""The learning unit: pre traces, modulated signals, and the update of the weights."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from ..arch.array import ArrayConfig
from ..arch.formats import DELTA_BITS, FACTOR_MAX, RATE_SHIFT_MAX, TRACE_MAX
from ..arch.network import Network
from ..arch.noise import ROUND_BITS
from .fixed import pow2_table, saturate, stochastic_shift
from .noise import doubled, eligibility_noise, rotation, row_noise, spread, update_noise

Rounding = Literal["hash", "random", "nearest", "floor"]
"""Where the bits of a rounding come from: the shared hash, which is the law; or, to see what that is worth, torch's own
generator, with bits of its own for every synapse, or constants that round to the nearest or down."""

FACTOR_OFFSETS: dict[str, int] = {"nearest": (1 << ROUND_BITS) // 2 - 1, "floor": (1 << ROUND_BITS) - 1}
"""The noise with which `pow2_round` rounds to the nearest, or down."""


class LearningParams(NamedTuple):
    """Coefficients of one layer.

    `trace_decay` is one per row where the last one is a bias, whose trace is its event. `pow2` is the table of
    `fixed.pow2_table`, or None with exact products. `spread` and `rotation`, (outputs,), are each neuron's share of the
    synapse noise.
    """

    learns: bool
    trace_decay: int | Tensor
    decay_bits: int
    trace_shift: int
    signal_shift: int
    rate_shift: int
    post: int
    post_shift: int
    weight_bits: int
    active_shift: int
    rounding: Rounding
    pow2: Tensor | None
    spread: Tensor
    rotation: Tensor


class FactorNoise(NamedTuple):
    """Noise of a layer's factors, each (outputs,): the words, and the 7 bits that round to a power of two."""

    word: Tensor
    round: Tensor


class Rows(NamedTuple):
    """A layer's rows in one update, each (rows,): whether they are visited (0: not), their factor as the product takes
    it, and the doubled noise words."""

    visited: Tensor
    pre: Tensor
    words: Tensor


class Eligibility(NamedTuple):
    """What a layer with traces of its synapses adds to an update by traces: these, (rows, outputs), which move in
    place, what its events add to them, (rows,), whether anything is left of the step before, (rows,), and kappa,
    (outputs,)."""

    state: Tensor
    fresh: Tensor
    old: Tensor
    kappa: Tensor


class Update(NamedTuple):
    """Synapses of one update, row by row: the noise word as an int32 of the same bits, and the unsaturated weight.

    `rows` are the indices of those visited, `factor` the G or H of all neurons; `all_groups` says that rows were
    visited where it is 0, too.
    """

    noise: Tensor
    raw: Tensor
    rows: Tensor
    factor: Tensor
    all_groups: bool


def learning_params(
    network: Network, array: ArrayConfig, layer: int, torch_device: str = "cpu", rounding: Rounding = "hash"
) -> LearningParams:
    """The coefficients of `network.layers[layer]` on `array`."""
    own = network.layers[layer]
    neurons = torch.arange(own.outputs, device=torch_device)
    decays: int | Tensor = own.trace_decay
    if own.bias:
        decays = torch.full((own.rows,), own.trace_decay, device=torch_device)
        decays[-1] = 0
    return LearningParams(
        learns=own.learns,
        trace_decay=decays,
        decay_bits=array.decay_bits,
        trace_shift=own.trace_shift,
        signal_shift=own.signal_shift,
        rate_shift=own.rate_shift,
        post=own.post,
        post_shift=own.post_shift,
        weight_bits=array.weight_bits,
        active_shift=array.weight_bits - array.synapse_bits,
        rounding=rounding,
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
    if params.rounding in FACTOR_OFFSETS:
        noise = torch.full_like(factor, FACTOR_OFFSETS[params.rounding])
    index = torch.add(noise, factor, alpha=1 << ROUND_BITS)
    return params.pow2.index_select(0, index.flatten()).view_as(factor)


def event_factor(params: LearningParams, events: Tensor, noise: Tensor) -> Tensor:
    """`min(255, x << trace_shift)`, as a product takes it: what an update by events has in the place of p."""
    return rounded(params, (events << params.trace_shift).clamp(max=TRACE_MAX), noise)


def modulate(
    params: LearningParams, delta: Tensor, scale: Tensor, noise: FactorNoise, shift: int
) -> tuple[Tensor, Tensor]:
    """G from `delta` and psi, or H from it and q, and the magnitude before it was clamped: `(G, a)`.

    ::

        a = (min(65535, abs(delta)) * scale + (noise & (2**shift - 1))) >> shift
        G = sign(delta) * min(128, a), rounded with the 7 bits of `noise.round`

    It is 0 where `scale` is.
    """
    word = _constant(params, noise.word, shift)
    raw = stochastic_shift(delta.abs().clamp(max=(1 << DELTA_BITS) - 1) * scale, word, shift)
    return rounded(params, raw.clamp(max=FACTOR_MAX), noise.round) * delta.sign(), raw


def update(params: LearningParams, stored: Tensor, rows: Rows, factor: Tensor, *, all_groups: bool = False) -> Update:
    """Move, in place, the weights of every synapse whose row is visited and whose `factor` is not 0; return what was
    written.

    `stored` is W, (rows, outputs), int32; `factor` is G or H, (outputs,)::

        a = (abs(factor) * pre + (update_noise >> (23 - rate_shift))) >> rate_shift
        W = saturate(W - sign(factor) * a)
    """
    row = rows.visited.nonzero()
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
    amount = (product + _fraction(params, noise, own_rows)) >> params.rate_shift
    line = stored.view(-1)
    raw = line.index_select(0, flat) - (amount * signed.sign()).view(-1)
    line.scatter_(0, flat, saturate(raw, params.weight_bits))
    return Update(noise, raw, row, factor, all_groups)


def _constant(params: LearningParams, noise: Tensor, shift: int) -> Tensor:
    """`noise`, or what rounds a shift by `shift` to the nearest, or down."""
    if params.rounding == "nearest":
        return torch.full_like(noise, (1 << shift) >> 1)
    return torch.zeros_like(noise) if params.rounding == "floor" else noise


def _fraction(params: LearningParams, noise: Tensor, row: Tensor) -> Tensor:
    """What is added to a product before it is shifted down by `rate_shift`: fewer than that many bits."""
    if params.rounding == "random":
        return torch.randint_like(noise, 1 << RATE_SHIFT_MAX) >> (RATE_SHIFT_MAX - params.rate_shift)
    drawn = update_noise(noise, row) >> (RATE_SHIFT_MAX - params.rate_shift)
    return _constant(params, drawn, params.rate_shift)


def eligibility(params: LearningParams, state: Tensor, trace_raw: Tensor, events: Tensor, kappa: Tensor) -> Eligibility:
    """What one step adds: `trace_raw` is the unsaturated p, whose part that is not of `events` is of the step
    before."""
    added = events << params.trace_shift
    return Eligibility(state, added.clamp(max=TRACE_MAX), (trace_raw > added).long(), kappa)


def eligible_update(
    params: LearningParams, stored: Tensor, rows: Rows, factor: Tensor, eligibility: Eligibility
) -> Update:
    """As `update`, with a trace of each synapse in the place of p, for every row visited.

    ::

        E = clamp((E if the row's p is left from the step before else 0) + min(255, x << trace_shift), -255, 255)
        a = (abs(G) * abs(E) + (update_noise >> (23 - rate_shift))) >> rate_shift
        W = saturate(W - sign(G) * sign(E) * a)
        E = sign(E) * sign(kappa) * ((abs(kappa) * abs(E)) >> decay_bits)

    abs(E) enters the product rounded with the synapse's own noise.
    """
    row = rows.visited.nonzero().squeeze(1)
    moved = eligibility.state.index_select(0, row) * eligibility.old.index_select(0, row).unsqueeze(1)
    moved = (moved + eligibility.fresh.index_select(0, row).unsqueeze(1)).clamp(-TRACE_MAX, TRACE_MAX)
    decayed = moved.sign() * ((moved.abs() * eligibility.kappa.abs()) >> params.decay_bits) * eligibility.kappa.sign()
    eligibility.state.index_copy_(0, row, decayed)

    column = factor.nonzero().squeeze(1)
    moved = moved.index_select(1, column)
    words = rows.words.index_select(0, row).unsqueeze(1)
    word = words ^ params.spread.index_select(0, column)
    noise = word.bitwise_right_shift_(params.rotation.index_select(0, column)).int()
    pre = rounded(params, moved.abs(), eligibility_noise(noise).long())
    signed = factor.index_select(0, column) * moved.sign()
    amount = (pre * signed.abs() + _fraction(params, noise, row_noise(words).int())) >> params.rate_shift
    flat = torch.add(column, row.unsqueeze(1), alpha=factor.shape[0]).flatten()
    line = stored.view(-1)
    raw = line.index_select(0, flat) - (amount * signed.sign()).view(-1).int()
    line.scatter_(0, flat, saturate(raw, params.weight_bits))
    return Update(noise, raw, row, factor, all_groups=True)

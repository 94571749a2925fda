# SPDX-License-Identifier: Apache-2.0
"""The error at the readout, and the prediction."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..arch.formats import FACTOR_MAX, UNIT
from ..arch.network import Network
from ..arch.readout import DISTANCE_MAX, EXP2, FRACTION_BITS, FRACTIONS, LOG2, MANTISSA_BITS
from .fixed import floor_log2

PROBABILITY_SHIFT = MANTISSA_BITS - (UNIT.bit_length() - 1)
"""From the exponential's unit to the error's."""


class ReadoutParams(NamedTuple):
    """`exponential[d]` is `EXP2[d & 31] >> (d >> 5)`, `logarithm[S]` is L, `probability[d']` is in units of 1/128."""

    error: str
    on_membrane: bool
    shift: int
    exponential: Tensor
    logarithm: Tensor
    probability: Tensor
    targets: Tensor


def readout_params(network: Network, torch_device: str = "cpu") -> ReadoutParams:
    """Coefficients and tables of the network's error. `targets[c]` is `128 * [i = c]`."""
    classes = network.outputs
    total = torch.arange(classes * EXP2[0] + 1)
    logarithm = torch.zeros_like(total)
    logarithm[1:] = _logarithm(total[1:])
    # The sum holds the largest entry's 2**MANTISSA_BITS, so L is never negative there.
    farthest = DISTANCE_MAX + int(logarithm[-1])
    exponential = _exponential(torch.arange(farthest + 1))
    half = 1 << (PROBABILITY_SHIFT - 1)
    return ReadoutParams(
        error=network.error,
        on_membrane=network.error_on == "membrane",
        shift=network.error_shift,
        exponential=exponential.to(torch_device),
        logarithm=logarithm.to(torch_device),
        probability=((exponential + half) >> PROBABILITY_SHIFT).to(torch_device),
        targets=(UNIT * torch.eye(classes, dtype=torch.int64)).to(torch_device),
    )


def error(params: ReadoutParams, value: Tensor, label: int) -> Tensor:
    """e of one sample: `value` is y, shape (classes,), int64; docs/law.md, "Error at the readout"."""
    value = value >> params.shift
    if params.error == "mse":
        return torch.sub(value, params.targets[label]).clamp_(-FACTOR_MAX, FACTOR_MAX)
    distance = (value.amax() - value).clamp_(max=DISTANCE_MAX)
    total = params.exponential.index_select(0, distance).sum()
    normalised = (distance + params.logarithm[total]).clamp_(min=0)
    wrong = params.probability.index_select(0, normalised)
    wrong[label] = 0
    wrong[label] = -wrong.sum().clamp(max=FACTOR_MAX)
    return wrong


def predicted(readout: Tensor) -> Tensor:
    """Index of the largest entry of the last axis, the lowest among equals."""
    return readout.argmax(-1)


def _exponential(distance: Tensor) -> Tensor:
    """`EXP2[d & 31] >> (d >> 5)`."""
    return torch.tensor(EXP2)[distance & (FRACTIONS - 1)] >> (distance >> FRACTION_BITS)


def _logarithm(total: Tensor) -> Tensor:
    """`32 n + LOG2[f] - 32 * 9` with `n = floor(log2 S)` and f the five bits below the leading one."""
    exponent = floor_log2(total)
    fraction = ((total << FRACTION_BITS) >> exponent) & (FRACTIONS - 1)
    return FRACTIONS * (exponent - MANTISSA_BITS) + torch.tensor(LOG2)[fraction]

# SPDX-License-Identifier: Apache-2.0
"""Fixed-point arithmetic on integer tensors: the helpers of docs/law.md, each also in `rtl/fixed.py`."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from ..arch.formats import FACTOR_BITS, TRACE_MAX
from ..arch.noise import ROUND_BITS


def saturate(value: Tensor, bits: int) -> Tensor:
    """Clamp to the signed range of `bits` bits.

    >>> saturate(torch.tensor([-129, -128, 5, 128]), 8).tolist()
    [-128, -128, 5, 127]
    """
    return value.clamp(-(1 << (bits - 1)), (1 << (bits - 1)) - 1)


def stochastic_shift(value: Tensor, noise: Tensor, shift: int) -> Tensor:
    """`(value + (noise & (2**shift - 1))) >> shift` for `value >= 0`: in the mean exactly `value / 2**shift`.

    >>> stochastic_shift(torch.tensor([5, 5, 5, 5]), torch.tensor([0, 1, 2, 7]), 2).tolist()
    [1, 1, 1, 2]
    """
    return torch.add(noise & ((1 << shift) - 1), value) >> shift


def floor_log2(value: Tensor) -> Tensor:
    """`floor(log2 value)` of integers of 1 … 2**24.

    >>> floor_log2(torch.tensor([1, 2, 3, 255, 256])).tolist()
    [0, 1, 1, 7, 8]
    """
    # Exact: float32 holds every integer of 24 bits, and frexp reads its exponent without rounding.
    return torch.frexp(value.to(torch.float32)).exponent.to(torch.int64) - 1


def pow2_round(value: Tensor, noise: Tensor) -> Tensor:
    """0 … 255 to 0 or a power of two up to 256: up when the 7-bit `noise` is below the bits under the leading one.

    >>> pow2_round(torch.tensor([0, 1, 3, 3, 192, 192]), torch.tensor([0, 0, 63, 64, 63, 64])).tolist()
    [0, 1, 4, 2, 256, 128]
    """
    exponent = floor_log2(value.clamp(min=1))
    fraction = (value << (ROUND_BITS - exponent)) & ((1 << ROUND_BITS) - 1)
    power = torch.ones_like(exponent) << (exponent + (noise < fraction))
    return torch.where(value == 0, torch.zeros_like(power), power)


@cache
def pow2_table(torch_device: str = "cpu") -> Tensor:
    """`pow2_round(v, n)` of every v of 0 … 255 and n of 0 … 127, at `v * 128 + n`."""
    value = torch.arange(TRACE_MAX + 1).unsqueeze(1)
    return pow2_round(value, torch.arange(1 << ROUND_BITS)).flatten().to(torch_device)


def popcount(value: Tensor) -> Tensor:
    """Set bits of integers of 0 … 255.

    >>> popcount(torch.tensor([0, 1, 255, 0x90])).tolist()
    [0, 1, 8, 2]
    """
    bits = torch.arange(FACTOR_BITS, device=value.device)
    return ((value.unsqueeze(-1) >> bits) & 1).sum(-1)

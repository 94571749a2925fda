# SPDX-License-Identifier: Apache-2.0
"""The noise hash of `arch/noise.py` on tensors. A word is an int64 of 0 … 2**32 - 1."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from ..arch.noise import (
    BLOCK_BITS,
    DIGEST_SHL,
    DIGEST_SHR,
    LAYER_STRIDE,
    MIX_STEPS,
    OWN_BITS,
    ROUND_BITS,
    ROW_NOISE_BITS,
    SPREAD_WORDS,
    STEP_BITS,
    WORD_BITS,
    WORD_MASK,
    Domain,
)


@cache
def _constants(device: torch.device) -> list[Tensor]:
    """Each step's constant as the int32 of the same bits. Tensors, for each number in an operation is made one anew."""
    return [torch.tensor(constant, device=device).int() for constant, _, _ in MIX_STEPS]


def mix(value: Tensor) -> Tensor:
    """`arch.noise.mix` of every entry, whose low 32 bits are read.

    >>> [hex(word) for word in mix(torch.tensor([0, 1])).tolist()]
    ['0x40d97eda', '0xad26524c']
    """
    # int32 wraps as the hash does and is half as wide as int64.
    a = value.int()
    for (_, combine, amount), constant in zip(MIX_STEPS, _constants(a.device), strict=True):
        if combine == "add_shl":
            # These steps have no constant: a + (a << n) is a product.
            a = a * (1 + (1 << amount))
            continue
        left = a ^ constant
        # The right shift is arithmetic: mask off its copies of the sign.
        right = a << amount if combine == "xor_shl" else (a >> amount).bitwise_and_(WORD_MASK >> amount)
        a = left.bitwise_xor_(right)
    return a.long().bitwise_and_(WORD_MASK)


def step_keys(seed: int, samples: Tensor, steps: int) -> Tensor:
    """`arch.noise.step_key` of every sample and of steps 0 … `steps - 1`: shape (*samples.shape, steps)."""
    step = torch.arange(steps, device=samples.device) & ((1 << STEP_BITS) - 1)
    return mix(mix(samples ^ seed).unsqueeze(-1) ^ step)


def domain_keys(keys: Tensor, layer: int, domain: Domain) -> Tensor:
    """`arch.noise.domain_key` of every step key."""
    return mix(keys ^ (LAYER_STRIDE * layer + int(domain)))


def spread(neurons: Tensor) -> Tensor:
    """`arch.noise.spread` of each neuron's block of 32."""
    word = torch.zeros_like(neurons)
    for bit, constant in enumerate(SPREAD_WORDS):
        word ^= (neurons >> (BLOCK_BITS + bit) & 1) * constant
    return word


def doubled(word: Tensor) -> Tensor:
    """The word twice in 64 bits: any rotation of it is then one shift."""
    return word | word << WORD_BITS


def rotation(neurons: Tensor) -> Tensor:
    """Right shift that rotates a doubled word left by `neuron & 31`; the low 32 bits are the result."""
    return WORD_BITS - (neurons & (WORD_BITS - 1))


def synapse_noise(word: Tensor, neurons: Tensor) -> Tensor:
    """`arch.noise.synapse_noise`: the noise bits of each synapse from its row's `word`; shapes broadcast."""
    return (doubled(word ^ spread(neurons)) >> rotation(neurons)) & WORD_MASK


def row_noise(word: Tensor) -> Tensor:
    """`arch.noise.row_noise` of every word, or doubled word."""
    return (word ^ word >> ROW_NOISE_BITS) & ((1 << ROW_NOISE_BITS) - 1)


def round_noise(word: Tensor) -> Tensor:
    """`arch.noise.round_noise` of every word, or doubled word."""
    return (word ^ word >> 8) & ((1 << ROUND_BITS) - 1)


def eligibility_noise(noise: Tensor) -> Tensor:
    """`arch.noise.eligibility_noise` from int32 `synapse_noise`."""
    return (noise >> (WORD_BITS - OWN_BITS - ROUND_BITS)) & ((1 << ROUND_BITS) - 1)


def update_noise(noise: Tensor, row: Tensor) -> Tensor:
    """`arch.noise.update_noise` from int32 `synapse_noise` and `row_noise`; shapes broadcast."""
    below = WORD_BITS - OWN_BITS - ROW_NOISE_BITS
    return (noise >> below) & (((1 << OWN_BITS) - 1) << ROW_NOISE_BITS) | row


def digest(value: Tensor) -> Tensor:
    """`arch.noise.digest` of every entry of 0 … 2**32 - 1."""
    a = (value + (value << DIGEST_SHL)) & WORD_MASK
    return a ^ (a >> DIGEST_SHR)

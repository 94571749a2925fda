# SPDX-License-Identifier: Apache-2.0
"""Fixed-point helpers, exhaustively."""

from __future__ import annotations

import doctest
from fractions import Fraction

import torch

from trifactor.golden import fixed


def test_examples_in_the_docstrings() -> None:
    assert doctest.testmod(fixed).failed == 0
    assert doctest.testmod(fixed).attempted >= 5


def test_saturate_of_every_ten_bit_value() -> None:
    values = range(-512, 512)
    for bits in range(1, 10):
        low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
        assert fixed.saturate(torch.tensor(values), bits).tolist() == [max(low, min(high, value)) for value in values]


def test_stochastic_shift_is_exact_in_the_mean() -> None:
    for shift in range(9):
        noise = torch.arange(1 << shift)
        for value in (0, 1, 5, 127, 128, 255, 1000):
            total = int(fixed.stochastic_shift(torch.full_like(noise, value), noise, shift).sum())
            assert Fraction(total, 1 << shift) == Fraction(value, 1 << shift)


def test_stochastic_shift_reads_only_the_low_bits_of_the_noise() -> None:
    noise = torch.tensor([0x7, 0xFFFFFF07, 0xF7])
    assert fixed.stochastic_shift(torch.tensor([9, 9, 9]), noise, 3).tolist() == [2, 2, 2]


def test_floor_log2_up_to_24_bits() -> None:
    values = [*range(1, 5000), *((1 << bit) + off for bit in range(13, 24) for off in (-1, 0, 1)), 1 << 24]
    assert fixed.floor_log2(torch.tensor(values)).tolist() == [value.bit_length() - 1 for value in values]


def test_pow2_round_of_every_factor_and_noise() -> None:
    table = fixed.pow2_round(torch.arange(256).unsqueeze(1), torch.arange(128).unsqueeze(0))
    for value, row in enumerate(table.tolist()):
        if value:
            below = 1 << (value.bit_length() - 1)
            assert set(row) <= {below, 2 * below}
            assert row == sorted(row, reverse=True), "up when the noise is low"
        assert sum(row) == 128 * value, "exact in the mean"


def test_table_agrees_with_pow2_round() -> None:
    table = fixed.pow2_table().view(256, 128)
    for value in range(256):
        assert torch.equal(table[value], fixed.pow2_round(torch.full((128,), value), torch.arange(128)))


def test_popcount_of_every_byte() -> None:
    assert fixed.popcount(torch.arange(256)).tolist() == [value.bit_count() for value in range(256)]

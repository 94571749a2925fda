# SPDX-License-Identifier: Apache-2.0
"""Fixed-point helpers in hardware against integers and their golden twins, exhaustively where the width allows."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest
import torch
from amaranth.hdl import signed, unsigned

from trifactor.arch.formats import QFormat
from trifactor.golden import fixed as golden
from trifactor.rtl import fixed

Tabulate = Callable[..., list[tuple[int, ...]]]


@pytest.mark.parametrize("bits", [2, 4, 8, 9])
def test_saturate_of_every_ten_bit_value(tabulate: Tabulate, bits: int) -> None:
    values = range(-512, 512)
    form = QFormat(bits=bits)
    got = tabulate(lambda m, value: fixed.saturate(m, value, form), [signed(10)], [(value,) for value in values])
    clamped = golden.saturate(torch.tensor(values), bits).tolist()
    assert got == [(after, int(after != before)) for before, after in zip(values, clamped, strict=True)]
    assert sum(over for _, over in got) == 1024 - (1 << bits)


@pytest.mark.parametrize("bits", [10, 12])
def test_saturate_leaves_a_value_that_fits_alone(tabulate: Tabulate, bits: int) -> None:
    form = QFormat(bits=bits)
    values = (-512, -1, 0, 511)
    got = tabulate(lambda m, value: fixed.saturate(m, value, form), [signed(10)], [(value,) for value in values])
    assert got == [(value, 0) for value in values]


@pytest.mark.parametrize("bits", [1, 4, 8, 10, 12])
def test_saturate_unsigned_of_every_ten_bit_value(tabulate: Tabulate, bits: int) -> None:
    most = (1 << bits) - 1
    got = tabulate(
        lambda m, value: fixed.saturate_unsigned(m, value, bits), [unsigned(10)], [(value,) for value in range(1024)]
    )
    assert got == [(min(value, most), int(value > most)) for value in range(1024)]


def test_magnitude_of_every_byte(tabulate: Tabulate) -> None:
    values = range(-128, 128)
    got = tabulate(lambda m, value: [fixed.magnitude(value)], [signed(8)], [(value,) for value in values])
    assert got == [(abs(value),) for value in values]


@pytest.mark.parametrize("shape", [signed(6), unsigned(6)])
@pytest.mark.parametrize(("first", "last"), [(0, 5), (0, 2), (2, 5), (3, 9), (2, 2)])
def test_partial_products_of_every_pair(tabulate: Tabulate, shape: object, first: int, last: int) -> None:
    values = range(-32, 32) if shape == signed(6) else range(64)
    pairs = list(product(values, range(32)))
    got = tabulate(
        lambda m, value, factor: [fixed.partial_products(value, factor, first, last)], [shape, unsigned(5)], pairs
    )
    mask = (1 << min(last, 5)) - (1 << first)
    assert got == [(value * (factor & mask),) for value, factor in pairs]


@pytest.mark.parametrize("bits", [1, 2, 8, 12])
def test_leading_one_of_every_value(tabulate: Tabulate, bits: int) -> None:
    got = tabulate(
        lambda m, value: fixed.leading_one(value), [unsigned(bits)], [(value,) for value in range(1 << bits)]
    )
    assert got[0] == (0, 0)
    for value, (position, below) in enumerate(got[1:], start=1):
        place = value.bit_length() - 1
        assert position == place
        assert below == (value - (1 << place)) << (bits - 1 - place)


def test_pow2_exponent_of_every_factor_and_noise(tabulate: Tabulate) -> None:
    pairs = list(product(range(1, 256), range(128)))
    got = tabulate(lambda m, value, noise: [fixed.pow2_exponent(m, value, noise)], [unsigned(8), unsigned(7)], pairs)
    table = golden.pow2_table().tolist()
    assert [1 << exponent for (exponent,) in got] == table[128:]

# SPDX-License-Identifier: Apache-2.0
"""Addresses on a bus: every word of every space has one, and no two have the same."""

from __future__ import annotations

from itertools import pairwise, product

import pytest

from trifactor.arch.array import UNITS, ArrayConfig
from trifactor.arch.bus import BUS_REGISTERS, BYTE_BITS, BusRegister, bus_address, window_bits, windows
from trifactor.arch.link import Depths, build_hash
from trifactor.arch.packets import LinkRegister
from trifactor.arch.registers import Space, weight_chunks

ARRAYS = [
    ArrayConfig(cores=cores, lanes=lanes, weight_bits=bits, weight_words=words, groups=groups, axons=axons, units=units)
    for cores, lanes, bits, words, groups, axons, units in product(
        (1, 4), (2, 16), (8, 16), (5, 4096), (9, 64), (7, 1024), ((), tuple(UNITS))
    )
]


@pytest.mark.parametrize("depths", [Depths(), Depths(items=64, results=32, events=1 << 15)])
def test_windows_hold_every_word_and_do_not_meet(depths: Depths) -> None:
    assert len(ARRAYS) == 128
    for array in ARRAYS:
        bits = window_bits(array, depths)
        known = {window.space: window.words for window in windows(array, depths)}
        chunks = weight_chunks(array)
        last_weight = (array.cores - 1) * (known[Space.WEIGHTS] // array.cores)
        assert known[Space.WEIGHTS] // array.cores >= array.weight_words * chunks
        assert last_weight < known[Space.WEIGHTS]
        assert known[Space.MEMBRANES] >= array.cores * array.groups * array.lanes
        assert known[Space.TRACES] >= array.axons
        assert (Space.THRESHOLDS in known) == array.has("thresholds")
        assert max(known.values()) <= 1 << bits - BYTE_BITS < 2 * max(known.values())
        spans = sorted((bus_address(n, 0, bits), bus_address(n, words - 1, bits)) for n, words in known.items())
        assert all(end < begin for (_, end), (begin, _) in pairwise(spans))
        assert spans[-1][1] < 1 << bits + 4


def test_the_bus_has_the_numbers_of_the_link() -> None:
    shared = set(BusRegister.__members__) & set(LinkRegister.__members__)
    assert len(shared) == 7
    assert all(BusRegister[name] == int(LinkRegister[name]) for name in shared)
    assert set(BUS_REGISTERS) == set(BusRegister)


def test_builds_are_told_apart() -> None:
    hashes = {build_hash(array, depths) for array in ARRAYS for depths in (Depths(), Depths(items=64))}
    assert len(hashes) == 2 * len(ARRAYS)


def test_depths_are_powers_of_two() -> None:
    with pytest.raises(ValueError, match=r"results \(100\) is not a power of two"):
        Depths(results=100)
    assert Depths(items=64, results=32, events=128).logarithms == 6 | 5 << 8 | 7 << 16

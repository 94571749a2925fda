# SPDX-License-Identifier: Apache-2.0
# amaranth: UnusedElaboratable=no
"""Boards as data: names, clocks that their PLLs make, pins that their platforms have."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("amaranth_boards", reason="needs amaranth-boards: pip install trifactor[synth]")

from trifactor.arch.array import ArrayConfig
from trifactor.arch.errors import ConfigurationError
from trifactor.boards.build_report import BuildReport
from trifactor.boards.catalog import BOARDS, Board, board_named
from trifactor.boards.families import FAMILIES
from trifactor.boards.gateware import plan
from trifactor.boards.netlist import FLOWS
from trifactor.boards.pll import CANDIDATES, pll_for

TINY = ArrayConfig(lanes=1, weight_words=64, groups=8, axons=16, events=16, classes=4, layers=2, weight_bits=8)
ALL = pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)


@ALL
def test_a_row_is_whole(board: Board) -> None:
    assert BOARDS[board.name] is board
    assert board.family in FAMILIES
    assert board.flow in FLOWS
    assert board.usb
    assert bool(board.programmer) != bool(board.programming)
    link = board.link()
    assert abs(link.clock - board.clock) <= 0.02 * board.clock
    assert abs(link.baud - board.baud) <= 0.025 * board.baud


@ALL
def test_pins_and_clock_reach_the_placer(board: Board) -> None:
    text, pins = plan(board, TINY, board.link(), version="1.2.3")
    assert "uart_0__rx__io" in pins
    assert "uart_0__tx__io" in pins
    assert pins.count("led") >= min(2, len(board.leds))
    assert "attribute \\src" not in text
    pll = {"ecp5": "EHXPLLL", "ice40": "SB_PLL40", "gowin": "rPLL"}[board.family]
    assert (pll in text) == (board.link().clock != board.oscillator)


@ALL
def test_a_status_that_says_built_has_its_report(board: Board) -> None:
    path = Path(__file__).parents[2] / "docs" / "boards" / f"{board.name}.json"
    assert path.exists() == board.status.startswith("built")
    if path.exists():
        report = BuildReport.model_validate_json(path.read_bytes())
        assert report.met
        assert (report.array, report.link) == (board.array, board.link())


def test_an_unknown_board_names_the_nearest() -> None:
    with pytest.raises(ConfigurationError, match="no board is called 'ulx3s-25'") as caught:
        board_named("ulx3s-25")
    assert "ulx3s-25f" in caught.value.hint


def test_no_pll_where_the_oscillator_will_do() -> None:
    assert pll_for("gowin", 27_000_000, 27_000_000) is None


@given(st.sampled_from(sorted(CANDIDATES)), st.sampled_from([12, 25, 27, 50, 100]), st.integers(20, 120))
def test_a_pll_makes_what_it_says_within_its_limits(family: str, oscillator: int, clock: int) -> None:
    try:
        pll = pll_for(family, oscillator * 1_000_000, clock * 1_000_000)
    except ConfigurationError:
        return
    if pll is None:
        assert oscillator == clock
        return
    divider = 1 << pll.output if family == "ice40" else pll.output
    oscillation = oscillator * pll.feedback / pll.reference * (1 if family == "ice40" else divider)
    low, high = {"ecp5": (400, 800), "ice40": (533, 1066), "gowin": (500, 1200)}[family]
    assert low <= oscillation <= high
    assert pll.clock == pytest.approx(oscillation / divider * 1e6)
    assert abs(pll.clock - clock * 1e6) <= 0.02 * clock * 1e6


def test_a_clock_out_of_reach_names_the_nearest() -> None:
    with pytest.raises(ConfigurationError, match=r"makes no 5 MHz of 12 MHz: the nearest is 16\.125 MHz"):
        pll_for("ice40", 12_000_000, 5_000_000)

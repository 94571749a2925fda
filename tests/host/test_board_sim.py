# SPDX-License-Identifier: Apache-2.0
"""Which array and link a simulated board gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from trifactor.arch.errors import ConfigurationError
from trifactor.arch.link import LinkConfig
from trifactor.boards.catalog import BOARDS
from trifactor.host.board_sim import chosen


def test_a_board_s_clock_line_and_array(tmp_path: Path) -> None:
    board = BOARDS["icebreaker"]
    assert chosen(None, None, "icebreaker") == (board.array, board.link())
    config = tmp_path / "c.toml"
    config.write_text("[array]\nlanes = 2\n")
    array, link = chosen(None, config, "icebreaker")
    assert (array.lanes, link) == (2, board.link())
    array, link = chosen(None, config, None)
    assert (array.lanes, link) == (2, LinkConfig())


def test_it_must_be_one_array() -> None:
    with pytest.raises(ConfigurationError, match="which array"):
        chosen(None, None, None)
    with pytest.raises(ConfigurationError, match="which array"):
        chosen(Path("m.tri"), Path("c.toml"), None)
    with pytest.raises(ConfigurationError, match="no board is called"):
        chosen(None, None, "icebraker")

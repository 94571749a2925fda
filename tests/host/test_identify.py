# SPDX-License-Identifier: Apache-2.0
"""Which array a board has, from what it says of its build."""

from __future__ import annotations

from dataclasses import replace

import pytest

from trifactor import __version__
from trifactor.arch.array import ArrayConfig
from trifactor.arch.errors import DeviceError
from trifactor.arch.link import LinkConfig, build_hash, package_word
from trifactor.boards.catalog import BOARDS
from trifactor.host.identify import Identity, check_usable, check_version, recognise

OWN = ArrayConfig(lanes=4, weight_words=777)


def saying(array: ArrayConfig, link: LinkConfig) -> Identity:
    """What a board built for these says."""
    return Identity(
        protocol=1,
        build=build_hash(array, link),
        package=__version__,
        package_word=package_word(__version__),
        clock=link.clock,
        depths={name: getattr(link, name) for name in ("packets", "items", "results", "events")},
        damaged=0,
        refused=0,
    )


@pytest.mark.parametrize("name", BOARDS)
def test_the_default_build_of_every_board_is_recognised(name: str) -> None:
    board = BOARDS[name]
    known = recognise(saying(board.array, board.link()), [], 3e6)
    assert known == (board.array, board.link())


def test_a_build_of_one_s_own_is_recognised_at_its_rate() -> None:
    link = LinkConfig(clock=50_000_000, divisor=434, items=64)
    assert recognise(saying(OWN, link), [OWN], 115_200) == (OWN, link)
    assert recognise(saying(OWN, link), [OWN], 9600) is None
    assert recognise(saying(OWN, link), [], 115_200) is None


def test_other_capacities_are_usable_and_other_numbers_are_not() -> None:
    larger = OWN.model_copy(update={"lanes": 16, "cores": 4, "weight_words": 4096, "units": ("bias",)})
    larger = larger.model_copy(update={"counters": False, "noise_latency": 2, "serial_products": "multipliers"})
    check_usable(OWN, larger)
    with pytest.raises(DeviceError, match=r"has weight_bits 8, not 16$"):
        check_usable(OWN, larger.model_copy(update={"weight_bits": 8}))
    with pytest.raises(DeviceError, match="has no unit bias"):
        check_usable(larger, OWN)


def test_another_version_is_refused() -> None:
    same = saying(OWN, LinkConfig())
    check_version(same)
    with pytest.raises(DeviceError, match=r"made by trifactor 0\.0\.9, this is"):
        check_version(replace(same, package="0.0.9", package_word=9))
    with pytest.raises(DeviceError, match="speaks version 2 of the link"):
        check_version(replace(same, protocol=2))

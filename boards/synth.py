# SPDX-License-Identifier: Apache-2.0
"""The bare array on an ECP5: what it costs and how fast it is."""

from __future__ import annotations

from collections.abc import Callable

from ..arch.array import ArrayConfig
from ..rtl.array import Array
from .breakdown import UnitCost, breakdown
from .memories import expected_dp16kd
from .place import place
from .report import SynthReport


def synthesise(
    array: ArrayConfig,
    *,
    device: str = "25k",
    speed: int = 6,
    seeds: int = 5,
    freq_mhz: float = 100.0,
    progress: Callable[[str], None] | None = None,
    cache: bool = True,
    jobs: int = 2,
) -> SynthReport:
    """Synthesise, place and route the array without its surroundings, once per seed.

    `device` is `12k`, `25k`, `45k` or `85k`. `freq_mhz` is what the placer aims at; to miss it is no error, the report
    says what was reached. Results are kept by content (design, tools, options) in the user's cache folder or
    `$TRIFACTOR_CACHE`. `progress` gets a line now and then. Raises `ConfigurationError` on an unknown device or speed
    grade, `ToolError` when a program is missing or fails, `TimingError` when the array does not fit.
    """
    placed = place(
        Array(array),
        device=device,
        speed=speed,
        seeds=seeds,
        freq_mhz=freq_mhz,
        progress=progress,
        cache=cache,
        jobs=jobs,
    )
    cells = placed.cells
    return SynthReport(
        device=device,
        speed=speed,
        lanes=array.lanes,
        cores=array.cores,
        trellis_comb=cells["TRELLIS_COMB"],
        trellis_ff=cells["TRELLIS_FF"],
        trellis_ramw=cells["TRELLIS_RAMW"],
        dp16kd=cells["DP16KD"],
        expected_dp16kd=expected_dp16kd(array),
        mult18x18d=cells["MULT18X18D"],
        runs=placed.runs,
    )


def units(array: ArrayConfig, *, flat: bool = False) -> list[UnitCost]:
    """Which unit of the array costs what: `breakdown.table` prints it."""
    return breakdown(Array(array), flat=flat)

# SPDX-License-Identifier: Apache-2.0
"""What an array costs on a device and how fast it runs there."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass
from typing import Any

from .nextpnr import CriticalPath
from .place import Run


@dataclass(frozen=True, kw_only=True)
class SynthReport:
    """The bare array on one device: without clock generator, host link and pins.

    Cells are nextpnr's. `expected_dp16kd` is what the configuration should take: more cells than that, or fewer, mean
    that a memory was not mapped as designed. Each seed is one placement; `fmax_mhz` has one entry a seed.
    """

    device: str
    speed: int
    lanes: int
    cores: int
    trellis_comb: int
    trellis_ff: int
    trellis_ramw: int
    dp16kd: int
    expected_dp16kd: int
    mult18x18d: int
    runs: tuple[Run, ...]

    @property
    def trellis_comb_per_lane(self) -> float:
        """All TRELLIS_COMB, shared ones included, over the number of lanes of all cores."""
        return round(self.trellis_comb / (self.cores * self.lanes), 1)

    @property
    def fmax_mhz(self) -> tuple[float, ...]:
        """Of each seed."""
        return tuple(run.fmax_mhz for run in self.runs)

    @property
    def fmax_mhz_median(self) -> float:
        """Over the seeds; of an even number the lower of the middle two, so that it is a placement that exists."""
        return statistics.median_low(self.fmax_mhz)

    @property
    def fmax_mhz_best(self) -> float:
        """Over the seeds."""
        return max(self.fmax_mhz)

    @property
    def critical_path(self) -> CriticalPath:
        """That of the median seed."""
        return next(run.critical_path for run in self.runs if run.fmax_mhz == self.fmax_mhz_median)

    @property
    def synaptic_operations_per_second(self) -> float:
        """Peak, at the median fmax: SCATTER takes one word a cycle, a synapse per lane of every core."""
        return self.cores * self.lanes * self.fmax_mhz_median * 1e6

    @property
    def updates_per_second(self) -> float:
        """Peak, at the median fmax: UPDATE rewrites one word a cycle, a synapse per lane of every core."""
        return self.cores * self.lanes * self.fmax_mhz_median * 1e6

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain data."""
        derived = (
            "trellis_comb_per_lane",
            "fmax_mhz",
            "fmax_mhz_median",
            "fmax_mhz_best",
            "synaptic_operations_per_second",
            "updates_per_second",
        )
        plain = asdict(self)
        runs = plain.pop("runs")
        return {
            **plain,
            **{name: getattr(self, name) for name in derived},
            "critical_path": asdict(self.critical_path),
            "runs": runs,
        }

# SPDX-License-Identifier: Apache-2.0
"""What a build came to: resources, block RAM by purpose, clocks reached, the critical path."""

from __future__ import annotations

import re
import statistics
from collections import Counter

from pydantic import BaseModel, ConfigDict, Field

from ..arch.array import ArrayConfig
from ..arch.link import LinkConfig
from .netlist import Netlist
from .nextpnr import CriticalPath


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Resource(_Frozen):
    """One kind of cell: nextpnr's `name`, our `title`."""

    name: str
    title: str
    used: int
    available: int

    @property
    def share(self) -> float:
        """Used of available, 0 … 1."""
        return self.used / self.available if self.available else 0.0


class BuildRun(_Frozen):
    """One placement."""

    seed: int
    fmax_mhz: float
    critical_path: CriticalPath


class BuildReport(_Frozen):
    """One build of a board.

    `memories` is block RAM cells by purpose; so many placements were `unrouted`; `bitstream` is empty where timing was
    missed.
    """

    board: str
    fpga: str
    array: ArrayConfig
    link: LinkConfig
    version: str
    build: str
    tools: dict[str, str]
    resources: list[Resource]
    memories: dict[str, int]
    runs: list[BuildRun] = Field(min_length=1)
    unrouted: int = 0
    bitstream: str = ""
    sha256: str = ""

    @property
    def clock_mhz(self) -> float:
        """The clock that is wanted."""
        return self.link.clock / 1e6

    @property
    def chosen(self) -> BuildRun:
        """The fastest placement."""
        return max(self.runs, key=lambda run: run.fmax_mhz)

    @property
    def median_mhz(self) -> float:
        """Over the placements, those that do not route as 0; of an even number the lower of the middle two."""
        return statistics.median_low([*(run.fmax_mhz for run in self.runs), *[0.0] * self.unrouted])

    @property
    def seeds(self) -> int:
        """Placements tried."""
        return len(self.runs) + self.unrouted

    @property
    def met(self) -> bool:
        """The fastest placement is fast enough."""
        return self.chosen.fmax_mhz >= self.clock_mhz

    @property
    def neurons(self) -> int:
        """That the array has room for."""
        return self.array.groups * self.array.parallel

    @property
    def synapses(self) -> int:
        """Weights that the array has room for."""
        return self.array.weight_words * self.array.parallel

    @property
    def operations_per_second(self) -> float:
        """Synaptic operations at the wanted clock, at most: a word a clock, a synapse per lane of every core."""
        return self.array.parallel * self.link.clock

    @property
    def updates_per_second(self) -> float:
        """Weight updates at the wanted clock, at most."""
        return self.array.parallel * self.link.clock / self.array.update_clocks


_NUMBER = re.compile(r"_\d+$")


def memory_purposes(netlist: Netlist, kinds: frozenset[str]) -> dict[str, int]:
    """Block RAM cells by what they hold, most first: `array.core_0.weights.storage.0.0` counts for `weights`.

    That is the name of the memory in its unit, or of the unit where the memory has no name of its own.
    """
    found: Counter[str] = Counter()
    for name, cell in netlist["cells"].items():
        if cell["type"] in kinds:
            found[_purpose(name)] += 1
    return dict(found.most_common())


def _purpose(name: str) -> str:
    parts = name.partition(".storage")[0].split(".")
    parts = [_NUMBER.sub("", part) for part in parts if part not in ("top", "array")]
    while len(parts) > 1 and parts[-1] in ("memory", "ring", "buffer"):
        parts.pop()
    return parts[-1].replace("_", " ") if parts else name

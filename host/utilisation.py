# SPDX-License-Identifier: Apache-2.0
"""How busy an array was, from its counters: words handled against cycles taken."""

from __future__ import annotations

from collections.abc import Mapping

from ..arch.array import ArrayConfig
from .output import thousands

PHASES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("forward", "cycles_forward", ("scatter_words", "fire_groups")),
    ("error", "cycles_error", ()),
    ("gather", "cycles_gather", ("gather_words",)),
    ("update", "cycles_update", ("update_words",)),
)
"""(phase, its cycle counter, the counters of its useful words), as in the law: one word a cycle."""


def phases(counters: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """Phase -> (busy cycles, cycles); `rest` is what lies between phases. The cycles of all add up to `cycles`."""
    parts = {name: (sum(counters[word] for word in words), counters[cycles]) for name, cycles, words in PHASES}
    return {**parts, "rest": (0, counters["cycles"] - sum(cycles for _, cycles in parts.values()))}


def utilisation(counters: Mapping[str, int]) -> float:
    """Busy cycles over all cycles, 0 … 1; 0 where nothing ran."""
    busy = sum(counters[word] for _, _, words in PHASES for word in words)
    return busy / counters["cycles"] if counters["cycles"] else 0.0


def rates(counters: Mapping[str, int], array: ArrayConfig) -> dict[str, float]:
    """Per clock cycle: synaptic operations (a lane's share of a word read by SCATTER or GATHER) and weight updates.

    Operations count every lane of a word, as the memory delivers it; updates only synapses with `p != 0` and `G != 0`.
    """
    cycles = max(1, counters["cycles"])
    words = counters["scatter_words"] + counters["gather_words"]
    return {
        "synaptic_operations_per_cycle": words * array.parallel / cycles,
        "weight_updates_per_cycle": counters["weight_updates"] / cycles,
    }


def limits_text(limits: Mapping[str, float]) -> str:
    """What a board can do at most (`BoardDevice.limits`), for a table."""
    return ", ".join(thousands(limits[name], 1) for name in ("line", "array") if name in limits)

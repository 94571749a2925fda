# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from trifactor.arch.array import ArrayConfig
from trifactor.arch.registers import COUNTERS, CYCLE_COUNTERS
from trifactor.host.utilisation import PHASES, phases, rates, utilisation

COUNTED = {
    **dict.fromkeys((name for name, _ in (*COUNTERS, *CYCLE_COUNTERS)), 0),
    "scatter_words": 30, "fire_groups": 10, "gather_words": 20, "update_words": 40, "weight_updates": 150,
    "cycles": 128, "cycles_forward": 50, "cycles_error": 5, "cycles_gather": 25, "cycles_update": 45,
}  # fmt: skip


def test_every_counter_exists() -> None:
    known = {name for name, _ in (*COUNTERS, *CYCLE_COUNTERS)}
    assert {name for _, cycles, words in PHASES for name in (cycles, *words)} <= known


def test_busy_words_over_cycles() -> None:
    assert utilisation(COUNTED) == 100 / 128
    parts = {"forward": (40, 50), "error": (0, 5), "gather": (20, 25), "update": (40, 45), "rest": (0, 3)}
    assert phases(COUNTED) == parts


def test_rates_are_per_cycle() -> None:
    found = rates(COUNTED, ArrayConfig(lanes=4, cores=2))
    assert found == pytest.approx(
        {"synaptic_operations_per_cycle": 50 * 8 / 128, "weight_updates_per_cycle": 150 / 128}
    )


def test_an_idle_array_is_not_busy() -> None:
    assert utilisation(dict.fromkeys(COUNTED, 0)) == 0.0

# SPDX-License-Identifier: Apache-2.0
"""Counting, and the coordinates of the first mismatch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from trifactor.arch.device import Record
from trifactor.cosim.compare import Comparison


def recorded() -> tuple[Record, dict[str, Any]]:
    """A record of one sample of 3 steps, layers of 4 inputs, 5 and 2 neurons, and the same as the hardware gives it."""
    rng = np.random.default_rng(1)
    golden = Record(
        spikes=[rng.integers(0, 2, (1, 3, size)) for size in (5, 2)],
        membranes=[rng.integers(-99, 99, (1, 3, size)) for size in (5, 2)],
        traces=[rng.integers(0, 256, (1, 3, size)) for size in (4, 5)],
        signatures=rng.integers(0, 1 << 32, (1, 3, 3)),
    )
    rtl = {name: [layer.copy() for layer in getattr(golden, name)] for name in ("spikes", "membranes", "traces")}
    assert golden.signatures is not None
    return golden, {**rtl, "signatures": golden.signatures.copy()}


def test_equal_records_are_counted() -> None:
    golden, rtl = recorded()
    weights = [[np.zeros((4, 5)), np.zeros((5, 2))]] * 3
    rtl["weights"] = [np.zeros((1, 3, 4, 5)), np.zeros((1, 3, 5, 2))]
    comparison = Comparison()
    assert comparison.steps(golden, rtl, sample=0, weights=weights)
    assert comparison.first is None
    assert comparison.compared == 3 * (2 * 7 + 9 + 3 + 30)
    assert comparison.fields["weight"] == 90


@pytest.mark.parametrize(("name", "field"), [("membranes", "membrane"), ("spikes", "spike"), ("traces", "trace")])
def test_the_earliest_mismatch_is_named(name: str, field: str) -> None:
    golden, rtl = recorded()
    for layer, step, neuron in ((0, 2, 0), (1, 1, 1), (0, 2, 3)):
        rtl[name][layer][0, step, neuron] += 7
    comparison = Comparison(seed=5, configuration=40)
    assert not comparison.steps(golden, rtl, sample=6)
    assert comparison.mismatched == 3
    first = comparison.first
    assert first is not None
    assert (first.sample, first.step, first.layer, first.neuron, first.field) == (6, 1, 1, 1, field)
    assert first.rtl == (first.golden or 0) + 7
    said = f"golden={first.golden} rtl={first.rtl} (seed 5, configuration 40)"
    assert str(first) == f"sample=6 step=1 layer=1 neuron=1 {field}: {said}"


def test_a_weight_has_a_row() -> None:
    comparison = Comparison()
    wrong = np.zeros((3, 4), int)
    wrong[1, 2] = -1
    assert not comparison.values("weight", np.zeros((3, 4), int), wrong, layer=0)
    assert str(comparison.first) == "layer=0 row=1 neuron=2 weight: golden=0 rtl=-1"


def test_counters_are_compared_where_the_golden_model_has_them() -> None:
    comparison = Comparison()
    assert comparison.counters({"spikes": 3}, {"spikes": 3, "cycles": 10})
    assert not comparison.counters({"spikes": 3, "events": 4}, {"spikes": 2, "events": 4}, sample=1)
    assert str(comparison.first) == "sample=1 spikes: golden=3 rtl=2"
    assert comparison.compared == 3


def test_silence_is_a_mismatch() -> None:
    comparison = Comparison()
    comparison.trouble("no answer", sample=2)
    assert comparison.mismatched == comparison.compared == 1
    assert str(comparison.first) == "sample=2 answer: no answer"


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="golden has shape"):
        Comparison().values("membrane", np.zeros(3), np.zeros(4))

# SPDX-License-Identifier: Apache-2.0
"""The float baseline: explicit formulas equal to autograd, and training that learns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from trifactor.arch.errors import ConfigurationError
from trifactor.golden import baseline, floating
from trifactor.golden.coding import Coding
from trifactor.golden.data import Dataset, load
from trifactor.golden.floating import OTTT, SLTT, FloatSettings

CODING = Coding(steps=4)
SIZES = (64, 32, 10)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load("digits", limit=300)


@pytest.mark.parametrize("sizes", [(12, 9, 4), (12, 9, 8, 4), (12, 4)])
@pytest.mark.parametrize("settings", [OTTT, SLTT, FloatSettings(readout_trace_decay=0.5, logit_scale=floating.BASE_2)])
def test_explicit_formulas_are_autograd(sizes: tuple[int, ...], settings: FloatSettings) -> None:
    random = np.random.default_rng(len(sizes))
    weights = [weight.astype(np.float64) for weight in baseline.initial_weights(sizes, 3)]
    tensors = [torch.tensor(weight) for weight in weights]
    before = [weight.copy() for weight in weights]
    for _ in range(5):
        events = (random.random((7, sizes[0])) < 0.4).astype(np.int64)
        label = int(random.integers(sizes[-1]))
        baseline.learn_sample(weights, events, label, 0.5, settings)
        inputs = torch.tensor(events, dtype=torch.float64).unsqueeze(0)
        floating.descend("ottt-o", tensors, inputs, torch.tensor([label]), rate=0.5, settings=settings)
    for start, mine, theirs in zip(before, weights, tensors, strict=True):
        assert np.abs(mine - start).max() > 1e-3
        np.testing.assert_allclose(mine, theirs.numpy(), rtol=0, atol=1e-13)


def test_inputs_without_events_keep_their_weights() -> None:
    weights = baseline.initial_weights((6, 5, 3), 1)
    before = weights[0].copy()
    events = np.ones((4, 6), np.int64)
    events[:, 2] = 0
    baseline.learn_sample(weights, events, 0, 0.5)
    moved = (weights[0] != before).any(axis=1)
    assert moved.tolist() == [True, True, False, True, True, True]


@pytest.mark.parametrize(
    ("rule", "batch", "rate"), [("ottt-o", 1, 0.1), ("ottt-a", 10, 0.5), ("bptt-attached", 10, 0.5)]
)
def test_training_learns_the_digits(rule: str, batch: int, rate: float, digits: Dataset) -> None:
    reports: list[float] = []
    history = baseline.train_float(
        rule,
        digits,
        SIZES,
        coding=CODING,
        epochs=4,
        seed=1,
        rate=rate,
        batch=batch,
        progress=lambda epoch, accuracy: reports.append(accuracy),
    )
    assert history.accuracies[-1] > 0.7
    assert reports == history.accuracies
    assert len(reports) == 4
    assert [weight.shape for weight in history.weights] == [(64, 32), (32, 10)]
    assert history.samples_per_second > 0


def test_one_at_a_time_is_the_same_by_either_path(digits: Dataset) -> None:
    few = replace(digits, train_inputs=digits.train_inputs[:20], train_labels=digits.train_labels[:20])
    weights = [weight.astype(np.float64) for weight in baseline.initial_weights(SIZES, 1)]
    plan = {"coding": CODING, "epochs": 1, "seed": 1, "rate": 0.1, "weights": weights}
    fast = baseline.train_float("ottt-o", few, SIZES, **plan)  # type: ignore[arg-type]
    again = baseline.train_float("ottt-o", few, SIZES, **plan)  # type: ignore[arg-type]
    summed = baseline.train_float("ottt-a", few, SIZES, **plan)  # type: ignore[arg-type]
    assert all(np.array_equal(a, b) for a, b in zip(fast.weights, again.weights, strict=True))
    assert np.abs(fast.weights[0] - weights[0]).max() > 1e-3
    assert 0 < np.abs(fast.weights[0] - summed.weights[0]).max() < 0.1


def test_unknown_rule_is_refused(digits: Dataset) -> None:
    with pytest.raises(ConfigurationError, match="otto"):
        baseline.train_float("otto", digits, SIZES, coding=CODING, epochs=1, seed=1, rate=0.1)

# SPDX-License-Identifier: Apache-2.0
"""The error at the readout, against plain integers and against the softmax it stands for."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trifactor.arch.formats import FACTOR_MAX
from trifactor.arch.network import Layer, Network
from trifactor.arch.readout import EXP2, LOG2
from trifactor.golden import readout
from trifactor.golden.readout import ReadoutParams


def params(classes: int, error: Literal["softmax", "mse"] = "softmax", shift: int = 1) -> ReadoutParams:
    layer = Layer(inputs=4, outputs=classes, spiking=False)
    return readout.readout_params(Network(layers=(layer,), surrogate=(0,) * 16, error=error, error_shift=shift))


VALUES = st.lists(st.one_of(st.integers(-(1 << 31), 1 << 31), st.integers(-300, 300)), min_size=2, max_size=64)


@settings(deadline=None)
@given(VALUES, st.integers(0, 15))
def test_softmax_equals_the_law(values: list[int], shift: int) -> None:
    d = [min(1023, (max(values) >> shift) - (value >> shift)) for value in values]
    total = sum(EXP2[k & 31] >> (k >> 5) for k in d)
    n = total.bit_length() - 1
    level = 32 * n + LOG2[((total << 5) >> n) & 31] - 32 * 9
    d = [max(0, k + level) for k in d]
    expected = [(EXP2[k & 31] >> (k >> 5)) + 2 >> 2 for k in d]
    expected[1] = 0
    expected[1] = -min(128, sum(expected))
    assert readout.error(params(len(values), shift=shift), torch.tensor(values), 1).tolist() == expected


def test_softmax_of_two_classes_is_near_the_real_one() -> None:
    own = params(2, shift=0)
    worst = 0.0
    for gap in range(-400, 401):
        got = int(readout.error(own, torch.tensor([gap, 0]), 1)[0])
        worst = max(worst, abs(got - 128 / (1 + 2 ** (-gap / 32))))
    assert worst < 4


@settings(deadline=None)
@given(VALUES, st.integers(0, 15))
def test_mse_equals_the_law(values: list[int], shift: int) -> None:
    expected = [max(-128, min(128, (value >> shift) - 128 * (i == 0))) for i, value in enumerate(values)]
    assert readout.error(params(len(values), "mse", shift), torch.tensor(values), 0).tolist() == expected


@pytest.mark.parametrize("classes", [2, 10, 64])
def test_prediction_takes_the_lowest_index_among_equals(classes: int) -> None:
    for first in range(classes):
        values = torch.full((3, classes), -7)
        values[:, first:] = 5
        assert readout.predicted(values).tolist() == [first] * 3


@settings(deadline=None)
@given(VALUES, st.integers(0, 15), st.integers(0, 63))
def test_errors_of_a_softmax_sum_to_zero(values: list[int], shift: int, label: int) -> None:
    # Any bias here moves all readout weights together, sample after sample, until they saturate.
    own = readout.error(params(len(values), shift=shift), torch.tensor(values), label % len(values))
    wanted = int(own[label % len(values)])
    assert wanted <= 0
    # Where a label has next to no probability, the others' may round to a little more than 1.0.
    assert int(own.sum()) == 0 or (wanted == -FACTOR_MAX and 0 < int(own.sum()) <= len(values))

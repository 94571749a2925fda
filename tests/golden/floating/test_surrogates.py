# SPDX-License-Identifier: Apache-2.0
"""Surrogates on tensors are those that the array's tables are made of."""

from __future__ import annotations

import pytest
import torch

from trifactor.arch import rules
from trifactor.arch.errors import ConfigurationError
from trifactor.golden.floating.surrogates import SURROGATES, surrogate_named


@pytest.mark.parametrize("name", rules.SURROGATES)
def test_the_array_s_surrogates_are_there(name: str) -> None:
    x = torch.linspace(-3, 3, 241, dtype=torch.float64)
    expected = [rules.surrogate_value(name, value) for value in x.tolist()]
    assert surrogate_named(name)(x).tolist() == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize("name", SURROGATES)
def test_the_peak_is_one_and_the_shape_even(name: str) -> None:
    x = torch.linspace(0, 2, 101, dtype=torch.float64)
    values = SURROGATES[name](x)
    assert values[0] == 1
    assert bool((values.diff() <= 0).all())
    assert torch.equal(values, SURROGATES[name](-x))


def test_an_unknown_surrogate_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no surrogate is called 'sigmod'") as caught:
        surrogate_named("sigmod")
    assert caught.value.hint == "did you mean 'sigmoid'?"

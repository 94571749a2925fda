# SPDX-License-Identifier: Apache-2.0
"""Starting weights, fixed matrices, and those of an array."""

from __future__ import annotations

import numpy as np
import pytest

from trifactor.arch.array import ArrayConfig
from trifactor.golden.floating.network import Shape, float_network
from trifactor.golden.floating.weights import fixed_matrices, from_array, initial_weights


def test_starting_weights_have_the_variance_that_is_said() -> None:
    network = float_network("ottt-o", Shape((400, 300, 10), recurrent=True, bias=True, spiking_readout=True))
    hidden, classes, identity = initial_weights(network, 3)
    assert hidden.shape == (701, 300)
    assert hidden.dtype == np.float32
    assert hidden[:-1].var() * 700 == pytest.approx(2.0, rel=0.05)
    assert not hidden[-1].any()
    assert classes.shape == (311, 10)
    assert np.array_equal(identity, np.eye(10))
    readout = initial_weights(float_network("ottt-o", Shape((400, 300, 10))), 3)[-1]
    assert readout.var() * 300 == pytest.approx(0.5, rel=0.1)


def test_a_seed_gives_the_same_again_and_another_something_else() -> None:
    network = float_network("tess", Shape((12, 9, 4)))
    one, two, other = (initial_weights(network, seed) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))
    assert not np.array_equal(one[0], other[0])


def test_a_square_wave_is_plus_or_minus_one_over_the_neurons() -> None:
    (matrix,) = fixed_matrices(float_network("tess", Shape((12, 50, 4))), 1)
    assert matrix.shape == (50, 4)
    assert not matrix[0].any()
    assert set(np.unique(matrix[1:]).tolist()) == {np.float32(-0.02), np.float32(0.02)}
    assert matrix[3, 0] == pytest.approx(np.sign(np.sin(150)) / 50)
    assert matrix[3, 3] == pytest.approx(np.sign(np.sin(3 * 512)) / 50)


@pytest.mark.parametrize(("name", "bound"), [("tfr", 1.0), ("s-tllr-dfa", 6.0)])
def test_random_matrices_are_uniform(name: str, bound: float) -> None:
    matrices = fixed_matrices(float_network(name, Shape((12, 100, 64, 10))), 1)
    assert [matrix.shape for matrix in matrices] == [(100, 10), (64, 10)][: len(matrices)]
    reach = (bound / 100) ** 0.5
    assert 0.97 * reach < np.abs(matrices[0]).max() <= reach
    assert abs(matrices[0].mean()) < 0.1 * reach


def test_an_array_s_weights_are_what_it_computes_with() -> None:
    array = ArrayConfig(weight_bits=16, synapse_bits=8)
    (found,) = from_array(array, [np.array([[0, 255, 256], [-1, 32767, -32768]])])
    assert found.tolist() == [[0.0, 0.0, 1 / 128], [-1 / 128, 127 / 128, -1.0]]
    assert found.dtype == np.float32

# SPDX-License-Identifier: Apache-2.0
"""Encoders."""

from __future__ import annotations

import numpy as np
import pytest

from trifactor.arch import noise
from trifactor.arch.errors import ConfigurationError
from trifactor.golden import encode


def test_bernoulli_is_the_shared_hash() -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 20)).astype(np.uint8)
    got = encode.bernoulli(images, seed=77, samples=[5, 6, 1 << 31], steps=4)
    assert got.shape == (3, 4, 20)
    for b, sample in enumerate((5, 6, 1 << 31)):
        for t in range(4):
            key = noise.domain_key(noise.step_key(77, sample, t), 0, noise.Domain.ENCODE)
            assert got[b, t].tolist() == [int((noise.mix(key ^ n) >> 24) < images[b, n]) for n in range(20)]
        assert np.array_equal(encode.bernoulli(images[b], 77, sample, 4), got[b])
    assert 50 < got.sum() < 200


def test_bernoulli_rate_is_the_intensity() -> None:
    images = np.repeat(np.array([[0, 64, 128, 255]]), 500, axis=0)
    rates = encode.bernoulli(images, 1, np.arange(500), 8).mean((0, 1)) * 256
    assert rates[0] == 0
    assert rates[1:] == pytest.approx([64, 128, 255], abs=5)


@pytest.mark.parametrize("bits", range(1, 9))
def test_graded_keeps_the_upper_bits(bits: int) -> None:
    got = encode.graded(np.arange(256), bits, 3)
    assert got.shape == (3, 256)
    assert got.tolist() == [[value >> (8 - bits) for value in range(256)]] * 3
    assert np.array_equal(encode.graded(np.arange(256).reshape(2, 128), bits, 3)[1], got[:, 128:])


def test_binned_counts_and_clamps() -> None:
    times = np.array([0, 9, 10, 19, 19, 19, 20])
    channels = np.array([0, 1, 2, 0, 0, 0, 1])
    ones = encode.binned(times, channels, duration=20, steps=2, inputs=3)
    assert ones.tolist() == [[1, 1, 0], [1, 0, 1]]
    counts = encode.binned(times, channels, duration=20, steps=2, inputs=3, limit=3)
    assert counts.tolist() == [[1, 1, 0], [3, 0, 1]]
    assert encode.binned(times[:0], channels[:0], duration=20, steps=2, inputs=3).sum() == 0


def test_wrong_data_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="float64"):
        encode.graded(np.array([0.5]), 4, 2)
    with pytest.raises(ConfigurationError, match="leave 0 to 255"):
        encode.graded(np.array([256]), 4, 2)
    with pytest.raises(ConfigurationError, match="9 bits"):
        encode.graded(np.array([1]), 9, 2)
    with pytest.raises(ConfigurationError, match="belong together"):
        encode.bernoulli(np.zeros((2, 4), np.uint8), 0, [1, 2, 3], 2)
    with pytest.raises(ConfigurationError, match="2 channels"):
        encode.binned(np.array([1]), np.array([1, 2]), duration=5, steps=1, inputs=4)
    with pytest.raises(ConfigurationError, match="leave 0 to 3"):
        encode.binned(np.array([1]), np.array([4]), duration=5, steps=1, inputs=4)
    with pytest.raises(ConfigurationError, match="before the start"):
        encode.binned(np.array([-1]), np.array([0]), duration=5, steps=1, inputs=4)

# SPDX-License-Identifier: Apache-2.0
"""The hash on tensors equals the hash on integers."""

from __future__ import annotations

import doctest

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trifactor.arch import noise as arch
from trifactor.golden import noise

WORD = st.integers(0, 0xFFFFFFFF)
WORDS = st.lists(WORD, min_size=1, max_size=20)


def test_examples_in_the_docstrings() -> None:
    assert doctest.testmod(noise).failed == 0


@settings(deadline=None)
@given(WORDS)
def test_mix(words: list[int]) -> None:
    assert noise.mix(torch.tensor(words)).tolist() == [arch.mix(word) for word in words]


def test_mix_of_single_bits_and_vector_tails() -> None:
    words = [0, 0xFFFFFFFF, *(1 << bit for bit in range(32)), *(0xFFFFFFFF ^ 1 << bit for bit in range(32))]
    for length in range(1, len(words) + 1):
        assert noise.mix(torch.tensor(words[:length])).tolist() == [arch.mix(word) for word in words[:length]]


@settings(deadline=None)
@given(WORD, WORDS, st.integers(1, 5))
def test_step_keys(seed: int, samples: list[int], steps: int) -> None:
    expected = [[arch.step_key(seed, sample, step) for step in range(steps)] for sample in samples]
    assert noise.step_keys(seed, torch.tensor(samples), steps).tolist() == expected


@settings(deadline=None)
@given(WORDS, st.integers(0, 7), st.sampled_from(arch.Domain))
def test_domain_keys(keys: list[int], layer: int, domain: arch.Domain) -> None:
    expected = [arch.domain_key(key, layer, domain) for key in keys]
    assert noise.domain_keys(torch.tensor(keys), layer, domain).tolist() == expected


def test_spread_of_every_block() -> None:
    neurons = torch.arange(0, 8192)
    assert noise.spread(neurons).tolist() == [arch.spread(neuron >> 5) for neuron in range(8192)]


@settings(deadline=None)
@given(WORDS, st.lists(st.integers(0, 8191), min_size=1, max_size=40))
def test_synapse_noise(words: list[int], neurons: list[int]) -> None:
    got = noise.synapse_noise(torch.tensor(words).unsqueeze(1), torch.tensor(neurons))
    assert got.tolist() == [[arch.synapse_noise(word, neuron) for neuron in neurons] for word in words]


def test_synapse_noise_of_every_rotation() -> None:
    for word in (0, 1, 0x80000000, 0xDEADBEEF, 0xFFFFFFFF):
        got = noise.synapse_noise(torch.tensor(word), torch.arange(1024))
        assert got.tolist() == [arch.synapse_noise(word, neuron) for neuron in range(1024)]


@settings(deadline=None)
@given(WORDS)
def test_digest(words: list[int]) -> None:
    assert noise.digest(torch.tensor(words)).tolist() == [arch.digest(word) for word in words]


@settings(deadline=None)
@given(WORDS, st.lists(st.integers(0, 1 << 13), min_size=1, max_size=20))
def test_update_noise(words: list[int], neurons: list[int]) -> None:
    word = torch.tensor(words).unsqueeze(1)
    own = noise.synapse_noise(word, torch.tensor(neurons)).int()
    got = noise.update_noise(own, noise.row_noise(word).int())
    assert got.tolist() == [[arch.update_noise(word, neuron) for neuron in neurons] for word in words]
    assert noise.round_noise(noise.doubled(torch.tensor(words))).tolist() == [arch.round_noise(word) for word in words]


def rank(rows: list[int]) -> int:
    """Rank over GF(2)."""
    basis: list[int] = []
    for row in rows:
        left = row
        for other in basis:
            left = min(left, left ^ other)
        if left:
            basis.append(left)
    return len(basis)


def test_the_noise_of_an_update_and_of_its_trace_is_independent() -> None:
    # Columns of the linear map from a row's word to all 30 bits, for every rotation.
    for neuron in range(32):
        columns = [arch.update_noise(1 << bit, neuron) << 7 | arch.round_noise(1 << bit) for bit in range(32)]
        assert rank(columns) == 30


def test_the_noise_of_an_update_and_of_a_synapse_s_own_trace_is_independent() -> None:
    for neuron in range(32):
        columns = [
            arch.update_noise(1 << bit, neuron) << 7 | arch.eligibility_noise(1 << bit, neuron) for bit in range(32)
        ]
        assert rank(columns) == 30


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 8191)), min_size=1, max_size=50))
def test_eligibility_noise_is_the_arch_s(pairs: list[tuple[int, int]]) -> None:
    words, neurons = (torch.tensor(column) for column in zip(*pairs, strict=True))
    own = noise.synapse_noise(words, neurons).int()
    expected = [arch.eligibility_noise(word, neuron) for word, neuron in pairs]
    assert noise.eligibility_noise(own).tolist() == expected

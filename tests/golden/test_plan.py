# SPDX-License-Identifier: Apache-2.0
"""All noise words of a sample at once against the hash of integers, one by one."""

from __future__ import annotations

import torch

from trifactor.arch.network import Layer, Network
from trifactor.arch.noise import Domain, domain_key, mix, step_key
from trifactor.golden.learning import FactorNoise
from trifactor.golden.noise import doubled
from trifactor.golden.plan import SampleNoise, noise_plan, use_keys

SEED, SAMPLE, STEPS = 0xC0FFEE, 41, 3
NETWORK = Network(
    layers=(
        Layer(inputs=3, outputs=4, recurrent=True, bias=True, signal="local", post=1),
        Layer(inputs=4, outputs=2, signal="feedback"),
        Layer(inputs=2, outputs=5, signal="local", post=-1),
        Layer(inputs=5, outputs=3, spiking=False, bias=True),
    ),
    surrogate=(1,) * 16,
)


def words(step: int, number: int, domain: Domain, size: int) -> list[int]:
    key = domain_key(step_key(SEED, SAMPLE, step), number, domain)
    return [mix(key ^ index) for index in range(size)]


def rotl(word: int, amount: int) -> int:
    return (word << amount | word >> (32 - amount)) & 0xFFFFFFFF


def assert_factor(noise: FactorNoise, expected: list[int]) -> None:
    assert noise.word.tolist() == expected
    assert noise.round.tolist() == [word >> 25 for word in expected]


def test_every_word_is_the_hash_of_its_purpose_and_place() -> None:
    plan = noise_plan(NETWORK)
    samples = torch.tensor([SAMPLE - 1, SAMPLE])
    noise = SampleNoise(plan, use_keys(plan, SEED, samples, STEPS)[1])
    for step in range(STEPS):
        now = noise.at(step)
        assert (now.signal.keys(), now.weight.keys()) == ({0, 1, 2, 3}, {0, 1, 2, 3})
        assert (now.post.keys(), now.event.keys(), now.side.keys()) == ({0, 2}, {0, 2}, {4, 6})
        for index, layer in enumerate(NETWORK.layers):
            factor = words(step, index, Domain.SIGNAL if index < 3 else Domain.ERROR, layer.outputs)
            assert_factor(now.signal[index], factor)
            rows = doubled(torch.tensor(words(step, index, Domain.WEIGHT, layer.rows)))
            assert torch.equal(now.weight[index], rows)
            if layer.post:
                assert_factor(now.post[index], [rotl(word, 13) for word in factor])
                events = doubled(torch.tensor(words(step, index, Domain.EVENT, layer.rows)))
                assert torch.equal(now.event[index], events)
        for block in (4, 6):
            assert now.side[block].tolist() == [word >> 25 for word in words(step, block, Domain.ERROR, 3)]


def test_a_plain_network_hashes_nothing_that_it_does_not_use() -> None:
    layers = (Layer(inputs=3, outputs=4), Layer(inputs=4, outputs=2, spiking=False))
    plan = noise_plan(Network(layers=layers, surrogate=(1,) * 16))
    assert sorted(plan.sizes) == [2, 3, 4, 4]
    assert plan.event == plan.side == {}
    noise = SampleNoise(plan, use_keys(plan, SEED, torch.tensor([SAMPLE]), STEPS)[0]).at(0)
    assert noise.post == noise.event == noise.side == {}

# SPDX-License-Identifier: Apache-2.0
"""The noise hash in hardware against `arch.noise`."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Literal

import pytest
from amaranth.hdl import Module, Signal, unsigned

from trifactor.arch import noise as law
from trifactor.rtl import noise

Tabulate = Callable[..., list[tuple[int, ...]]]


def rotl(word: int, amount: int) -> int:
    amount %= 32
    return ((word << amount) | (word >> (32 - amount))) & law.WORD_MASK


@pytest.mark.parametrize("latency", [2, 6])
def test_mix_takes_a_value_a_clock_and_gives_it_back_latency_clocks_later(
    simulate: Callable[..., None], latency: Literal[2, 6]
) -> None:
    rng = random.Random(1)
    values = [0, 1, law.WORD_MASK, *(rng.getrandbits(32) for _ in range(500))]
    dut = noise.Mix(latency=latency)
    seen = []

    async def bench(ctx: Any) -> None:
        for value in (*values, *[0] * latency):
            ctx.set(dut.i, value)
            *_, output = await ctx.tick().sample(dut.o)
            seen.append(output)

    simulate(dut, bench)
    assert seen[latency:] == [law.mix(value) for value in values]


def test_rotate_left_by_every_amount(tabulate: Tabulate) -> None:
    rng = random.Random(2)
    rows = [(rng.getrandbits(32), amount) for amount in range(32) for _ in range(8)]
    got = tabulate(lambda m, value, amount: [noise.rotate_left(m, value, amount)], [unsigned(32), unsigned(5)], rows)
    assert got == [(rotl(word, amount),) for word, amount in rows]


def test_spread_of_every_block(tabulate: Tabulate) -> None:
    got = tabulate(lambda m, block: [noise.spread_value(block)], [unsigned(8)], [(block,) for block in range(256)])
    assert got == [(law.spread(block),) for block in range(256)]


@pytest.mark.parametrize("parallel", [1, 2, 4, 8, 16, 32, 64, 128])
def test_lanes_see_the_synapse_noise_of_their_neuron(tabulate: Tabulate, parallel: int) -> None:
    rng = random.Random(parallel)
    rows = [(rng.getrandbits(32), rng.randrange(8192 // parallel) * parallel) for _ in range(40)]

    def lanes(m: Any, word: Any, neuron: Any) -> list[Any]:
        words = noise.group_words(m, word, neuron, parallel)
        assert len(words) == max(1, parallel // 32)
        return [noise.lane_noise(words, offset) for offset in range(parallel)]

    got = tabulate(lanes, [unsigned(32), unsigned(16)], rows)
    for (word, neuron), values in zip(rows, got, strict=True):
        assert list(values) == [law.synapse_noise(word, neuron + offset) for offset in range(parallel)], (word, neuron)


def test_bits_of_a_row(tabulate: Tabulate) -> None:
    rng = random.Random(5)
    words = [0, law.WORD_MASK, *(rng.getrandbits(32) for _ in range(200))]
    got = tabulate(
        lambda m, word: [noise.row_noise(word), noise.round_noise(word)], [unsigned(32)], [(word,) for word in words]
    )
    assert got == [(law.row_noise(word), law.round_noise(word)) for word in words]


def test_leading_ones(tabulate: Tabulate) -> None:
    values = [
        0,
        0xFFFF,
        *(0xFFFF ^ 1 << place for place in range(16)),
        *(0xFFFF << place & 0xFFFF for place in range(16)),
    ]
    got = tabulate(lambda m, value: [noise.leading_ones(m, value)], [unsigned(16)], [(value,) for value in values])
    assert got == [(16 - (value ^ 0xFFFF).bit_length(),) for value in values]


def test_runs_of_ones_at_every_place(simulate: Callable[..., None]) -> None:
    rng = random.Random(4)
    words = [0, law.WORD_MASK, *(law.WORD_MASK ^ 1 << place for place in range(32))]
    words += [rng.getrandbits(32) | rng.getrandbits(32) | rng.getrandbits(32) for _ in range(60)]
    m = Module()
    word = Signal(32)
    beyond = Signal(5)
    ladder = noise.ones_ladder(m, word)
    runs = [Signal(5, name=f"run_{place}") for place in range(32)]
    for place, run in enumerate(runs):
        m.d.comb += run.eq(noise.run_of_ones(m, ladder, place, beyond, f"at_{place}"))
    own_runs = set()

    async def bench(ctx: Any) -> None:
        for value in words:
            ctx.set(word, value)
            ctx.set(beyond, further := rng.randrange(law.OWN_BITS, 24))
            await ctx.tick()
            for place, run in enumerate(runs):
                # Bit `place` on top, and the bits below it after it, round and round.
                on_top = rotl(value, 31 - place)
                ones = 32 - (on_top ^ law.WORD_MASK).bit_length()
                assert ctx.get(run) == (ones if ones < law.OWN_BITS else further), (hex(value), place)
                own_runs.add(min(ones, law.OWN_BITS))

    simulate(m, bench)
    assert own_runs == set(range(law.OWN_BITS + 1))


def test_digest(tabulate: Tabulate) -> None:
    rng = random.Random(3)
    values = [0, 1, law.WORD_MASK, *(rng.getrandbits(32) for _ in range(500))]
    got = tabulate(lambda m, value: [noise.digest(m, value)], [unsigned(32)], [(value,) for value in values])
    assert got == [(law.digest(value),) for value in values]


def test_low_mask_of_every_amount(tabulate: Tabulate) -> None:
    got = tabulate(lambda m, amount: [noise.low_mask(amount, 24)], [unsigned(5)], [(amount,) for amount in range(25)])
    assert got == [((1 << amount) - 1,) for amount in range(25)]

# SPDX-License-Identifier: Apache-2.0
"""The counter file against a list of integers."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from trifactor.arch.registers import COUNTERS, CYCLE_COUNTERS
from trifactor.rtl.counters import INDEX, NAMES, Counters

Simulate = Callable[..., None]
CLEAR_CLOCKS = 33


async def clear(ctx: Any, dut: Counters) -> int:
    """Clear all; gives the clocks it took."""
    ctx.set(dut.clear, 1)
    await ctx.tick()
    ctx.set(dut.clear, 0)
    clocks = 0
    while ctx.get(dut.busy):
        clocks += 1
        await ctx.tick()
    return clocks


async def read(ctx: Any, dut: Counters, index: int) -> int:
    ctx.set(dut.read, 1)
    ctx.set(dut.read_index, index)
    await ctx.tick()
    ctx.set(dut.read, 0)
    return int(ctx.get(dut.read_data))


def test_names_are_those_of_the_register_map_in_order() -> None:
    assert tuple(name for name, _ in (*COUNTERS, *CYCLE_COUNTERS)) == NAMES
    assert [INDEX[name] for name in NAMES] == list(range(len(NAMES)))
    assert len(NAMES) <= 32


def test_posts_add_up_modulo_32_bits(simulate: Simulate) -> None:
    rng = random.Random(4)
    dut = Counters()
    totals = [0] * 32
    wrapped = 0

    async def bench(ctx: Any) -> None:
        nonlocal wrapped
        await clear(ctx, dut)
        previous = None
        for _ in range(600):
            ctx.set(dut.post, 0)
            index = rng.randrange(32)
            post = index != previous and rng.random() < 0.8
            if post:
                amount = rng.choice((0, 1, rng.getrandbits(8), rng.getrandbits(32)))
                ctx.set(dut.post, 1)
                ctx.set(dut.index, index)
                ctx.set(dut.amount, amount)
                wrapped += totals[index] + amount >= 1 << 32
                totals[index] = (totals[index] + amount) % (1 << 32)
            previous = index if post else None
            await ctx.tick()
        ctx.set(dut.post, 0)
        await ctx.tick()
        assert [await read(ctx, dut, index) for index in range(32)] == totals

    simulate(dut, bench)
    assert all(totals)
    assert wrapped > 10


def test_a_read_must_wait_for_a_post_and_for_its_write(simulate: Simulate) -> None:
    dut = Counters()

    async def bench(ctx: Any) -> None:
        taken = []
        for post in (0, 1, 0, 0, 1, 1, 0, 0):
            ctx.set(dut.index, len(taken))
            ctx.set(dut.post, post)
            taken.append(ctx.get(dut.taken))
            await ctx.tick()
        assert taken == [0, 1, 1, 0, 1, 1, 1, 0]

    simulate(dut, bench)


def test_clear_zeroes_all_and_is_busy_meanwhile(simulate: Simulate) -> None:
    dut = Counters()

    async def bench(ctx: Any) -> None:
        assert await clear(ctx, dut) == CLEAR_CLOCKS
        for index in range(32):
            ctx.set(dut.post, 1)
            ctx.set(dut.index, index)
            ctx.set(dut.amount, index + 1)
            await ctx.tick()
        ctx.set(dut.post, 0)
        await ctx.tick()
        assert [await read(ctx, dut, index) for index in range(32)] == list(range(1, 33))
        assert await clear(ctx, dut) == CLEAR_CLOCKS
        assert [await read(ctx, dut, index) for index in range(32)] == [0] * 32

    simulate(dut, bench)

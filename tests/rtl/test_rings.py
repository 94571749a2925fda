# SPDX-License-Identifier: Apache-2.0
"""Samples go in as a whole, or as far as there is room; words wait for the host as long as it likes."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from trifactor.arch.events import ITEM_BITS, ItemKind, pack_item
from trifactor.rtl.rings import Ring, SampleQueue

Simulate = Callable[..., None]
DEPTH = 64
BEGIN = pack_item(ItemKind.BEGIN, row=3, shift=1)
LAST = pack_item(ItemKind.STEP, row=1)
STEP = pack_item(ItemKind.STEP)
ENDED = pack_item(ItemKind.STEP, row=3)


def sample(rng: random.Random, size: int) -> list[int]:
    """One sample of `size` items."""
    middle = (rng.choice((STEP, pack_item(ItemKind.EVENT, row=rng.randrange(99)))) for _ in range(size - 2))
    return [BEGIN, *middle, LAST]


async def push(ctx: Any, dut: SampleQueue, *items: int) -> None:
    for item in items:
        while not ctx.get(dut.room):
            await ctx.tick()
        ctx.set(dut.item, item)
        ctx.set(dut.push, 1)
        await ctx.tick()
        ctx.set(dut.push, 0)
    await ctx.tick().repeat(4)


def queue(simulate: Simulate, bench: Callable[[Any, SampleQueue, list[int]], Any], ready: float = 0.7) -> list[int]:
    """The items that came out."""
    dut = SampleQueue(depth=DEPTH, item_bits=ITEM_BITS)
    out: list[int] = []
    rng = random.Random(1)

    async def work(ctx: Any) -> None:
        await bench(ctx, dut, out)

    async def take(ctx: Any) -> None:
        now = 0
        async for _, _, valid, payload in ctx.tick().sample(dut.items.valid, dut.items.payload):
            if valid and now:
                out.append(payload)
            now = int(rng.random() < ready)
            ctx.set(dut.items.ready, now)

    simulate(dut, work, beside=[take])
    return out


def test_a_sample_comes_out_once_it_is_whole(simulate: Simulate) -> None:
    rng = random.Random(2)
    sent = [sample(rng, rng.randrange(2, 40)) for _ in range(30)]

    async def bench(ctx: Any, dut: SampleQueue, out: list[int]) -> None:
        before = 0
        for items in sent:
            await push(ctx, dut, *items[:-1])
            await ctx.tick().repeat(120)
            assert len(out) == before
            await push(ctx, dut, items[-1])
            before += len(items)
        await ctx.tick().repeat(200)
        assert ctx.get(dut.empty)
        assert ctx.get(dut.room) == DEPTH - 1

    assert queue(simulate, bench) == [item for items in sent for item in items]


def test_a_sample_without_room_comes_out_as_it_goes_in(simulate: Simulate) -> None:
    items = sample(random.Random(3), 4 * DEPTH)

    async def bench(ctx: Any, dut: SampleQueue, out: list[int]) -> None:
        await push(ctx, dut, *items)
        await ctx.tick().repeat(300)

    assert queue(simulate, bench) == items


def test_what_is_not_whole_is_forgotten(simulate: Simulate) -> None:
    rng = random.Random(4)
    kept = [sample(rng, 10) for _ in range(2)]

    async def bench(ctx: Any, dut: SampleQueue, out: list[int]) -> None:
        await push(ctx, dut, *kept[0], *sample(rng, 20)[:-1])
        ctx.set(dut.forget, 1)
        await ctx.tick().until(dut.forgotten)
        ctx.set(dut.forget, 0)
        await push(ctx, dut, *kept[1])
        await ctx.tick().repeat(100)

    assert queue(simulate, bench) == kept[0] + kept[1]


def test_what_the_array_has_begun_is_ended_without_learning(simulate: Simulate) -> None:
    rng = random.Random(5)
    begun, after = sample(rng, 30), sample(rng, 10)

    async def bench(ctx: Any, dut: SampleQueue, out: list[int]) -> None:
        await push(ctx, dut, *begun[:12])
        ctx.set(dut.release, 1)
        await ctx.tick()
        ctx.set(dut.release, 0)
        await push(ctx, dut, *begun[12:15])
        ctx.set(dut.forget, 1)
        await ctx.tick().until(dut.forgotten)
        ctx.set(dut.forget, 0)
        await push(ctx, dut, *after)
        await ctx.tick().repeat(100)

    assert queue(simulate, bench) == [*begun[:12], ENDED, *after]


def test_an_item_too_many_is_dropped_and_said(simulate: Simulate) -> None:
    said = []

    async def bench(ctx: Any, dut: SampleQueue, out: list[int]) -> None:
        for number in range(DEPTH + 2):
            ctx.set(dut.item, pack_item(ItemKind.EVENT, row=number))
            ctx.set(dut.push, 1)
            said.append(ctx.get(dut.overflow))
            await ctx.tick()
        ctx.set(dut.push, 0)

    queue(simulate, bench, ready=0.0)
    assert sum(said) >= 1
    assert not any(said[: DEPTH - 1])


def test_words_stay_until_the_tail_has_passed_them(simulate: Simulate) -> None:
    dut = Ring(depth=32, width=20)

    async def bench(ctx: Any) -> None:
        ctx.set(dut.words.valid, 1)
        for number in range(100):
            ctx.set(dut.words.payload, 7 * number)
            if number >= 31:
                assert not ctx.get(dut.words.ready)
                ctx.set(dut.tail, number - 30)
            await ctx.tick().until(dut.words.ready)
            for back in (0, min(number, 30)):
                ctx.set(dut.address, (number - back) % 32)
                ctx.set(dut.read, 1)
                ctx.set(dut.words.valid, 0)
                await ctx.tick()
                assert ctx.get(dut.data) == 7 * (number - back)
            ctx.set(dut.words.valid, 1)
        assert ctx.get(dut.head) == 100

    simulate(dut, bench)

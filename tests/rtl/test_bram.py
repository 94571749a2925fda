# SPDX-License-Identifier: Apache-2.0
"""The memory: latency, holding, and the check for collisions."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from trifactor.rtl.bram import Bram

Simulate = Callable[..., None]


@pytest.mark.parametrize(("width", "depth"), [(1, 1), (8, 5), (33, 16)])
def test_reads_follow_one_clock_later_and_hold_while_not_enabled(simulate: Simulate, width: int, depth: int) -> None:
    rng = random.Random(width)
    dut = Bram(width=width, depth=depth, check=True)
    words = [0] * depth
    reads = 0

    async def bench(ctx: Any) -> None:
        nonlocal reads
        expected = 0
        for _ in range(400):
            read, write = rng.getrandbits(1), rng.getrandbits(1)
            source, target, value = rng.randrange(depth), rng.randrange(depth), rng.getrandbits(width)
            read &= not (write and source == target)
            ctx.set(dut.read_enable, read)
            ctx.set(dut.read_address, source)
            ctx.set(dut.write_enable, write)
            ctx.set(dut.write_address, target)
            ctx.set(dut.write_data, value)
            assert ctx.get(dut.read_data) == expected, "nothing changes before the clock"
            if read:
                expected = words[source]
                reads += 1
            if write:
                words[target] = value
            await ctx.tick().repeat(Bram.latency)
            assert ctx.get(dut.read_data) == expected

    simulate(dut, bench)
    assert reads > 50


@pytest.mark.parametrize("check", [False, True])
def test_a_collision_stops_the_simulation_only_with_check(simulate: Simulate, check: bool) -> None:
    dut = Bram(width=4, depth=4, check=check)

    async def bench(ctx: Any) -> None:
        for signal in (dut.read_enable, dut.write_enable):
            ctx.set(signal, 1)
        ctx.set(dut.read_address, 2)
        ctx.set(dut.write_address, 1)
        await ctx.tick()
        ctx.set(dut.write_address, 2)
        await ctx.tick()
        await ctx.tick()

    if check:
        with pytest.raises(AssertionError, match="read and write of one word in one clock"):
            simulate(dut, bench)
    else:
        simulate(dut, bench)


def test_a_single_port_loses_the_read_of_a_clock_that_writes(simulate: Simulate) -> None:
    rng = random.Random(7)
    dut = Bram(width=8, depth=16, single_port=True)
    words = [0] * 16
    both = 0

    async def bench(ctx: Any) -> None:
        nonlocal both
        expected = 0
        for _ in range(400):
            read, write, value = rng.getrandbits(1), rng.getrandbits(1), rng.getrandbits(8)
            source, target = rng.randrange(16), rng.randrange(16)
            ctx.set(dut.read_enable, read)
            ctx.set(dut.read_address, source)
            ctx.set(dut.write_enable, write)
            ctx.set(dut.write_address, target)
            ctx.set(dut.write_data, value)
            both += read & write
            if write:
                words[target] = value
            elif read:
                expected = words[source]
            await ctx.tick()
            assert ctx.get(dut.read_data) == expected

    simulate(dut, bench)
    assert both > 50


def test_a_single_port_checked_stops_where_both_are_asked_for(simulate: Simulate) -> None:
    dut = Bram(width=4, depth=4, single_port=True, check=True)

    async def bench(ctx: Any) -> None:
        ctx.set(dut.read_enable, 1)
        ctx.set(dut.write_address, 2)
        await ctx.tick()
        ctx.set(dut.write_enable, 1)
        await ctx.tick()
        await ctx.tick()

    with pytest.raises(AssertionError, match="read and write of one word in one clock"):
        simulate(dut, bench)


@pytest.mark.parametrize(("width", "depth"), [(0, 4), (4, 0)])
def test_rejects_an_empty_memory(width: int, depth: int) -> None:
    with pytest.raises(ValueError, match=f"at least one bit and one word, not {width} x {depth}"):
        Bram(width=width, depth=depth)

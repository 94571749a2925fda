# SPDX-License-Identifier: Apache-2.0
"""The serial line: every byte, back to back, over a line that is a little too fast or too slow, and damaged ones."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from amaranth.hdl import Module

from trifactor.rtl.uart import DIVISOR_MIN, UartReceiver, UartTransmitter

Simulate = Callable[..., None]


async def send(ctx: Any, receiver: UartReceiver, byte: int, clocks: Callable[[int], int], stop: int = 1) -> None:
    """One byte on the pin, `clocks(k)` clocks for bit k."""
    for place, bit in enumerate([0, *(byte >> k & 1 for k in range(8)), stop]):
        ctx.set(receiver.rx, bit)
        await ctx.tick().repeat(clocks(place))
    ctx.set(receiver.rx, 1)


async def collect(ctx: Any, receiver: UartReceiver, found: list[int]) -> None:
    ctx.set(receiver.bytes.ready, 1)
    async for _, _, valid, payload in ctx.tick().sample(receiver.bytes.valid, receiver.bytes.payload):
        if valid:
            found.append(payload)


@pytest.mark.parametrize("divisor", [DIVISOR_MIN, 7, 16])
def test_every_byte_arrives_back_to_back(simulate: Simulate, divisor: int) -> None:
    m = Module()
    m.submodules.transmitter = transmitter = UartTransmitter(divisor=divisor)
    m.submodules.receiver = receiver = UartReceiver(divisor=divisor)
    m.d.comb += receiver.rx.eq(transmitter.tx)
    found: list[int] = []
    clocks = 0

    async def bench(ctx: Any) -> None:
        nonlocal clocks
        for byte in range(256):
            ctx.set(transmitter.bytes.payload, byte)
            ctx.set(transmitter.bytes.valid, 1)
            await ctx.tick().until(transmitter.bytes.ready)
        ctx.set(transmitter.bytes.valid, 0)
        await ctx.tick().repeat(12 * divisor)

    async def receive(ctx: Any) -> None:
        nonlocal clocks
        ctx.set(receiver.bytes.ready, 1)
        async for _, _, valid, payload in ctx.tick().sample(receiver.bytes.valid, receiver.bytes.payload):
            clocks += len(found) not in (0, 256)
            if valid:
                found.append(payload)

    simulate(m, bench, beside=[receive], limit=256 * 12 * divisor)
    assert found == list(range(256))
    assert clocks == 255 * 10 * divisor, "ten bits a byte, no more"


@pytest.mark.parametrize("longer", [-1, 1])
def test_a_line_may_be_three_per_cent_off(simulate: Simulate, longer: int) -> None:
    receiver = UartReceiver(divisor=32)
    rng = random.Random(3)
    sent = [rng.randrange(256) for _ in range(60)]
    found: list[int] = []

    async def bench(ctx: Any) -> None:
        for byte in sent:
            await send(ctx, receiver, byte, lambda place: 32 + longer)
        await ctx.tick().repeat(100)

    async def receive(ctx: Any) -> None:
        await collect(ctx, receiver, found)

    simulate(receiver, bench, beside=[receive], limit=60 * 400)
    assert found == sent


def test_noise_and_bytes_without_a_stop_bit_are_no_bytes(simulate: Simulate) -> None:
    receiver = UartReceiver(divisor=16)
    found: list[int] = []
    damaged = 0

    async def bench(ctx: Any) -> None:
        ctx.set(receiver.rx, 0)
        await ctx.tick().repeat(5)
        ctx.set(receiver.rx, 1)
        await ctx.tick().repeat(40)
        await send(ctx, receiver, 0x5A, lambda place: 16, stop=0)
        await ctx.tick().repeat(40)
        ctx.set(receiver.rx, 0)
        await ctx.tick().repeat(16 * 25)
        ctx.set(receiver.rx, 1)
        await ctx.tick().repeat(20)
        await send(ctx, receiver, 0xA5, lambda place: 16)
        await ctx.tick().repeat(40)

    async def receive(ctx: Any) -> None:
        await collect(ctx, receiver, found)

    async def count(ctx: Any) -> None:
        nonlocal damaged
        async for _, _, now in ctx.tick().sample(receiver.damaged):
            damaged += now

    simulate(receiver, bench, beside=[receive, count])
    assert found == [0xA5]
    assert damaged == 2, "the byte without a stop bit, and the break"


def test_a_bit_needs_a_few_clocks() -> None:
    for made in (UartReceiver, UartTransmitter):
        with pytest.raises(ValueError, match="4 clocks at least, not 3"):
            made(divisor=3)

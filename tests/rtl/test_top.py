# SPDX-License-Identifier: Apache-2.0
"""The whole top level through its pins: a host says hello, lights say so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cobs import cobs

from trifactor.arch.array import ArrayConfig
from trifactor.arch.link import LinkConfig
from trifactor.arch.packets import Answer, Request, pack_request, unpack_answer
from trifactor.rtl.top import Top

Simulate = Callable[..., None]
LINK = LinkConfig(divisor=4, items=64, results=32, events=32, packets=512)
CONFIGURED, ALIVE, OUTPUT, ERROR = 1, 2, 4, 8


def test_a_hello_is_answered_on_the_line_and_shown(simulate: Simulate, tiny: ArrayConfig) -> None:
    dut = Top(tiny, LINK, version="1.2.3")
    line: list[int] = []

    async def send(ctx: Any, byte: int, stop: int = 1) -> None:
        for bit in (0, *(byte >> k & 1 for k in range(8)), stop):
            ctx.set(dut.rx, bit)
            await ctx.tick().repeat(LINK.divisor)
        ctx.set(dut.rx, 1)

    async def bench(ctx: Any) -> None:
        await ctx.tick().repeat(10)
        assert ctx.get(dut.leds) == 0
        for byte in cobs.encode(pack_request(Request.HELLO, sequence=3, session=9)) + b"\0":
            await send(ctx, byte)
        await ctx.tick().repeat(30 * 10 * LINK.divisor)
        assert ctx.get(dut.leds) == CONFIGURED | ALIVE
        await send(ctx, 0x55, stop=0)
        await ctx.tick().repeat(10)
        assert ctx.get(dut.leds) == CONFIGURED | ALIVE | ERROR

    async def receive(ctx: Any) -> None:
        async for _, _, tx in ctx.tick().sample(dut.tx):
            line.append(tx)

    simulate(dut, bench, beside=[receive])
    found, at = bytearray(), 0
    while at < len(line):
        if line[at]:
            at += 1
            continue
        bits = line[at + LINK.divisor // 2 : at + 10 * LINK.divisor : LINK.divisor]
        if len(bits) == 10:
            found.append(sum(bit << k for k, bit in enumerate(bits[1:9])))
        at += 10 * LINK.divisor
    frame = bytes(found).split(b"\0")[0]
    answer = unpack_answer(cobs.decode(frame))
    assert answer is not None
    assert (answer[0].kind, answer[0].done, answer[0].session, answer[0].next) == (Answer.DONE, 3, 9, 4)

# SPDX-License-Identifier: Apache-2.0
"""How long accesses of a bus take, and what the faces of AXI4-Lite and Wishbone do beyond an answer each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from trifactor.arch.array import ArrayConfig
from trifactor.arch.bus import BusRegister, Reply, bus_address, window_bits
from trifactor.arch.link import Depths
from trifactor.arch.packets import LINK_SPACE, RESULTS_SPACE
from trifactor.arch.registers import BY_NAME, IDENTITY, Space
from trifactor.rtl.peripheral import Peripheral

Simulate = Callable[..., None]
ARRAY = ArrayConfig(
    cores=2, lanes=2, weight_words=8, groups=4, axons=16, events=8, layers=2, classes=2, signatures=True
)
DEPTHS = Depths(items=64, results=32, events=32)
BITS = window_bits(ARRAY, DEPTHS)
REGISTER_CLOCKS, MEMORY_CLOCKS = 9, 14
SEED = bus_address(Space.REGISTERS, BY_NAME["seed"].offset, BITS)
COMMAND = bus_address(Space.REGISTERS, BY_NAME["command"].offset, BITS)


async def cycle(dut: Any, ctx: Any, address: int, word: int | None = None, select: int = 15) -> tuple[int, int, bool]:
    """One cycle of Wishbone: clocks until its answer, the word, whether it was `ack`."""
    wb = dut.wb
    for port, value in ((wb.adr, address), (wb.dat_w, word or 0), (wb.we, word is not None), (wb.sel, select)):
        ctx.set(port, value)
    ctx.set(wb.cyc, 1)
    ctx.set(wb.stb, 1)
    clocks = 0
    while not (ctx.get(wb.ack) or ctx.get(wb.err)):
        await ctx.tick()
        clocks += 1
    answer = clocks, ctx.get(wb.dat_r), bool(ctx.get(wb.ack))
    await ctx.tick()
    assert (ctx.get(wb.ack), ctx.get(wb.err)) == (0, 0), "for one clock"
    ctx.set(wb.cyc, 0)
    ctx.set(wb.stb, 0)
    await ctx.tick()
    return answer


def test_every_access_has_its_time(simulate: Simulate) -> None:
    """As docs/export.md says, an array at rest; behind a clear, the clear's."""
    dut = Peripheral(ARRAY, DEPTHS, "wishbone", version="1.2.3")

    async def bench(ctx: Any) -> None:
        took: dict[bool, int] = {True: 0, False: 0}
        for offset in range(len(BY_NAME)):
            clocks, _, done = await cycle(dut, ctx, bus_address(Space.REGISTERS, offset, BITS))
            took[False] = max(took[False], clocks)
            assert done
        for space in (Space.DESCRIPTORS, Space.SURROGATE, Space.WEIGHTS, Space.MEMBRANES, Space.TRACES):
            for word in (1, None):
                clocks, _, done = await cycle(dut, ctx, bus_address(space, 3, BITS), word)
                took[True] = max(took[True], clocks)
                assert done
        for register in (BusRegister.PROTOCOL, BusRegister.PACKAGE):
            clocks, word, _ = await cycle(dut, ctx, bus_address(LINK_SPACE, register, BITS))
            assert word == {BusRegister.PROTOCOL: 1, BusRegister.PACKAGE: 0x010203}[register]
            took[False] = max(took[False], clocks)
        await cycle(dut, ctx, bus_address(RESULTS_SPACE, 31, BITS))
        assert (took[False], took[True]) == (REGISTER_CLOCKS, MEMORY_CLOCKS)
        clear, _, _ = await cycle(dut, ctx, COMMAND, 1)
        clocks, word, _ = await cycle(dut, ctx, 0)
        assert word == IDENTITY
        assert MEMORY_CLOCKS < clear + clocks < MEMORY_CLOCKS + 32
        clocks, _, done = await cycle(dut, ctx, bus_address(9, 0, BITS))
        assert not done
        assert clocks < REGISTER_CLOCKS

    simulate(dut, bench)


def test_a_broken_cycle_gets_no_answer_and_the_next_its_own(simulate: Simulate) -> None:
    dut = Peripheral(ARRAY, DEPTHS, "wishbone", version="1.2.3")

    async def bench(ctx: Any) -> None:
        wb = dut.wb
        answered = 0
        await cycle(dut, ctx, SEED, 0xCAFE)
        for length in range(1, 16):
            ctx.set(wb.adr, bus_address(Space.WEIGHTS, 0, BITS))
            ctx.set(wb.we, 0)
            ctx.set(wb.cyc, 1)
            ctx.set(wb.stb, 1)
            for _ in range(length):
                await ctx.tick()
                answered += ctx.get(wb.ack)
            ctx.set(wb.stb, 0)
            await ctx.tick()
            ctx.set(wb.cyc, 0)
            clocks, word, done = await cycle(dut, ctx, SEED)
            assert (word, done) == (0xCAFE, True), length
            assert clocks < REGISTER_CLOCKS + MEMORY_CLOCKS
        assert 0 < answered < 5

    simulate(dut, bench)


def test_a_word_is_written_whole_or_not_at_all(simulate: Simulate) -> None:
    dut = Peripheral(ARRAY, DEPTHS, "wishbone", version="1.2.3")

    async def bench(ctx: Any) -> None:
        await cycle(dut, ctx, SEED, 0xCAFE)
        for address in (SEED, bus_address(LINK_SPACE, BusRegister.RESULTS_TAIL, BITS)):
            for select in range(15):
                _, _, done = await cycle(dut, ctx, address, 0xFFFF_FFFF, select)
                assert done == (select == 0)
        assert (await cycle(dut, ctx, SEED))[1] == 0xCAFE
        assert (await cycle(dut, ctx, bus_address(LINK_SPACE, BusRegister.RESULTS_TAIL, BITS)))[1] == 0

    simulate(dut, bench)


@pytest.mark.parametrize("first", ["address", "data", "both"])
def test_address_and_data_come_in_any_order(simulate: Simulate, first: str) -> None:
    """And the answers of a write and of a read wait, each without the other, as long as it takes."""
    dut = Peripheral(ARRAY, DEPTHS, "axi-lite", version="1.2.3")

    async def bench(ctx: Any) -> None:
        axi = dut.s_axi
        for port, value in ((axi.awaddr, SEED), (axi.wdata, 0xBEEF), (axi.wstrb, 15), (axi.araddr, SEED)):
            ctx.set(port, value)
        for name in {"address": ("aw", "w"), "data": ("w", "aw"), "both": ("both",)}[first]:
            channels = ("aw", "w") if name == "both" else (name,)
            for channel in channels:
                assert ctx.get(getattr(axi, f"{channel}ready"))
                ctx.set(getattr(axi, f"{channel}valid"), 1)
            await ctx.tick()
            for channel in channels:
                ctx.set(getattr(axi, f"{channel}valid"), 0)
            if name in ("aw", "w") and (first, name) in (("address", "aw"), ("data", "w")):
                await ctx.tick().repeat(20)
                assert not ctx.get(axi.bvalid), "half a write is none"
        await ctx.tick().repeat(20)
        assert (ctx.get(axi.bvalid), ctx.get(axi.bresp)) == (1, Reply.OKAY)
        ctx.set(axi.arvalid, 1)
        await ctx.tick()
        ctx.set(axi.arvalid, 0)
        await ctx.tick().repeat(20)
        assert (ctx.get(axi.rvalid), ctx.get(axi.rdata), ctx.get(axi.rresp)) == (1, 0xBEEF, Reply.OKAY)
        assert ctx.get(axi.bvalid), "until it is taken"
        for ready, valid in ((axi.bready, axi.bvalid), (axi.rready, axi.rvalid)):
            ctx.set(ready, 1)
            await ctx.tick()
            ctx.set(ready, 0)
            assert not ctx.get(valid)

    simulate(dut, bench)

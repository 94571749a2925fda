# SPDX-License-Identifier: Apache-2.0
"""The link between bytes and an array of memory alone: every request, every answer, and what is impossible."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from cobs import cobs

from trifactor.arch.array import ArrayConfig
from trifactor.arch.events import ItemKind, pack_item
from trifactor.arch.link import LinkConfig, build_hash
from trifactor.arch.packets import (
    ADDRESS_HEADER,
    EVENTS_SPACE,
    LINK_SPACE,
    RESULTS_SPACE,
    WORDS_MAX,
    Answer,
    Header,
    LinkRegister,
    Request,
    item_bytes,
    pack_request,
    unpack_answer,
)
from trifactor.arch.registers import BY_NAME, DATA_BITS, OFFSET_BITS, Space
from trifactor.rtl.link import Link

Simulate = Callable[..., None]
NARROW = ArrayConfig(lanes=4, groups=4, axons=16, events=16, weight_words=16)
WIDE = NARROW.model_copy(update={"event_bits": 3})
LINK = LinkConfig(items=64, results=32, events=32, packets=512)
SESSION = 0x1234


class Host:
    """Sends packets in their order, and takes answers."""

    def __init__(self, dut: Link, ctx: Any) -> None:
        self.dut, self.ctx, self.sequence = dut, ctx, 0

    async def say(self, kind: int, body: bytes = b"", session: int = SESSION) -> tuple[Header, bytes]:
        """One packet, and its answer."""
        await self.send(pack_request(kind, sequence=self.sequence, session=session, body=body))
        self.sequence += 1
        return await self.answer()

    async def send(self, packet: bytes) -> None:
        dut, ctx = self.dut, self.ctx
        for byte in cobs.encode(packet) + b"\0":
            ctx.set(dut.receive.payload, byte)
            ctx.set(dut.receive.valid, 1)
            await ctx.tick().until(dut.receive.ready)
        ctx.set(dut.receive.valid, 0)

    async def answer(self) -> tuple[Header, bytes]:
        dut, ctx = self.dut, self.ctx
        frame = bytearray()
        ctx.set(dut.transmit.ready, 1)
        while not frame.endswith(b"\0"):
            (byte,) = await ctx.tick().sample(dut.transmit.payload).until(dut.transmit.valid)
            frame.append(byte)
        ctx.set(dut.transmit.ready, 0)
        found = unpack_answer(cobs.decode(bytes(frame[:-1])))
        assert found is not None
        return found

    async def read(self, space: int, offset: int, count: int) -> list[int]:
        header, body = await self.say(Request.READ, place(space, offset) + bytes([count]))
        assert header.kind == Answer.WORDS
        return [int.from_bytes(body[k : k + 4], "little") for k in range(0, len(body), 4)]


def place(space: int, offset: int, run: int = 0, skip: int = 0) -> bytes:
    return ADDRESS_HEADER.pack(space << OFFSET_BITS | offset, run, skip)


def worked(
    simulate: Simulate, bench: Callable[[Host], Awaitable[None]], array: ArrayConfig = NARROW
) -> tuple[dict[int, int], list[int]]:
    """What the array's memory holds after `bench`, and the items that it got."""
    dut = Link(array, LINK, version="1.2.3")
    memory: dict[int, int] = {}
    items: list[int] = []
    rng = random.Random(1)

    async def work(ctx: Any) -> None:
        ctx.set(dut.waiting, 1)
        host = Host(dut, ctx)
        header, _ = await host.say(Request.HELLO)
        assert (header.kind, header.done, header.session, header.next) == (Answer.DONE, 0, SESSION, 1)
        assert header.room == LINK.items - 1
        await bench(host)
        await ctx.tick().repeat(100)

    async def be_memory(ctx: Any) -> None:
        wait, answers = 0, False
        ctx.set(dut.requests.ready, 1)
        samples = ctx.tick().sample(dut.requests.valid, dut.requests.payload, dut.responses.ready)
        async for _, _, asked, request, taken in samples:
            address = request >> DATA_BITS & ((1 << 28) - 1)
            if answers and taken:
                answers = False
                ctx.set(dut.requests.ready, 1)
            elif wait:
                wait -= 1
                answers = wait == 0
            elif answers or not asked:
                pass
            elif request >> 60:
                memory[address] = request & 0xFFFF_FFFF
            else:
                ctx.set(dut.responses.payload, memory.get(address, 0))
                ctx.set(dut.requests.ready, 0)
                wait = rng.randrange(1, 6)
            ctx.set(dut.responses.valid, answers)

    async def take_items(ctx: Any) -> None:
        ctx.set(dut.items.ready, 1)
        async for _, _, valid, payload in ctx.tick().sample(dut.items.valid, dut.items.payload):
            if valid:
                items.append(payload)

    simulate(dut, work, beside=[be_memory, take_items], limit=100_000)
    return memory, items


@pytest.mark.parametrize(("run", "skip"), [(0, 0), (3, 1), (5, 3), (1, 7)])
def test_words_are_written_and_read_where_they_belong(simulate: Simulate, run: int, skip: int) -> None:
    rng = random.Random(run)
    words = [rng.getrandbits(32) for _ in range(WORDS_MAX)]
    places = [3 << OFFSET_BITS | 100 + k + (k // run * skip if run else 0) for k in range(WORDS_MAX)]

    async def bench(host: Host) -> None:
        body = b"".join(word.to_bytes(4, "little") for word in words)
        header, _ = await host.say(Request.WRITE, place(3, 100, run, skip) + body)
        assert (header.kind, header.done, header.flags & 2) == (Answer.DONE, 1, 0)
        header, body = await host.say(Request.READ, place(3, 100, run, skip) + bytes([WORDS_MAX]))
        assert (header.kind, header.length) == (Answer.WORDS, 4 * WORDS_MAX)
        assert [int.from_bytes(body[k : k + 4], "little") for k in range(0, len(body), 4)] == words

    memory, _ = worked(simulate, bench)
    assert memory == dict(zip(places, words, strict=True))


@pytest.mark.parametrize("array", [NARROW, WIDE])
def test_items_arrive_as_the_array_has_them(simulate: Simulate, array: ArrayConfig) -> None:
    size = item_bytes(array)
    sent = [
        pack_item(ItemKind.BEGIN, row=9, shift=1),
        *(pack_item(ItemKind.EVENT, row=row, shift=row % array.event_bits) for row in range(12)),
        pack_item(ItemKind.STEP, row=2),
        pack_item(ItemKind.STEP, row=1),
    ]
    assert size == (2 if array.event_bits == 1 else 3)

    async def bench(host: Host) -> None:
        line = [item & 0x7FFF | (item >> 18 & 1) << 15 if size == 2 else item for item in sent]
        half = b"".join(item.to_bytes(size, "little") for item in line[:7])
        header, _ = await host.say(Request.ITEMS, half)
        assert header.room == LINK.items - 1 - 7
        await host.say(Request.ITEMS, b"".join(item.to_bytes(size, "little") for item in line[7:]))

    _, items = worked(simulate, bench, array)
    assert items == sent


def test_results_and_spikes_wait_in_their_rings(simulate: Simulate) -> None:
    bits = NARROW.membrane_bits

    async def bench(host: Host) -> None:
        dut, ctx = host.dut, host.ctx
        for index, value in enumerate((5, -5, 0)):
            ctx.set(dut.results.payload, value & ((1 << bits) - 1) | index << bits | (index == 2) << (bits + 16))
            ctx.set(dut.results.valid, 1)
            await ctx.tick().until(dut.results.ready)
        ctx.set(dut.results.valid, 0)
        ctx.set(dut.events.payload, 1 << 16 | 77)
        ctx.set(dut.events.valid, 1)
        await ctx.tick().repeat(40)
        ctx.set(dut.events.valid, 0)
        found = await host.read(RESULTS_SPACE, 0, 3)
        assert found == [5, 1 << 16 | -5 & ((1 << bits) - 1), 1 << 31 | 2 << 16]
        assert await host.read(RESULTS_SPACE, 0, 3) == found, "as often as one likes"
        header, _ = await host.say(Request.READ, place(EVENTS_SPACE, 31) + b"\1")
        assert (header.results, header.events) == (3, LINK.events)
        tail = place(LINK_SPACE, LinkRegister.EVENTS_TAIL) + (30).to_bytes(4, "little")
        await host.say(Request.WRITE, tail)
        assert ctx.get(dut.events.ready)
        assert await host.read(LINK_SPACE, LinkRegister.RESULTS_TAIL, 2) == [0, 30]

    worked(simulate, bench)


def test_a_memory_is_not_waited_for_while_the_array_waits_for_room_in_a_ring(simulate: Simulate) -> None:
    """The host that would make room could not be heard."""

    async def bench(host: Host) -> None:
        dut, ctx = host.dut, host.ctx
        ctx.set(dut.waiting, 0)
        await host.say(Request.ITEMS, pack_item(ItemKind.STEP, row=1).to_bytes(2, "little"))
        ctx.set(dut.events.valid, 1)
        header, _ = await host.say(Request.WRITE, place(Space.REGISTERS, 9) + (4).to_bytes(4, "little"))
        assert not header.flags & 2, "a register is there at any time"
        command = place(Space.REGISTERS, BY_NAME["command"].offset) + (1).to_bytes(4, "little")
        for kind, body in (
            (Request.WRITE, place(3, 8) + bytes(8)),
            (Request.READ, place(3, 8) + b"\4"),
            (Request.WRITE, command),
        ):
            header, words = await host.say(kind, body)
            assert (header.flags, words) == (2, b"")
            header, _ = await host.say(Request.HELLO)
            assert header.flags == 0
        tail = place(LINK_SPACE, LinkRegister.EVENTS_TAIL) + (30).to_bytes(4, "little")
        await host.say(Request.WRITE, tail)
        ctx.set(dut.events.valid, 0)
        # An access that comes while the array works waits for its end.
        packet = pack_request(
            Request.WRITE, sequence=host.sequence, session=SESSION, body=place(3, 5) + (6).to_bytes(4, "little")
        )
        await host.send(packet)
        await ctx.tick().repeat(500)
        assert not ctx.get(dut.transmit.valid)
        ctx.set(dut.waiting, 1)
        header, _ = await host.answer()
        assert header.flags == 1

    memory, _ = worked(simulate, bench)
    assert memory == {Space.REGISTERS << OFFSET_BITS | 9: 4, 3 << OFFSET_BITS | 5: 6}


def test_the_link_says_what_it_is(simulate: Simulate) -> None:
    async def bench(host: Host) -> None:
        words = await host.read(LINK_SPACE, 0, len(LinkRegister))
        known = build_hash(NARROW, LINK)
        assert words[LinkRegister.HASH_HIGH] << 32 | words[LinkRegister.HASH_LOW] == known
        assert words[LinkRegister.PACKAGE] == 0x010203
        assert words[LinkRegister.CLOCK] == LINK.clock
        assert words[LinkRegister.DEPTHS] == 6 | 5 << 8 | 5 << 16 | 9 << 24

    worked(simulate, bench)


def test_what_is_out_of_order_is_asked_for_again(simulate: Simulate) -> None:
    async def bench(host: Host) -> None:
        write = place(3, 5) + (7).to_bytes(4, "little")
        await host.send(pack_request(Request.WRITE, sequence=9, session=SESSION, body=write))
        header, _ = await host.answer()
        assert (header.kind, header.done, header.next) == (Answer.AGAIN, 0, 1)
        await host.send(pack_request(Request.WRITE, sequence=1, session=SESSION + 1, body=write))
        header, _ = await host.answer()
        assert (header.kind, header.session, header.next) == (Answer.AGAIN, SESSION, 1)
        assert (await host.read(LINK_SPACE, LinkRegister.FRAMES_REFUSED, 1)) == [2]

    memory, _ = worked(simulate, bench)
    assert not memory


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (Request.READ, b"\1"),
        (Request.READ, place(3, 0) + b"\1\1"),
        (Request.READ, place(3, 0)),
        (Request.READ, place(3, 0) + bytes([61])),
        (Request.WRITE, place(3, 0)[:5]),
        (Request.WRITE, place(3, 0) + b"\1\2\3"),
        (Request.ITEMS, b"\1"),
        (99, b"whatever"),
    ],
)
def test_what_is_impossible_is_skipped_and_said(simulate: Simulate, kind: int, body: bytes) -> None:
    async def bench(host: Host) -> None:
        header, _ = await host.say(kind, body)
        assert header.flags & 2
        header, _ = await host.say(Request.WRITE, place(3, 8) + (9).to_bytes(4, "little"))
        assert (header.kind, header.flags & 2) == (Answer.DONE, 2), "until the next HELLO"
        header, _ = await host.say(Request.HELLO)
        assert not header.flags & 2

    memory, _ = worked(simulate, bench)
    assert memory == {3 << OFFSET_BITS | 8: 9}

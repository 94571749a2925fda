# SPDX-License-Identifier: Apache-2.0
"""Frames and packets against the `cobs` package and `zlib`: any content, any damage."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from cobs import cobs

from trifactor.arch.packets import (
    ANSWER_MAX,
    BODY_MAX,
    CRC_BYTES,
    Request,
    crc_matches,
    pack_request,
    with_crc,
)
from trifactor.rtl.packets import PacketReceiver, PacketTransmitter, SerialCrc

Simulate = Callable[..., None]


def framed(packet: bytes) -> bytes:
    return cobs.encode(packet) + b"\0"


async def feed(ctx: Any, dut: PacketReceiver, line: Iterable[int]) -> None:
    for byte in line:
        ctx.set(dut.line.payload, byte)
        ctx.set(dut.line.valid, 1)
        await ctx.tick().until(dut.line.ready)
    ctx.set(dut.line.valid, 0)
    await ctx.tick().repeat(3)


def received(simulate: Simulate, line: bytes, *, depth: int = 512, stall: int = 0) -> tuple[bytes, int, int]:
    """What the receiver hands out of a line, and how many frames it called damaged and refused."""
    dut = PacketReceiver(depth=depth)
    rng = random.Random(stall)
    out = bytearray()
    dropped = [0, 0]

    async def bench(ctx: Any) -> None:
        await feed(ctx, dut, line)
        await ctx.tick().repeat(4 * depth)

    async def take(ctx: Any) -> None:
        ready = 1
        ctx.set(dut.bytes.ready, ready)
        async for _, _, valid, payload in ctx.tick().sample(dut.bytes.valid, dut.bytes.payload):
            if valid and ready:
                out.append(payload)
            ready = int(not stall or rng.random() < 0.6)
            ctx.set(dut.bytes.ready, ready)

    async def count(ctx: Any) -> None:
        async for _, _, damaged, refused in ctx.tick().sample(dut.damaged, dut.refused):
            dropped[0] += damaged
            dropped[1] += refused

    simulate(dut, bench, beside=[take, count], limit=10 * len(line) + 5 * depth + 100)
    return bytes(out), *dropped


def packets(rng: random.Random, count: int, session: int = 7) -> list[bytes]:
    """A HELLO and packets in their order, with bodies of every kind."""
    made = [pack_request(Request.HELLO, sequence=0, session=session)]
    for number in range(1, count):
        size = rng.choice((0, 1, 5, 100, BODY_MAX))
        body = bytes(rng.choice((0, 0, 1, 255, rng.randrange(256))) for _ in range(size))
        made.append(pack_request(Request.WRITE, sequence=number, session=session, body=body))
    return made


def test_packets_in_their_order_arrive_without_their_crc(simulate: Simulate) -> None:
    sent = packets(random.Random(1), 25)
    for stall in (0, 5):
        found = received(simulate, b"\0\0" + b"".join(map(framed, sent)), depth=8192, stall=stall)
        assert found == (b"".join(packet[:-CRC_BYTES] for packet in sent), 0, 0)


def test_a_checksum_is_that_of_zlib_and_is_found_behind_its_bytes(simulate: Simulate) -> None:
    dut = SerialCrc()
    rng = random.Random(3)

    async def feed_byte(ctx: Any, byte: int) -> None:
        ctx.set(dut.data, byte)
        ctx.set(dut.valid, 1)
        await ctx.tick()
        ctx.set(dut.valid, 0)
        assert ctx.get(dut.busy)
        await ctx.tick().repeat(8)
        assert not ctx.get(dut.busy)

    async def bench(ctx: Any) -> None:
        for size in (1, 2, 7, 30):
            packet = rng.randbytes(size)
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            for byte in packet:
                await feed_byte(ctx, byte)
            found = bytearray()
            for _ in range(CRC_BYTES):
                assert not ctx.get(dut.match)
                found.append(ctx.get(dut.low))
                await feed_byte(ctx, ctx.get(dut.low) ^ 0xFF)
            assert packet + found == with_crc(packet)
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            for byte in with_crc(packet):
                await feed_byte(ctx, byte)
            assert ctx.get(dut.match)

    simulate(dut, bench)


def damaged_copy(rng: random.Random, frame: bytes) -> bytes:
    """A frame with a bit turned, a byte missing or too many; or noise."""
    bad = bytearray(frame)
    place = rng.randrange(len(bad) - 1)
    match rng.randrange(4):
        case 0:
            bad[place] ^= 1 << rng.randrange(8)
        case 1:
            del bad[place]
        case 2:
            bad.insert(place, rng.randrange(1, 256))
        case _:
            bad = bytearray(rng.randrange(1, 256) for _ in range(40)) + b"\0"
    return bytes(bad)


def test_what_is_out_of_order_or_of_another_session_is_refused(simulate: Simulate) -> None:
    first, second, third, fourth = packets(random.Random(2), 4)
    other = pack_request(Request.WRITE, sequence=3, session=8)
    line = [first, second, second, fourth, third, other, fourth]
    out, damaged, refused = received(simulate, b"".join(map(framed, line)), depth=2048)
    assert out == b"".join(packet[:-CRC_BYTES] for packet in (first, second, third, fourth))
    assert (damaged, refused) == (0, 3)


def test_damaged_frames_are_dropped_and_nothing_of_them_is_left(simulate: Simulate) -> None:
    rng = random.Random(4)
    total = 0
    for _ in range(12):
        sent = packets(rng, 6)
        line, damage = bytearray(), 0
        for number, packet in enumerate(sent):
            frame = framed(packet)
            # Where the good one has come before, a damaged copy of it must do no harm.
            come = number == 0 or rng.random() < 0.5
            line += frame if come else b""
            line += damaged_copy(rng, frame)
            line += b"" if come else frame
            damage += 1
        out, damaged, refused = received(simulate, bytes(line), depth=4096)
        assert out == b"".join(packet[:-CRC_BYTES] for packet in sent)
        assert damaged + refused >= 1
        total += damage
    assert total > 30


def test_a_packet_without_room_is_refused_and_comes_again(simulate: Simulate) -> None:
    dut = PacketReceiver(depth=512)
    rng = random.Random(5)
    body = bytes(rng.randrange(256) for _ in range(BODY_MAX))
    sent = [pack_request(Request.HELLO, sequence=9, session=1)]
    sent += [pack_request(Request.WRITE, sequence=10 + k, session=1, body=body) for k in range(3)]
    out = bytearray()
    go = False

    async def bench(ctx: Any) -> None:
        nonlocal go
        for packet in sent:
            await feed(ctx, dut, framed(packet))
        assert ctx.get(dut.expected) == 12, "the last one had no room"
        assert ctx.get(dut.again)
        ctx.set(dut.again_taken, 1)
        go = True
        await ctx.tick().repeat(600)
        await feed(ctx, dut, framed(sent[-1]))
        await ctx.tick().repeat(300)
        assert not ctx.get(dut.again)

    async def take(ctx: Any) -> None:
        async for _, _, valid, ready, payload in ctx.tick().sample(dut.bytes.valid, dut.bytes.ready, dut.bytes.payload):
            if valid and ready:
                out.append(payload)
            ctx.set(dut.bytes.ready, go)

    simulate(dut, bench, beside=[take])
    assert out == b"".join(packet[:-CRC_BYTES] for packet in sent)


@pytest.mark.parametrize("patient", [True, False])
def test_answers_are_framed_as_the_cobs_package_does(simulate: Simulate, patient: bool) -> None:
    dut = PacketTransmitter()
    rng = random.Random(6)
    sent = [
        bytes(ANSWER_MAX), bytes([1]) * ANSWER_MAX, bytes([255]) * 240, bytes([3]) * 239 + b"\0", b"\0", b"\5",
        *(bytes(rng.choice((0, rng.randrange(256))) for _ in range(rng.randrange(1, ANSWER_MAX))) for _ in range(30)),
        *(bytes(rng.randrange(1, 256) for _ in range(ANSWER_MAX)) for _ in range(5)),
    ]  # fmt: skip
    line = bytearray()

    async def bench(ctx: Any) -> None:
        for packet in sent:
            for place, byte in enumerate(packet):
                ctx.set(dut.bytes.payload, {"data": byte, "last": place == len(packet) - 1})
                ctx.set(dut.bytes.valid, 1)
                await ctx.tick().until(dut.bytes.ready)
            ctx.set(dut.bytes.valid, 0)
            if patient:
                await ctx.tick().until(~dut.busy)
        await ctx.tick().until(~dut.busy)

    async def take(ctx: Any) -> None:
        ready = 0
        async for _, _, valid, payload in ctx.tick().sample(dut.line.valid, dut.line.payload):
            if valid and ready:
                line.append(payload)
            # Slower than packets come, and faster.
            ready = int(rng.random() < (0.7 if len(line) // 2000 % 2 else 0.05))
            ctx.set(dut.line.ready, ready)

    simulate(dut, bench, beside=[take], limit=400_000)
    frames = bytes(line).split(b"\0")
    assert frames.pop() == b""
    found = [cobs.decode(frame) for frame in frames]
    assert found == [with_crc(packet) for packet in sent]
    assert all(crc_matches(packet) for packet in found)

# SPDX-License-Identifier: Apache-2.0
"""Packets from and to bytes of the line: COBS frames, CRC-32, and a ring that holds packets in their order alone."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..arch.array import ceil_log2
from ..arch.packets import ANSWER_MAX, BODY_MAX, CRC_BYTES, REQUEST_HEADER, Request
from .bram import Bram

BYTE = 8
FULL = 0xFF
"""The code of a COBS block of 254 bytes, which no zero follows."""

COUNT_BITS = 9


class FrameDecoder(wiring.Component):
    """COBS: `payload` is a byte of the packet while `valid`; at the frame's end `end`, `whole` if it may be one.

    One byte a clock at most, none of latency. Zeros without anything between them are no frames.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "byte": In(BYTE),
                "strobe": In(1),
                "payload": Out(BYTE),
                "valid": Out(1),
                "end": Out(1),
                "whole": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """`left` bytes of a block are to come; a zero stands before the next one unless the block was full."""
        m = Module()
        left = Signal(BYTE)
        owes_zero = Signal()
        inside = Signal()
        zero = self.byte == 0
        code = self.strobe & ~zero & (left == 0)
        m.d.comb += [
            self.payload.eq(self.byte & (left != 0).replicate(BYTE)),
            self.valid.eq(self.strobe & ~zero & ((left != 0) | owes_zero)),
            self.end.eq(self.strobe & zero & inside),
            self.whole.eq(left == 0),
        ]
        with m.If(self.strobe & zero):
            m.d.sync += [left.eq(0), owes_zero.eq(0), inside.eq(0)]
        with m.Elif(code):
            m.d.sync += [left.eq(self.byte - 1), owes_zero.eq(self.byte != FULL), inside.eq(1)]
        with m.Elif(self.strobe):
            m.d.sync += left.eq(left - 1)
        return m


class SerialCrc(wiring.Component):
    """CRC-32 of bytes, a bit a clock: `busy` for eight clocks after `valid`, in which no byte may come.

    `start` begins anew, with the byte that comes with it if there is one. `low` is the lowest byte of the checksum; if
    `low` itself, inverted, is fed, the checksum moves on by a byte. `match`: the bytes were followed by their checksum.
    """

    POLYNOMIAL = 0xEDB8_8320
    RESIDUE = 0xDEBB_20E3

    def __init__(self) -> None:
        super().__init__(
            {
                "start": In(1),
                "valid": In(1),
                "data": In(BYTE),
                "busy": Out(1),
                "low": Out(BYTE),
                "match": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """The register of the division, lowest bit first, and the byte that is on its way into it."""
        m = Module()
        register = Signal(32, init=0xFFFF_FFFF)
        bits = Signal(BYTE)
        left = Signal(range(BYTE + 1))
        m.d.comb += [
            self.busy.eq(left != 0),
            self.low.eq(~register[:BYTE]),
            self.match.eq(register == self.RESIDUE),
        ]
        with m.If(self.valid):
            m.d.sync += [bits.eq(self.data), left.eq(BYTE)]
        with m.Elif(self.busy):
            m.d.sync += [bits.eq(bits >> 1), left.eq(left - 1)]
        with m.If(self.start):
            m.d.sync += register.eq(~0)
        with m.Elif(self.busy):
            taps = Const(self.POLYNOMIAL, 32) & (register[0] ^ bits[0]).replicate(32)
            m.d.sync += register.eq((register >> 1) ^ taps)
        return m


class PacketReceiver(wiring.Component):
    """Takes packets of the host in their order, each once, and hands out their headers and bodies.

    Members
    -------
    line : In(stream)
        Bytes of the line, one in nine clocks.
    bytes : Out(stream)
        Header and body, without the CRC, of every packet that is whole and the next one of its session, or a HELLO.
    expected : Out(8)
        Number of the next packet.
    again : Out(1), again_taken : In(1)
        A packet was dropped since `again_taken` was last set: damaged, not expected, or without room.
    damaged, refused : Out(1)
        For one clock: why it was dropped.
    """

    def __init__(self, *, depth: int) -> None:
        self.depth = depth
        super().__init__(
            {
                "line": In(stream.Signature(BYTE)),
                "bytes": Out(stream.Signature(BYTE)),
                "expected": Out(8),
                "again": Out(1),
                "again_taken": In(1),
                "damaged": Out(1),
                "refused": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """A frame is written behind what was taken; its end takes it too, or forgets it."""
        m = Module()
        m.submodules.decoder = decoder = FrameDecoder()
        m.submodules.crc = crc = SerialCrc()
        m.submodules.ring = ring = Bram(width=BYTE, depth=self.depth)
        position = ceil_log2(self.depth)
        written, taken, read = Signal(position), Signal(position), Signal(position)
        count = Signal(COUNT_BITS)
        no_room = Signal()
        header = Signal(data.StructLayout({"kind": 8, "sequence": 8, "session": 16, "length": 8}))
        session = Signal(16)

        # The address of a byte and the pointer after it have as many bits: one place stays free.
        room = Signal(position)
        full = Signal()
        m.d.comb += [
            self.line.ready.eq(~crc.busy),
            decoder.byte.eq(self.line.payload),
            decoder.strobe.eq(self.line.valid & ~crc.busy),
            crc.data.eq(decoder.payload),
            crc.valid.eq(decoder.valid),
            crc.start.eq(decoder.end),
            # read - written - 1, in one adder.
            room.eq(read + ~written),
            full.eq(no_room | (room == 0)),
            ring.write_address.eq(written),
            ring.write_data.eq(decoder.payload),
            ring.write_enable.eq(decoder.valid & ~full),
        ]
        with m.If(decoder.valid):
            m.d.sync += [no_room.eq(full), count.eq(count + ~count.all())]
            with m.If(~full):
                m.d.sync += written.eq(written + 1)
            with m.If(count < REQUEST_HEADER.size):
                m.d.sync += header.as_value().eq(Cat(header.as_value()[BYTE:], decoder.payload))

        frame = REQUEST_HEADER.size + CRC_BYTES
        sound = decoder.whole & crc.match & (count == header.length + frame) & (header.length <= BODY_MAX)
        hello = header.kind == Request.HELLO
        wanted = hello | (header.session == session) & (header.sequence == self.expected)
        with m.If(self.again_taken):
            m.d.sync += self.again.eq(0)
        with m.If(decoder.end):
            m.d.sync += [count.eq(0), no_room.eq(0), written.eq(taken)]
            with m.If(~sound):
                m.d.comb += self.damaged.eq(1)
                m.d.sync += self.again.eq(1)
            with m.Elif(~wanted | no_room):
                m.d.comb += self.refused.eq(1)
                m.d.sync += self.again.eq(1)
            with m.Else():
                m.d.sync += [
                    taken.eq(written - CRC_BYTES),
                    written.eq(written - CRC_BYTES),
                    session.eq(header.session),
                    self.expected.eq(header.sequence + 1),
                ]

        m.d.comb += [
            ring.read_address.eq(read),
            ring.read_enable.eq((read != taken) & (~self.bytes.valid | self.bytes.ready)),
            self.bytes.payload.eq(ring.read_data),
        ]
        with m.If(ring.read_enable):
            m.d.sync += [read.eq(read + 1), self.bytes.valid.eq(1)]
        with m.Elif(self.bytes.ready):
            m.d.sync += self.bytes.valid.eq(0)
        return m


class PacketTransmitter(wiring.Component):
    """A packet's header and body in, `last` with the last byte; its frame, CRC included, out.

    The next packet comes in while one is on its way. With `ANSWER_MAX` bytes at most and the CRC a packet never is
    longer than one block of COBS, so no block is cut because it is full.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "bytes": In(stream.Signature(data.StructLayout({"data": BYTE, "last": 1}))),
                "line": Out(stream.Signature(BYTE)),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """One machine fills and appends the CRC; the other, for each block, finds its end, sends its code, its bytes.

        The packet that is sent ends at `end`, where the one that is filled begins.
        """
        m = Module()
        longest = ANSWER_MAX + CRC_BYTES
        assert longest < FULL
        m.submodules.crc = crc = SerialCrc()
        # Two packets, so that what is filled never reaches what is sent.
        m.submodules.buffer = buffer = Bram(width=BYTE, depth=1 << ceil_log2(2 * longest))
        written = Signal(ceil_log2(buffer.depth))
        place, end, start, stop = (Signal.like(written, name=name) for name in ("place", "end", "start", "stop"))
        appended = Signal(range(CRC_BYTES))
        taken, idle = Signal(), Signal()
        m.d.comb += [
            buffer.write_address.eq(written),
            buffer.write_data.eq(self.bytes.payload.data),
            buffer.write_enable.eq(taken),
            buffer.read_address.eq(place),
            buffer.read_enable.eq(1),
            crc.data.eq(self.bytes.payload.data),
            crc.valid.eq(taken),
        ]
        with m.If(taken):
            m.d.sync += written.eq(written + 1)
        with m.FSM(name="fill") as fill:
            with m.State("FILL"):
                m.d.comb += [
                    self.bytes.ready.eq(~crc.busy),
                    taken.eq(self.bytes.valid & ~crc.busy),
                    crc.start.eq(written == end),
                ]
                with m.If(taken & self.bytes.payload.last):
                    m.next = "APPEND"
            with m.State("APPEND"):
                m.d.comb += [taken.eq(~crc.busy), crc.data.eq(~crc.low), buffer.write_data.eq(crc.low)]
                with m.If(taken):
                    m.d.sync += appended.eq(appended + 1)
                    with m.If(appended == CRC_BYTES - 1):
                        m.next = "FILLED"
            with m.State("FILLED"), m.If(idle):
                m.next = "FILL"
        with m.FSM(name="send") as send:
            with m.State("IDLE"), m.If(fill.ongoing("FILLED")):
                m.d.sync += end.eq(written)
                m.next = "READ"
            with m.State("READ"):
                m.next = "LOOK"
            with m.State("LOOK"):
                with m.If((place == end) | (buffer.read_data == 0)):
                    m.d.sync += stop.eq(place)
                    m.next = "CODE"
                with m.Else():
                    m.d.sync += place.eq(place + 1)
                    m.next = "READ"
            with m.State("CODE"):
                m.d.comb += [self.line.valid.eq(1), self.line.payload.eq(place - start + 1)]
                with m.If(self.line.ready):
                    m.d.sync += place.eq(start)
                    m.next = "FETCH"
            with m.State("FETCH"):
                m.next = "SEND"
                with m.If(place == stop):
                    m.d.sync += [place.eq(stop + 1), start.eq(stop + 1)]
                    m.next = "READ"
                    with m.If(stop == end):
                        m.d.sync += [place.eq(end), start.eq(end)]
                        m.next = "END"
            with m.State("SEND"):
                m.d.comb += [self.line.valid.eq(1), self.line.payload.eq(buffer.read_data)]
                with m.If(self.line.ready):
                    m.d.sync += place.eq(place + 1)
                    m.next = "FETCH"
            with m.State("END"):
                m.d.comb += [self.line.valid.eq(1), self.line.payload.eq(0)]
                with m.If(self.line.ready):
                    m.next = "IDLE"
        m.d.comb += [idle.eq(send.ongoing("IDLE")), self.busy.eq(~idle | (written != end))]
        return m

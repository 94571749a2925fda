# SPDX-License-Identifier: Apache-2.0
"""Does what packets ask for: reads and writes of the address map, samples in, results and spikes kept for the host."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ..arch.array import ArrayConfig
from ..arch.events import EVENT_NEURON_BITS, ITEM_BITS, ROW_BITS
from ..arch.link import LinkConfig, build_hash, depths_word, package_word
from ..arch.packets import (
    ADDRESS_HEADER,
    ANSWER_HEADER,
    EVENTS_SPACE,
    LINK_SPACE,
    NARROW_ROW_BITS,
    PROTOCOL_VERSION,
    REQUEST_HEADER,
    RESULTS_SPACE,
    WORDS_MAX,
    Answer,
    LinkRegister,
    Request,
    item_bytes,
)
from ..arch.registers import ADDRESS_BITS, BY_NAME, DATA_BITS, OFFSET_BITS, Space
from .host import REQUEST_BITS
from .packets import BYTE, PacketReceiver, PacketTransmitter
from .rest import Rest
from .rings import COUNT_BITS, Ring, SampleQueue, result_word

WORD_BYTES = DATA_BITS // BYTE
TAILS = (LinkRegister.RESULTS_TAIL, LinkRegister.EVENTS_TAIL)


class Link(wiring.Component):
    """Between bytes of a line and the streams of an `Array` (`rtl/array.py`), by the packets of `arch.packets`.

    Without `probes` of the array no spike ever comes, and there is no ring for them.

    Members
    -------
    receive, transmit : In(stream), Out(stream)
        Bytes of the line.
    requests, responses, items, events, results, waiting
        The array's, seen from the other side.
    session : Out(1)
        A host has said HELLO.
    active : Out(1)
        Changes with every packet that was done.
    fault : Out(1)
        Since the last HELLO a packet asked for something impossible: it was skipped. So is an access to a memory, which
        waits for the array to come to rest, once that waits for room in a ring.
    """

    def __init__(self, array: ArrayConfig, link: LinkConfig, *, version: str) -> None:
        self.array = array
        self.link = link
        self.version = version
        super().__init__(
            {
                "receive": In(stream.Signature(BYTE)),
                "transmit": Out(stream.Signature(BYTE)),
                "requests": Out(stream.Signature(REQUEST_BITS)),
                "responses": In(stream.Signature(DATA_BITS)),
                "items": Out(stream.Signature(ITEM_BITS)),
                "events": In(stream.Signature(EVENT_NEURON_BITS + array.layer_bits)),
                "results": In(stream.Signature(array.membrane_bits + 17)),
                "waiting": In(1),
                "session": Out(1),
                "active": Out(1),
                "fault": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Units around one state machine that takes a byte at a time."""
        m = Module()
        m.submodules.receiver = self.receiver = PacketReceiver(depth=self.link.packets)
        m.submodules.transmitter = self.transmitter = PacketTransmitter()
        m.submodules.queue = self.queue = SampleQueue(
            depth=self.link.items, item_bits=min(ITEM_BITS, item_bytes(self.array) * BYTE)
        )
        m.submodules.result_ring = self.result_ring = Ring(depth=self.link.results, width=DATA_BITS)
        self.address = Signal(ADDRESS_BITS)
        self.damaged, self.refused = Signal(COUNT_BITS), Signal(COUNT_BITS)
        rings = ("results", "events") if self.array.probes else ("results",)
        self.tails = [Signal(COUNT_BITS, name=f"{name}_tail") for name in rings]
        self.full = Signal(2)
        m.d.comb += self.full[0].eq(self.result_ring.words.valid & ~self.result_ring.words.ready)
        if self.array.probes:
            m.submodules.event_ring = self.event_ring = Ring(
                depth=self.link.events, width=EVENT_NEURON_BITS + self.array.layer_bits
            )
            connect(m, flipped(self.events), self.event_ring.words)
            m.d.comb += [
                self.event_ring.address.eq(self.address),
                self.event_ring.read.eq(1),
                self.event_ring.tail.eq(self.tails[1]),
                self.full[1].eq(self.event_ring.words.valid & ~self.event_ring.words.ready),
            ]
        m.submodules.rest = self.rest = Rest()
        connect(m, flipped(self.receive), self.receiver.line)
        connect(m, self.transmitter.line, flipped(self.transmit))
        m.d.comb += [
            self.items.valid.eq(self.queue.items.valid),
            self.items.payload.eq(_item(self.queue.items.payload)),
            self.queue.items.ready.eq(self.items.ready),
            self.result_ring.words.valid.eq(self.results.valid),
            self.result_ring.words.payload.eq(result_word(self.results.payload, self.array.membrane_bits)),
            self.results.ready.eq(self.result_ring.words.ready),
            self.rest.waiting.eq(self.waiting),
            self.rest.fed.eq(~self.queue.empty),
        ]
        m.d.sync += [
            self.damaged.eq(self.damaged + self.receiver.damaged),
            self.refused.eq(self.refused + self.receiver.refused),
        ]
        self._execute(m)
        return m

    def _execute(self, m: Module) -> None:
        """One packet after the other, a byte at a time; between them, whether one must come again."""
        receiver, transmitter, queue = self.receiver, self.transmitter, self.queue
        source, sink = receiver.bytes, transmitter.bytes
        # Bytes that come and those that go: a request's header, then its words; the end of an answer's header, then its
        # words.
        told = Cat(
            Cat(self.rest.resting, self.fault, Const(0, 6)),
            queue.room,
            self.result_ring.head,
            self.event_ring.head if self.array.probes else Const(0, COUNT_BITS),
        )
        shift = Signal(len(told))
        word = shift[-DATA_BITS:]
        taken = Signal(3)
        request, kind = Signal(BYTE), Signal(BYTE)
        done, session = Signal(8), Signal(16)
        left, count = Signal(8), Signal(8)
        run, run_left, skip = Signal(8), Signal(8), Signal(8)
        index = Signal(range(ANSWER_HEADER.size))
        space = self.address[OFFSET_BITS:]
        header = data.StructLayout({"kind": 8, "sequence": 8, "session": 16, "length": 8})
        asked = data.View(header, shift[-header.size :])
        begins = data.StructLayout({"address": 32, "run": 8, "skip": 8})
        next_run = run_left == 1
        # While a request waits no tail moves: an array that waits for room in a ring would never come to rest.
        allowed, barred = Signal(), Signal()
        local = space >= LINK_SPACE
        command = (request == Request.WRITE) & (self.address[:OFFSET_BITS] == BY_NAME["command"].offset)
        advance = [
            self.address.eq(self.address + Mux(next_run, skip + 1, 1)),
            run_left.eq(Mux(next_run, run, run_left - 1)),
        ]
        answer = Cat(kind, done, session, Mux(kind == Answer.WORDS, count << 2, 0)[:8], receiver.expected)
        m.d.comb += [
            barred.eq(~allowed & self.full.any()),
            self.requests.payload.eq(Cat(word, self.address, request == Request.WRITE)),
            self.result_ring.address.eq(self.address),
            self.result_ring.read.eq(1),
            self.result_ring.tail.eq(self.tails[0]),
            queue.item.eq(shift[-item_bytes(self.array) * BYTE :]),
        ]

        # From a register, since memories far away are written by it. An address stands for longer than a clock.
        m.d.sync += allowed.eq(local | self.rest.resting | (space == Space.REGISTERS) & ~command)

        def take(size: int, then: str) -> None:
            """Shift bytes of a body in until there are `size`."""
            m.d.comb += source.ready.eq(1)
            with m.If(source.valid):
                m.d.sync += [shift.eq(Cat(shift[BYTE:], source.payload)), taken.eq(taken + 1), left.eq(left - 1)]
                with m.If(taken == size - 1):
                    m.d.sync += taken.eq(0)
                    m.next = then

        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += index.eq(0)
                with m.If(source.valid):
                    m.next = "HEADER"
                with m.Elif(receiver.again & ~transmitter.busy):
                    m.d.comb += receiver.again_taken.eq(1)
                    m.d.sync += kind.eq(Answer.AGAIN)
                    m.next = "SNAPSHOT"
            with m.State("HEADER"):
                take(REQUEST_HEADER.size, "DISPATCH")
            with m.State("DISPATCH"):
                m.d.sync += [
                    request.eq(asked.kind),
                    kind.eq(Answer.DONE),
                    done.eq(asked.sequence),
                    session.eq(asked.session),
                    left.eq(asked.length),
                    self.active.eq(~self.active),
                ]
                m.next = "SKIP"
                with m.Switch(asked.kind):
                    with m.Case(Request.HELLO):
                        m.next = "HELLO"
                    with m.Case(Request.READ, Request.WRITE):
                        with m.If(asked.length >= ADDRESS_HEADER.size):
                            m.next = "ADDRESS"
                        with m.Else():
                            m.d.sync += self.fault.eq(1)
                    with m.Case(Request.ITEMS):
                        m.next = "ITEM"
                    with m.Case(Request.RELEASE):
                        m.d.comb += queue.release.eq(1)
                    with m.Default():
                        m.d.sync += self.fault.eq(1)
            with m.State("HELLO"):
                m.d.comb += queue.forget.eq(1)
                m.d.sync += [self.session.eq(1), self.fault.eq(0)]
                with m.If(queue.forgotten):
                    m.next = "SKIP"
            with m.State("ADDRESS"):
                take(ADDRESS_HEADER.size, "BEGIN")
            with m.State("BEGIN"):
                first = data.View(begins, shift[-begins.size :])
                m.d.sync += [
                    self.address.eq(first.address),
                    run.eq(first.run),
                    run_left.eq(first.run),
                    skip.eq(first.skip),
                ]
                m.next = "WORD"
                with m.If(request == Request.READ):
                    m.next = "COUNT"
            with m.State("COUNT"):
                with m.If(left != 1):
                    m.d.sync += self.fault.eq(1)
                    m.next = "SKIP"
                with m.Else():
                    take(1, "COUNTED")
            with m.State("COUNTED"):
                m.d.sync += [count.eq(shift[-BYTE:]), kind.eq(Answer.WORDS)]
                with m.If(allowed | barred):
                    m.next = "SNAPSHOT"
                with m.If(barred | (shift[-BYTE:] > WORDS_MAX)):
                    m.d.sync += [count.eq(0), self.fault.eq(1)]
            with m.State("WORD"):
                with m.If((left < WORD_BYTES) & (taken == 0)):
                    m.d.sync += self.fault.eq(self.fault | (left != 0))
                    m.next = "SKIP"
                with m.Else():
                    take(WORD_BYTES, "STORE")
            with m.State("STORE"):
                m.d.comb += self.requests.valid.eq(~local & allowed)
                with m.If(local | allowed & self.requests.ready | barred):
                    m.d.sync += [self.fault.eq(self.fault | barred), *advance]
                    m.next = "WORD"
                with m.If(space == LINK_SPACE):
                    for tail, register in zip(self.tails, TAILS, strict=False):
                        with m.If(self.address[:4] == register):
                            m.d.sync += tail.eq(word)
            with m.State("ITEM"):
                with m.If((left < item_bytes(self.array)) & (taken == 0)):
                    m.d.sync += self.fault.eq(self.fault | (left != 0))
                    m.next = "SKIP"
                with m.Else():
                    take(item_bytes(self.array), "PUSH")
            with m.State("PUSH"):
                m.d.comb += queue.push.eq(1)
                with m.If(queue.overflow):
                    m.d.sync += self.fault.eq(1)
                m.next = "ITEM"
            with m.State("SKIP"):
                m.d.comb += source.ready.eq(left != 0)
                with m.If(left == 0):
                    m.next = "SNAPSHOT"
                with m.Elif(source.valid):
                    m.d.sync += left.eq(left - 1)
            with m.State("SNAPSHOT"):
                m.d.sync += shift.eq(told)
                m.next = "ANSWER"
            with m.State("ANSWER"):
                stored = len(answer) // BYTE
                ends = index == ANSWER_HEADER.size - 1
                words = (kind == Answer.WORDS) & (count != 0)
                m.d.comb += [
                    sink.valid.eq(1),
                    sink.payload.data.eq(Mux(index < stored, answer.word_select(index, BYTE), shift[:BYTE])),
                    sink.payload.last.eq(ends & ~words),
                ]
                with m.If(sink.ready):
                    m.d.sync += index.eq(index + 1)
                    with m.If(index >= stored):
                        m.d.sync += shift.eq(shift >> BYTE)
                    with m.If(ends):
                        m.next = "IDLE"
                        with m.If(words):
                            m.next = "FETCH"
            with m.State("FETCH"):
                m.d.comb += self.requests.valid.eq(~local & allowed)
                with m.If(local):
                    m.next = "LOCAL"
                with m.Elif(allowed & self.requests.ready):
                    m.next = "RESPONSE"
                with m.Elif(barred):
                    m.d.sync += self.fault.eq(1)
                    m.next = "SEND"
            with m.State("LOCAL"):
                m.d.sync += word.eq(self._local(m, space))
                m.next = "SEND"
            with m.State("RESPONSE"):
                m.d.comb += self.responses.ready.eq(1)
                with m.If(self.responses.valid):
                    m.d.sync += word.eq(self.responses.payload)
                    m.next = "SEND"
            with m.State("SEND"):
                ends = taken == WORD_BYTES - 1
                m.d.comb += [
                    sink.valid.eq(1),
                    sink.payload.data.eq(word[:BYTE]),
                    sink.payload.last.eq(ends & (count == 1)),
                ]
                with m.If(sink.ready):
                    m.d.sync += [shift.eq(shift >> BYTE), taken.eq(taken + 1)]
                    with m.If(ends):
                        m.d.sync += [taken.eq(0), count.eq(count - 1), *advance]
                        m.next = "FETCH"
                        with m.If(count == 1):
                            m.next = "IDLE"

    def _local(self, m: Module, space: Value) -> Signal:
        """The word at `address` of the link's own spaces."""
        known = build_hash(self.array, self.link)
        constants = {
            LinkRegister.PROTOCOL: PROTOCOL_VERSION,
            LinkRegister.HASH_LOW: known & 0xFFFF_FFFF,
            LinkRegister.HASH_HIGH: known >> 32,
            LinkRegister.PACKAGE: package_word(self.version),
            LinkRegister.CLOCK: self.link.clock,
            LinkRegister.DEPTHS: depths_word(self.link),
            LinkRegister.FRAMES_DAMAGED: self.damaged,
            LinkRegister.FRAMES_REFUSED: self.refused,
            **dict(zip(TAILS, self.tails, strict=False)),
        }
        word = Signal(DATA_BITS)
        with m.Switch(space):
            with m.Case(RESULTS_SPACE):
                m.d.comb += word.eq(self.result_ring.data)
            if self.array.probes:
                with m.Case(EVENTS_SPACE):
                    m.d.comb += word.eq(self.event_ring.data)
            with m.Default(), m.Switch(self.address[:4]):
                for register, value in constants.items():
                    with m.Case(register):
                        m.d.comb += word.eq(value)
        return word


def _item(line: Value) -> Value:
    """An item as the array has it, from its 2 or 3 bytes (`arch.packets.item_bytes`), as they wait in the queue."""
    if len(line) > 2 * BYTE:
        return line[:ITEM_BITS]
    kind_and_row = line[: 2 + NARROW_ROW_BITS]
    return Cat(kind_and_row, Const(0, ROW_BITS - NARROW_ROW_BITS), line[-1])

# SPDX-License-Identifier: Apache-2.0
"""An array as a peripheral, whatever the bus: one access after the other, each with an answer."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ..arch.array import ArrayConfig
from ..arch.bus import (
    BUS_REGISTERS,
    BUS_VERSION,
    BYTE_BITS,
    CONTROL_FORGET,
    CONTROL_RELEASE,
    SPACE_BITS,
    BusRegister,
    Reply,
    window_bits,
    windows,
)
from ..arch.events import EVENT_NEURON_BITS, ITEM_BITS
from ..arch.link import Depths, build_hash, package_word
from ..arch.packets import EVENTS_SPACE, LINK_SPACE, RESULTS_SPACE
from ..arch.registers import BY_NAME, DATA_BITS, OFFSET_BITS, REGISTERS, Space
from .host import REQUEST_BITS
from .rest import Rest
from .rings import COUNT_BITS, Ring, SampleQueue, result_word

BYTES = DATA_BITS // 8


def access_layout(address_bits: int) -> data.StructLayout:
    """An access: word address (the space highest), data, bytes that are written, whether it writes."""
    return data.StructLayout({"address": address_bits, "data": DATA_BITS, "strobes": BYTES, "write": 1})


ANSWER_LAYOUT = data.StructLayout({"data": DATA_BITS, "reply": 2})


class Bridge(wiring.Component):
    """Between accesses of a bus and the streams of an `Array` (`rtl/array.py`); addresses are those of `arch.bus`.

    Every access is answered within a bounded time, whatever the array does and whatever the host leaves undone:

    - DECERR where there is no word;
    - SLVERR, and nothing done, for a write of part of a word or of what is read only, for an access to a memory (or the
      command that clears them) while the array is not at rest, for an item that has no room, for a `forget` that has
      none.

    A write without any byte is answered and does nothing. What can only be written reads as 0.

    Members
    -------
    accesses, answers : In(stream), Out(stream)
        `access_layout(word_bits)` and `ANSWER_LAYOUT`, one answer for each access.
    requests, responses, items, events, results, waiting
        The array's, seen from the other side.
    resting : Out(1)
        The array is at rest: nothing is in work, all results and recorded spikes are in their rings. Only items end it.
    """

    def __init__(self, array: ArrayConfig, depths: Depths, *, version: str) -> None:
        self.array = array
        self.depths = depths
        self.version = version
        self.offset_bits = window_bits(array, depths) - BYTE_BITS
        self.word_bits = SPACE_BITS + self.offset_bits
        super().__init__(
            {
                "accesses": In(stream.Signature(access_layout(self.word_bits))),
                "answers": Out(stream.Signature(ANSWER_LAYOUT)),
                "requests": Out(stream.Signature(REQUEST_BITS)),
                "responses": In(stream.Signature(DATA_BITS)),
                "items": Out(stream.Signature(ITEM_BITS)),
                "events": In(stream.Signature(EVENT_NEURON_BITS + array.layer_bits)),
                "results": In(stream.Signature(array.membrane_bits + 17)),
                "waiting": In(1),
                "resting": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """A queue and two rings around one state machine."""
        m = Module()
        m.submodules.queue = self.queue = SampleQueue(depth=self.depths.items, item_bits=ITEM_BITS)
        m.submodules.result_ring = self.result_ring = Ring(depth=self.depths.results, width=DATA_BITS)
        m.submodules.event_ring = self.event_ring = Ring(
            depth=self.depths.events, width=EVENT_NEURON_BITS + self.array.layer_bits
        )
        self.access = Signal(access_layout(self.word_bits))
        self.offset = self.access.address[: self.offset_bits]
        self.space = self.access.address[self.offset_bits :]
        self.fault = Signal()
        self.tails = {
            BusRegister.RESULTS_TAIL: Signal(COUNT_BITS, name="results_tail"),
            BusRegister.EVENTS_TAIL: Signal(COUNT_BITS, name="events_tail"),
        }
        m.submodules.rest = rest = Rest()
        connect(m, self.queue.items, flipped(self.items))
        connect(m, flipped(self.events), self.event_ring.words)
        m.d.comb += [
            rest.waiting.eq(self.waiting),
            rest.fed.eq(~self.queue.empty),
            self.resting.eq(rest.resting),
            self.result_ring.words.valid.eq(self.results.valid),
            self.result_ring.words.payload.eq(result_word(self.results.payload, self.array.membrane_bits)),
            self.results.ready.eq(self.result_ring.words.ready),
            self.queue.item.eq(self.access.data),
        ]
        for ring, register in (
            (self.result_ring, BusRegister.RESULTS_TAIL),
            (self.event_ring, BusRegister.EVENTS_TAIL),
        ):
            m.d.comb += [ring.address.eq(self.offset), ring.read.eq(1), ring.tail.eq(self.tails[register])]
        self._execute(m)
        return m

    def _decode(self, m: Module) -> tuple[Signal, Signal, Signal]:
        """Whether there is a word at the address, whether it can be written, whether that needs an array at rest."""
        there, writable, memory = Signal(), Signal(), Signal()
        registers = {
            Space.REGISTERS: [item.offset for item in REGISTERS if item.access != "ro"],
            LINK_SPACE: [int(register) for register, (access, _, _) in BUS_REGISTERS.items() if access != "ro"],
        }
        with m.Switch(self.space):
            for window in windows(self.array, self.depths):
                with m.Case(window.space):
                    m.d.comb += there.eq(self.offset < window.words)
                    if window.space in registers:
                        m.d.comb += writable.eq(self.offset.matches(*registers[window.space]))
                    else:
                        m.d.comb += writable.eq(window.access == "rw")
                    if window.space == Space.REGISTERS:
                        command = self.access.write & (self.offset == BY_NAME["command"].offset)
                        m.d.comb += memory.eq(command & self.access.data[0])
                    elif window.space < LINK_SPACE:
                        m.d.comb += memory.eq(1)
        return there, writable, memory

    def _execute(self, m: Module) -> None:
        """Take an access, see whether it can be, do it, answer."""
        access, answer = self.access, Signal(ANSWER_LAYOUT)
        there, writable, memory = self._decode(m)
        address = Cat(self.offset, Const(0, OFFSET_BITS - self.offset_bits), self.space)
        m.d.comb += [
            self.requests.payload.eq(Cat(access.data, address, access.write)),
            self.answers.payload.eq(answer),
        ]
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.accesses.ready.eq(1)
                m.d.sync += [access.eq(self.accesses.payload), answer.eq(0)]
                with m.If(self.accesses.valid):
                    m.next = "CHECK"
            with m.State("CHECK"):
                m.next = "ANSWER"
                with m.If(~there):
                    m.d.sync += answer.reply.eq(Reply.DECERR)
                with m.Elif(access.write & (access.strobes == 0)):
                    pass
                with m.Elif(access.write & (~access.strobes.all() | ~writable) | memory & ~self.resting):
                    m.d.sync += answer.reply.eq(Reply.SLVERR)
                with m.Elif(self.space < LINK_SPACE):
                    m.next = "ARRAY"
                with m.Elif(access.write):
                    with m.If(self._write(m)):
                        m.d.sync += answer.reply.eq(Reply.SLVERR)
                with m.Else():
                    m.next = "LOCAL"
            with m.State("LOCAL"):
                m.d.sync += answer.data.eq(self._read(m))
                m.next = "ANSWER"
            with m.State("ARRAY"):
                m.d.comb += self.requests.valid.eq(1)
                with m.If(self.requests.ready):
                    m.next = "ANSWER"
                    with m.If(~access.write):
                        m.next = "RESPONSE"
            with m.State("RESPONSE"):
                m.d.comb += self.responses.ready.eq(1)
                m.d.sync += answer.data.eq(self.responses.payload)
                with m.If(self.responses.valid):
                    m.next = "ANSWER"
            with m.State("ANSWER"):
                m.d.comb += self.answers.valid.eq(1)
                with m.If(answer.reply != Reply.OKAY):
                    m.d.sync += self.fault.eq(1)
                with m.If(self.answers.ready):
                    m.next = "IDLE"

    def _write(self, m: Module) -> Value:
        """Write one of the bus's own registers; whether that cannot be."""
        queue, word = self.queue, self.access.data
        refused = Signal()
        with m.Switch(self.offset):
            for register, tail in self.tails.items():
                with m.Case(register):
                    m.d.sync += tail.eq(word)
            with m.Case(BusRegister.ITEM):
                m.d.comb += [queue.push.eq(1), refused.eq(queue.overflow)]
            with m.Case(BusRegister.CONTROL):
                forget = (word & CONTROL_FORGET).any()
                m.d.comb += [
                    queue.forget.eq(forget),
                    queue.release.eq(~forget & (word & CONTROL_RELEASE).any()),
                    refused.eq(forget & ~queue.forgotten),
                ]
                with m.If(forget):
                    m.d.sync += self.fault.eq(0)
        return refused

    def _read(self, m: Module) -> Value:
        """The word at the address, of the bus's own spaces."""
        known = build_hash(self.array, self.depths)
        values = {
            BusRegister.PROTOCOL: BUS_VERSION,
            BusRegister.HASH_LOW: known & 0xFFFF_FFFF,
            BusRegister.HASH_HIGH: known >> 32,
            BusRegister.PACKAGE: package_word(self.version),
            BusRegister.DEPTHS: self.depths.logarithms,
            **self.tails,
            BusRegister.RESULTS_HEAD: self.result_ring.head,
            BusRegister.EVENTS_HEAD: self.event_ring.head,
            BusRegister.ROOM: self.queue.room,
            BusRegister.FLAGS: Cat(self.resting, self.fault),
        }
        word = Signal(DATA_BITS)
        with m.Switch(self.space):
            with m.Case(RESULTS_SPACE):
                m.d.comb += word.eq(self.result_ring.data)
            with m.Case(EVENTS_SPACE):
                m.d.comb += word.eq(self.event_ring.data)
            with m.Default(), m.Switch(self.offset):
                for register, value in values.items():
                    with m.Case(register):
                        m.d.comb += word.eq(value)
        return word

# SPDX-License-Identifier: Apache-2.0
"""What waits between the link and the array: samples that go in as a whole, and words that the host comes for."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..arch.array import ceil_log2
from ..arch.events import ItemKind, pack_item
from ..arch.packets import RESULT_INDEX_BITS
from .bram import Bram

COUNT_BITS = 16


class SampleQueue(wiring.Component):
    """Items of samples: the array sees a sample once all of it is there, or no more has room.

    Members
    -------
    push, item : In
        An item arrives; `overflow` for one clock where there was no room for it.
    items : Out(stream)
        To the array.
    release : In(1)
        The array may have what is there of a sample that is not whole.
    forget : In(1), forgotten : Out(1)
        A sample that is not whole is dropped, or ended by a step that does not learn if the array has a part of it.
        `forget` is held until `forgotten`.
    room : Out(16)
        Items that can be pushed. `empty`: nothing waits.
    """

    def __init__(self, *, depth: int, item_bits: int) -> None:
        self.depth = depth
        self.item_bits = item_bits
        super().__init__(
            {
                "push": In(1),
                "item": In(item_bits),
                "overflow": Out(1),
                "items": Out(stream.Signature(item_bits)),
                "release": In(1),
                "forget": In(1),
                "forgotten": Out(1),
                "room": Out(COUNT_BITS),
                "empty": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """A ring with two pointers to write: behind the last item, and behind the last whole sample."""
        m = Module()
        position = ceil_log2(self.depth)
        m.submodules.ring = ring = Bram(width=self.item_bits, depth=self.depth)
        written, whole, read = Signal(position), Signal(position), Signal(position)
        part = Signal()
        room = Signal(position)
        ends = (self.item[:2] == ItemKind.STEP) & self.item[2]
        end = Const(pack_item(ItemKind.STEP, row=0b11), self.item_bits)
        full = room == 0
        m.d.comb += [
            # read - written - 1, in one adder.
            room.eq(read + ~written),
            self.room.eq(room),
            self.overflow.eq(self.push & full),
            self.forgotten.eq(self.forget & (~part | ~full)),
            ring.write_address.eq(written),
            ring.write_data.eq(self.item),
            ring.write_enable.eq(self.push & ~full),
        ]
        with m.If(self.push & ~full):
            m.d.sync += written.eq(written + 1)
            with m.If(ends):
                m.d.sync += [whole.eq(written + 1), part.eq(0)]
        with m.Elif(self.forget & part):
            m.d.comb += [ring.write_address.eq(whole), ring.write_data.eq(end), ring.write_enable.eq(~full)]
            with m.If(~full):
                m.d.sync += [written.eq(whole + 1), whole.eq(whole + 1), part.eq(0)]
        with m.Elif(self.forget):
            m.d.sync += written.eq(whole)
        with m.Elif((self.release | full & (read == whole)) & (written != whole)):
            m.d.sync += [whole.eq(written), part.eq(1)]

        m.d.comb += [
            ring.read_address.eq(read),
            ring.read_enable.eq((read != whole) & (~self.items.valid | self.items.ready)),
            self.items.payload.eq(ring.read_data),
            self.empty.eq((read == whole) & ~self.items.valid),
        ]
        with m.If(ring.read_enable):
            m.d.sync += [read.eq(read + 1), self.items.valid.eq(1)]
        with m.Elif(self.items.ready):
            m.d.sync += self.items.valid.eq(0)
        return m


class Ring(wiring.Component):
    """Words of a stream, kept until the host has moved `tail` past them; it may read them as often as it likes.

    `head` counts the words that ever came, `tail` those that are no longer wanted, modulo 65 536. `depth - 1` of them
    find room, and one more that comes right behind. `data` is the word at `address` one clock after `read`.
    """

    def __init__(self, *, depth: int, width: int) -> None:
        self.depth = depth
        self.width = width
        super().__init__(
            {
                "words": In(stream.Signature(width)),
                "head": Out(COUNT_BITS),
                "tail": In(COUNT_BITS),
                "read": In(1),
                "address": In(ceil_log2(depth)),
                "data": Out(width),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """A memory and a counter."""
        m = Module()
        m.submodules.memory = memory = Bram(width=self.width, depth=self.depth)
        waiting = Signal(COUNT_BITS)
        m.d.comb += [
            waiting.eq(self.head - self.tail),
            memory.write_address.eq(self.head),
            memory.write_data.eq(self.words.payload),
            memory.write_enable.eq(self.words.valid & self.words.ready),
            memory.read_address.eq(self.address),
            memory.read_enable.eq(self.read),
            self.data.eq(memory.read_data),
        ]
        # From a register, since far away the array stops by it; a word may still come in the clock that it is late.
        m.d.sync += self.words.ready.eq(waiting < self.depth - 1)
        with m.If(memory.write_enable):
            m.d.sync += self.head.eq(self.head + 1)
        return m


def result_word(result: Value, value_bits: int) -> Value:
    """A result of the array as one word: the value in bits 15..0, its index, whether it is the sample's last."""
    index, last = result[value_bits : value_bits + RESULT_INDEX_BITS], result[value_bits + 16]
    return Cat(result[:value_bits], Const(0, 16 - value_bits), index, last)

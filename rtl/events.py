# SPDX-License-Identifier: Apache-2.0
"""Event lists: what a layer reads in a step. The input's are filled from the host's stream, the others by FIRE."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..arch.array import ArrayConfig, ceil_log2
from ..arch.events import ITEM_BITS, ROW_BITS, ItemKind
from .bram import Bram

REGIONS = 4
"""Two for the input, of which one fills while the other is in work; two for spikes, of even and of odd layers."""


def entry_layout(config: ArrayConfig) -> data.StructLayout:
    """An entry of an event list: the row receives `2**shift`; spikes have no shift."""
    shift = {"shift": 3} if config.event_bits > 1 else {}
    return data.StructLayout({"row": config.row_bits, **shift})


class Events(wiring.Component):
    """The lists and the loader of the input stream.

    A list is addressed as region and index. SCATTER and the trace sweep read independently (two copies of one memory).
    `ready_step` says that the region `current` holds a whole step; `release` gives it back. `fault` codes: bit 0 list
    overflow, bit 1 row out of range or out of order, bit 2 item out of place.
    """

    def __init__(self, config: ArrayConfig) -> None:
        self.config = config
        index = In(config.count_bits)
        super().__init__(
            {
                "items": In(stream.Signature(ITEM_BITS)),
                "inputs": In(16),
                "ready_step": Out(1),
                "release": In(1),
                "current": Out(1),
                "count": Out(config.count_bits),
                "first": Out(1),
                "last": Out(1),
                "learn": Out(1),
                "closed": Out(1),
                "label": Out(8),
                "empty": Out(1),
                "fault": Out(3),
                "clear_fault": In(1),
                "push": In(1),
                "push_region": In(1),
                "push_index": index,
                "push_row": In(config.row_bits),
                "scatter_region": In(2),
                "scatter_index": index,
                "scatter_read": In(1),
                "scatter": Out(entry_layout(config)),
                "sweep_region": In(2),
                "sweep_index": index,
                "sweep_read": In(1),
                "sweep": Out(entry_layout(config)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Two memories written alike; FIRE's pushes go before the input's."""
        m = Module()
        config = self.config
        index_bits = max(1, ceil_log2(config.events))
        width = len(self.scatter.as_value())
        m.submodules.scatter_list = scatter_list = Bram(width=width, depth=REGIONS << index_bits)
        m.submodules.sweep_list = sweep_list = Bram(width=width, depth=REGIONS << index_bits)

        loading = Signal()
        full = Signal(2)
        counts = [Signal(config.count_bits, name=f"count_{region}") for region in range(2)]
        flags = [
            Signal(
                data.StructLayout({"first": 1, "last": 1, "learn": 1, "closed": 1, "label": 8}), name=f"flags_{region}"
            )
            for region in range(2)
        ]
        in_sample = Signal()
        first = Signal()
        learn = Signal()
        label = Signal(8)
        previous = Signal(ROW_BITS)

        item = self.items.payload
        kind, row, shift = item[:2], item[2 : 2 + ROW_BITS], item[2 + ROW_BITS :]
        accept = self.items.valid & self.items.ready
        is_event = accept & (kind == ItemKind.EVENT)
        fill = Mux(loading, counts[1], counts[0])
        wrong_row = (row >= self.inputs) | (row < previous)
        store = is_event & in_sample & ~wrong_row & (fill != config.events)
        stored = Signal(entry_layout(config))
        m.d.comb += [
            self.items.ready.eq(~Mux(loading, full[1], full[0]) & ~self.push),
            stored.row.eq(Mux(self.push, self.push_row, row)),
        ]
        if config.event_bits > 1:
            m.d.comb += stored.shift.eq(Mux(self.push, 0, shift))
        region = Cat(Mux(self.push, self.push_region, loading), self.push)
        address = Mux(self.push, self.push_index, fill)
        for memory in (scatter_list, sweep_list):
            m.d.comb += [
                memory.write_enable.eq(self.push | store),
                memory.write_address.eq(Cat(address[:index_bits], region)),
                memory.write_data.eq(stored.as_value()),
            ]
        self._read(m, scatter_list, self.scatter_region, self.scatter_index, self.scatter_read, self.scatter)
        self._read(m, sweep_list, self.sweep_region, self.sweep_index, self.sweep_read, self.sweep)

        with m.If(store):
            m.d.sync += previous.eq(row)
            for number in range(2):
                with m.If(loading == number):
                    m.d.sync += counts[number].eq(counts[number] + 1)
        with m.If(accept & (kind == ItemKind.STEP) & in_sample):
            m.d.sync += [loading.eq(~loading), previous.eq(0), first.eq(0)]
            with m.If(row[0]):
                m.d.sync += in_sample.eq(0)
            for number in range(2):
                with m.If(loading == number):
                    m.d.sync += [
                        full[number].eq(1),
                        flags[number].first.eq(first),
                        flags[number].last.eq(row[0]),
                        flags[number].learn.eq(learn),
                        flags[number].closed.eq(row[1]),
                        flags[number].label.eq(label),
                    ]
        with m.If(accept & (kind == ItemKind.BEGIN)):
            m.d.sync += [in_sample.eq(1), first.eq(1), learn.eq(shift[0]), label.eq(row), previous.eq(0)]
        with m.If(self.release):
            m.d.sync += self.current.eq(~self.current)
            for number in range(2):
                with m.If(self.current == number):
                    m.d.sync += [full[number].eq(0), counts[number].eq(0)]

        out_of_place = accept & Mux(kind == ItemKind.BEGIN, in_sample, ~in_sample | (kind == 3))
        faults = Cat(is_event & in_sample & (fill == config.events), is_event & in_sample & wrong_row, out_of_place)
        m.d.sync += self.fault.eq(Mux(self.clear_fault, 0, self.fault | faults))
        now = Mux(self.current, flags[1].as_value(), flags[0].as_value())
        view = data.View(flags[0].shape(), now)
        m.d.comb += [
            self.ready_step.eq(Mux(self.current, full[1], full[0])),
            self.count.eq(Mux(self.current, counts[1], counts[0])),
            self.first.eq(view.first),
            self.last.eq(view.last),
            self.learn.eq(view.learn),
            self.closed.eq(view.closed),
            self.label.eq(view.label),
            self.empty.eq(~full.any()),
        ]
        return m

    def _read(self, m: Module, memory: Bram, region: Value, index: Value, enable: Value, entry: data.View) -> None:
        index_bits = len(memory.read_address) - 2
        m.d.comb += [
            memory.read_enable.eq(enable),
            memory.read_address.eq(Cat(index[:index_bits], region)),
            entry.eq(memory.read_data),
        ]

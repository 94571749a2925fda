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


def has_tail(config: ArrayConfig) -> bool:
    """Whether event lists go on behind the events from below."""
    return config.has("recurrent") or config.has("bias")


class Tail(wiring.Signature):
    """What a layer's list has after the `count` events from below: `own` of its neurons' spikes of the step before,
    which stand from `base` on, then, with `bias`, the row `last_row`. Spikes of a step are kept in one of two copies;
    the `older` one is read."""

    def __init__(self, config: ArrayConfig) -> None:
        super().__init__(
            {
                "count": Out(config.count_bits),
                "own": Out(config.count_bits),
                "base": Out(config.row_bits),
                "bias": Out(1),
                "last_row": Out(config.row_bits),
                "older": Out(1),
            }
        )


class Events(wiring.Component):
    """The lists and the loader of the input stream.

    A list is addressed as region and index. SCATTER and the trace sweep read independently (two copies of one memory);
    where they take turns (`event_readers`) there is one, and the sweep has it while it reads.
    `ready_step` says that the region `current` holds a whole step; `release` gives it back. `fault` codes: bit 0 list
    overflow, bit 1 row out of range or out of order, bit 2 item out of place.
    """

    def __init__(self, config: ArrayConfig) -> None:
        self.config = config
        index = In(config.count_bits)
        tails = {"scatter_tail": In(Tail(config)), "sweep_tail": In(Tail(config))} if has_tail(config) else {}
        bias = {"sweep_is_bias": Out(1)} if config.has("bias") else {}
        own = {"push_own": In(1), "push_own_index": In(config.row_bits), "push_own_row": In(config.row_bits)}
        super().__init__(
            {
                **tails,
                **bias,
                **(own if config.has("recurrent") else {}),
                "items": In(stream.Signature(ITEM_BITS)),
                "inputs": In(config.row_bits + 1),
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
        lists = {"scatter": scatter_list}
        if config.event_readers == "both":
            m.submodules.sweep_list = lists["sweep"] = Bram(width=width, depth=REGIONS << index_bits)

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
        previous = Signal(config.row_bits)

        item = self.items.payload
        kind, row, shift = item[:2], item[2 : 2 + ROW_BITS], item[2 + ROW_BITS :]
        accept = self.items.valid & self.items.ready
        is_event = accept & (kind == ItemKind.EVENT)
        fill = Mux(loading, counts[1], counts[0])
        wrong_row = (row >= self.inputs) | (row < previous)
        write = is_event & (fill != config.events)
        store = write & in_sample & ~wrong_row
        stored = Signal(entry_layout(config))
        m.d.comb += [
            self.items.ready.eq(~Mux(loading, full[1], full[0]) & ~self.push),
            stored.row.eq(Mux(self.push, self.push_row, row)),
        ]
        if config.event_bits > 1:
            m.d.comb += stored.shift.eq(Mux(self.push, 0, shift))
        region = Cat(Mux(self.push, self.push_region, loading), self.push)
        address = Mux(self.push, self.push_index, fill)
        for memory in lists.values():
            m.d.comb += [
                # What should not have come is written, too, and not counted: whether it should takes longer to know.
                memory.write_enable.eq(self.push | write),
                memory.write_address.eq(Cat(address[:index_bits], region)),
                memory.write_data.eq(stored.as_value()),
            ]
        for name, memory in lists.items():
            self._read(m, name, memory)
        if config.event_readers == "turns":
            self._turns(m, scatter_list)

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

    def _read(self, m: Module, name: str, memory: Bram) -> None:
        """One of the two ways out of the lists: a clock after its `read`, the entry at its index."""
        index_bits = len(memory.read_address) - 2
        index, read, region = (getattr(self, f"{name}_{part}") for part in ("index", "read", "region"))
        entry = getattr(self, name)
        m.d.comb += [
            memory.read_enable.eq(read),
            memory.read_address.eq(Cat(index[:index_bits], region)),
            entry.eq(memory.read_data),
        ]
        if has_tail(self.config):
            self._read_tail(m, name, entry)

    def _turns(self, m: Module, memory: Bram) -> None:
        """The sweep's way out of the only copy."""
        with m.If(self.sweep_read):
            m.d.comb += [
                memory.read_enable.eq(1),
                memory.read_address.eq(Cat(self.sweep_index[: len(memory.read_address) - 2], self.sweep_region)),
            ]
        m.d.comb += self.sweep.eq(memory.read_data)
        if has_tail(self.config):
            self._read_tail(m, "sweep", self.sweep)

    def _read_tail(self, m: Module, name: str, entry: data.View) -> None:
        """The entries behind those from below, in the place of `entry`."""
        index, read, tail = (getattr(self, f"{name}_{part}") for part in ("index", "read", "tail"))
        beyond = Signal(name=f"{name}_beyond")
        is_bias = Signal(name=f"{name}_at_bias")
        with m.If(read):
            m.d.sync += [beyond.eq(index >= tail.count), is_bias.eq(tail.bias & (index == tail.count + tail.own))]
        row: Value = tail.last_row
        if self.config.has("recurrent"):
            own = Bram(width=self.config.row_bits, depth=2 << ceil_log2(self.config.groups * self.config.parallel))
            m.submodules[f"{name}_own"] = own
            bits = len(own.read_address) - 1
            m.d.comb += [
                own.read_enable.eq(read),
                own.read_address.eq(Cat((tail.base + index - tail.count)[:bits], tail.older)),
                own.write_enable.eq(self.push & self.push_own),
                own.write_address.eq(Cat(self.push_own_index[:bits], ~tail.older)),
                own.write_data.eq(self.push_own_row),
            ]
            row = Mux(is_bias, row, own.read_data)
        with m.If(beyond):
            m.d.comb += entry.row.eq(row)
            if self.config.event_bits > 1:
                m.d.comb += entry.shift.eq(0)
        if name == "sweep" and self.config.has("bias"):
            m.d.comb += self.sweep_is_bias.eq(is_bias & beyond)

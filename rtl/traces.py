# SPDX-License-Identifier: Apache-2.0
"""Pre traces: one sweep a step and layer decays them, adds the events, and lists the rows worth visiting."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..arch.array import ArrayConfig, ceil_log2
from ..arch.formats import FACTOR_BITS
from .bram import Bram
from .events import entry_layout
from .fixed import product_halves, saturate_unsigned
from .noise import Mix, digest
from .pipeline import delayed, wire
from .timing import between, domain


def update_layout(config: ArrayConfig) -> data.StructLayout:
    """An entry of an update list: a row and its trace, or what its events of the step add to it.

    Arrays with `eligibility` have both beside each other, and whether anything is left of the step before (`old`).
    """
    own = {"fresh": FACTOR_BITS, "old": 1} if config.has("eligibility") else {}
    return data.StructLayout({"row": config.row_bits, "trace": FACTOR_BITS, **own})


class Traces(wiring.Component):
    """`p = min(255, ((trace_decay * p) >> decay_bits) + (x << trace_shift))` for every row of a layer.

    `traces_per_word` rows are decayed at once; a word takes one clock, one more for each of its events and one for
    each of its rows that stays nonzero, which goes to the update list. Events come in
    ascending order of row. The parameters are taken at `start`, but for `key`; `count` is the list's length when
    `busy` falls.

    The trace of a bias, whose event comes with `event_is_bias`, is its event alone. With `post-trace` rows with an
    event go to a second list, too. With `shadow` a bit beside each trace says that it was nonzero at any step of the
    sample, and a sweep that is `committing` lists all rows that have it.
    """

    def __init__(self, config: ArrayConfig) -> None:
        self.config = config
        optional: dict[str, object] = {}
        if config.has("bias"):
            optional |= {"event_is_bias": In(1)}
        if config.has("shadow"):
            optional |= {"committing": In(1)}
        if config.has("post-trace"):
            optional |= {
                "event_list_write": Out(1),
                "event_list_address": Out(max(1, ceil_log2(config.axons))),
                "event_list_entry": Out(update_layout(config)),
                "fresh_count": Out(config.count_bits),
            }
        super().__init__(
            {
                **optional,
                "start": In(1),
                "busy": Out(1),
                "first": In(1),
                "key": In(32),
                "inputs": In(config.row_bits + 1),
                "trace_base": In(max(1, ceil_log2(config.trace_words))),
                "list_base": In(max(1, ceil_log2(config.axons))),
                "decay": In(config.decay_bits + 1),
                "shift": In(4),
                "event_count": In(config.count_bits),
                "event_index": Out(config.count_bits),
                "event_read": Out(1),
                "event": In(entry_layout(config)),
                "list_write": Out(1),
                "list_address": Out(max(1, ceil_log2(config.axons))),
                "list_entry": Out(update_layout(config)),
                "count": Out(config.count_bits),
                "overs": Out(range(config.traces_per_word + 1)),
                "digest": Out(32),
                "digest_valid": Out(1),
                "host_read": In(1),
                "host_write": In(1),
                "host_clear": In(1),
                "host_word": In(16),
                "host_place": In(3),
                "host_data": In(FACTOR_BITS),
                "host_trace": Out(FACTOR_BITS),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Memory and hash, the decaying front, the FSM that adds and emits."""
        m = Module()
        config = self.config
        rows = config.traces_per_word
        place_bits = ceil_log2(rows)
        value_bits = max(FACTOR_BITS, config.event_bits + 7) + 1
        self.bits = FACTOR_BITS + config.has("shadow")
        m.submodules.memory = memory = Bram(width=rows * self.bits, depth=config.trace_words)

        take = Signal()
        word = Signal(rows * self.bits)
        decayed = [Signal(FACTOR_BITS, name=f"decayed_{place}") for place in range(rows)]
        values = [Signal(value_bits, name=f"value_{place}") for place in range(rows)]
        clamped = [saturate_unsigned(m, value, FACTOR_BITS) for value in values]
        word_bits = ceil_log2(config.trace_words) + 1
        index = Signal(word_bits)
        fetch = Signal(word_bits)
        words = Signal(word_bits)
        prime = Signal(3)
        pointer = Signal(config.count_bits)
        event = Signal.like(self.event)
        left = Signal(rows)
        stage = domain(config)
        touched = [Signal(1 + between(config, 2), name=f"touched_{place}") for place in range(rows)]
        fresh = [Signal(value_bits, name=f"fresh_{place}") for place in range(rows)]
        old = [Signal(name=f"old_{place}") for place in range(rows)]
        store = Signal()
        emit = Signal()
        emit_row = Signal(config.row_bits)
        emit_trace = Signal(FACTOR_BITS)

        names: tuple[str, ...] = ("first", "inputs", "trace_base", "list_base", "decay", "shift", "event_count")
        names += ("committing",) if config.has("shadow") else ()
        # A sweep that SCATTER waits for can look at what the layer in work says.
        now = {name: getattr(self, name) for name in names}
        if config.event_readers == "both":
            now = {name: Signal.like(value, name=name) for name, value in now.items()}
            with m.If(self.start):
                m.d.sync += [register.eq(getattr(self, name)) for name, register in now.items()]
        with m.If(take):
            m.d.sync += fetch.eq(fetch + 1)
        with m.If(take if stage == "sync" else Const(1)):
            m.d[stage] += word.eq(memory.read_data)
            for place in range(rows):
                trace = word[place * self.bits :][:FACTOR_BITS]
                later = Signal(FACTOR_BITS, name=f"later_{place}")
                low = Signal(FACTOR_BITS + config.decay_bits + 1, name=f"low_{place}")
                first, second = product_halves(config, trace, later, now["decay"])
                product = low + second
                m.d[stage] += [
                    later.eq(trace),
                    low.eq(first),
                    decayed[place].eq(Mux(now["first"], 0, product >> config.decay_bits)),
                ]
        with m.If(take):
            for place in range(rows):
                m.d.sync += [
                    values[place].eq(decayed[place]),
                    fresh[place].eq(0),
                    old[place].eq(decayed[place].any()),
                ]
                if config.has("shadow"):
                    before = word[place * self.bits + FACTOR_BITS] & ~now["first"]
                    m.d.sync += touched[place].eq(Cat(before, touched[place])[: len(touched[place])])
        is_bias = Signal()
        with m.If(self.event_read):
            m.d.sync += [pointer.eq(pointer + 1), event.eq(self.event)]
            if config.has("bias"):
                m.d.sync += is_bias.eq(self.event_is_bias)
        here = wire(m, event.row >> place_bits == index, "here")
        head = Signal(config.count_bits)
        more = head != now["event_count"]
        amount = wire(m, (Const(1, value_bits) << (self._event_shift(event) + now["shift"]))[:value_bits], "amount")
        some = Cat(value.any() for value in values)
        listed = some
        touches = [wire(m, bits[-1] | value.any(), "touches") for bits, value in zip(touched, values, strict=True)]
        if config.has("shadow"):
            listed = Mux(now["committing"], Cat(touches), some)

        with m.FSM():
            with m.State("IDLE"):
                with m.If(self.start):
                    m.d.sync += [
                        self.busy.eq(1),
                        self.count.eq(0),
                        head.eq(0),
                        pointer.eq(0),
                        index.eq(0),
                        fetch.eq(self.trace_base),
                        words.eq((self.inputs + rows - 1) >> place_bits),
                        prime.eq(0),
                    ]
                    m.next = "PRIME"
            with m.State("PRIME"):
                m.d.comb += [take.eq(1), self.event_read.eq(prime < 2)]
                m.d.sync += prime.eq(prime + 1)
                with m.If(prime == 1 + between(config, 3)):
                    m.d.sync += prime.eq(0)
                    m.next = "WORD"
            with m.State("WORD"):
                with m.If(more & here):
                    m.d.comb += self.event_read.eq(1)
                    m.d.sync += head.eq(head + 1)
                    with m.Switch(event.row[:place_bits] if place_bits else Const(0, 1)):
                        for place in range(rows):
                            with m.Case(place):
                                m.d.sync += [
                                    values[place].eq(Mux(is_bias, 0, values[place]) + amount),
                                    fresh[place].eq(fresh[place] + amount),
                                    old[place].eq(old[place] & ~is_bias),
                                ]
                with m.Else():
                    m.d.comb += store.eq(1)
                    m.d.sync += left.eq(listed)
                    with m.If(listed.any()):
                        m.next = "EMIT"
                    with m.Else():
                        self._next_word(m, take, index, words)
            with m.State("EMIT"):
                m.d.comb += emit.eq(1)
                remaining = wire(m, left & (left - 1)[:rows], "remaining")
                m.d.sync += left.eq(remaining)
                for place in reversed(range(rows)):
                    with m.If(left[place]):
                        m.d.comb += [
                            emit_row.eq(Cat(Const(place, place_bits), index)),
                            emit_trace.eq(clamped[place][0]),
                        ]
                with m.If(~remaining.any()):
                    self._next_word(m, take, index, words)
            with m.State("DRAIN"):
                m.d.sync += prime.eq(prime + 1)
                with m.If(prime == (config.noise_latency + 1 if config.signatures else 1)):
                    m.d.sync += self.busy.eq(0)
                    m.next = "IDLE"

        host_lane = self._host_value(m, memory.read_data)
        m.d.comb += [
            self.event_index.eq(pointer),
            memory.read_enable.eq(take | self.host_read),
            memory.read_address.eq(Mux(self.host_read, self.host_word, fetch)),
            memory.write_enable.eq(store | self.host_write),
            memory.write_address.eq(Mux(self.host_write, self.host_word, now["trace_base"] + index)),
            memory.write_data.eq(
                Mux(
                    self.host_write,
                    host_lane,
                    Cat(
                        Cat(value, touch) if config.has("shadow") else value
                        for (value, _), touch in zip(clamped, touches, strict=True)
                    ),
                )
            ),
        ]
        m.d.sync += self.overs.eq(Mux(store, sum((over for _, over in clamped), start=Const(0, 1)), 0))
        self._emit(m, emit, emit_row, emit_trace, now["list_base"])
        if config.has("post-trace") or config.has("eligibility"):
            clamped_fresh = [saturate_unsigned(m, value, FACTOR_BITS)[0] for value in fresh]
            emit_fresh = Signal(FACTOR_BITS)
            emit_old = Signal()
            for place in reversed(range(rows)):
                with m.If(left[place]):
                    m.d.comb += [emit_fresh.eq(clamped_fresh[place]), emit_old.eq(old[place])]
            if config.has("eligibility"):
                m.d[stage] += [self.list_entry.fresh.eq(emit_fresh), self.list_entry.old.eq(emit_old)]
            if config.has("post-trace"):
                self._emit_fresh(m, emit, emit_row, emit_fresh, now["list_base"])
        return m

    def _emit_fresh(self, m: Module, emit: Signal, row: Signal, fresh: Signal, base: Signal) -> None:
        """Append the row in work to the second list, if it had an event: no row with one has a trace of 0."""
        write = emit & fresh.any()
        m.d[domain(self.config)] += [
            self.event_list_write.eq(write),
            self.event_list_address.eq(base + self.fresh_count),
            self.event_list_entry.row.eq(row),
            self.event_list_entry.trace.eq(fresh),
        ]
        with m.If(self.start):
            m.d.sync += self.fresh_count.eq(0)
        with m.Elif(write):
            m.d.sync += self.fresh_count.eq(self.fresh_count + 1)

    def _event_shift(self, event: data.View) -> Value:
        return event.shift if self.config.event_bits > 1 else Const(0, 1)

    def _next_word(self, m: Module, take: Signal, index: Signal, words: Signal) -> None:
        """Go on to the next word, or let the hash run empty."""
        m.d.comb += take.eq(1)
        m.d.sync += index.eq(index + 1)
        with m.If(index + 1 == words):
            m.next = "DRAIN"
        with m.Else():
            m.next = "WORD"

    def _host_value(self, m: Module, read: Value) -> Value:
        """The trace at `host_place` of the word read last, and that word with the host's trace in its place."""
        rows = self.config.traces_per_word
        traces = [read[place * self.bits :][:FACTOR_BITS] for place in range(rows)]
        for place in range(rows):
            with m.If(self.host_place == place):
                m.d.comb += self.host_trace.eq(traces[place])
        return Cat(
            Cat(
                Mux(self.host_clear, 0, Mux(self.host_place == place, self.host_data, trace)),
                Const(0, self.bits - FACTOR_BITS),
            )
            for place, trace in enumerate(traces)
        )

    def _emit(self, m: Module, emit: Signal, row: Signal, trace: Signal, base: Signal) -> None:
        """Append a row to the list; with signatures, one term of theirs `noise_latency` clocks later."""
        m.d[domain(self.config)] += [
            self.list_write.eq(emit),
            self.list_address.eq(base + self.count),
            self.list_entry.row.eq(row),
            self.list_entry.trace.eq(trace),
        ]
        with m.If(emit):
            m.d.sync += self.count.eq(self.count + 1)
        if self.config.signatures:
            m.submodules.mix = mix = Mix(latency=self.config.noise_latency)
            later = delayed(m, trace, mix.latency, "emit_trace")[-1]
            m.d.comb += [
                mix.i.eq(self.key ^ row),
                self.digest.eq(digest(m, mix.o ^ later)),
                self.digest_valid.eq(delayed(m, emit & trace.any(), mix.latency, "emit")[-1]),
            ]

# SPDX-License-Identifier: Apache-2.0
"""The host's side: registers, and windows onto every memory while the array stands still."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..arch.array import ArrayConfig, ceil_log2
from ..arch.network import SURROGATE_ENTRIES
from ..arch.registers import (
    ADDRESS_BITS,
    BY_NAME,
    CONTENT_WORDS,
    COUNTERS,
    CYCLE_COUNTERS,
    DATA_BITS,
    IDENTITY,
    MAP_VERSION,
    OFFSET_BITS,
    SIGNATURES,
    Space,
    shape_word,
    table_words,
    units_word,
    weight_chunks,
)

REQUEST_BITS = DATA_BITS + ADDRESS_BITS + 1
READ_CLOCKS = 6
"""Clocks from a memory's read strobe to its data at `Host`, whichever the memory."""


class Host(wiring.Component):
    """Does one request at a time and takes it when it is done; reads answer then, in order, writes do not answer.

    A request to a memory first asks for the array to stand still (`hold`) and waits until it does (`granted`). The
    clear command writes zero to every word of every memory; without `probes` to those alone that the host can write.
    """

    def __init__(self, config: ArrayConfig) -> None:
        self.config = config
        self.chunk_bits = ceil_log2(weight_chunks(config))
        super().__init__(
            {
                "requests": In(stream.Signature(REQUEST_BITS)),
                "responses": Out(stream.Signature(DATA_BITS)),
                "busy": Out(1),
                "hold": Out(1),
                "granted": In(1),
                # registers
                "seed": Out(32),
                "sample": Out(32),
                "sample_done": In(1),
                "layers": Out(config.layer_bits + 1),
                "error": Out(8),
                "record": Out(1),
                "apply": Out(1),
                "working": In(1),
                "faults": In(3),
                "signatures": In(32).array(len(SIGNATURES)),
                "counter_read": Out(1),
                "counter_index": Out(5),
                "counter_data": In(32),
                "counter_taken": In(1),
                "clear_counters": Out(1),
                "counters_busy": In(1),
                # memories
                "space": Out(4),
                "core": Out(3),
                "word": Out(OFFSET_BITS),
                "place": Out(max(3, self.chunk_bits)),
                "data": Out(DATA_BITS),
                "read": Out(1),
                "write": Out(1),
                "commit": Out(1),
                "clear": Out(1),
                "memory_data": In(DATA_BITS),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Address decoding, then one FSM."""
        m = Module()
        config = self.config
        # A request stays until it is done: it needs no registers here.
        address = self.requests.payload[DATA_BITS : DATA_BITS + ADDRESS_BITS]
        is_write = self.requests.payload[-1]
        wait = Signal(3)
        deepest = max(
            config.weight_words,
            config.groups * config.lanes,
            config.trace_words,
            table_words(config) + CONTENT_WORDS,
            SURROGATE_ENTRIES,
        )
        offset = address[:OFFSET_BITS]
        m.d.comb += [
            self.data.eq(self.requests.payload),
            self.space.eq(address[OFFSET_BITS:]),
            self.busy.eq(1),
        ]
        self._windows(m, offset)

        register = offset[:6]
        first_counter = BY_NAME[COUNTERS[0][0]].offset
        after_counters = first_counter + len(COUNTERS) + len(CYCLE_COUNTERS)
        is_counter = (offset >= first_counter) & (offset < after_counters)
        m.d.comb += self.counter_index.eq(offset - first_counter)

        with m.If(self.sample_done):
            m.d.sync += self.sample.eq(self.sample + 1)
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.busy.eq(self.requests.valid)
                m.d.sync += wait.eq(0)
                with m.If(self.requests.valid):
                    m.next = "MEMORY"
                    with m.If(self.space == Space.REGISTERS):
                        m.next = "REGISTER"
            with m.State("REGISTER"):
                m.d.comb += self.requests.ready.eq(1)
                m.next = "IDLE"
                with m.If(is_write):
                    self._register_write(m, register)
                    with m.If((register == BY_NAME["command"].offset) & self.data[1]):
                        m.d.comb += [self.clear_counters.eq(1), self.requests.ready.eq(0)]
                        m.next = "CLEAR-COUNTERS"
                    with m.If((register == BY_NAME["command"].offset) & self.data[0]):
                        m.d.comb += self.requests.ready.eq(0)
                        m.d.sync += [self.word.eq(0), self.clear.eq(1)]
                        m.next = "CLEAR"
                with m.Elif(is_counter):
                    m.d.comb += self.requests.ready.eq(0)
                    m.next = "COUNTER"
                with m.Else():
                    self._register_read(m, register)
                    m.next = "RESPOND"
            with m.State("COUNTER"):
                with m.If(~self.counter_taken):
                    m.d.comb += self.counter_read.eq(1)
                    m.next = "COUNTER-DATA"
            with m.State("COUNTER-DATA"):
                m.d.comb += self.requests.ready.eq(1)
                m.d.sync += self.responses.payload.eq(self.counter_data)
                m.next = "RESPOND"
            with m.State("CLEAR-COUNTERS"):
                with m.If(~self.counters_busy & wait[0]):
                    m.d.comb += self.requests.ready.eq(1)
                    m.next = "IDLE"
                m.d.sync += wait[0].eq(1)
            with m.State("CLEAR"):
                m.d.comb += self.hold.eq(1)
                m.d.sync += wait[0].eq(self.granted)
                m.d.sync += self.commit.eq(self.granted & wait[0])
                with m.If(self.commit):
                    m.d.sync += self.word.eq(self.word + 1)
                    with m.If(self.word == deepest):
                        m.d.comb += self.requests.ready.eq(1)
                        m.d.sync += [self.clear.eq(0), self.commit.eq(0)]
                        m.next = "IDLE"
            with m.State("MEMORY"):
                m.d.comb += self.hold.eq(1)
                with m.If(self.granted):
                    m.d.comb += [self.read.eq(1), self.write.eq(is_write)]
                    m.next = "WAIT"
            with m.State("WAIT"):
                m.d.comb += self.hold.eq(1)
                m.d.sync += wait.eq(wait + 1)
                with m.If(is_write):
                    # A weight word is complete in its staging register, and a trace's word has been read, by now.
                    last = self.place == weight_chunks(config) - 1
                    m.d.sync += self.commit.eq((wait == 1) & ((self.space != Space.WEIGHTS) | last))
                    with m.If(wait == 2):
                        m.d.comb += self.requests.ready.eq(1)
                        m.next = "IDLE"
                with m.Elif(wait == READ_CLOCKS - 1):
                    m.d.comb += self.requests.ready.eq(1)
                    m.d.sync += self.responses.payload.eq(self.memory_data)
                    m.next = "RESPOND"
            with m.State("RESPOND"):
                m.d.comb += self.responses.valid.eq(1)
                with m.If(self.responses.ready):
                    m.next = "IDLE"
        return m

    def _windows(self, m: Module, offset: Value) -> None:
        """Which core, word and place of its memory an offset means, a clock after it came."""
        config = self.config
        state_bits = ceil_log2(config.groups * config.lanes)
        word_bits = ceil_log2(config.weight_words)
        trace_bits = ceil_log2(config.traces_per_word)
        spaces = [Space.MEMBRANES, Space.FACTORS] if config.probes else []
        spaces += [Space.THRESHOLDS] if config.has("thresholds") else []
        spaces += [Space.POST_TRACES] if config.has("post-trace") and config.probes else []
        m.d.sync += [self.place.eq(0), self.core.eq(0)]
        with m.If(~self.clear):
            with m.If(self.space == Space.WEIGHTS):
                m.d.sync += [
                    self.place.eq(offset[: self.chunk_bits]),
                    self.word.eq(offset[self.chunk_bits : self.chunk_bits + word_bits]),
                    self.core.eq(offset[self.chunk_bits + word_bits :]),
                ]
            with m.Elif((self.space == Space.TRACES) & config.probes):
                m.d.sync += [self.place.eq(offset[:trace_bits]), self.word.eq(offset[trace_bits:])]
            with m.Elif(self.space.matches(*spaces) if spaces else Const(0)):
                m.d.sync += [self.word.eq(offset[:state_bits]), self.core.eq(offset[state_bits:])]
            with m.Else():
                m.d.sync += self.word.eq(offset)

    def _register_write(self, m: Module, register: Signal) -> None:
        with m.Switch(register):
            shadow = ("apply",) if self.config.has("shadow") else ()
            record = ("record",) if self.config.probes else ()
            for name in ("seed", "sample", "layers", "error", *record, *shadow):
                with m.Case(BY_NAME[name].offset):
                    m.d.sync += getattr(self, name).eq(self.data)

    def _register_read(self, m: Module, register: Signal) -> None:
        values = {
            "identity": IDENTITY,
            "version": MAP_VERSION,
            "shape": shape_word(self.config),
            "status": Cat(self.working, self.faults),
            "seed": self.seed,
            "sample": self.sample,
            "layers": self.layers,
            "error": self.error,
            "record": self.record,
            "apply": self.apply,
            "units": units_word(self.config),
            **{name: value for (name, _), value in zip(SIGNATURES, self.signatures, strict=True)},
        }
        m.d.sync += self.responses.payload.eq(0)
        with m.Switch(register):
            for name, value in values.items():
                with m.Case(BY_NAME[name].offset):
                    m.d.sync += self.responses.payload.eq(value)

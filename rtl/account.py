# SPDX-License-Identifier: Apache-2.0
"""What each phase adds to the counters, posted one after the other when the phase ends."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..arch.array import ArrayConfig, ceil_log2
from .counters import INDEX, Counters
from .sequencer import Phase


class Account(wiring.Component):
    """`start` at the end of a phase; `busy` until its counters are posted, a clock each.

    Saturations are summed here as they happen: traces', and one sum for those of membranes in FORWARD, of signals in
    GATHER and of weights in UPDATE.
    """

    def __init__(self, config: ArrayConfig) -> None:
        self.config = config
        self.counters = Counters()
        count = config.count_bits
        super().__init__(
            {
                "start": In(1),
                "busy": Out(1),
                "phase": In(Phase),
                "elapsed": In(24),
                "event_count": In(count),
                "rows_count": In(count),
                "inputs": In(config.row_bits + 1),
                "first": In(1),
                "spikes": In(count),
                "words": In(config.weight_address_bits + 1),
                "skipped": In(config.weight_address_bits + 1),
                "groups": In(config.group_bits + 1),
                "updates": In(config.weight_address_bits + 1 + ceil_log2(config.parallel)),
                "overs": In(range(max(config.parallel, 3) + 1)),
                "trace_overs": In(range(config.traces_per_word + 1)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Sums of saturations, then one post a clock."""
        m = Module()
        m.submodules.counters = self.counters
        number = Signal(4)
        phase = Signal(Phase)
        taken = {name: Signal.like(getattr(self, name), name=name) for name in ("event_count", "rows_count", "inputs")}
        first = Signal()
        sums = {
            name: Signal(bits, name=f"{name}_sum")
            for name, bits in (
                ("overs", len(self.updates)),
                ("trace_overs", self.config.row_bits + 4),
            )
        }
        elapsed, words = self.elapsed, self.words
        idle_rows = taken["inputs"] - taken["rows_count"]
        posts: dict[Phase, list[tuple[str, Value]]] = {
            Phase.FORWARD: [
                ("events", taken["event_count"]),
                ("scatter_words", words),
                ("fire_groups", self.groups),
                ("spikes", self.spikes),
                ("membrane_saturations", sums["overs"]),
                ("cycles_forward", elapsed),
                ("cycles", elapsed),
            ],
            Phase.ERROR: [("cycles_error", elapsed), ("cycles", elapsed)],
            Phase.GATHER: [
                ("gather_words", words),
                ("gather_rows", taken["rows_count"]),
                ("signal_saturations", sums["overs"]),
                ("cycles_gather", elapsed),
                ("cycles", elapsed),
            ],
            Phase.UPDATE: [
                ("update_words", words),
                ("update_words_skipped", self.skipped),
                ("update_rows", taken["rows_count"]),
                ("rows_skipped", idle_rows),
                ("weight_updates", self.updates),
                ("weight_saturations", sums["overs"]),
                ("cycles_update", elapsed),
                ("cycles", elapsed),
            ],
            Phase.END: [
                ("steps", Const(1)),
                ("samples", first),
                ("trace_saturations", sums["trace_overs"]),
                ("cycles", elapsed),
            ],
        }
        sources: list[Value] = []
        for entries in posts.values():
            for _, value in entries:
                if not any(value is other for other in sources):
                    sources.append(value)
        which = {id(value): number for number, value in enumerate(sources)}
        source = Signal(range(len(sources)))
        final = Signal()
        clear = {name: Signal(name=f"{name}_clear") for name in sums}
        for name, total in sums.items():
            m.d.sync += total.eq(Mux(clear[name], 0, total) + getattr(self, name))

        with m.If(self.start):
            m.d.sync += [self.busy.eq(1), number.eq(0), phase.eq(self.phase), first.eq(self.first)]
            m.d.sync += [register.eq(getattr(self, name)) for name, register in taken.items()]
        with m.Switch(Cat(number, phase)):
            for when, entries in posts.items():
                for place, (name, value) in enumerate(entries):
                    with m.Case(place | when << len(number)):
                        m.d.comb += [
                            self.counters.index.eq(INDEX[name]),
                            source.eq(which[id(value)]),
                            final.eq(place == len(entries) - 1),
                        ]
        with m.Switch(source):
            for place, value in enumerate(sources):
                with m.Case(place):
                    m.d.comb += self.counters.amount.eq(value)
        for name, total in sums.items():
            m.d.comb += clear[name].eq(self.busy & (source == which[id(total)]))
        m.d.comb += self.counters.post.eq(self.busy)
        with m.If(self.busy):
            m.d.sync += number.eq(number + 1)
            with m.If(final):
                m.d.sync += self.busy.eq(0)
        return m

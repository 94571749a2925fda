# SPDX-License-Identifier: Apache-2.0
"""What each phase adds to the counters, posted one after the other when the phase ends."""

from __future__ import annotations

from amaranth.hdl import Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..arch.array import ArrayConfig
from .counters import INDEX, Counters
from .sequencer import Phase


class Account(wiring.Component):
    """`start` at the end of a phase; `busy` until its counters are posted, a clock each.

    Saturations are summed here as they happen, and posted with the phase they belong to.
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
                "inputs": In(16),
                "first": In(1),
                "spikes": In(count),
                "words": In(24),
                "skipped": In(24),
                "fired": In(16),
                "updates": In(32),
                "membrane_overs": In(range(config.cores + 1)),
                "trace_overs": In(range(config.traces_per_word + 1)),
                "signal_over": In(1),
                "weight_overs": In(range(config.parallel + 1)),
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
            name: Signal(24, name=f"{name}_sum")
            for name in ("membrane_overs", "trace_overs", "signal_over", "weight_overs")
        }
        posts: dict[Phase, list[tuple[str, Value]]] = {
            Phase.FORWARD: [
                ("events", taken["event_count"]),
                ("scatter_words", self.words),
                ("fire_groups", self.fired),
                ("spikes", self.spikes),
                ("membrane_saturations", sums["membrane_overs"]),
                ("cycles_forward", self.elapsed),
                ("cycles", self.elapsed),
            ],
            Phase.ERROR: [("cycles_error", self.elapsed), ("cycles", self.elapsed)],
            Phase.GATHER: [
                ("gather_words", self.words),
                ("gather_rows", taken["rows_count"]),
                ("signal_saturations", sums["signal_over"]),
                ("cycles_gather", self.elapsed),
                ("cycles", self.elapsed),
            ],
            Phase.UPDATE: [
                ("update_words", self.words),
                ("update_words_skipped", self.skipped),
                ("update_rows", taken["rows_count"]),
                ("rows_skipped", taken["inputs"] - taken["rows_count"]),
                ("weight_updates", self.updates),
                ("weight_saturations", sums["weight_overs"]),
                ("trace_saturations", sums["trace_overs"]),
                ("cycles_update", self.elapsed),
                ("cycles", self.elapsed),
            ],
            Phase.END: [("steps", Const(1)), ("samples", first), ("cycles", self.elapsed)],
        }
        posted = {"membrane_saturations": "membrane_overs", "trace_saturations": "trace_overs"}
        posted |= {"signal_saturations": "signal_over", "weight_saturations": "weight_overs"}
        clear = {name: Signal(name=f"{name}_clear") for name in sums}
        for name, total in sums.items():
            m.d.sync += total.eq(Mux(clear[name], 0, total) + getattr(self, name))

        with m.If(self.start):
            m.d.sync += [self.busy.eq(1), number.eq(0), phase.eq(self.phase), first.eq(self.first)]
            m.d.sync += [register.eq(getattr(self, name)) for name, register in taken.items()]
        with m.If(self.busy):
            m.d.comb += self.counters.post.eq(1)
            m.d.sync += number.eq(number + 1)
            with m.Switch(phase):
                for which, entries in posts.items():
                    with m.Case(which), m.Switch(number):
                        for place, (name, value) in enumerate(entries):
                            with m.Case(place):
                                m.d.comb += [self.counters.index.eq(INDEX[name]), self.counters.amount.eq(value)]
                                if name in posted:
                                    m.d.comb += clear[posted[name]].eq(1)
                                if place == len(entries) - 1:
                                    m.d.sync += self.busy.eq(0)
        return m

# SPDX-License-Identifier: Apache-2.0
"""The sequencer: one time step as a walk over layer descriptors."""

from __future__ import annotations

from enum import IntEnum

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..arch.array import ArrayConfig
from ..arch.noise import STEP_BITS, Domain
from ..arch.registers import CONTENT_WORDS, DESCRIPTOR, table_words
from .bram import Bram
from .events import Tail, has_tail
from .rows import Verb

FIELDS = {field.name: field for field in DESCRIPTOR}


class Phase(IntEnum):
    """What part of a step is in work; also what is accounted at its end."""

    FORWARD = 0
    ERROR = 1
    GATHER = 2
    UPDATE = 3
    END = 4


class Sequencer(wiring.Component):
    """One step: FORWARD of every layer, ERROR, GATHER from the readout down, UPDATE from the bottom up, END.

    Every phase begins with the layer's descriptor (`field`) and the key of its noise, both read here. The trace sweep
    of a layer starts with its FORWARD and runs beside it; UPDATE waits for it. At the end of a phase `account` pulses;
    `elapsed` then holds its clocks, and no row moves before `account_busy` falls.

    Optional units add to the walk. A layer with a readout of its own (`feedback`) is followed by that readout's FORWARD
    and ERROR (`in_side`), if the step learns; GATHER takes the descriptor that the layer names. An UPDATE by events
    (`by_events`) follows that by traces. The last step of a sample is `committing` where weights act by sample: then
    UPDATE is done even if the step does not learn. A list's `event_count` has a layer's own spikes and its bias.
    """

    def __init__(self, config: ArrayConfig) -> None:
        self.config = config
        used = 1 + max(field.word for field in DESCRIPTOR if field.unit is None or config.has(field.unit))
        self.words = [Signal(32, name=f"descriptor_{word}") for word in range(used)]
        count = config.count_bits
        optional: dict[str, object] = {}
        if config.has("feedback"):
            optional |= {"in_side": Out(1), "below_signal_sign": Out(1)}
        if config.has("post-trace"):
            optional |= {
                "by_events": Out(1),
                "fresh_count": In(count),
                "below_post_shift": Out(4),
                "below_post_negative": Out(1),
            }
        if config.has("shadow"):
            optional |= {"apply": In(1), "committing": Out(1)}
        if config.has("eligibility"):
            optional |= {"eligible": Out(1)}
        if has_tail(config):
            optional |= {"scatter_tail": Out(Tail(config)), "sweep_tail": Out(Tail(config))}
        super().__init__(
            {
                **optional,
                # host
                "seed": In(32),
                "sample": In(32),
                "layers": In(config.layer_bits + 1),
                "hold": In(1),
                "idle": Out(1),
                "sample_done": Out(1),
                "descriptor_read": In(1),
                "descriptor_write": In(1),
                "descriptor_address": In(range(table_words(config) + CONTENT_WORDS)),
                "descriptor_in": In(32),
                "descriptor_out": Out(32),
                # events
                "ready_step": In(1),
                "first": In(1),
                "last": In(1),
                "learn": In(1),
                "closed": In(1),
                "current": In(1),
                "input_count": In(count),
                "release": Out(1),
                "region": Out(2),
                "event_count": Out(count),
                # noise
                "keying": Out(1),
                "key_operand": Out(32),
                "mixed": In(32),
                "key": Out(32),
                # rows
                "rows_start": Out(1),
                "rows_busy": In(1),
                "verb": Out(Verb),
                "rows_count": Out(count),
                # fire
                "spike": In(1),
                "surrogate": In(1),
                "spike_fill": Out(count),
                "surrogate_fill": Out(count),
                # traces
                "sweep_start": Out(1),
                "sweep_busy": In(1),
                "sweep_count": In(count),
                "sweep_key": Out(32),
                "sweep_region": Out(2),
                # readout
                "readout_begin": Out(1),
                "readout_start": Out(1),
                "readout_busy": In(1),
                # state
                "layer": Out(config.layer_bits),
                "step": Out(STEP_BITS),
                "account_phase": Out(Phase),
                "below_state_base": Out(16),
                "below_signal_shift": Out(4),
                "gather_base": Out(16),
                "account": Out(1),
                "account_busy": In(1),
                "elapsed": Out(24),
            }
        )

    def field(self, name: str) -> Value:
        """A field of the descriptor that was loaded last."""
        place = FIELDS[name]
        return self.words[place.word][place.lsb : place.lsb + place.width]

    def elaborate(self, platform: object) -> Module:
        """Descriptor table and list lengths, then the walk."""
        m = Module()
        config = self.config
        m.submodules.descriptors = descriptors = Bram(width=32, depth=table_words(config) + CONTENT_WORDS)
        blocks = 1 << config.layer_bits
        m.submodules.update_counts = update_counts = Bram(width=config.count_bits, depth=blocks)
        m.submodules.gather_counts = gather_counts = Bram(width=config.count_bits, depth=blocks)

        target = Signal(config.layer_bits)
        used_words = len(self.words)
        word = Signal(range(used_words + 2))
        wait = Signal(range(config.noise_latency + 2))
        base = Signal(32)
        domain = Signal(range(len(Domain)))
        sweep_layer = Signal(config.layer_bits + 1)
        sweeping = Signal()
        timer = Signal(24)
        phase = Signal(Phase)
        is_last_layer = self.layer + 1 == self.layers
        loading_below = Signal()

        code = Signal(4 + config.layer_bits)
        in_side = self.in_side if config.has("feedback") else Const(0)
        committing = self.committing if config.has("shadow") else Const(0)
        by_events = self.by_events if config.has("post-trace") else Const(0)
        # How many events come from below.
        below_count = Signal(config.count_bits) if has_tail(config) else self.event_count
        main_layer = Signal.like(self.layer)
        # A layer's own readout reads what the next layer does.
        odd = Mux(in_side, ~main_layer[0], self.layer[0]) if config.has("feedback") else self.layer[0]
        m.d.comb += [
            self.key_operand.eq(base ^ code),
            descriptors.read_enable.eq(1),
            descriptors.read_address.eq(
                Mux(
                    self.descriptor_read, self.descriptor_address, Cat(word[:3], Mux(loading_below, target, self.layer))
                )
            ),
            descriptors.write_enable.eq(self.descriptor_write),
            descriptors.write_address.eq(self.descriptor_address),
            descriptors.write_data.eq(self.descriptor_in),
            self.descriptor_out.eq(descriptors.read_data),
            update_counts.read_enable.eq(1),
            update_counts.read_address.eq(self.layer),
            update_counts.write_enable.eq(sweeping & ~self.sweep_busy),
            update_counts.write_address.eq(sweep_layer[: config.layer_bits]),
            update_counts.write_data.eq(self.sweep_count),
            gather_counts.read_enable.eq(1),
            gather_counts.read_address.eq(target),
            gather_counts.write_address.eq(self.layer),
            gather_counts.write_data.eq(self.surrogate_fill),
            self.region.eq(Mux((self.layer == 0) & ~in_side, Cat(self.current, Const(0, 1)), Cat(odd, Const(1, 1)))),
            self.rows_count.eq(
                Mux(
                    self.verb == Verb.SCATTER,
                    self.event_count,
                    Mux(self.verb == Verb.GATHER, gather_counts.read_data, self._update_count(m, update_counts)),
                )
            ),
        ]
        with m.If(self.spike):
            m.d.sync += self.spike_fill.eq(self.spike_fill + 1)
        with m.If(self.surrogate):
            m.d.sync += self.surrogate_fill.eq(self.surrogate_fill + 1)
        with m.If(sweeping & ~self.sweep_busy):
            m.d.sync += [sweeping.eq(0), sweep_layer.eq(sweep_layer + 1)]
        m.d.sync += timer.eq(timer + 1)

        def load(below: int = 0) -> None:
            m.d.sync += [word.eq(0), loading_below.eq(below)]
            m.next = "LOAD"

        def key(purpose: Domain) -> None:
            m.d.sync += [domain.eq(purpose), wait.eq(0)]
            m.next = "KEY"

        def finish(ended: Phase) -> None:
            m.d.comb += [self.account.eq(1), self.account_phase.eq(ended)]
            m.d.sync += [self.elapsed.eq(timer), timer.eq(0)]

        def start_rows(verb: Verb) -> None:
            m.d.sync += self.verb.eq(verb)
            m.next = "ROWS"

        self._tails(m, below_count)
        eligible = self.field("eligibility") if config.has("eligibility") else Const(0)
        if config.has("eligibility"):
            m.d.comb += self.eligible.eq(eligible)
        if config.has("shadow"):
            m.d.comb += self.committing.eq(self.apply & self.last)

        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.idle.eq(~self.ready_step | self.hold)
                m.d.sync += [timer.eq(0), wait.eq(0), self.layer.eq(0), sweep_layer.eq(0)]
                m.d.sync += base.eq(self.seed ^ self.sample)
                with m.If(self.ready_step & ~self.hold):
                    m.d.sync += [
                        self.step.eq(Mux(self.first, 0, self.step + 1)),
                        below_count.eq(self.input_count),
                    ]
                    m.next = "SAMPLE-KEY"
            with m.State("SAMPLE-KEY"):
                m.d.comb += self.keying.eq(1)
                m.d.sync += wait.eq(wait + 1)
                with m.If(wait == config.noise_latency):
                    m.d.sync += [base.eq(self.mixed ^ self.step), wait.eq(0)]
                    m.next = "STEP-KEY"
            with m.State("STEP-KEY"):
                m.d.comb += self.keying.eq(1)
                m.d.sync += wait.eq(wait + 1)
                with m.If(wait == config.noise_latency):
                    m.d.sync += [base.eq(self.mixed), phase.eq(Phase.FORWARD)]
                    load()
            with m.State("LOAD"):
                m.d.sync += word.eq(word + 1)
                for number in range(used_words):
                    with m.If(word == number + 1):
                        m.d.sync += self.words[number].eq(descriptors.read_data)
                with m.If(word == used_words):
                    m.next = "LOADED"
            with m.State("LOADED"):
                with m.If(loading_below):
                    m.d.sync += [
                        self.below_state_base.eq(self.field("state_base")),
                        self.below_signal_shift.eq(self.field("signal_shift")),
                        self.gather_base.eq(self.field("gather_base")),
                    ]
                    if config.has("feedback"):
                        m.d.sync += [
                            self.layer.eq(self.field("signal_block")),
                            self.below_signal_sign.eq(self.field("signal_sign")),
                        ]
                    if config.has("post-trace"):
                        m.d.sync += [
                            self.below_post_shift.eq(self.field("post_shift")),
                            self.below_post_negative.eq(self.field("post_negative")),
                        ]
                    load()
                with m.Elif(phase == Phase.FORWARD):
                    m.next = "FORWARD"
                    if config.signatures:
                        key(Domain.STATE)
                    with m.If(self.learn & ~in_side):
                        if config.signatures:
                            key(Domain.TRACE)
                        else:
                            m.next = "SWEEP"
                with m.Elif(phase == Phase.GATHER):
                    key(Domain.SIGNAL)
                with m.Elif(~self.field("learns") | (self.closed & ~committing & ~eligible)):
                    m.next = "UPDATED"
                with m.Elif(sweep_layer > self.layer):
                    key(Domain.WEIGHT)
            with m.State("KEY"):
                about = Mux(domain == Domain.SIGNAL, target, self.layer)
                m.d.comb += [self.keying.eq(1), code.eq(Cat(domain, about))]
                m.d.sync += wait.eq(wait + 1)
                with m.If(wait == config.noise_latency):
                    m.d.sync += self.key.eq(self.mixed)
                    with m.Switch(domain):
                        with m.Case(Domain.TRACE):
                            m.next = "SWEEP"
                        with m.Case(Domain.STATE):
                            m.next = "FORWARD"
                        with m.Case(Domain.ERROR):
                            m.next = "ERROR"
                        with m.Case(Domain.SIGNAL):
                            start_rows(Verb.GATHER)
                        with m.Case(Domain.WEIGHT, Domain.EVENT):
                            start_rows(Verb.UPDATE)
            with m.State("SWEEP"):
                with m.If(~self.sweep_busy & ~sweeping):
                    m.d.comb += self.sweep_start.eq(1)
                    m.d.sync += [
                        sweeping.eq(1),
                        self.sweep_key.eq(self.key),
                        self.sweep_region.eq(self.region),
                    ]
                    if has_tail(config):
                        tail, taken = self.scatter_tail, self.sweep_tail
                        m.d.sync += [getattr(taken, name).eq(getattr(tail, name)) for name in tail.signature.members]
                    m.next = "SWEPT"
            with m.State("SWEPT"):
                # Where they take turns, SCATTER follows when the sweep has read its last event.
                with m.If(Const(1) if config.event_readers == "both" else ~self.sweep_busy):
                    if config.signatures:
                        key(Domain.STATE)
                    else:
                        m.next = "FORWARD"
            with m.State("FORWARD"):
                m.d.comb += self.readout_begin.eq(1)
                start_rows(Verb.SCATTER)
            with m.State("ROWS"):
                with m.If(~self.account_busy):
                    m.d.comb += self.rows_start.eq(1)
                    with m.If(self.verb == Verb.SCATTER):
                        m.d.sync += [self.spike_fill.eq(0), self.surrogate_fill.eq(0)]
                    m.next = "STARTED"
            with m.State("STARTED"):
                m.next = "BUSY"
            with m.State("BUSY"):
                with m.If(~self.rows_busy):
                    m.next = "DONE"
            with m.State("DONE"):
                with m.Switch(phase):
                    with m.Case(Phase.FORWARD):
                        m.d.comb += gather_counts.write_enable.eq(1)
                        finish(Phase.FORWARD)
                        m.next = "FORWARDED"
                    with m.Case(Phase.GATHER):
                        finish(Phase.GATHER)
                        m.next = "GATHERED"
                    with m.Default():
                        finish(Phase.UPDATE)
                        m.next = "UPDATED"
            with m.State("FORWARDED"):
                m.d.sync += target.eq(self.layer - 1)
                with m.If(~is_last_layer & ~in_side):
                    m.d.sync += below_count.eq(self.spike_fill)
                    if config.has("feedback"):
                        with m.If(self.field("signal_local") & self.learn & ~self.closed):
                            m.d.sync += [
                                self.in_side.eq(1),
                                main_layer.eq(self.layer),
                                self.layer.eq(self.field("signal_block")),
                            ]
                        with m.Else():
                            m.d.sync += self.layer.eq(self.layer + 1)
                    else:
                        m.d.sync += self.layer.eq(self.layer + 1)
                    load()
                with m.Elif(self.learn & ~self.closed):
                    m.d.sync += phase.eq(Phase.ERROR)
                    key(Domain.ERROR)
                with m.Elif(self.learn & (committing | config.has("eligibility"))):
                    m.d.sync += [phase.eq(Phase.UPDATE), self.layer.eq(0)]
                    load()
                with m.Else():
                    m.next = "END"
            with m.State("ERROR"):
                m.d.comb += self.readout_start.eq(1)
                m.next = "ERROR-START"
            with m.State("ERROR-START"):
                m.next = "ERROR-BUSY"
            with m.State("ERROR-BUSY"):
                with m.If(~self.readout_busy & ~self.account_busy):
                    finish(Phase.ERROR)
                    m.next = "ERROR-DONE"
            with m.State("ERROR-DONE"):
                with m.If(in_side):
                    if config.has("feedback"):
                        m.d.sync += [self.in_side.eq(0), self.layer.eq(main_layer + 1), phase.eq(Phase.FORWARD)]
                    load()
                with m.Elif(self.layer == 0):
                    m.d.sync += phase.eq(Phase.UPDATE)
                    load()
                with m.Else():
                    m.d.sync += phase.eq(Phase.GATHER)
                    load(below=1)
            with m.State("GATHERED"):
                m.d.sync += [self.layer.eq(target), target.eq(target - 1)]
                with m.If(target == 0):
                    m.d.sync += phase.eq(Phase.UPDATE)
                    load()
                with m.Else():
                    load(below=1)
            with m.State("UPDATED"):
                m.d.sync += self.layer.eq(self.layer + 1)
                m.next = "END"
                with m.If(~is_last_layer):
                    load()
                if config.has("post-trace"):
                    again = self.field("learns") & self.field("post") & ~self.closed & ~by_events
                    m.d.sync += self.by_events.eq(again)
                    with m.If(again):
                        m.d.sync += self.layer.eq(self.layer)
                        key(Domain.EVENT)
            with m.State("END"):
                # A closed step has no UPDATE that waits for the sweeps.
                with m.If(~self.account_busy & (~self.learn | (sweep_layer == self.layers))):
                    m.d.comb += [self.release.eq(1), self.sample_done.eq(self.last)]
                    finish(Phase.END)
                    m.next = "ENDED"
            with m.State("ENDED"):
                with m.If(~self.account_busy):
                    m.next = "IDLE"
        return m

    def _update_count(self, m: Module, by_traces: Bram) -> Value:
        """Length of the list that UPDATE walks."""
        if not self.config.has("post-trace"):
            return by_traces.read_data
        m.submodules.event_update_counts = by_events = Bram(width=self.config.count_bits, depth=by_traces.depth)
        m.d.comb += [
            by_events.read_enable.eq(1),
            by_events.read_address.eq(by_traces.read_address),
            by_events.write_enable.eq(by_traces.write_enable),
            by_events.write_address.eq(by_traces.write_address),
            by_events.write_data.eq(self.fresh_count),
        ]
        return Mux(self.by_events, by_events.read_data, by_traces.read_data)

    def _tails(self, m: Module, below_count: Signal) -> None:
        """What the list of the layer in work has behind the events from below."""
        config = self.config
        if not has_tail(config):
            return
        tail = self.scatter_tail
        bias = self.field("bias") if config.has("bias") else Const(0, 1)
        own: Value = Const(0, 1)
        if config.has("recurrent"):
            m.submodules.own_counts = counts = Bram(width=config.count_bits, depth=1 << config.layer_bits)
            m.d.comb += [
                counts.read_enable.eq(~counts.write_enable),
                counts.read_address.eq(self.layer),
                counts.write_enable.eq(self.account & (self.account_phase == Phase.FORWARD)),
                counts.write_address.eq(self.layer),
                counts.write_data.eq(self.spike_fill),
            ]
            own = Mux(self.field("recurrent") & ~self.first, counts.read_data, 0)
        m.d.comb += [
            tail.count.eq(below_count),
            tail.own.eq(own),
            tail.base.eq(self.field("gather_base")),
            tail.bias.eq(bias),
            tail.older.eq(~self.step[0]),
        ]
        m.d.sync += [
            self.event_count.eq(below_count + own + bias),
            tail.last_row.eq(self.field("inputs") - 1),
        ]

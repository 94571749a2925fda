# SPDX-License-Identifier: Apache-2.0
"""The array: cores in lockstep under one sequencer."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ..arch.array import ArrayConfig, ceil_log2
from ..arch.events import EVENT_NEURON_BITS, ITEM_BITS
from ..arch.formats import FACTOR_BITS
from ..arch.registers import DATA_BITS, RESET_CODES, Space
from .account import Account
from .bram import Bram
from .core import Core
from .events import Events, has_tail
from .fire import Fire
from .fixed import add_carry
from .host import REQUEST_BITS, Host
from .lane import FactorKind, pair_layout
from .learning import Modulate
from .noise import Mix
from .readout import Readout
from .rows import Rows, Verb
from .sequencer import Sequencer
from .signature import Signatures
from .timing import domain
from .traces import Traces, update_layout

_NEURON_SPACES = (Space.MEMBRANES, Space.SURROGATE, Space.THRESHOLDS, Space.POST_TRACES)
"""Spaces whose memories are in the neuron units."""


class Array(wiring.Component):
    """A LIF core array that learns on the chip, for any `ArrayConfig`.

    Members
    -------
    items : In(stream)
        Samples, as `arch.events.pack_item` makes them.
    requests, responses : In(stream), Out(stream)
        The host: data in bits 31..0, address in 59..32 (`arch.registers`), write in bit 60. Reads answer in order.
    events : Out(stream)
        Every spike while `record` is set: neuron in bits 15..0, layer above.
    results : Out(stream)
        The readout's membranes after the last step of a sample: value, then 16 bits of index, then `last`.
    waiting : Out(1)
        Nothing is in work, and the next step's items have not all come.
    """

    def __init__(self, config: ArrayConfig) -> None:
        self.config = config
        super().__init__(
            {
                "items": In(stream.Signature(ITEM_BITS)),
                "requests": In(stream.Signature(REQUEST_BITS)),
                "responses": Out(stream.Signature(DATA_BITS)),
                "events": Out(stream.Signature(EVENT_NEURON_BITS + config.layer_bits)),
                "results": Out(stream.Signature(config.membrane_bits + 17)),
                "waiting": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Units, then the wires between them, by what they carry."""
        config = self.config
        m = Module()
        m.submodules.host = self.host = Host(config)
        m.submodules.sequencer = self.sequencer = Sequencer(config)
        m.submodules.event_lists = self.lists = Events(config)
        m.submodules.rows = self.rows = Rows(config)
        m.submodules.fire = self.fire = Fire(config)
        m.submodules.traces = self.traces = Traces(config)
        m.submodules.readout = self.readout = Readout(config)
        m.submodules.modulate = self.modulate = Modulate(config)
        m.submodules.mix = self.mix = Mix(latency=config.noise_latency)
        if config.counters:
            m.submodules.accounting = self.account = Account(config)
        self.cores = [Core(config, number) for number in range(config.cores)]
        for number, core in enumerate(self.cores):
            m.submodules[f"core_{number}"] = core

        self.granted = Signal()
        connect(m, flipped(self.items), self.lists.items)
        connect(m, flipped(self.requests), self.host.requests)
        connect(m, self.host.responses, flipped(self.responses))
        connect(m, self.fire.events, flipped(self.events))
        self._connect_sequencer(m)
        self._connect_lists(m)
        self._connect_rows(m)
        self._connect_factors(m)
        self._connect_fire(m)
        self._connect_readout(m)
        self._connect_traces(m)
        if config.counters:
            self._connect_account(m)
        self._connect_host(m)
        if config.signatures:
            self._connect_signatures(m)
        return m

    def _connect_sequencer(self, m: Module) -> None:
        seq, lists, host = self.sequencer, self.lists, self.host
        operand = Mux(self.readout.busy, self.readout.noise_index, self.rows.noise_row)
        m.d.comb += [
            seq.seed.eq(host.seed),
            seq.sample.eq(host.sample),
            seq.layers.eq(host.layers),
            seq.hold.eq(host.hold),
            seq.ready_step.eq(lists.ready_step),
            seq.first.eq(lists.first),
            seq.last.eq(lists.last),
            seq.learn.eq(lists.learn),
            seq.closed.eq(lists.closed),
            seq.current.eq(lists.current),
            seq.input_count.eq(lists.count),
            seq.mixed.eq(self.mix.o),
            seq.rows_busy.eq(self.rows.busy),
            seq.spike.eq(self.fire.spike),
            seq.surrogate.eq(self.fire.surrogate),
            seq.sweep_busy.eq(self.traces.busy),
            seq.sweep_count.eq(self.traces.count),
            seq.readout_busy.eq(self.readout.busy),
            lists.release.eq(seq.release),
            *([seq.apply.eq(host.apply)] if self.config.has("shadow") else []),
            host.sample_done.eq(seq.sample_done),
            self.mix.i.eq(Mux(seq.keying, seq.key_operand, seq.key ^ operand)),
            self.waiting.eq(seq.idle & ~lists.ready_step & ~host.busy),
        ]

    def _connect_lists(self, m: Module) -> None:
        """Event lists, and the lists of neurons with psi and of rows with a trace."""
        config, seq, rows, fire = self.config, self.sequencer, self.rows, self.fire
        post = {"post": FACTOR_BITS} if config.has("post-trace") else {}
        gather_entry = data.StructLayout({"row": config.row_bits, "psi": config.surrogate_bits, **post})
        update_entry = update_layout(config)
        m.submodules.gather_list = gathers = Bram(width=gather_entry.size, depth=config.groups * config.parallel)
        m.submodules.update_list = updates = Bram(width=update_entry.size, depth=config.axons)
        found = Signal(gather_entry)
        inputs = Signal(config.row_bits + 1)
        with m.If(self.sequencer.descriptor_write & (self.sequencer.descriptor_address == 0)):
            m.d.sync += inputs.eq(self.host.data)
        m.d.comb += [
            self.lists.inputs.eq(inputs),
            self.lists.push.eq(fire.spike),
            self.lists.push_region.eq(~seq.layer[0]),
            self.lists.push_index.eq(seq.spike_fill),
            self.lists.push_row.eq(fire.spike_neuron),
            self.lists.scatter_region.eq(seq.region),
            self.lists.scatter_index.eq(rows.index),
            self.lists.scatter_read.eq(rows.read & (seq.verb == Verb.SCATTER)),
            self.lists.sweep_region.eq(seq.sweep_region),
            self.lists.sweep_index.eq(self.traces.event_index),
            self.lists.sweep_read.eq(self.traces.event_read),
            found.row.eq(fire.surrogate_neuron),
            found.psi.eq(fire.psi),
            gathers.write_enable.eq(fire.surrogate),
            gathers.write_address.eq(seq.field("gather_base") + seq.surrogate_fill),
            gathers.write_data.eq(found.as_value()),
            gathers.read_enable.eq(rows.read & (seq.verb == Verb.GATHER)),
            gathers.read_address.eq(seq.gather_base + rows.index),
            updates.write_enable.eq(self.traces.list_write),
            updates.write_address.eq(self.traces.list_address),
            updates.write_data.eq(self.traces.list_entry.as_value()),
            updates.read_enable.eq(rows.read & (seq.verb == Verb.UPDATE)),
            updates.read_address.eq(seq.field("list_base") + rows.index),
        ]
        gather = gather_entry(gathers.read_data)
        update_data: Value = updates.read_data
        if config.has("post-trace"):
            m.d.comb += [found.post.eq(fire.post), rows.post.eq(gather.post)]
            update_data = self._event_update_list(m, updates)
        update = update_entry(update_data)
        if config.has("eligibility"):
            m.d.comb += [rows.fresh.eq(update.fresh), rows.old.eq(update.old)]
        if has_tail(config):
            connect(m, seq.scatter_tail, self.lists.scatter_tail)
            connect(m, seq.sweep_tail, self.lists.sweep_tail)
        if config.has("recurrent"):
            biases = seq.field("bias") if config.has("bias") else 0
            own_base = Signal(config.row_bits)
            m.d.sync += own_base.eq(seq.field("inputs") - seq.field("outputs") - biases)
            m.d.comb += [
                self.lists.push_own.eq(seq.field("recurrent")),
                self.lists.push_own_index.eq(seq.field("gather_base") + seq.spike_fill),
                self.lists.push_own_row.eq(own_base + fire.spike_neuron),
            ]
        event = self.lists.scatter
        with m.Switch(seq.verb):
            with m.Case(Verb.SCATTER):
                m.d.comb += [rows.row.eq(event.row), rows.amount.eq(event.shift if config.event_bits > 1 else 0)]
            with m.Case(Verb.GATHER):
                m.d.comb += [rows.row.eq(gather.row), rows.amount.eq(gather.psi)]
            with m.Default():
                m.d.comb += [rows.row.eq(update.row), rows.amount.eq(update.trace)]

    def _event_update_list(self, m: Module, by_traces: Bram) -> Value:
        """The list of rows with an event, beside that of rows with a trace: what UPDATE reads of the two."""
        traces, seq = self.traces, self.sequencer
        m.submodules.event_update_list = by_events = Bram(width=by_traces.width, depth=by_traces.depth)
        m.d.comb += [
            by_events.write_enable.eq(traces.event_list_write),
            by_events.write_address.eq(traces.event_list_address),
            by_events.write_data.eq(traces.event_list_entry.as_value()),
            by_events.read_enable.eq(by_traces.read_enable),
            by_events.read_address.eq(by_traces.read_address),
        ]
        return Mux(seq.by_events, by_events.read_data, by_traces.read_data)

    def _connect_rows(self, m: Module) -> None:
        config, seq, rows, host = self.config, self.sequencer, self.rows, self.host
        m.d.comb += [
            rows.start.eq(seq.rows_start),
            rows.verb.eq(seq.verb),
            rows.count.eq(seq.rows_count),
            rows.groups.eq(seq.field("groups")),
            rows.stride.eq(seq.field("inputs")),
            rows.weight_base.eq(seq.field("weight_base")),
            rows.state_base.eq(seq.field("state_base")),
            rows.rate_shift.eq(seq.field("rate_shift")),
            rows.noise_word.eq(self.mix.o),
            rows.fire_idle.eq(self.fire.idle),
        ]
        total = Signal(signed(config.signal.bits))
        total_carry = Signal()
        first, *others = self.cores
        value: Value = first.total
        for core in others:
            value = add_carry(value, core.total, core.total_carry)
        m.d.sync += [total.eq(value), total_carry.eq(first.total_carry)]
        m.d.comb += [
            self.modulate.ahead.eq(rows.ahead),
            self.modulate.ahead_index.eq(rows.ahead_index),
            self.modulate.valid.eq(rows.gather),
            self.modulate.add.eq(rows.gather_add),
            self.modulate.last.eq(rows.gather_last),
            self.modulate.index.eq(rows.gather_index),
            self.modulate.total.eq(total),
            self.modulate.total_carry.eq(total_carry),
            self.modulate.psi.eq(rows.gather_psi),
            self.modulate.noise.eq(self.mix.o),
            self.modulate.neuron.eq(rows.gather_row),
            self.modulate.shift.eq(seq.below_signal_shift),
        ]
        if config.has("post-trace"):
            m.d.comb += [
                self.modulate.post.eq(rows.gather_post),
                self.modulate.post_shift.eq(seq.below_post_shift),
                self.modulate.post_negative.eq(seq.below_post_negative),
            ]
        if config.has("shadow") or config.has("eligibility"):
            by_events = seq.by_events if config.has("post-trace") else Const(0)
            every = seq.committing if config.has("shadow") else Const(0)
            every |= seq.eligible if config.has("eligibility") else 0
            m.d.comb += rows.all_groups.eq(every & (seq.verb == Verb.UPDATE) & ~by_events)
        for core in self.cores:
            if config.has("eligibility"):
                m.d.comb += [
                    core.eligible.eq(seq.eligible),
                    core.old.eq(rows.late_old),
                    core.fresh.eq(rows.late_fresh),
                    core.rate_shift.eq(rows.rate_shift),
                    core.kappa.eq(core.neuron.kappa),
                    core.kappa_state.eq(core.neuron.kappa_state),
                    core.kappa_write.eq(core.neuron.kappa_write),
                ]
            if config.has("shadow"):
                m.d.comb += core.renew.eq(~host.apply | seq.committing)
            for word, value in zip(core.noise, rows.noise, strict=True):
                m.d.comb += word.eq(value)
            m.d.comb += core.row_noise.eq(rows.row_noise)
            for lane, run in enumerate(core.runs):
                m.d.comb += run.eq(rows.runs[lane * config.cores + core.number])
            mine = host.core == core.number
            weights = host.space == Space.WEIGHTS
            m.d.comb += [
                core.address.eq(Mux(self.granted, host.word, rows.address)),
                core.read.eq(rows.read_weights | (host.read & weights)),
                core.swap.eq(rows.swap),
                core.reach.eq(rows.reach),
                core.trace.eq(rows.trace),
                core.rate_room.eq(rows.rate_room),
                core.valid.eq(rows.valid),
                core.scatter.eq(rows.scatter),
                core.event_shift.eq(rows.event_shift),
                core.capture.eq(rows.capture),
                core.moving.eq(rows.moving),
                core.write.eq(rows.write),
                core.write_address.eq(Mux(self.granted, host.word, rows.write_address)),
                core.host_chunk.eq(host.place),
                core.host_data.eq(host.data),
                core.host_stage.eq(host.write & weights & mine),
                core.host_write.eq(host.commit & ((weights & mine) | host.clear)),
            ]

    def _connect_factors(self, m: Module) -> None:
        """Factors are zeroed by FIRE, then written by the readout's error or by MODULATE."""
        config, seq, rows, host = self.config, self.sequencer, self.rows, self.host
        cores = config.cores
        lane_bits, core_bits = ceil_log2(config.lanes), ceil_log2(cores)
        neuron: Value = Mux(self.modulate.write, self.modulate.write_neuron, self.readout.write_index)
        base = Mux(self.modulate.write, seq.below_state_base, seq.field("state_base"))
        written = Signal(pair_layout(config))
        with m.If(self.modulate.write):
            m.d.comb += written.eq(self.modulate.factor)
        with m.Elif(self.readout.write):
            m.d.comb += written.causal.eq(self.readout.factor)
        kind = Signal(FactorKind)
        if config.has("post-trace"):
            with m.If((seq.verb == Verb.UPDATE) & seq.by_events):
                m.d.comb += kind.eq(FactorKind.EVENT)
        if config.has("feedback"):
            with m.If((seq.verb == Verb.GATHER) & seq.below_signal_sign):
                m.d.comb += kind.eq(FactorKind.SIGN)
        m.d.comb += rows.factor_some.eq(sum((core.factor_some for core in self.cores), start=Const(0, 1)))
        probes = self.config.probes
        host_read: Value = host.read & (host.space == Space.FACTORS) if probes else Const(0)
        clearing: Value = host.commit & host.clear if probes else Const(0)
        for core in self.cores:
            mine = neuron[:core_bits] == core.number if core_bits else Const(1)
            learned = (self.modulate.write | self.readout.write) & mine
            zeroed = self.fire.retire & seq.learn
            m.d.comb += [
                core.factor_read.eq(rows.factor_read | host_read),
                core.factor_state.eq(Mux(host_read, host.word, rows.factor_state)),
                core.factor_shift.eq(rows.factor_shift),
                core.factor_write.eq(learned | zeroed | clearing),
                core.factor_data.eq(written),
                core.factor_kind.eq(kind),
                core.factor_write_state.eq(
                    Mux(
                        self.granted if probes else 0,
                        host.word,
                        Mux(zeroed, self.fire.retire_state, (base << lane_bits) + (neuron >> core_bits)),
                    )
                ),
            ]

    def _connect_fire(self, m: Module) -> None:
        seq, fire, host = self.sequencer, self.fire, self.host
        m.d.comb += [
            fire.capture.eq(self.rows.capture),
            fire.group.eq(self.rows.fire_group),
            fire.neuron.eq(self.rows.fire_neuron),
            fire.outputs.eq(seq.field("outputs")),
            fire.spiking.eq(seq.field("spiking")),
            fire.learn.eq(seq.learn),
            fire.record.eq(host.record if self.config.probes else 0),
            fire.layer.eq(seq.layer),
            fire.done.eq(self.cores[0].neuron.done),
        ]
        probes = self.config.probes
        table = host.commit & ((host.space == Space.SURROGATE) | host.clear)
        membranes = host.space == Space.MEMBRANES
        for number, core in enumerate(self.cores):
            unit = core.neuron
            mine = host.core == number
            m.d.comb += [
                unit.enable.eq(fire.enable),
                unit.slot_valid.eq(fire.slot_valid),
                unit.slot.eq(fire.slot),
                unit.live.eq(fire.live[number]),
                unit.state.eq(fire.state),
                unit.first.eq(self.lists.first),
                unit.decay.eq(seq.field("decay")),
                unit.current_decay.eq(seq.field("current_decay") if self.config.has("cuba") else 0),
                unit.clamp.eq(seq.field("clamp") if self.config.has("cuba") else 0),
                unit.threshold.eq(seq.field("threshold")),
                unit.hard.eq(seq.field("reset") == RESET_CODES["hard"]),
                unit.soft.eq(seq.field("reset") == RESET_CODES["soft"]),
                unit.spiking.eq(seq.field("spiking")),
                unit.surrogate_shift.eq(seq.field("surrogate_shift")),
                unit.from_membrane.eq(host.error[1]),
                unit.table_write.eq(table),
                unit.table_address.eq(host.word),
                unit.table_data.eq(Mux(host.clear, 0, host.data)),
                unit.host_state.eq(host.word),
                unit.host_read.eq(self.granted & host.space.matches(*_NEURON_SPACES) if probes else 0),
                unit.host_write.eq(host.commit & ((membranes & mine) | host.clear) if probes else 0),
                unit.host_data.eq(Mux(host.clear, 0, host.data)),
                fire.valid[number].eq(unit.valid),
                fire.spikes[number].eq(unit.spike),
                fire.psis[number].eq(unit.psi),
                fire.vs[number].eq(unit.v),
                fire.ys[number].eq(unit.y),
                fire.overs[number].eq(unit.over),
            ]
            if self.config.has("thresholds"):
                m.d.comb += unit.threshold_write.eq(
                    host.commit & (((host.space == Space.THRESHOLDS) & mine) | host.clear)
                )
            if self.config.has("post-trace"):
                m.d.comb += [
                    unit.post_decay.eq(seq.field("post_decay")),
                    unit.has_post.eq(seq.field("post")),
                    unit.post_decayed.eq(seq.field("post_decayed")),
                    unit.post_write.eq(
                        host.commit & ((host.space == Space.POST_TRACES) & mine | host.clear) if probes else 0
                    ),
                    fire.posts[number].eq(unit.post),
                ]

    def _connect_readout(self, m: Module) -> None:
        seq, fire, readout, host, lists = self.sequencer, self.fire, self.readout, self.host, self.lists
        noise = Signal(32)
        m.d.sync += noise.eq(self.mix.o)
        index = Signal(16)
        # Results are those of the last layer, not of a layer's own readout.
        final = lists.last & ~seq.in_side if self.config.has("feedback") else lists.last
        m.d.comb += [
            readout.begin.eq(seq.readout_begin),
            readout.push.eq(fire.output),
            readout.index.eq(fire.output_neuron),
            readout.y.eq(fire.y),
            readout.start.eq(seq.readout_start),
            readout.classes.eq(seq.field("outputs")),
            readout.label.eq(lists.label),
            readout.mse.eq(host.error[0]),
            readout.shift.eq(host.error[4:]),
            readout.noise.eq(noise),
            fire.output_ready.eq(~final | self.results.ready),
            self.results.valid.eq(fire.output_waits & final),
            index.eq(fire.output_neuron),
            self.results.payload.eq(Cat(fire.v, index, index + 1 == seq.field("outputs"))),
        ]

    def _connect_traces(self, m: Module) -> None:
        seq, traces, host = self.sequencer, self.traces, self.host
        window = (host.space == Space.TRACES) & self.config.probes
        clearing = host.clear & self.config.probes
        m.d.comb += [
            traces.start.eq(seq.sweep_start),
            traces.first.eq(self.lists.first),
            traces.key.eq(seq.sweep_key),
            traces.inputs.eq(seq.field("inputs")),
            traces.trace_base.eq(seq.field("trace_base")),
            traces.list_base.eq(seq.field("list_base")),
            traces.decay.eq(seq.field("trace_decay")),
            traces.shift.eq(seq.field("trace_shift")),
            traces.event_count.eq(seq.event_count),
            traces.event.eq(self.lists.sweep),
            traces.host_read.eq(host.read & window),
            traces.host_write.eq(host.commit & (window | clearing)),
            traces.host_clear.eq(host.clear),
            traces.host_word.eq(host.word),
            traces.host_place.eq(host.place),
            traces.host_data.eq(host.data[:FACTOR_BITS]),
        ]
        if self.config.has("bias"):
            m.d.comb += traces.event_is_bias.eq(self.lists.sweep_is_bias)
        if self.config.has("shadow"):
            m.d.comb += traces.committing.eq(seq.committing)
        if self.config.has("post-trace"):
            m.d.comb += seq.fresh_count.eq(traces.fresh_count)

    def _connect_account(self, m: Module) -> None:
        seq, rows, account = self.sequencer, self.rows, self.account
        overs = sum((core.overs for core in self.cores), start=Const(0, 1))
        written = Signal()
        m.d.sync += written.eq(rows.write)
        m.d.comb += [
            seq.account_busy.eq(account.busy),
            account.start.eq(seq.account),
            account.phase.eq(seq.account_phase),
            account.elapsed.eq(seq.elapsed),
            account.event_count.eq(seq.event_count),
            account.rows_count.eq(seq.rows_count),
            account.inputs.eq(seq.field("inputs")),
            account.first.eq(self.lists.first),
            account.spikes.eq(seq.spike_fill),
            account.words.eq(rows.words),
            account.skipped.eq(rows.skipped),
            account.groups.eq(seq.field("groups")),
            account.updates.eq(rows.updates),
            account.overs.eq(Mux(written, overs, self.fire.over_count | self.modulate.over_count)),
            account.trace_overs.eq(self.traces.overs),
            account.counters.clear.eq(self.host.clear_counters),
            account.counters.read.eq(self.host.counter_read),
            account.counters.read_index.eq(self.host.counter_index),
            self.host.counter_data.eq(account.counters.read_data),
            self.host.counter_taken.eq(account.counters.taken),
            self.host.counters_busy.eq(account.counters.busy),
        ]

    def _connect_host(self, m: Module) -> None:
        seq, host = self.sequencer, self.host
        # The sequencer does not start while the host holds it, so a grant may come a clock late. Until then memories
        # belong to the step in work.
        m.d.sync += self.granted.eq(seq.idle & host.hold)
        descriptors = host.space == Space.DESCRIPTORS
        m.d.comb += [
            host.granted.eq(self.granted),
            host.working.eq(~seq.idle | self.lists.ready_step),
            host.faults.eq(self.lists.fault),
            self.lists.clear_fault.eq(host.clear_counters),
            seq.descriptor_read.eq(self.granted & descriptors),
            seq.descriptor_write.eq(host.commit & (descriptors | host.clear)),
            seq.descriptor_address.eq(host.word),
            seq.descriptor_in.eq(Mux(host.clear, 0, host.data)),
        ]
        of_cores = [self._core_answer(m, core) for core in self.cores]
        alike: dict[Space, Value] = {Space.DESCRIPTORS: seq.descriptor_out}
        if self.config.probes:
            alike |= {Space.TRACES: self.traces.host_trace, Space.SURROGATE: self.cores[0].neuron.table_out}
        answer = Signal(signed(DATA_BITS))
        m.d[domain(self.config)] += host.memory_data.eq(answer)
        with m.Switch(host.space):
            for space, value in alike.items():
                with m.Case(space):
                    m.d.comb += answer.eq(value)
            with m.Default(), m.Switch(host.core):
                for number, found in enumerate(of_cores):
                    with m.Case(number):
                        m.d.comb += answer.eq(found)

    def _core_answer(self, m: Module, core: Core) -> Signal:
        """What the host reads of a core: from a register where there are several, for they lie far apart."""
        values: dict[Space, Value] = {Space.WEIGHTS: core.host_word}
        if self.config.probes:
            values |= {Space.MEMBRANES: core.neuron.host_word, Space.FACTORS: core.factor_host}
            if self.config.has("thresholds"):
                values[Space.THRESHOLDS] = core.neuron.host_threshold
            if self.config.has("post-trace"):
                values[Space.POST_TRACES] = core.neuron.host_post
        found = Signal(signed(DATA_BITS))
        assigned = m.d.sync if self.config.cores > 1 else m.d.comb
        with m.Switch(self.host.space):
            for space, value in values.items():
                with m.Case(space):
                    assigned += found.eq(value)
        return found

    def _connect_signatures(self, m: Module) -> None:
        config, seq, fire, host = self.config, self.sequencer, self.fire, self.host
        m.submodules.signatures = signatures = Signatures(config)
        for offset in range(config.parallel):
            core, lane = self.cores[offset % config.cores], offset // config.cores
            m.d.comb += [
                signatures.stored[offset].eq(core.stored[lane]),
                signatures.active[offset].eq(core.active[lane]),
            ]
        for number, core in enumerate(self.cores):
            unit = core.neuron
            m.d.comb += [
                signatures.live[number].eq(unit.valid),
                signatures.v[number].eq(unit.v),
                signatures.spike[number].eq(unit.spike),
                signatures.psi[number].eq(unit.psi),
            ]
        m.d.comb += [
            signatures.clear.eq(host.clear_counters),
            signatures.weight_write.eq(self.rows.write),
            signatures.row_noise.eq(self.rows.write_row_noise),
            signatures.group_neuron.eq(self.rows.write_neuron),
            signatures.retire.eq(fire.retire),
            signatures.key.eq(seq.key),
            signatures.neuron.eq(fire.retire_neuron),
            signatures.trace_valid.eq(self.traces.digest_valid),
            signatures.trace.eq(self.traces.digest),
            host.signatures[0].eq(signatures.weights),
            host.signatures[1].eq(signatures.neurons),
            host.signatures[2].eq(signatures.traces),
        ]

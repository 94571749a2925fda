# SPDX-License-Identifier: Apache-2.0
"""One core: lanes on a weight memory, the state of their neurons, and an adder tree."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..arch.array import ArrayConfig, ceil_log2
from ..arch.formats import EXPONENT_MAX, FACTOR_BITS, UNIT
from ..arch.noise import OWN_BITS, ROUND_BITS, ROW_NOISE_BITS, WORD_BITS
from ..arch.registers import DATA_BITS, weight_chunks
from .bram import Bram
from .fixed import add_carry
from .lane import (
    REACH_BITS,
    RUN_BITS,
    FactorKind,
    Lane,
    factor_layout,
    kappa_layout,
    pair_layout,
    term_bits,
)
from .neuron import Neuron
from .noise import lane_noise
from .pipeline import delayed
from .timing import between, domain, timing


class Core(wiring.Component):
    """`lanes` lanes in lockstep with all other cores; `number` is its own among them.

    The row pipeline's signals carry the clock at which they are valid (`lane.Lane`): the weight word is addressed at
    clock 8 and in the lanes at 10; the sum of a row's products, `total + total_carry`, comes at clock 13 (or as
    `timing` says). The core's `neuron` is wired by the array, all cores alike.
    """

    def __init__(self, config: ArrayConfig, number: int) -> None:
        self.config = config
        self.number = number
        self.chunks = weight_chunks(config)
        self.neuron = Neuron(config)
        self.factor = factor_layout(config)
        self.pair = pair_layout(config)
        self.total_bits = term_bits(config) + ceil_log2(config.lanes)
        words = -(-config.parallel // 32)
        optional: dict[str, object] = {"renew": In(1)} if config.has("shadow") else {}
        if config.has("eligibility"):
            optional |= {
                "eligible": In(1),
                "old": In(1),
                "fresh": In(FACTOR_BITS),
                "rate_shift": In(5),
                "kappa": In(kappa_layout(config)),
                "kappa_state": In(config.state_bits),
                "kappa_write": In(1),
            }
        super().__init__(
            {
                **optional,
                "address": In(config.weight_address_bits),
                "read": In(1),
                "swap": In(1),
                "noise": In(32).array(words),
                "row_noise": In(ROW_NOISE_BITS),
                "runs": In(RUN_BITS).array(config.lanes),
                "reach": In(signed(REACH_BITS)),
                "trace": In(FACTOR_BITS),
                "rate_room": In(5),
                "valid": In(1),
                "scatter": In(1),
                "event_shift": In(3),
                "capture": In(1),
                "moving": In(1),
                "write": In(1),
                "write_address": In(config.weight_address_bits),
                "total": Out(signed(self.total_bits)),
                "total_carry": Out(1),
                "overs": Out(range(config.lanes + 1)),
                "stored": Out(signed(config.weight_bits)).array(config.lanes),
                "active": Out(1).array(config.lanes),
                # factors
                "factor_read": In(1),
                "factor_state": In(config.state_bits),
                "factor_shift": In(1),
                "factor_some": Out(1),
                "factor_write": In(1),
                "factor_write_state": In(config.state_bits),
                "factor_data": In(self.pair),
                "factor_kind": In(FactorKind),
                "factor_host": Out(signed(FACTOR_BITS + 2)),
                # host
                "host_chunk": In(max(1, ceil_log2(self.chunks))),
                "host_data": In(DATA_BITS),
                "host_stage": In(1),
                "host_write": In(1),
                "host_word": Out(DATA_BITS),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Memories and lanes; the factor chain; the weight word's way in and out; the tree."""
        m = Module()
        config = self.config
        word_bits = config.lanes * config.lane_bits
        m.submodules.neuron = self.neuron
        m.submodules.weights = weights = Bram(
            width=word_bits, depth=config.weight_words, single_port=config.weight_memory == "single"
        )
        m.submodules.factors = factors = Bram(
            width=len(self.factor_data.as_value()), depth=config.groups * config.lanes
        )
        lanes = [Lane(config) for _ in range(config.lanes)]
        for number, lane in enumerate(lanes):
            m.submodules[f"lane_{number}"] = lane

        staged = Signal(word_bits)
        word = Signal(word_bits)
        m.d.comb += [
            weights.read_enable.eq(self.read),
            weights.read_address.eq(self.address),
            *(
                port.eq(delayed(m, value, timing(config).write_delay, f"late_{name}")[-1])
                for name, port, value in (
                    ("enable", weights.write_enable, self.write | self.host_write),
                    ("address", weights.write_address, self.write_address),
                    ("data", weights.write_data, Cat(self._lane_word(lane) for lane in lanes)),
                )
            ),
        ]
        m.d[domain(config)] += word.eq(weights.read_data)
        self._host(m, word, staged)
        self._factors(m, factors, lanes)
        if config.has("eligibility"):
            self._eligibility(m, lanes)

        bits = config.lane_bits
        for number, lane in enumerate(lanes):
            offset = number * config.cores + self.number
            m.d.comb += [
                lane.swap.eq(self.swap),
                lane.noise.eq(Cat(self.row_noise, lane_noise(list(self.noise), offset)[-OWN_BITS:])),
                lane.run.eq(self.runs[number]),
                lane.reach.eq(self.reach),
                lane.trace.eq(self.trace),
                lane.rate_room.eq(self.rate_room),
                lane.word.eq(word[number * bits :]),
                lane.host_word.eq(staged[number * bits :]),
                lane.moving.eq(self.moving),
                lane.valid.eq(self.valid),
                lane.scatter.eq(self.scatter),
                lane.event_shift.eq(self.event_shift),
                lane.capture.eq(self.capture),
                self.neuron.currents[number].eq(lane.current),
                self.stored[number].eq(lane.stored),
                self.active[number].eq(lane.active),
            ]
            if config.has("shadow"):
                copies = slice(number * bits + config.weight_bits, (number + 1) * bits)
                m.d.comb += [
                    lane.renew.eq(self.renew),
                    lane.copy.eq(word[copies]),
                    lane.host_copy.eq(staged[copies]),
                ]
        m.d.sync += self.overs.eq(sum((lane.over & lane.active for lane in lanes), start=Const(0, 1)))
        self._tree(m, [lane.term for lane in lanes], [lane.minus for lane in lanes])
        return m

    def _lane_word(self, lane: Lane) -> Value:
        """A lane's part of a weight word."""
        return Cat(lane.stored, lane.copied) if self.config.has("shadow") else lane.stored

    def _host(self, m: Module, word: Signal, staged: Signal) -> None:
        """Weight words pass in 32-bit chunks: written through a staging register, read from the word last read."""
        chunks = [word[index * DATA_BITS : (index + 1) * DATA_BITS] for index in range(self.chunks)]
        with m.Switch(self.host_chunk):
            for index, chunk in enumerate(chunks):
                with m.Case(index):
                    m.d.comb += self.host_word.eq(chunk)
                    with m.If(self.host_stage):
                        m.d.sync += staged[index * DATA_BITS : (index + 1) * DATA_BITS].eq(self.host_data)
        # A word passes through the lanes' last register, and must be gone when UPDATE needs it.
        with m.If(self.host_write | self.moving):
            m.d.sync += staged.eq(0)

    def _factors(self, m: Module, factors: Bram, lanes: list[Lane]) -> None:
        """One factor a clock from their memory into the chain of lanes: the last lane is fed, the first filled last."""
        read = self._chosen(m, factors)
        some = self.factor(read).some
        m.d.comb += [
            factors.read_enable.eq(self.factor_read),
            factors.read_address.eq(self.factor_state),
            factors.write_enable.eq(self.factor_write),
            factors.write_address.eq(self.factor_write_state),
            factors.write_data.eq(self.factor_data.as_value()),
            self.factor_some.eq(some),
        ]
        for number, lane in enumerate(lanes):
            source = read if number == len(lanes) - 1 else lanes[number + 1].factor_out.as_value()
            m.d.comb += [lane.factor_in.eq(source), lane.factor_shift.eq(self.factor_shift)]
        later = Signal.like(read)
        m.d.sync += later.eq(read)
        view = self.factor(later)
        size = 1 << view.exponent if self.config.products == "shift" else view.magnitude
        m.d.comb += self.factor_host.eq(Mux(view.some, Mux(view.negative, -size, size), 0))

    def _eligibility(self, m: Module, lanes: list[Lane]) -> None:
        """The traces of synapses, words beside the weights', and what is left of them, beside the factors."""
        config = self.config
        bits = FACTOR_BITS + 1
        layout = kappa_layout(config)
        m.submodules.eligibilities = traces = Bram(width=config.lanes * bits, depth=config.weight_words)
        m.submodules.kappas = kappas = Bram(width=layout.size, depth=config.groups * config.lanes)
        word = Signal(config.lanes * bits)
        noise = [delayed(m, value, 3, f"noise_{index}")[-1] for index, value in enumerate(self.noise)]
        m.d.sync += word.eq(traces.read_data)
        m.d.comb += [
            traces.read_enable.eq(self.read),
            traces.read_address.eq(self.address),
            traces.write_enable.eq(self.write & self.eligible),
            traces.write_address.eq(self.write_address),
            traces.write_data.eq(Cat(lane.kept for lane in lanes)),
            kappas.read_enable.eq(self.factor_read),
            kappas.read_address.eq(self.factor_state),
            kappas.write_enable.eq(self.kappa_write),
            kappas.write_address.eq(self.kappa_state),
            kappas.write_data.eq(self.kappa.as_value()),
        ]
        for number, lane in enumerate(lanes):
            own = lane_noise(noise, number * config.cores + self.number)
            source = kappas.read_data if number == len(lanes) - 1 else lanes[number + 1].kappa_out.as_value()
            m.d.comb += [
                lane.eligible.eq(self.eligible),
                lane.eligibility.eq(word[number * bits : (number + 1) * bits]),
                lane.old.eq(self.old),
                lane.fresh.eq(self.fresh),
                lane.own_noise.eq(own[WORD_BITS - OWN_BITS - ROUND_BITS : WORD_BITS - OWN_BITS]),
                lane.rate_shift.eq(self.rate_shift),
                lane.kappa_in.eq(source),
            ]

    def _chosen(self, m: Module, factors: Bram) -> Value:
        """What the lanes get of the factors that were read."""
        pair = self.pair(factors.read_data)
        causal: Value = pair.causal.as_value()
        if not (self.config.has("post-trace") or self.config.has("feedback")):
            return causal
        chosen = Signal(self.factor)
        m.d.comb += chosen.eq(causal)
        if self.config.has("post-trace"):
            with m.If(self.factor_kind == FactorKind.EVENT):
                m.d.comb += chosen.eq(pair.event)
        if self.config.has("feedback"):
            with m.If(self.factor_kind == FactorKind.SIGN):
                if self.config.products == "shift":
                    m.d.comb += chosen.exponent.eq(EXPONENT_MAX)
                else:
                    m.d.comb += chosen.magnitude.eq(UNIT)
        return chosen.as_value()

    def _tree(self, m: Module, terms: list[Value], carries: list[Value]) -> None:
        """Sum of the lanes' terms, a register after every second level of a long pipeline: then valid two clocks after
        the terms.

        Each adder takes one of the lanes' `minus` as its carry in; one is left over.
        """
        for level in range(2):
            for _ in range(2):
                if len(terms) > 1:
                    pairs = zip(terms[::2], terms[1::2], strict=True)
                    terms = [add_carry(left, right, carries.pop()) for left, right in pairs]
            clocks = between(self.config, 1)
            terms = [delayed(m, term, clocks, f"sum_{level}_{index}")[-1] for index, term in enumerate(terms)]
            carries = [delayed(m, carry, clocks, f"carry_{level}_{index}")[-1] for index, carry in enumerate(carries)]
        m.d.comb += [self.total.eq(terms[0]), self.total_carry.eq(carries[0])]

# SPDX-License-Identifier: Apache-2.0
"""One lane: everything that happens to one synapse of a weight word."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..arch.array import ArrayConfig
from ..arch.formats import EXPONENT_MAX, FACTOR_BITS, RATE_SHIFT_MAX
from ..arch.noise import ROUND_BITS
from .fixed import add_carry, magnitude, partial_products, pow2_exponent, saturate
from .pipeline import delayed, wire
from .timing import between, domain, eligibility_lag, timing

EXPONENT_BITS = EXPONENT_MAX.bit_length()
RUN_BITS = 5
REACH_BITS = 6
"""Signed bits of exponent(G) + exponent(p) - rate_shift."""
REACH_MIN = -1 << (REACH_BITS - 1)
"""No run of ones reaches that far: nothing moves."""


def factor_layout(config: ArrayConfig) -> data.StructLayout:
    """A factor G as the lanes hold it: sign, and an exponent or a magnitude."""
    if config.products == "shift":
        return data.StructLayout({"exponent": EXPONENT_BITS, "some": 1, "negative": 1})
    return data.StructLayout({"magnitude": FACTOR_BITS, "some": 1, "negative": 1})


def pair_layout(config: ArrayConfig) -> data.StructLayout:
    """The factors of one neuron as their memory holds them: G, and H of arrays that have it."""
    factor = factor_layout(config)
    return data.StructLayout({"causal": factor, **({"event": factor} if config.has("post-trace") else {})})


def kappa_layout(config: ArrayConfig) -> data.StructLayout:
    """What is left of the traces of a neuron's synapses, in units of its decay."""
    return data.StructLayout({"size": config.decay_bits + 1, "negative": 1})


def eligibility_members(config: ArrayConfig) -> dict[str, In | Out]:
    """What a lane has for the trace of its synapse: `eligibility`, `old`, `fresh` at clock 10, the noise that rounds it
    at 11, and at the write clock what is `kept`."""
    return {
        "eligible": In(1),
        "eligibility": In(signed(FACTOR_BITS + 1)),
        "old": In(1),
        "fresh": In(FACTOR_BITS),
        "own_noise": In(ROUND_BITS),
        "rate_shift": In(5),
        "kappa_in": In(kappa_layout(config)),
        "kappa_out": Out(kappa_layout(config)),
        "kept": Out(signed(FACTOR_BITS + 1)),
    }


class _OwnTrace(NamedTuple):
    """A synapse's own trace as its product takes it: magnitude and sign, or how far it moves a weight."""

    size: Value
    negative: Value
    reach: Value


class FactorKind(IntEnum):
    """What the lanes get of a neuron's factors."""

    CAUSAL = 0
    """G"""
    EVENT = 1
    """H"""
    SIGN = 2
    """the sign of G, times 1.0"""


def term_bits(config: ArrayConfig) -> int:
    """Signed bits of one synapse's product with a factor or an event."""
    return config.synapse_bits + EXPONENT_MAX


class Lane(wiring.Component):
    """The three verbs on one weight a clock. While `moving` is low `stored` follows `host_word`, which is zero
    otherwise.

    ======= ================================================================================================
    clock   what happens (the array's row pipeline counts from the read of a list entry)
    ======= ================================================================================================
    8       the factor in use is replaced by the one shifted in (`swap`)
    10      GATHER, and SCATTER of graded events: the product; UPDATE: `run` says how far the weight moves
    11      `term` and `minus`; SCATTER: accumulate; `capture` hands the sum over and starts from zero
    12      UPDATE: `W - sign(G) step`
    13      UPDATE: saturated, to be written (14 with exact products)
    ======= ================================================================================================

    With `pipeline = "short"` all but the factor and the accumulator are in one clock, that of the word (`timing`).

    A product is `term + minus`: its sign costs an inversion here and a carry in the adder tree. With shifts:
    `reach = exponent(G) + exponent(p) - rate_shift`; the step is `2**reach`, or, if that is below 1, it is 1 when the
    first `-reach` bits of the noise are all ones: when `run`, the ones that it begins with, reaches that far. This is
    `(abs(G) p + (noise >> (23 - rate_shift))) >> rate_shift` of the law.

    In a `shadow` array SCATTER and GATHER see `copy`, which an update hands on as it is, or, with `renew`, as the top
    bits of the weight that it writes: `copied`, beside `stored`.

    With `eligibility` an update takes three clocks more, in which the synapse's own trace, where the layer is
    `eligible`, is renewed and rounded in the place of the row's.
    """

    def __init__(self, config: ArrayConfig) -> None:
        self.config = config
        self.factor = factor_layout(config)
        shadow, synapse = config.has("shadow"), signed(config.synapse_bits)
        eligibility = eligibility_members(config) if config.has("eligibility") else {}
        super().__init__(
            {
                **eligibility,
                "factor_in": In(self.factor),
                "factor_out": Out(self.factor),
                "factor_shift": In(1),
                "swap": In(1),
                "noise": In(RATE_SHIFT_MAX),
                "run": In(RUN_BITS),
                "reach": In(signed(REACH_BITS)),
                "trace": In(FACTOR_BITS),
                "rate_room": In(5),
                "word": In(signed(config.weight_bits)),
                "host_word": In(signed(config.weight_bits)),
                **(
                    {"renew": In(1), "copy": In(synapse), "host_copy": In(synapse), "copied": Out(synapse)}
                    if shadow
                    else {}
                ),
                "moving": In(1),
                "valid": In(1),
                "scatter": In(1),
                "event_shift": In(3),
                "capture": In(1),
                "term": Out(signed(term_bits(config))),
                "minus": Out(1),
                "current": Out(signed(config.current.bits)),
                "stored": Out(signed(config.weight_bits)),
                "over": Out(1),
                "active": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Factors, then SCATTER and GATHER, then UPDATE."""
        m = Module()
        factor = self._factors(m)
        self._products(m, factor)
        if self.config.products == "shift":
            self._shift_update(m, factor)
        else:
            self._exact_update(m, factor)
        return m

    def _factors(self, m: Module) -> list[data.View]:
        """The chain that brings the next group's factors, and the one in use with its delays (index 0 is clock 8)."""
        waiting = Signal(self.factor)
        in_use = Signal(self.factor)
        with m.If(self.factor_shift):
            m.d.sync += waiting.eq(self.factor_in)
        with m.If(self.swap):
            m.d.sync += in_use.eq(waiting)
        m.d.comb += self.factor_out.eq(waiting)
        if self.config.pipeline == "short":
            return [in_use] * 7
        clock = timing(self.config)
        copies = delayed(m, in_use.as_value(), clock.write - clock.hashed - 1, "factor")
        return [data.View(self.factor, copy) for copy in copies]

    def _products(self, m: Module, factor: list[data.View]) -> None:
        """Clocks 10 to 12 of SCATTER and GATHER."""
        config = self.config
        weight = self.word[config.weight_bits - config.synapse_bits :].as_signed()
        if config.has("shadow"):
            weight = self.copy
        now = factor[2]
        graded = config.event_bits > 1
        by_event = self.scatter if graded else Const(0, 1)
        if config.products == "shift":
            product = _shifted(m, weight, Mux(by_event, self.event_shift, now.exponent))
        else:
            one = (Const(1, FACTOR_BITS) << self.event_shift)[:FACTOR_BITS]
            product = weight * Mux(by_event, one, now.magnitude)
        negative = wire(m, ~by_event & now.negative, "turn")
        turned = Signal(self.term.shape())
        m.d.comb += turned.eq(product)
        step = domain(config)
        m.d[step] += self.minus.eq(negative)
        with m.If(by_event | now.some):
            m.d[step] += self.term.eq(turned ^ negative.replicate(len(turned)))
        with m.Else():
            m.d[step] += self.term.eq(0)

        total = Signal(signed(config.current.bits))
        event = Signal()
        plain = Signal(signed(config.synapse_bits))
        m.d[step] += [event.eq(self.valid & self.scatter), plain.eq(weight)]
        with m.If(self.capture):
            m.d.sync += [self.current.eq(total), total.eq(0)]
        with m.Elif(event):
            m.d.sync += total.eq(total + (self.term if graded else plain))

    def _shift_update(self, m: Module, factor: list[data.View]) -> None:
        """Clocks 10 to 13 of UPDATE, products as shifts."""
        config = self.config
        bits = config.weight_bits
        stage = domain(config)
        reach = Signal(signed(REACH_BITS))
        step = Signal(bits + 1)
        moved = Signal(signed(bits + 2))
        later = eligibility_lag(config)
        row_reach = delayed(m, self.reach, later, "row_reach")[-1]
        run = delayed(m, self.run, later, "run")[-1]
        negative = factor[3 + later].negative
        if later:
            trace = self._eligibility(m, factor)
            row_reach = Mux(self.eligible, trace.reach, row_reach)
            negative ^= self.eligible & trace.negative
        m.d[stage] += reach.eq(row_reach + factor[1 + later].exponent)
        word = delayed(m, self.word, between(config, 1 + later), "word")[-1]

        below_one = reach[-1]
        # A reach of 0 or more is at most 15.
        places = [reach[:4] == place for place in range(bits)]
        carried = wire(m, reach + run, "carried")
        some = factor[2 + later].some
        with m.If(some & ~below_one):
            m.d[stage] += step[1:].eq(Cat(*places[1:], reach[:4] >= bits))
        with m.Else():
            m.d[stage] += step[1:].eq(0)
        m.d[stage] += step[0].eq(some & Mux(below_one, ~carried[-1], places[0]))

        with m.If(~self.moving):
            m.d[stage] += moved.eq(0)
        with m.Else():
            m.d[stage] += moved.eq(_subtract(word, step, negative))
        self._store(m, moved, 2 + later)
        m.d.comb += self.active.eq(factor[5 + later].some)

    def _exact_update(self, m: Module, factor: list[data.View]) -> None:
        """Clocks 9 to 14 of UPDATE, `abs(G) * p` in a multiplier."""
        config = self.config
        bits = config.weight_bits
        stage = domain(config)
        later = eligibility_lag(config)
        trace = delayed(m, self.trace, between(config, 2 + later), "trace")[-1]
        noise = delayed(m, self.noise, between(config, 3 + later), "noise")[-1]
        room = delayed(m, self.rate_room, between(config, 3 + later), "rate_room")[-1]
        word = delayed(m, self.word, between(config, 2 + later), "word")[-1]
        negative = factor[4 + later].negative
        if later:
            own = self._eligibility(m, factor)
            trace = Mux(self.eligible, own.size, trace)
            negative ^= self.eligible & own.negative
        product = Signal(2 * FACTOR_BITS)
        step = Signal(2 * FACTOR_BITS)
        moved = Signal(signed(max(bits, 2 * FACTOR_BITS) + 2))
        m.d[stage] += product.eq(factor[2 + later].magnitude * trace)
        scaled = (product << room) + noise
        m.d[stage] += step.eq(Mux(factor[3 + later].some, (scaled >> RATE_SHIFT_MAX)[: 2 * FACTOR_BITS], 0))
        with m.If(~self.moving):
            m.d[stage] += moved.eq(0)
        with m.Else():
            m.d[stage] += moved.eq(_subtract(word, step, negative))
        self._store(m, moved, 3 + later)
        m.d.comb += self.active.eq(factor[6 + later].some)

    def _kappa(self, m: Module) -> list[data.View]:
        """Kappa of the neuron in use at clocks 11 to 13, by the chain that brings the factors."""
        layout = kappa_layout(self.config)
        waiting, in_use = Signal(layout, name="kappa_waiting"), Signal(layout, name="kappa_in_use")
        with m.If(self.factor_shift):
            m.d.sync += waiting.eq(self.kappa_in)
        with m.If(self.swap):
            m.d.sync += in_use.eq(waiting)
        m.d.comb += self.kappa_out.eq(waiting)
        return [data.View(layout, copy) for copy in delayed(m, in_use.as_value(), 5, "kappa")[3:]]

    def _eligibility(self, m: Module, factor: list[data.View]) -> _OwnTrace:
        """The synapse's own trace: what the product takes of it, and what is kept."""
        config = self.config
        bits = config.decay_bits
        now = Signal(signed(FACTOR_BITS + 1))
        wide = wire(m, Mux(self.old, self.eligibility, 0) + self.fresh, "eligibility_sum")
        top = (1 << FACTOR_BITS) - 1
        m.d.sync += now.eq(Mux(wide > top, top, Mux(wide < -top, -top, wide)))
        size = wire(m, magnitude(now)[:FACTOR_BITS], "eligibility_size")
        sizes = delayed(m, size, 2, "eligibility_size")
        negative = delayed(m, now[-1], 3 + (config.products == "exact"), "eligibility_negative")

        # Clock 11: the first half of kappa's product; 12: the second; 13: what is left.
        kappa = self._kappa(m)
        low = Signal(FACTOR_BITS + bits + 1)
        product = Signal(FACTOR_BITS + bits + 1)
        halfway = (bits + 1) // 2
        m.d.sync += [
            low.eq(partial_products(size, kappa[0].size, 0, halfway)),
            product.eq(low + partial_products(sizes[1], kappa[1].size, halfway, bits + 1)),
        ]
        left = product >> bits
        kept = Signal(signed(FACTOR_BITS + 1))
        clock = timing(config)
        m.d.comb += kept.eq(Mux(negative[2] ^ kappa[2].negative, -left, left))
        m.d.comb += self.kept.eq(delayed(m, kept, clock.write - clock.hashed - 6, "eligibility_kept")[-1])

        reach: Value = Const(0, signed(REACH_BITS))
        if config.products == "shift":
            # Clock 11: rounded to a power of two; 12: how far it moves the weight.
            exponent = Signal(range(FACTOR_BITS + 1))
            none = delayed(m, size == 0, 1, "eligibility_none")[-1]
            m.d.sync += exponent.eq(pow2_exponent(m, size, self.own_noise))
            reach = wire(m, Mux(none, REACH_MIN, (exponent - self.rate_shift)[:REACH_BITS].as_signed()), "own_reach")
        return _OwnTrace(size=sizes[2], negative=negative[-1], reach=reach)

    def _store(self, m: Module, moved: Signal, clocks: int) -> None:
        """The last register, `clocks` after the word came, and the copy beside it."""
        config = self.config
        stage = domain(config)
        clamped, over = saturate(m, moved, config.weight)
        m.d[stage] += [self.stored.eq(clamped | self.host_word), self.over.eq(over)]
        if config.has("shadow"):
            held = delayed(m, self.copy, between(config, clocks), "copy")[-1]
            moving = delayed(m, self.moving, between(config, 1), "moving")[-1]
            fresh = clamped[config.weight_bits - config.synapse_bits :].as_signed()
            m.d[stage] += self.copied.eq(Mux(moving, Mux(self.renew, fresh, held), 0) | self.host_copy)


def _shifted(m: Module, value: Value, amount: Value) -> Value:
    """`value << amount`."""
    for bit in range(len(amount)):
        value = wire(m, value, f"shifted_{bit}")
        value = Mux(amount[bit], value << (1 << bit), value)
    return value


def _subtract(value: Value, step: Value, negative: Value) -> Value:
    """`value + step` where the factor was `negative`, else `value - step`."""
    less = ~negative[0]
    # One bit more than the step: its sign.
    turned = Cat(step, Const(0, 1)) ^ less.replicate(len(step) + 1)
    return add_carry(value, turned.as_signed(), less)

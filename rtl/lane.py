# SPDX-License-Identifier: Apache-2.0
"""One lane: everything that happens to one synapse of a weight word."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..arch.array import ArrayConfig
from ..arch.formats import EXPONENT_MAX, FACTOR_BITS, RATE_SHIFT_MAX
from .fixed import add_carry, saturate
from .pipeline import delayed, wire

EXPONENT_BITS = EXPONENT_MAX.bit_length()
RUN_BITS = 5
REACH_BITS = 6
"""Signed bits of exponent(G) + exponent(p) - rate_shift."""


def factor_layout(config: ArrayConfig) -> data.StructLayout:
    """A factor G as the lanes hold it: sign, and an exponent or a magnitude."""
    if config.products == "shift":
        return data.StructLayout({"exponent": EXPONENT_BITS, "some": 1, "negative": 1})
    return data.StructLayout({"magnitude": FACTOR_BITS, "some": 1, "negative": 1})


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

    A product is `term + minus`: its sign costs an inversion here and a carry in the adder tree. With shifts:
    `reach = exponent(G) + exponent(p) - rate_shift`; the step is `2**reach`, or, if that is below 1, it is 1 when the
    first `-reach` bits of the noise are all ones: when `run`, the ones that it begins with, reaches that far. This is
    `(abs(G) p + (noise >> (23 - rate_shift))) >> rate_shift` of the law.
    """

    def __init__(self, config: ArrayConfig) -> None:
        self.config = config
        self.factor = factor_layout(config)
        super().__init__(
            {
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

    @staticmethod
    def write_clock(config: ArrayConfig) -> int:
        """Clock of the row pipeline at which `stored`, `over` and `active` are valid."""
        return 13 if config.products == "shift" else 14

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
        last = self.write_clock(self.config) - 8
        copies = delayed(m, in_use.as_value(), last, "factor")
        return [data.View(self.factor, copy) for copy in copies]

    def _products(self, m: Module, factor: list[data.View]) -> None:
        """Clocks 10 to 12 of SCATTER and GATHER."""
        config = self.config
        weight = self.word[config.weight_bits - config.synapse_bits :].as_signed()
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
        m.d.sync += self.minus.eq(negative)
        with m.If(by_event | now.some):
            m.d.sync += self.term.eq(turned ^ negative.replicate(len(turned)))
        with m.Else():
            m.d.sync += self.term.eq(0)

        total = Signal(signed(config.current.bits))
        event = Signal()
        plain = Signal(signed(config.synapse_bits))
        m.d.sync += [event.eq(self.valid & self.scatter), plain.eq(weight)]
        with m.If(self.capture):
            m.d.sync += [self.current.eq(total), total.eq(0)]
        with m.Elif(event):
            m.d.sync += total.eq(total + (self.term if graded else plain))

    def _shift_update(self, m: Module, factor: list[data.View]) -> None:
        """Clocks 10 to 13 of UPDATE, products as shifts."""
        bits = self.config.weight_bits
        reach = Signal(signed(REACH_BITS))
        step = Signal(bits + 1)
        moved = Signal(signed(bits + 2))
        m.d.sync += reach.eq(self.reach + factor[1].exponent)
        word = delayed(m, self.word, 1, "word")[1]

        below_one = reach[-1]
        # A reach of 0 or more is at most 15.
        places = [reach[:4] == place for place in range(bits)]
        carried = wire(m, reach + self.run, "carried")
        with m.If(factor[2].some & ~below_one):
            m.d.sync += step[1:].eq(Cat(*places[1:], reach[:4] >= bits))
        with m.Else():
            m.d.sync += step[1:].eq(0)
        m.d.sync += step[0].eq(factor[2].some & Mux(below_one, ~carried[-1], places[0]))

        with m.If(~self.moving):
            m.d.sync += moved.eq(0)
        with m.Else():
            m.d.sync += moved.eq(_subtract(word, step, factor[3].negative))
        clamped, over = saturate(m, moved, self.config.weight)
        m.d.sync += [self.stored.eq(clamped | self.host_word), self.over.eq(over)]
        m.d.comb += self.active.eq(factor[5].some)

    def _exact_update(self, m: Module, factor: list[data.View]) -> None:
        """Clocks 9 to 14 of UPDATE, `abs(G) * p` in a multiplier."""
        bits = self.config.weight_bits
        trace = delayed(m, self.trace, 2, "trace")
        noise = delayed(m, self.noise, 3, "noise")
        room = delayed(m, self.rate_room, 3, "rate_room")
        word = delayed(m, self.word, 2, "word")
        product = Signal(2 * FACTOR_BITS)
        step = Signal(2 * FACTOR_BITS)
        moved = Signal(signed(max(bits, 2 * FACTOR_BITS) + 2))
        m.d.sync += product.eq(factor[2].magnitude * trace[2])
        scaled = (product << room[3]) + noise[3]
        m.d.sync += step.eq(Mux(factor[3].some, (scaled >> RATE_SHIFT_MAX)[: 2 * FACTOR_BITS], 0))
        with m.If(~self.moving):
            m.d.sync += moved.eq(0)
        with m.Else():
            m.d.sync += moved.eq(_subtract(word[2], step, factor[4].negative))
        clamped, over = saturate(m, moved, self.config.weight)
        m.d.sync += [self.stored.eq(clamped | self.host_word), self.over.eq(over)]
        m.d.comb += self.active.eq(factor[6].some)


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

# SPDX-License-Identifier: Apache-2.0
"""The readout's error, base-2 softmax or mse, and the results of a sample."""

from __future__ import annotations

from enum import IntEnum

from amaranth.hdl import Array, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..arch.array import ArrayConfig, ceil_log2
from ..arch.formats import FACTOR_BITS, FACTOR_MAX, UNIT, QFormat
from ..arch.readout import DISTANCE_MAX, EXP2, FRACTION_BITS, FRACTIONS, LOG2, MANTISSA_BITS
from .bram import Bram
from .fixed import leading_one, magnitude, saturate
from .lane import factor_layout
from .learning import factor_of
from .pipeline import delayed, wire

DISTANCE_BITS = DISTANCE_MAX.bit_length()
PROBABILITY_SHIFT = MANTISSA_BITS - (UNIT.bit_length() - 1)


def exp2_negative(distance: Value) -> Value:
    """`EXP2[distance & 31] >> (distance >> 5)`."""
    table = Array(Const(value, MANTISSA_BITS + 1) for value in EXP2)
    return table[distance[:FRACTION_BITS]] >> distance[FRACTION_BITS:]


class Turn(IntEnum):
    """What a walk over the classes is for."""

    SUM = 0
    ERRORS = 1
    LABEL = 2


class Readout(wiring.Component):
    """Collects one `y` per class as FIRE brings them, then turns them into the factors of the readout.

    Softmax walks the classes for their sum, for their errors, and once more for the label alone, whose error balances
    all others; mse walks them once. Of the two an array has those that are among its `errors`. A walk takes one clock a
    class. The noise word of class `i` is asked for at `noise_index` and must be at `noise` `noise_latency + 1` clocks
    later.
    """

    def __init__(self, config: ArrayConfig) -> None:
        self.config = config
        self.softmax = "softmax" in config.errors
        # Alone mse needs no more of y than tells errors apart that are not beyond the largest factor.
        self.kept = config.output if self.softmax else QFormat(bits=min(config.output.bits, FACTOR_BITS + 2))
        # Clock of a walk at which the error is there; a clock later its magnitude.
        self.error_clock = 4 if self.softmax else 2
        self.round_clock = max(self.error_clock + 1, config.noise_latency + 1)
        class_bits = max(1, ceil_log2(config.classes))
        super().__init__(
            {
                "begin": In(1),
                "push": In(1),
                "index": In(class_bits),
                "y": In(signed(config.output.bits)),
                "start": In(1),
                "busy": Out(1),
                "classes": In(class_bits + 1),
                "label": In(8),
                "mse": In(1),
                "shift": In(4),
                "noise_index": Out(class_bits),
                "noise": In(32),
                "write": Out(1),
                "write_index": Out(class_bits),
                "factor": Out(factor_layout(config)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Memory of y with its running maximum; an index that walks the classes; exponential, logarithm, error."""
        m = Module()
        config = self.config
        bits = self.kept.bits
        m.submodules.memory = memory = Bram(width=bits, depth=config.classes)
        shifted = Signal(signed(bits))
        pushed = Signal()
        m.d.sync += [shifted.eq(saturate(m, self.y >> self.shift, self.kept)[0]), pushed.eq(self.push)]
        m.d.comb += [
            memory.write_enable.eq(pushed),
            memory.write_address.eq(delayed(m, self.index, 1, "pushed_index")[1]),
            memory.write_data.eq(shifted),
        ]

        index = Signal.like(self.index)
        walking = Signal()
        turn = Signal(Turn) if self.softmax else Const(Turn.ERRORS)
        wait = Signal(4)
        final = (index + 1 == self.classes) | (turn == Turn.LABEL)
        index_later = delayed(m, index, self.round_clock + 1, "index")

        m.d.comb += [
            memory.read_enable.eq(walking),
            memory.read_address.eq(index),
            self.noise_index.eq(index_later[self.round_clock - 1 - config.noise_latency]),
        ]
        walk = delayed(m, walking, self.round_clock + 1, "walk")
        y = memory.read_data.as_signed()
        is_label = wire(m, index_later[self.error_clock - 1] == self.label, "is_label")
        mse: Value = self.mse if len(config.errors) > 1 else Const("mse" in config.errors, 1)
        scaled = delayed(m, y, self.error_clock - 2, "scaled")[-1]
        error = Signal(signed(bits + 2))
        by_label = scaled - Mux(is_label, UNIT, 0)
        if self.softmax:
            largest = Signal(signed(bits))
            with m.If(self.begin):
                m.d.sync += largest.eq(config.output.min)
            with m.Elif(pushed & (shifted > largest)):
                m.d.sync += largest.eq(shifted)
            share = self._share(m, largest - y, walk, turn, is_label)
            with m.If(mse):
                m.d.sync += error.eq(by_label)
            with m.Else():
                m.d.sync += error.eq(share)
        else:
            m.d.sync += error.eq(by_label)
        self._factor(m, error, index_later, walk, turn)

        with m.FSM():
            with m.State("IDLE"):
                with m.If(self.start):
                    m.d.sync += [self.busy.eq(1), walking.eq(1), index.eq(0), wait.eq(0)]
                    if self.softmax:
                        m.d.sync += turn.eq(Mux(mse, Turn.ERRORS, Turn.SUM))
                    m.next = "WALK"
            with m.State("WALK"):
                m.d.sync += index.eq(index + 1)
                with m.If(final):
                    m.d.sync += walking.eq(0)
                    m.next = "WAIT"
            with m.State("WAIT"):
                m.d.sync += wait.eq(wait + 1)
                with m.If(wait == self.round_clock + 3):
                    m.d.sync += [wait.eq(0), walking.eq(1)]
                    m.next = "WALK"
                    if self.softmax:
                        with m.If(turn == Turn.SUM):
                            m.d.sync += [turn.eq(Turn.ERRORS), index.eq(0)]
                        with m.If((turn == Turn.ERRORS) & ~mse):
                            m.d.sync += [turn.eq(Turn.LABEL), index.eq(self.label)]
                    with m.If((turn == Turn.LABEL) | (turn == Turn.ERRORS) & mse):
                        m.d.sync += [walking.eq(0), self.busy.eq(0)]
                        m.next = "IDLE"
        return m

    def _share(self, m: Module, below: Value, walk: list[Value], turn: Value, is_label: Value) -> Value:
        """Clock 3 of softmax: a class's probability, from how far it is `below` the largest y; the label's turn brings
        what all others have, negative."""
        total = Signal(MANTISSA_BITS + 1 + ceil_log2(self.config.classes))
        logarithm = Signal(DISTANCE_BITS)
        summing = delayed(m, walk[0] & (turn == Turn.SUM), 3, "summing")
        gap = Signal(self.kept.bits + 1)
        distance = Signal(DISTANCE_BITS)
        moved = Signal(DISTANCE_BITS + 1)
        exponential = Signal(MANTISSA_BITS + 1)
        m.d.comb += [gap.eq(below), moved.eq(distance + Mux(turn == Turn.SUM, 0, logarithm))]
        m.d.sync += [
            distance.eq(Mux(gap > DISTANCE_MAX, DISTANCE_MAX, gap)),
            exponential.eq(exp2_negative(moved)),
        ]
        with m.If(self.start):
            m.d.sync += total.eq(0)
        with m.Elif(summing[3]):
            m.d.sync += total.eq(total + exponential)
        self._logarithm(m, total, logarithm)

        wrong = Signal(FACTOR_BITS + ceil_log2(self.config.classes))
        probability = wire(m, (exponential + (1 << PROBABILITY_SHIFT - 1)) >> PROBABILITY_SHIFT, "probability")
        with m.If(self.start):
            m.d.sync += wrong.eq(0)
        with m.Elif(walk[3] & (turn == Turn.ERRORS) & ~is_label):
            m.d.sync += wrong.eq(wrong + probability)
        return Mux(turn == Turn.LABEL, -wrong, probability)

    def _logarithm(self, m: Module, total: Signal, logarithm: Signal) -> None:
        """`L = 32 n + LOG2[f] - 32 * 9`, two clocks after the sum stands still."""
        position, below = leading_one(total)
        whole = Signal(position.shape())
        fraction = Signal(FRACTION_BITS)
        m.d.sync += [whole.eq(position), fraction.eq(below[-FRACTION_BITS:])]
        table = Array(Const(value, FRACTION_BITS + 1) for value in LOG2)
        m.d.sync += logarithm.eq(whole * FRACTIONS + table[fraction] - FRACTIONS * MANTISSA_BITS)

    def _factor(self, m: Module, error: Signal, index: list[Value], walk: list[Value], turn: Value) -> None:
        """The error gets its magnitude; then it waits for its noise, and is written a clock after that. The label's is
        written last."""
        config = self.config
        size = wire(m, magnitude(error), "error_size")
        limited = Signal(FACTOR_BITS)
        m.d.sync += limited.eq(Mux(size > FACTOR_MAX, FACTOR_MAX, size))
        waits = self.round_clock - self.error_clock - 1
        size = delayed(m, limited, waits, "size")[-1]
        negative = delayed(m, error[-1], waits + 1, "negative")[-1]
        last = self.round_clock + 1
        m.d.comb += [
            self.factor.eq(factor_of(m, config, size, negative, self.noise[25:], "rounded")),
            self.write.eq(walk[last] & (turn != Turn.SUM)),
            self.write_index.eq(index[last]),
        ]

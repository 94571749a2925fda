# SPDX-License-Identifier: Apache-2.0
"""The readout's error, base-2 softmax or mse, and the results of a sample."""

from __future__ import annotations

from enum import IntEnum

from amaranth.hdl import Array, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..arch.array import ArrayConfig, ceil_log2
from ..arch.formats import FACTOR_BITS, FACTOR_MAX, UNIT
from ..arch.readout import DISTANCE_MAX, EXP2, FRACTION_BITS, FRACTIONS, LOG2, MANTISSA_BITS
from .bram import Bram
from .fixed import leading_one, magnitude
from .lane import factor_layout
from .learning import factor_of
from .pipeline import delayed, wire

DISTANCE_BITS = DISTANCE_MAX.bit_length()
PROBABILITY_SHIFT = MANTISSA_BITS - (UNIT.bit_length() - 1)


def exp2_negative(distance: Value) -> Value:
    """`EXP2[distance & 31] >> (distance >> 5)`."""
    table = Array(Const(value, MANTISSA_BITS + 1) for value in EXP2)
    return table[distance[:FRACTION_BITS]] >> distance[FRACTION_BITS:]


SIZE_CLOCK = 5
"""Clock of a walk at which the error's magnitude is there."""


class Turn(IntEnum):
    """What a walk over the classes is for."""

    SUM = 0
    ERRORS = 1
    LABEL = 2


class Readout(wiring.Component):
    """Collects one `y` per class as FIRE brings them, then turns them into the factors of the readout.

    Softmax walks the classes for their sum, for their errors, and once more for the label alone, whose error balances
    all others; mse walks them once. A walk takes one clock a class. The noise word of class `i` is
    asked for at `noise_index` and must be at `noise` `noise_latency + 1` clocks later.
    """

    def __init__(self, config: ArrayConfig) -> None:
        self.config = config
        self.round_clock = max(SIZE_CLOCK, config.noise_latency + 1)
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
        bits = config.output.bits
        m.submodules.memory = memory = Bram(width=bits, depth=config.classes)
        largest = Signal(signed(bits))
        shifted = Signal(signed(bits))
        pushed = Signal()
        m.d.sync += [shifted.eq(self.y >> self.shift), pushed.eq(self.push)]
        m.d.comb += [
            memory.write_enable.eq(pushed),
            memory.write_address.eq(delayed(m, self.index, 1, "pushed_index")[1]),
            memory.write_data.eq(shifted),
        ]
        with m.If(self.begin):
            m.d.sync += largest.eq(config.output.min)
        with m.Elif(pushed & (shifted > largest)):
            m.d.sync += largest.eq(shifted)

        index = Signal.like(self.index)
        walking = Signal()
        turn = Signal(Turn)
        wait = Signal(4)
        final = (index + 1 == self.classes) | (turn == Turn.LABEL)
        total = Signal(MANTISSA_BITS + 1 + ceil_log2(config.classes))
        logarithm = Signal(DISTANCE_BITS)
        index_later = delayed(m, index, self.round_clock + 1, "index")

        m.d.comb += [
            memory.read_enable.eq(walking),
            memory.read_address.eq(index),
            self.noise_index.eq(index_later[self.round_clock - 1 - config.noise_latency]),
        ]
        walk = delayed(m, walking, self.round_clock + 1, "walk")
        summing = delayed(m, walking & (turn == Turn.SUM), 3, "summing")
        y = memory.read_data.as_signed()
        gap = Signal(bits + 1)
        scaled = Signal(signed(bits))
        distance = Signal(DISTANCE_BITS)
        moved = Signal(DISTANCE_BITS + 1)
        m.d.comb += moved.eq(distance + Mux(turn == Turn.SUM, 0, logarithm))
        exponential = Signal(MANTISSA_BITS + 1)
        m.d.comb += [gap.eq(largest - y)]
        m.d.sync += [
            distance.eq(Mux(gap > DISTANCE_MAX, DISTANCE_MAX, gap)),
            scaled.eq(y),
            exponential.eq(exp2_negative(moved)),
        ]
        with m.If(self.start):
            m.d.sync += total.eq(0)
        with m.Elif(summing[3]):
            m.d.sync += total.eq(total + exponential)

        self._logarithm(m, total, logarithm)
        self._error(m, exponential, scaled, index_later, walk, turn)

        with m.FSM():
            with m.State("IDLE"):
                with m.If(self.start):
                    m.d.sync += [self.busy.eq(1), walking.eq(1), index.eq(0), wait.eq(0)]
                    m.d.sync += turn.eq(Mux(self.mse, Turn.ERRORS, Turn.SUM))
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
                    with m.If(turn == Turn.SUM):
                        m.d.sync += [turn.eq(Turn.ERRORS), index.eq(0)]
                    with m.Elif((turn == Turn.ERRORS) & ~self.mse):
                        m.d.sync += [turn.eq(Turn.LABEL), index.eq(self.label)]
                    with m.Else():
                        m.d.sync += [walking.eq(0), self.busy.eq(0)]
                        m.next = "IDLE"
        return m

    def _logarithm(self, m: Module, total: Signal, logarithm: Signal) -> None:
        """`L = 32 n + LOG2[f] - 32 * 9`, two clocks after the sum stands still."""
        position, below = leading_one(total)
        whole = Signal(position.shape())
        fraction = Signal(FRACTION_BITS)
        m.d.sync += [whole.eq(position), fraction.eq(below[-FRACTION_BITS:])]
        table = Array(Const(value, FRACTION_BITS + 1) for value in LOG2)
        m.d.sync += logarithm.eq(whole * FRACTIONS + table[fraction] - FRACTIONS * MANTISSA_BITS)

    def _error(
        self, m: Module, exponential: Signal, scaled: Signal, index: list[Value], walk: list[Value], turn: Signal
    ) -> None:
        """Clock 4: the error; 5: its magnitude; then it waits for its noise, and is written a clock after that. The
        label's is written last."""
        config = self.config
        error = Signal(signed(config.output.bits + 2))
        wrong = Signal(FACTOR_BITS + ceil_log2(config.classes))
        probability = wire(m, (exponential + (1 << PROBABILITY_SHIFT - 1)) >> PROBABILITY_SHIFT, "probability")
        is_label = wire(m, index[3] == self.label, "is_label")
        later = delayed(m, scaled, 1, "scaled")[1]
        with m.If(self.start):
            m.d.sync += wrong.eq(0)
        with m.Elif(walk[3] & (turn == Turn.ERRORS) & ~is_label):
            m.d.sync += wrong.eq(wrong + probability)
        with m.If(self.mse):
            m.d.sync += error.eq(later - Mux(is_label, UNIT, 0))
        with m.Else():
            m.d.sync += error.eq(Mux(turn == Turn.LABEL, -wrong, probability))
        size = wire(m, magnitude(error), "error_size")
        limited = Signal(FACTOR_BITS)
        m.d.sync += limited.eq(Mux(size > FACTOR_MAX, FACTOR_MAX, size))
        waits = self.round_clock - SIZE_CLOCK
        size = delayed(m, limited, waits, "size")[-1]
        negative = delayed(m, error[-1], waits + 1, "negative")[-1]
        last = self.round_clock + 1
        m.d.comb += [
            self.factor.eq(factor_of(m, config, size, negative, self.noise[25:], "rounded")),
            self.write.eq(walk[last] & (turn != Turn.SUM)),
            self.write_index.eq(index[last]),
        ]

# SPDX-License-Identifier: Apache-2.0
"""The noise hash in hardware: adds, xors and wires."""

from __future__ import annotations

from typing import Literal

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..arch.array import ceil_log2
from ..arch.noise import (
    BLOCK_BITS,
    DIGEST_SHL,
    DIGEST_SHR,
    MIX_STEPS,
    ROUND_BITS,
    ROW_NOISE_BITS,
    SPREAD_WORDS,
    WORD_BITS,
    spread,
)
from .pipeline import wire

_REGISTERS = {6: (0, 1, 2, 4, 5), 2: (5,)}
"""The steps of `Mix` with a register behind them, by its latency. Of six clocks one has an xor and an add."""


class Mix(wiring.Component):
    """`o = mix(i)` of `arch.noise`, one value a clock, `latency` clocks later.

    A register on the input, then one after each step, but for one xor that shares a clock with the add behind it; or,
    with a `latency` of 2, one after the last step alone.
    """

    def __init__(self, *, latency: Literal[2, 6]) -> None:
        self.latency = latency
        super().__init__({"i": In(WORD_BITS), "o": Out(WORD_BITS)})

    def elaborate(self, platform: object) -> Module:
        """Registers, and steps between them."""
        m = Module()
        value = Signal(WORD_BITS, name="taken")
        m.d.sync += value.eq(self.i)
        for number, (constant, combine, amount) in enumerate(MIX_STEPS):
            left = value ^ constant
            right = value >> amount if combine.endswith("shr") else (value << amount)[:WORD_BITS]
            stage = Signal(WORD_BITS, name=f"stage_{number}")
            registered = number in _REGISTERS[self.latency]
            result = left + right if combine.startswith("add") else left ^ right
            m.d["sync" if registered else "comb"] += stage.eq(result)
            value = stage
        m.d.comb += self.o.eq(value)
        return m


def rotate_left(m: Module, value: Value, amount: Value) -> Value:
    """32-bit `value` rotated left by a variable `amount`; the longest way first: where few bits are used, least is
    moved far."""
    for bit in reversed(range(BLOCK_BITS)):
        held = wire(m, value, f"turned_{bit}")
        value = Mux(amount[bit], held.rotate_left(1 << bit), held)
    return value


def spread_value(block: Value) -> Value:
    """`arch.noise.spread` of a variable block: an xor of constants."""
    word: Value = Const(0, WORD_BITS)
    for bit in range(min(len(block), len(SPREAD_WORDS))):
        word = word ^ Mux(block[bit], Const(SPREAD_WORDS[bit], WORD_BITS), Const(0, WORD_BITS))
    return word


def lane_noise(words: list[Value], offset: int) -> Value:
    """Noise of the neuron at `offset` of its group, from the group's words of 32 neurons each: wires only."""
    return words[offset >> BLOCK_BITS].rotate_left(offset & 31)


def group_words(m: Module, word: Value, neuron: Value, parallel: int) -> list[Value]:
    """The words that the lanes of a group share, one per 32 lanes, from a row's word.

    `neuron` is the index of the group's first neuron, a multiple of `parallel`.
    """
    steady = min(BLOCK_BITS, ceil_log2(parallel))
    amount = Cat(Const(0, steady), neuron[steady:BLOCK_BITS], Const(0, BLOCK_BITS))[:BLOCK_BITS]
    base = wire(m, word ^ spread_value(neuron >> BLOCK_BITS), "spread")
    return [
        wire(m, rotate_left(m, base ^ spread(index), amount), f"group_word_{index}")
        for index in range(-(-parallel // 32))
    ]


def row_noise(word: Value) -> Value:
    """`arch.noise.row_noise`."""
    return (word ^ (word >> ROW_NOISE_BITS))[:ROW_NOISE_BITS]


def round_noise(word: Value) -> Value:
    """`arch.noise.round_noise`."""
    return (word ^ (word >> 8))[:ROUND_BITS]


def leading_ones(m: Module, value: Value) -> Value:
    """How many ones a value of 16 bits begins with, from the top: 0 … 16."""
    bits = len(value)
    ones: Value = Const(bits, range(bits + 1))
    for place in range(bits):
        ones = Mux(value[place], ones, bits - 1 - place)
    return ones


def ones_ladder(m: Module, word: Value, *, stage: str = "sync") -> list[Value]:
    """Three 32-bit words: bit `i` of the k-th says that `word` has `2**k` ones in a row from bit `i` downward, round
    and round; one clock later if `stage` is a domain with a clock."""
    ladder = [word]
    for doubling in range(2):
        below = ladder[-1].rotate_left(1 << doubling)
        ladder.append(wire(m, ladder[-1] & below, f"ones_{2 << doubling}"))
    registers = []
    for level, value in enumerate(ladder):
        register = Signal(WORD_BITS, name=f"ladder_{level}")
        m.d[stage] += register.eq(value)
        registers.append(register)
    return registers


def run_of_ones(m: Module, ladder: list[Value], place: int, beyond: Value, name: str) -> Value:
    """How many ones an update's noise begins with: those from bit `place` of `ones_ladder` downward, or `beyond`
    (7 … 23) if the first `OWN_BITS` are all ones."""
    four, twos, ones = ladder[2][place], ladder[1], ladder[0]
    two = wire(m, Mux(four, twos[place - 4], twos[place]), f"{name}_two")
    one = wire(
        m,
        Mux(
            four,
            Mux(two, ones[place - 6], ones[place - 4]),
            Mux(two, ones[place - 2], ones[place]),
        ),
        f"{name}_one",
    )
    own = Cat(one, two, four)
    return Mux(own.all(), beyond, own)


def digest(m: Module, value: Value) -> Value:
    """`arch.noise.digest`: one term of a write signature."""
    held = wire(m, value, "undigested")
    a = wire(m, (held + (held << DIGEST_SHL))[:WORD_BITS], "half_digested")
    return a ^ (a >> DIGEST_SHR)


def low_mask(amount: Value, bits: int) -> Value:
    """`2**amount - 1` in `bits` bits."""
    return Cat(*(amount > bit for bit in range(bits)))

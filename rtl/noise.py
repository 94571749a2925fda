# SPDX-License-Identifier: Apache-2.0
"""The noise hash in hardware: adds, xors and wires."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..arch.noise import BLOCK_BITS, DIGEST_SHL, DIGEST_SHR, MIX_STEPS, SPREAD_WORDS, WORD_BITS, spread
from .pipeline import wire

SHARED_STEP = 3
"""The step of `Mix` that has no register behind it: an xor before an add."""


class Mix(wiring.Component):
    """`o = mix(i)` of `arch.noise`, one value a clock, `latency` clocks later.

    A register on the input, then one after each step, but for one xor that shares a clock with the add behind it.
    """

    latency = len(MIX_STEPS)

    def __init__(self) -> None:
        super().__init__({"i": In(WORD_BITS), "o": Out(WORD_BITS)})

    def elaborate(self, platform: object) -> Module:
        """Six registers for six steps and the input."""
        m = Module()
        value = Signal(WORD_BITS, name="taken")
        m.d.sync += value.eq(self.i)
        for number, (constant, combine, amount) in enumerate(MIX_STEPS):
            left = value ^ constant
            right = value >> amount if combine.endswith("shr") else (value << amount)[:WORD_BITS]
            stage = Signal(WORD_BITS, name=f"stage_{number}")
            shares = number == SHARED_STEP
            m.d["comb" if shares else "sync"] += stage.eq(left + right if combine.startswith("add") else left ^ right)
            value = stage
        m.d.comb += self.o.eq(value)
        return m


def rotate_left(m: Module, value: Value, amount: Value) -> Value:
    """32-bit `value` rotated left by a variable `amount`."""
    for bit in range(BLOCK_BITS):
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


def group_words(m: Module, word: Value, neuron: Value, parallel: int, turn: Value | int = 0) -> list[Value]:
    """The words that the lanes of a group share, one per 32 lanes, from a row's word.

    `neuron` is the index of the group's first neuron; `turn` rotates all further to the left.
    """
    amount = wire(m, (neuron[:BLOCK_BITS] + turn)[:BLOCK_BITS], "turn")
    base = wire(m, word ^ spread_value(neuron >> BLOCK_BITS), "spread")
    return [
        wire(m, rotate_left(m, base ^ spread(index), amount), f"group_word_{index}")
        for index in range(-(-parallel // 32))
    ]


def ones_ladder(m: Module, word: Value) -> list[Value]:
    """Five 32-bit words: bit `i` of the k-th says that `word` has `2**k` ones in a row from bit `i` downward, round and
    round; one clock later."""
    ladder = [word]
    for doubling in range(4):
        below = ladder[-1].rotate_left(1 << doubling)
        ladder.append(wire(m, ladder[-1] & below, f"ones_{2 << doubling}"))
    registers = []
    for level, value in enumerate(ladder):
        register = Signal(WORD_BITS, name=f"ladder_{level}")
        m.d.sync += register.eq(value)
        registers.append(register)
    return registers


def run_of_ones(m: Module, ladder: list[Value], place: int, name: str) -> Value:
    """How many ones follow from bit `place` downward, 0 … 31, from `ones_ladder`."""
    bits: list[Value] = []
    for level in reversed(range(len(ladder))):
        # Where the run goes on depends on the ones already counted.
        chosen = []
        for index in range(1 << len(bits)):
            counted = sum(1 << (len(ladder) - 1 - number) for number in range(len(bits)) if index >> number & 1)
            chosen.append(ladder[level][(place - counted) % WORD_BITS])
        value = chosen
        for bit in reversed(bits):
            half = len(value) // 2
            value = [Mux(bit, high, low) for low, high in zip(value[:half], value[half:], strict=True)]
        bits.append(wire(m, value[0], f"{name}_{level}"))
    return Cat(*reversed(bits))


def digest(m: Module, value: Value) -> Value:
    """`arch.noise.digest`: one term of a write signature."""
    held = wire(m, value, "undigested")
    a = wire(m, (held + (held << DIGEST_SHL))[:WORD_BITS], "half_digested")
    return a ^ (a >> DIGEST_SHR)


def low_mask(amount: Value, bits: int) -> Value:
    """`2**amount - 1` in `bits` bits."""
    return Cat(*(amount > bit for bit in range(bits)))

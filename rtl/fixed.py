# SPDX-License-Identifier: Apache-2.0
"""Fixed-point helpers on Amaranth values: combinational, each with its twin of the same name in the golden model."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Value, signed

from ..arch.array import ArrayConfig
from ..arch.formats import FACTOR_BITS, QFormat
from .pipeline import wire


def saturate(m: Module, value: Value, form: QFormat) -> tuple[Value, Value]:
    """`(clamped, over)`: signed `value` clamped to the range of `form`, and whether that changed it."""
    bits = len(value)
    if bits <= form.bits:
        return value, Const(0, 1)
    value = wire(m, value, "unsaturated")
    sign = value[-1]
    above = value[form.bits - 1 : bits - 1]
    over = wire(m, Mux(sign, ~above.all(), above.any()), "over")
    limit = Cat((~sign).replicate(form.bits - 1), sign)
    return Mux(over, limit, value[: form.bits]).as_signed(), over


def saturate_unsigned(m: Module, value: Value, bits: int) -> tuple[Value, Value]:
    """`(min(value, 2**bits - 1), over)` of an unsigned value."""
    if len(value) <= bits:
        return value, Const(0, 1)
    value = wire(m, value, "unsaturated")
    over = wire(m, value[bits:].any(), "over")
    return value[:bits] | over.replicate(bits), over


def magnitude(value: Value) -> Value:
    """`abs(value)` of a signed value, unsigned, of as many bits."""
    sign = value[-1]
    return ((value ^ sign.replicate(len(value))).as_unsigned() + sign)[: len(value)]


def add_carry(left: Value, right: Value, carry: Value) -> Value:
    """`left + right + carry`, signed, in one carry chain: the carry comes in through a bit of its own."""
    return (Cat(carry, left).as_signed() + Cat(carry, right).as_signed())[1:].as_signed()


def partial_products(value: Value, factor: Value, first: int, last: int) -> Value:
    """Sum of `value << k` for the set bits `first <= k < last` of unsigned `factor`: shifts and adds, no multiplier."""
    zero = Const(0, signed(1)) if value.shape().signed else Const(0, 1)
    terms = [Mux(factor[bit], value, zero) << bit for bit in range(first, min(last, len(factor)))]
    while len(terms) > 1:
        pairs = [terms[index : index + 2] for index in range(0, len(terms), 2)]
        terms = [pair[0] + pair[1] if len(pair) > 1 else pair[0] for pair in pairs]
    return terms[0] if terms else zero


def product_halves(config: ArrayConfig, early: Value, late: Value, factor: Value) -> tuple[Value, Value]:
    """Two values whose sum is `late * factor`, the first of them made from `early`, that is `late` a clock before.

    Half of the shifts and adds each; or nothing, and a multiplier.
    """
    if config.serial_products == "multipliers":
        return Const(0, 1), late * factor
    halfway = len(factor) // 2
    return partial_products(early, factor, 0, halfway), partial_products(late, factor, halfway, len(factor))


def leading_one(value: Value) -> tuple[Value, Value]:
    """`(position, below)`: place of the highest set bit, and the bits below it moved up to fill `len(value) - 1` bits.

    Both are 0 for 0.
    """
    bits = len(value)
    position: Value = Const(0, max(1, (bits - 1).bit_length()))
    below: Value = Const(0, max(1, bits - 1))
    for place in range(1, bits):
        aligned = Cat(Const(0, bits - 1 - place), value[:place])
        position = Mux(value[place], place, position)
        below = Mux(value[place], aligned, below)
    return position, below


def pow2_exponent(m: Module, value: Value, noise: Value) -> Value:
    """Exponent of `value`, 1 … 255, rounded stochastically to a power of two; `noise` has 7 uniform bits.

    `k + (noise < frac)`, `k = floor(log2 value)`, `frac = (value << (7 - k)) & 127`: the expectation of `2**exponent`
    is exactly `value`.
    """
    position, below = leading_one(wire(m, value[:FACTOR_BITS], "rounded"))
    return position + (noise < below)

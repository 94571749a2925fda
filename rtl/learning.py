# SPDX-License-Identifier: Apache-2.0
"""MODULATE: gathered learning signals become factors, one neuron a clock."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..arch.array import ArrayConfig
from ..arch.formats import DELTA_BITS, FACTOR_BITS, FACTOR_MAX, SIGNAL_SHIFT_MAX
from .bram import Bram
from .fixed import add_carry, magnitude, partial_products, pow2_exponent
from .lane import factor_layout
from .noise import low_mask
from .pipeline import delayed, wire


def factor_of(m: Module, config: ArrayConfig, size: Value, negative: Value, noise: Value, name: str) -> data.View:
    """A factor, one clock later, from its sign and an 8-bit magnitude; `noise` has 7 bits."""
    factor = Signal(factor_layout(config), name=name)
    m.d.sync += [factor.some.eq(size.any()), factor.negative.eq(negative & size.any())]
    if config.products == "shift":
        m.d.sync += factor.exponent.eq(pow2_exponent(m, size, noise))
    else:
        m.d.sync += factor.magnitude.eq(size)
    return factor


class Modulate(wiring.Component):
    """`G_j = sign(delta_j) min(128, (min(65535, abs(delta_j)) psi_j + (r & (2**shift - 1))) >> shift)`, then a power of
    two.

    `valid` brings a partial sum of delta over one group, for the neuron at `index` of the list. It is added to what
    earlier groups left there if `add`, and kept there unless `last`, when the factor follows `latency` clocks later at
    `factor`. The partial's read goes out one clock earlier, at `ahead_index`.
    """

    latency = 6

    def __init__(self, config: ArrayConfig) -> None:
        self.config = config
        super().__init__(
            {
                "ahead_index": In(config.count_bits),
                "ahead": In(1),
                "valid": In(1),
                "add": In(1),
                "last": In(1),
                "index": In(config.count_bits),
                "total": In(signed(config.signal.bits)),
                "total_carry": In(1),
                "psi": In(config.surrogate_bits),
                "noise": In(32),
                "neuron": In(config.row_bits),
                "shift": In(5),
                "write": Out(1),
                "write_neuron": Out(config.row_bits),
                "factor": Out(factor_layout(config)),
                "over": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Sum, magnitude, times psi, plus noise, shift and clamp, round."""
        m = Module()
        config = self.config
        m.submodules.partials = partials = Bram(width=config.signal.bits, depth=config.groups * config.parallel)
        delta = Signal(signed(config.signal.bits))
        size = Signal(DELTA_BITS)
        product = Signal(DELTA_BITS + config.surrogate_bits)
        noisy = Signal(DELTA_BITS + config.surrogate_bits + 1)
        clamped = Signal(FACTOR_BITS)
        over = Signal()

        index = delayed(m, self.index, 1, "index")[1]
        kept = delayed(m, self.valid & ~self.last, 1, "kept")[1]
        valid = delayed(m, self.valid & self.last, self.latency, "valid")
        neuron = delayed(m, self.neuron, self.latency, "neuron")[-1]
        psi = delayed(m, self.psi, 2, "psi")[-1]
        noise = delayed(m, self.noise, 5, "noise")
        negative = delayed(m, delta[-1], 4, "negative")
        m.d.comb += [
            partials.read_enable.eq(self.ahead),
            partials.read_address.eq(self.ahead_index),
            partials.write_enable.eq(kept),
            partials.write_address.eq(index),
            partials.write_data.eq(delta),
        ]
        m.d.sync += [
            delta.eq(add_carry(self.total, Mux(self.add, partials.read_data.as_signed(), 0), self.total_carry)),
            size.eq(_limited(m, delta)),
            product.eq(partial_products(size, psi, 0, config.surrogate_bits)),
            noisy.eq(product + (noise[3][:SIGNAL_SHIFT_MAX] & low_mask(self.shift, SIGNAL_SHIFT_MAX))),
        ]
        scaled = wire(m, noisy >> self.shift, "scaled")
        below = scaled[: FACTOR_BITS - 1]
        far = scaled[FACTOR_BITS:].any()
        m.d.sync += [
            clamped.eq(Mux(far | scaled[FACTOR_BITS - 1], FACTOR_MAX, below)),
            over.eq((far | (scaled[FACTOR_BITS - 1] & below.any())) & valid[4]),
        ]
        m.d.comb += [
            self.factor.eq(factor_of(m, config, clamped, negative[4], noise[5][25:], "rounded")),
            self.write.eq(valid[6]),
            self.write_neuron.eq(neuron),
            self.over.eq(over),
        ]
        return m


def _limited(m: Module, delta: Signal) -> Value:
    """`min(2**16 - 1, abs(delta))`."""
    if len(delta) <= DELTA_BITS:
        return magnitude(delta)
    near = wire(m, magnitude(delta[: DELTA_BITS + 1].as_signed()), "near")
    above = delta[DELTA_BITS:]
    far = wire(m, near[-1] | (above.any() & ~above.all()), "far")
    return near[:DELTA_BITS] | far.replicate(DELTA_BITS)

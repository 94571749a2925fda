# SPDX-License-Identifier: Apache-2.0
"""MODULATE: gathered learning signals become factors, one neuron a clock."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..arch.array import ArrayConfig
from ..arch.formats import DELTA_BITS, FACTOR_BITS, FACTOR_MAX, SIGNAL_SHIFT_MAX
from ..arch.noise import POST_ROTATION
from .bram import Bram
from .fixed import add_carry, magnitude, partial_products, pow2_exponent
from .lane import factor_layout, pair_layout
from .noise import low_mask
from .pipeline import delayed, wire
from .timing import between, domain, timing


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
    two. H_j likewise, with the post trace for psi, another shift, and r rotated.

    `valid` brings a partial sum of delta over one group, for the neuron at `index` of the list. It is added to what
    earlier groups left there if `add`, and kept there unless `last`, when the factor follows `latency` clocks later at
    `factor`. The partial's read goes out one clock earlier, at `ahead_index`; the neuron's `noise` comes `noise_clock`
    clocks later.
    """

    def __init__(self, config: ArrayConfig) -> None:
        self.config = config
        clocks = timing(config)
        self.latency, self.noise_clock = clocks.modulate, clocks.noise
        post = {"post": In(FACTOR_BITS), "post_shift": In(4), "post_negative": In(1)}
        super().__init__(
            {
                **(post if config.has("post-trace") else {}),
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
                "shift": In(4),
                "write": Out(1),
                "write_neuron": Out(config.row_bits),
                "factor": Out(pair_layout(config)),
                "over_count": Out(1 + config.has("post-trace")),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Sum, magnitude, times psi, plus noise, shift and clamp, round."""
        m = Module()
        config = self.config
        m.submodules.partials = partials = Bram(width=config.signal.bits, depth=config.groups * config.parallel)
        delta = Signal(signed(config.signal.bits))
        size = Signal(DELTA_BITS)

        index = delayed(m, self.index, 1, "index")[1]
        kept = delayed(m, self.valid & ~self.last, 1, "kept")[1]
        valid = delayed(m, self.valid & self.last, self.latency, "valid")
        neuron = delayed(m, self.neuron, self.latency, "neuron")[-1]
        noise = delayed(m, self.noise, between(config, 2), "noise")
        negative = delayed(m, delta[-1], self.latency - 2, "negative")
        m.d.comb += [
            partials.read_enable.eq(self.ahead),
            partials.read_address.eq(self.ahead_index),
            partials.write_enable.eq(kept),
            partials.write_address.eq(index),
            partials.write_data.eq(delta),
        ]
        m.d.sync += delta.eq(add_carry(self.total, Mux(self.add, partials.read_data.as_signed(), 0), self.total_carry))
        m.d[domain(config)] += size.eq(_limited(m, delta))
        clamps = valid[self.latency - 1]
        overs = [self._factor(m, size, self.psi, noise, self.shift, negative, self.factor.causal, "psi") & clamps]
        if config.has("post-trace"):
            turned = [word.rotate_left(POST_ROTATION) for word in noise]
            sign = [value ^ self.post_negative for value in negative]
            over = self._factor(m, size, self.post, turned, self.post_shift, sign, self.factor.event, "post")
            overs.append(over & clamps)
        m.d.comb += [self.write.eq(valid[-1]), self.write_neuron.eq(neuron), self.over_count.eq(sum(overs))]
        return m

    def _factor(
        self,
        m: Module,
        size: Value,
        scale: Value,
        noise: list[Value],
        shift: Value,
        negative: list[Value],
        factor: Value,
        name: str,
    ) -> Value:
        """One factor from the magnitude of delta, valid at clock 2, `scale`, valid at 0, and `noise` of clocks 3, 4, 5;
        whether it was clamped, at clock 5. In a short pipeline delta has a register, the product, and the factor."""
        multiplies = self.config.serial_products == "multipliers"
        bits = DELTA_BITS + len(scale)
        product, noisy = Signal(bits, name=f"{name}_product"), Signal(bits + 1, name=f"{name}_noisy")
        clamped, over = Signal(FACTOR_BITS, name=f"{name}_clamped"), Signal(name=f"{name}_over")
        stage = domain(self.config)
        scale = delayed(m, scale, 1 + between(self.config, 1), f"{name}_scale")[-1]
        m.d.sync += product.eq(size * scale if multiplies else partial_products(size, scale, 0, len(scale)))
        m.d[stage] += noisy.eq(product + (noise[0][:SIGNAL_SHIFT_MAX] & low_mask(shift, SIGNAL_SHIFT_MAX)))
        scaled = wire(m, noisy >> shift, "scaled")
        below = scaled[: FACTOR_BITS - 1]
        far = scaled[FACTOR_BITS:].any()
        m.d[stage] += [
            clamped.eq(Mux(far | scaled[FACTOR_BITS - 1], FACTOR_MAX, below)),
            over.eq(far | (scaled[FACTOR_BITS - 1] & below.any())),
        ]
        m.d.comb += factor.eq(factor_of(m, self.config, clamped, negative[-1], noise[-1][25:], f"{name}_rounded"))
        return over


def _limited(m: Module, delta: Signal) -> Value:
    """`min(2**16 - 1, abs(delta))`."""
    if len(delta) <= DELTA_BITS:
        return magnitude(delta)
    near = wire(m, magnitude(delta[: DELTA_BITS + 1].as_signed()), "near")
    above = delta[DELTA_BITS:]
    far = wire(m, near[-1] | (above.any() & ~above.all()), "far")
    return near[:DELTA_BITS] | far.replicate(DELTA_BITS)

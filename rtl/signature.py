# SPDX-License-Identifier: Apache-2.0
"""Write signatures: sums of a hash of every weight, neuron and trace written. Optional, for verification."""

from __future__ import annotations

from amaranth.hdl import Const, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..arch.array import ArrayConfig
from .noise import Mix, digest, group_words, lane_noise


class Signatures(wiring.Component):
    """`weights += digest(noise ^ W)`, `neurons += digest(mix(key ^ n) ^ v ^ s << 16 ^ psi << 17)`, `traces += term`.

    Weights: of all lanes `active` when `weight_write`, in order of their offset in the group. Neurons: of all cores
    `live` when `retire`; the first core's is `neuron`.
    """

    def __init__(self, config: ArrayConfig) -> None:
        self.config = config
        super().__init__(
            {
                "clear": In(1),
                "weight_write": In(1),
                "row_noise": In(32),
                "group_neuron": In(16),
                "stored": In(signed(config.weight_bits)).array(config.parallel),
                "active": In(1).array(config.parallel),
                "retire": In(1),
                "key": In(32),
                "neuron": In(16),
                "live": In(1).array(config.cores),
                "v": In(signed(config.membrane_bits)).array(config.cores),
                "spike": In(1).array(config.cores),
                "psi": In(config.surrogate_bits).array(config.cores),
                "trace_valid": In(1),
                "trace": In(32),
                "weights": Out(32),
                "neurons": Out(32),
                "traces": Out(32),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Three sums, each behind a register."""
        m = Module()
        words = group_words(m, self.row_noise, self.group_neuron, self.config.parallel)
        terms = [
            Mux(
                self.active[offset],
                digest(m, lane_noise(words, offset) ^ self.stored[offset].as_unsigned()),
                Const(0, 32),
            )
            for offset in range(self.config.parallel)
        ]
        weight_term = Signal(32)
        m.d.sync += weight_term.eq(Mux(self.weight_write, _sum(terms), 0))

        neuron_terms: list[Value] = []
        for core in range(self.config.cores):
            m.submodules[f"mix_{core}"] = mix = Mix(latency=self.config.noise_latency)
            m.d.comb += mix.i.eq(self.key ^ (self.neuron + core)[:16])
            written = Signal(signed(16), name=f"written_{core}")
            m.d.comb += written.eq(self.v[core])
            value: Value = written.as_unsigned() ^ (self.spike[core] << 16) ^ (self.psi[core] << 17)
            valid: Value = self.retire & self.live[core]
            for clock in range(mix.latency):
                later_value = Signal(32, name=f"value_{core}_{clock}")
                later_valid = Signal(name=f"valid_{core}_{clock}")
                m.d.sync += [later_value.eq(value), later_valid.eq(valid)]
                value, valid = later_value, later_valid
            neuron_terms.append(Mux(valid, digest(m, mix.o ^ value), Const(0, 32)))
        sums = (
            (self.weights, weight_term),
            (self.neurons, _sum(neuron_terms)),
            (self.traces, Mux(self.trace_valid, self.trace, 0)),
        )
        for total, term in sums:
            m.d.sync += total.eq(Mux(self.clear, 0, total + term))
        return m


def _sum(terms: list[Value]) -> Value:
    """Sum modulo 2**32."""
    while len(terms) > 1:
        terms = [
            (terms[index] + terms[index + 1])[:32] if index + 1 < len(terms) else terms[index]
            for index in range(0, len(terms), 2)
        ]
    return terms[0]

# SPDX-License-Identifier: Apache-2.0
"""FIRE: leak, threshold, reset and surrogate of one core's neurons, one a clock."""

from __future__ import annotations

from amaranth.hdl import Array, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..arch.array import ArrayConfig, ceil_log2
from ..arch.network import SURROGATE_ENTRIES
from .bram import Bram
from .fixed import magnitude, partial_products, saturate
from .pipeline import delayed, wire

THRESHOLD_BITS = 16


class Neuron(wiring.Component):
    """Neurons of one group, lane after lane: `latency` clocks from `slot` to the outputs, one neuron a clock.

    ::

        clock 0   the membrane's read is issued, the lane's current is picked
        clock 1   v arrives
        clock 2   low half of decay * v
        clock 3   high half
        clock 4   u = saturate(((decay * v) >> decay_bits) + I)
        clock 5   s = u >= threshold, u - threshold; v written back one clock later
        clock 6   index = abs(u - threshold) >> surrogate_shift
        clock 7   psi is read
        clock 8   spike, psi, v, y at the outputs

    Everything stands still while `enable` is low.
    """

    latency = 8

    def __init__(self, config: ArrayConfig) -> None:
        self.config = config
        lanes = config.lanes
        super().__init__(
            {
                "enable": In(1),
                "slot_valid": In(1),
                "slot": In(max(1, ceil_log2(lanes))),
                "live": In(1),
                "state": In(config.state_bits),
                "first": In(1),
                "decay": In(config.decay_bits + 1),
                "threshold": In(THRESHOLD_BITS),
                "hard": In(1),
                "soft": In(1),
                "spiking": In(1),
                "surrogate_shift": In(4),
                "from_membrane": In(1),
                "currents": In(signed(config.current.bits)).array(lanes),
                "table_write": In(1),
                "table_address": In(4),
                "table_data": In(config.surrogate_bits),
                "table_out": Out(config.surrogate_bits),
                "host_state": In(config.state_bits),
                "host_read": In(1),
                "host_write": In(1),
                "host_data": In(signed(config.membrane_bits)),
                "membrane": Out(signed(config.membrane_bits)),
                "done": Out(1),
                "valid": Out(1),
                "spike": Out(1),
                "psi": Out(config.surrogate_bits),
                "v": Out(signed(config.membrane_bits)),
                "y": Out(signed(config.current.bits)),
                "over": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Memories, then the seven stages."""
        m = Module()
        config = self.config
        m.submodules.membranes = membranes = Bram(width=config.membrane_bits, depth=config.groups * config.lanes)
        m.submodules.table = table = Bram(width=config.surrogate_bits, depth=SURROGATE_ENTRIES)

        v = Signal(signed(config.membrane_bits))
        halfway = (config.decay_bits + 1) // 2
        product_bits = config.membrane_bits + config.decay_bits + 2
        v_3 = Signal(signed(config.membrane_bits))
        low = Signal(signed(product_bits))
        leaked = Signal(signed(product_bits))
        u = Signal(signed(config.membrane_bits))
        u_over = Signal()
        distance = Signal(config.membrane_bits + 1)
        spike = Signal()
        after = Signal(signed(config.membrane_bits))
        index = Signal(range(SURROGATE_ENTRIES))
        near = Signal()

        difference = wire(m, u - self.threshold.as_signed(), "difference")
        fires = wire(m, ~difference[-1] & self.spiking, "fires")
        far = wire(m, distance >> self.surrogate_shift, "far")
        current = Signal(signed(config.current.bits))
        clamped, over = saturate(m, (leaked >> config.decay_bits) + current, config.membrane)

        # All stages move together.
        with m.If(self.enable):
            valid = delayed(m, self.slot_valid, self.latency, "valid")
            live = delayed(m, self.slot_valid & self.live, self.latency, "live")
            state = delayed(m, self.state, 6, "state")
            currents = delayed(m, Array(self.currents)[self.slot], 5, "current")
            m.d.sync += [
                v.eq(Mux(self.first, 0, self.membrane)),
                v_3.eq(v),
                low.eq(partial_products(v, self.decay, 0, halfway)),
                leaked.eq(low + partial_products(v_3, self.decay, halfway, config.decay_bits + 1)),
                u.eq(clamped),
                u_over.eq(over),
                spike.eq(fires & live[5]),
                after.eq(Mux(fires & self.hard, 0, Mux(fires & self.soft, difference, u))),
                distance.eq(magnitude(difference)),
                index.eq(far),
                near.eq((far < SURROGATE_ENTRIES) & self.spiking & live[6]),
            ]
            spikes = delayed(m, spike, 2, "spike")
            afters = delayed(m, after, 2, "after")
            nears = delayed(m, near, 1, "near")
            overs = delayed(m, u_over & live[5], 3, "over")
            y = delayed(m, Mux(self.from_membrane, u, currents[5]), 3, "y")

        m.d.comb += current.eq(currents[4])
        m.d.comb += [
            membranes.read_enable.eq((self.enable & self.slot_valid) | self.host_read),
            membranes.read_address.eq(Mux(self.host_read, self.host_state, self.state)),
            self.membrane.eq(membranes.read_data.as_signed()),
            membranes.write_enable.eq((self.enable & valid[6]) | self.host_write),
            membranes.write_address.eq(Mux(self.host_write, self.host_state, state[6])),
            membranes.write_data.eq(Mux(self.host_write, self.host_data, after)),
            table.read_enable.eq(self.enable | self.host_read),
            table.read_address.eq(Mux(self.host_read, self.table_address, index)),
            self.table_out.eq(table.read_data),
            table.write_enable.eq(self.table_write),
            table.write_address.eq(self.table_address),
            table.write_data.eq(self.table_data),
            self.done.eq(valid[8]),
            self.valid.eq(live[8]),
            self.spike.eq(spikes[2]),
            self.psi.eq(Mux(nears[1], table.read_data, 0)),
            self.v.eq(afters[2]),
            self.y.eq(y[3]),
            self.over.eq(overs[3]),
        ]
        return m

# SPDX-License-Identifier: Apache-2.0
"""FIRE: leak, threshold, reset and surrogate of one core's neurons, one a clock."""

from __future__ import annotations

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..arch.array import ArrayConfig, ceil_log2
from ..arch.formats import FACTOR_BITS
from ..arch.network import SURROGATE_ENTRIES
from .bram import Bram
from .fixed import leading_one, magnitude, partial_products, product_halves, saturate, saturate_unsigned
from .lane import kappa_layout
from .pipeline import delayed, wire
from .timing import between, domain

THRESHOLD_BITS = 16


class Neuron(wiring.Component):
    """Neurons of one group, lane after lane: `latency` clocks from `slot` to the outputs, one neuron a clock.

    ::

        clock 0   the membrane's read is issued
        clock 1   v arrives
        clock 2   low half of decay * v
        clock 3   high half; the lane's current is picked
        clock 4   u = saturate(((decay * v) >> decay_bits) + I)
        clock 5   s = u >= threshold, u - threshold; v written back one clock later
        clock 6   index = abs(u - threshold) >> surrogate_shift
        clock 7   psi is read
        clock 8   spike, psi, v, y at the outputs

    With `neuron = "cuba"` the current goes through a leak of its own first, `c = saturate(((current_decay * c) >>
    decay_bits) + I)`, which takes one clock more: `lag`. A membrane word then holds v in its lower half and c above.
    Everything stands still while `enable` is low. `latency` is 8, or 9 with a synaptic current. In a short pipeline it
    is 3, or 4: u has a register, the outputs have, and what is between is done in the clocks of either.

    `currents`, and `state` above the bits of `slot`, must stay until the group's last neuron has left: they are looked
    at where they are used.
    """

    def __init__(self, config: ArrayConfig) -> None:
        self.config = config
        self.lag = int(config.has("cuba"))
        short = config.pipeline == "short"
        # Clocks of u, and of the outputs.
        self.u_clock = (2 if short else 5) + self.lag
        self.latency = (3 if short else 8) + self.lag
        lanes = config.lanes
        optional: dict[str, object] = {}
        if config.has("thresholds"):
            optional |= {"threshold_write": In(1), "host_threshold": Out(THRESHOLD_BITS)}
        if config.has("post-trace"):
            optional |= {
                "post_decay": In(config.decay_bits + 1),
                "has_post": In(1),
                "post_decayed": In(1),
                "post_write": In(1),
                "host_post": Out(FACTOR_BITS),
                "post": Out(FACTOR_BITS),
            }
        if config.has("eligibility"):
            optional |= {
                "kappa": Out(kappa_layout(config)),
                "kappa_state": Out(config.state_bits),
                "kappa_write": Out(1),
            }
        super().__init__(
            {
                **optional,
                "enable": In(1),
                "slot_valid": In(1),
                "slot": In(max(1, ceil_log2(lanes))),
                "live": In(1),
                "state": In(config.state_bits),
                "first": In(1),
                "decay": In(config.decay_bits + 1),
                "current_decay": In(config.decay_bits + 1),
                "clamp": In(1),
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
                "host_data": In(32),
                "host_word": Out(signed(32)),
                "done": Out(1),
                "valid": Out(1),
                "spike": Out(1),
                "psi": Out(config.surrogate_bits),
                "v": Out(signed(config.membrane_bits)),
                "y": Out(signed(config.output.bits)),
                "over": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Memories, then the stages."""
        m = Module()
        config = self.config
        lag, bits = self.lag, config.membrane_bits
        stage = domain(config)
        u_clock, wait = self.u_clock, self.latency - self.u_clock - 1
        lane_bits = ceil_log2(config.lanes)
        m.submodules.membranes = membranes = Bram(width=bits * (1 + lag), depth=config.groups * config.lanes)
        m.submodules.table = table = Bram(width=config.surrogate_bits, depth=SURROGATE_ENTRIES)
        v_read = membranes.read_data[:bits].as_signed()

        u = Signal(signed(bits))
        u_over = Signal()
        distance = Signal(bits + 1)
        spike = Signal()
        after = Signal(signed(bits))
        index = Signal(range(SURROGATE_ENTRIES))
        near = Signal()

        threshold = self._thresholds(m) if config.has("thresholds") else self.threshold
        difference = wire(m, u - threshold.as_signed(), "difference")
        fires = wire(m, ~difference[-1] & self.spiking, "fires")
        far = wire(m, distance >> self.surrogate_shift, "far")
        current = Signal(signed(config.current.bits))
        leaked_v = Signal(signed(bits + 2))
        v: Value = wire(m, Mux(self.first, 0, v_read), "v_read")
        integrated = current
        c_over = Signal()
        if self.lag:
            c_read = membranes.read_data[bits:].as_signed()
            leaked_c = Signal(signed(bits + 2))
            integrated = c = Signal(signed(bits))
            clamped_c, over_c = saturate(m, leaked_c + current, config.membrane)
        clamped, over = saturate(m, leaked_v + integrated, config.membrane)
        floored = wire(m, clamped[-1] & self.clamp if self.lag else Const(0, 1), "floored")

        # All stages move together.
        with m.If(self.enable):
            valid = delayed(m, self.slot_valid, self.latency, "valid")
            live = delayed(m, self.slot_valid & self.live, self.latency, "live")
            slots = delayed(m, self.slot, self.latency, "slot")
            state = [Cat(slot[:lane_bits], self.state[lane_bits:]) for slot in slots]
            m.d[stage] += current.eq(Array(self.currents)[slots[between(config, 2) + 1]])
            held: Value = delayed(m, current, 1, "current")[1]
            if self.lag:
                self._leak(m, Mux(self.first, 0, c_read), self.current_decay, leaked_c)
                m.d.sync += [c.eq(clamped_c), c_over.eq(over_c)]
                held = delayed(m, c, 1, "c")[1]
                v = delayed(m, v, 1, "v_read")[1]
            self._leak(m, v, self.decay, leaked_v)
            floors = delayed(m, floored, 1 + between(config, 1), "floored")
            m.d.sync += [
                u.eq(Mux(floored, 0, clamped)),
                u_over.eq(over | c_over),
                spike.eq(fires & live[u_clock]),
                after.eq(Mux(fires & self.hard, 0, Mux(fires & self.soft, difference, u))),
                near.eq((far < SURROGATE_ENTRIES) & self.spiking & live[u_clock + between(config, 1)] & ~floors[-1]),
            ]
            m.d[stage] += [distance.eq(magnitude(difference)), index.eq(far)]
            spikes = delayed(m, spike, wait, "spike")
            afters = delayed(m, after, wait, "after")
            nears = delayed(m, near, between(config, 1), "near")
            overs = delayed(m, u_over & live[u_clock], 1 + wait, "over")
            y = delayed(m, Mux(self.from_membrane, u, held), 1 + wait, "y")
            written: Value = after
            if self.lag:
                written = Cat(after, delayed(m, held, 1, "c_after")[1])

        host_write = Cat(self.host_data[:bits], self.host_data[16 : 16 + bits]) if lag else self.host_data
        # Alone v has all bits of the host's word, beside c 16.
        host_read: Value = v_read
        if lag:
            host_read = Cat(v_read, Const(0, 16 - bits), c_read)
        m.d.comb += [
            membranes.read_enable.eq((self.enable & self.slot_valid) | self.host_read),
            membranes.read_address.eq(Mux(self.host_read, self.host_state, self.state)),
            self.host_word.eq(host_read),
            membranes.write_enable.eq((self.enable & valid[u_clock + 1]) | self.host_write),
            membranes.write_address.eq(Mux(self.host_write, self.host_state, state[u_clock + 1])),
            membranes.write_data.eq(Mux(self.host_write, host_write, written)),
            table.read_enable.eq(self.enable | self.host_read),
            table.read_address.eq(Mux(self.host_read, self.table_address, index)),
            self.table_out.eq(table.read_data),
            table.write_enable.eq(self.table_write),
            table.write_address.eq(self.table_address),
            table.write_data.eq(self.table_data),
            self.done.eq(valid[self.latency]),
            self.valid.eq(live[self.latency]),
            self.spike.eq(spikes[-1]),
            self.psi.eq(Mux(nears[-1], table.read_data, 0)),
            self.v.eq(afters[-1]),
            self.y.eq(y[-1]),
            self.over.eq(overs[-1]),
        ]
        if config.has("post-trace"):
            self._post_trace(m, state, valid)
        if config.has("eligibility"):
            with m.If(self.enable):
                before = delayed(m, u, 3, "u_before")[-1]
                limit = delayed(m, threshold, 3, "limit")[-1] if config.has("thresholds") else threshold
            self._kappa(m, before, limit, state[self.latency], valid[self.latency])
        return m

    def _kappa(self, m: Module, u: Value, threshold: Value, state: Value, leaving: Value) -> None:
        """What is left of the traces of the neuron's synapses: a pipeline of three clocks behind the outputs.

        Kept is `2**surrogate_bits - psi` (soft), or with s and `max(0, u) psi / threshold` (hard); times the decay.
        """
        config = self.config
        bits = config.surrogate_bits
        one = 1 << bits
        position, _ = leading_one(wire(m, threshold, "threshold_now"))
        lost = Signal(config.membrane_bits + bits)
        place = Signal.like(position)
        spike, psi = Signal(), Signal(bits)
        kept = Signal(signed(bits + 2))
        taken = delayed(m, self.enable & leaving, 3, "kappa_taken")
        states = delayed(m, state, 3, "kappa_state")
        floor = wire(m, Mux(u[-1], 0, u[:-1]), "u_floor")
        m.d.sync += [
            lost.eq(partial_products(floor, self.psi, 0, bits)),
            place.eq(position),
            spike.eq(self.spike),
            psi.eq(self.psi),
        ]
        far = wire(m, Mux(spike, 0, one) - (lost >> place), "far_kept")
        with m.If(self.hard):
            m.d.sync += kept.eq(Mux(far < -one, -one, far))
        with m.Else():
            m.d.sync += kept.eq(one - Mux(self.soft, psi, 0))
        size = wire(m, magnitude(kept), "kept_size")
        m.d.sync += [
            self.kappa.size.eq(partial_products(self.decay, size, 0, bits + 1) >> bits),
            self.kappa.negative.eq(kept[-1]),
        ]
        m.d.comb += [self.kappa_write.eq(taken[3]), self.kappa_state.eq(states[3])]

    def _thresholds(self, m: Module) -> Value:
        """The neuron's own threshold, when its membrane is there."""
        m.submodules.thresholds = memory = Bram(width=THRESHOLD_BITS, depth=self.config.groups * self.config.lanes)
        m.d.comb += [
            memory.read_enable.eq((self.enable & self.slot_valid) | self.host_read),
            memory.read_address.eq(Mux(self.host_read, self.host_state, self.state)),
            memory.write_enable.eq(self.threshold_write),
            memory.write_address.eq(self.host_state),
            memory.write_data.eq(self.host_data),
            self.host_threshold.eq(memory.read_data),
        ]
        with m.If(self.enable):
            later = delayed(m, memory.read_data, self.u_clock - 1, "threshold")[-1]
        return later

    def _post_trace(self, m: Module, state: list[Value], valid: list[Value]) -> None:
        """`q = min(255, ((post_decay * q) >> decay_bits) + ((psi << 7) >> surrogate_bits))` of the neuron that comes
        out.

        It is read four clocks before, so that its product has two of them, or one clock before in a short pipeline; it
        is written as the neuron leaves.
        """
        config = self.config
        m.submodules.post_traces = memory = Bram(width=FACTOR_BITS, depth=config.groups * config.lanes)
        stage = domain(config)
        read_at = self.latency - 1 - between(config, 3)
        q, old, older = (Signal(FACTOR_BITS, name=name) for name in ("q", "q_old", "q_older"))
        low = Signal(FACTOR_BITS + config.decay_bits + 1)
        decayed = Signal(FACTOR_BITS)
        # What has no register of its own must not wait for `enable`, which FIRE makes of what comes out here.
        with m.If(self.enable if stage == "sync" else Const(1)):
            first, second = product_halves(config, q, old, self.post_decay)
            product = low + second
            m.d[stage] += [
                q.eq(Mux(self.first, 0, memory.read_data)),
                low.eq(first),
                old.eq(q),
                older.eq(old),
                decayed.eq(product >> config.decay_bits),
            ]
        moved = wire(m, decayed + ((self.psi << (FACTOR_BITS - 1)) >> config.surrogate_bits), "moved")
        clamped, over = saturate_unsigned(m, moved, FACTOR_BITS)
        with m.If(over & self.valid):
            m.d.comb += self.over.eq(1)
        m.d.comb += [
            memory.read_enable.eq((self.enable & valid[read_at]) | self.host_read),
            memory.read_address.eq(Mux(self.host_read, self.host_state, state[read_at])),
            memory.write_enable.eq((self.enable & valid[self.latency]) | self.post_write),
            memory.write_address.eq(Mux(self.post_write, self.host_state, state[self.latency])),
            memory.write_data.eq(Mux(self.post_write, self.host_data, clamped)),
            self.host_post.eq(memory.read_data),
            self.post.eq(Mux(self.has_post & self.valid, Mux(self.post_decayed, decayed, older), 0)),
        ]

    def _leak(self, m: Module, value: Value, decay: Value, leaked: Signal) -> None:
        """`leaked` is `(decay * value) >> decay_bits` three clocks later, the product takes two of them; at once in a
        short pipeline."""
        bits = self.config.decay_bits
        shape = signed(self.config.membrane_bits + bits + 2)
        low, product = Signal(shape, name=f"{leaked.name}_low"), Signal(shape, name=f"{leaked.name}_product")
        clocks = between(self.config, 1)
        values = delayed(m, value, 2 * clocks, f"{leaked.name}_value")
        first, second = product_halves(self.config, values[clocks], values[-1], decay)
        m.d[domain(self.config)] += [low.eq(first), product.eq(low + second)]
        m.d.comb += leaked.eq(product >> bits)

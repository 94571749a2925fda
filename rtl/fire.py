# SPDX-License-Identifier: Apache-2.0
"""FIRE of the whole array: walks the lanes of a group through every core's neuron unit and collects what comes out."""

from __future__ import annotations

from itertools import combinations

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..arch.array import ArrayConfig, ceil_log2
from ..arch.events import EVENT_NEURON_BITS
from ..arch.formats import FACTOR_BITS


class Fire(wiring.Component):
    """One lane of every core a clock; spikes, neurons with psi and readouts leave one a clock, and the walk waits for
    them.

    `capture` starts a group: its first neuron is `neuron`, its index among all groups `group`. `spike`, `surrogate` and
    `output` are pushes; an output of the readout waits for `output_ready`, a recorded spike for its stream.
    """

    def __init__(self, config: ArrayConfig) -> None:
        self.config = config
        cores = config.cores
        post = {"posts": In(FACTOR_BITS).array(cores), "post": Out(FACTOR_BITS)} if config.has("post-trace") else {}
        super().__init__(
            {
                **post,
                "capture": In(1),
                "idle": Out(1),
                "group": In(config.group_bits),
                "neuron": In(config.row_bits + 1),
                "outputs": In(config.row_bits + 1),
                "spiking": In(1),
                "learn": In(1),
                "record": In(1),
                "layer": In(config.layer_bits),
                # towards the cores' neuron units
                "enable": Out(1),
                "slot_valid": Out(1),
                "slot": Out(max(1, ceil_log2(config.lanes))),
                "live": Out(1).array(cores),
                "state": Out(config.state_bits),
                # from them
                "done": In(1),
                "valid": In(1).array(cores),
                "spikes": In(1).array(cores),
                "psis": In(config.surrogate_bits).array(cores),
                "vs": In(signed(config.membrane_bits)).array(cores),
                "ys": In(signed(config.output.bits)).array(cores),
                "overs": In(1).array(cores),
                # collected
                "spike": Out(1),
                "surrogate": Out(1),
                "psi": Out(config.surrogate_bits),
                "output": Out(1),
                "output_ready": In(1),
                "output_waits": Out(1),
                "v": Out(signed(config.membrane_bits)),
                "y": Out(signed(config.output.bits)),
                "spike_neuron": Out(config.row_bits),
                "surrogate_neuron": Out(config.row_bits),
                "output_neuron": Out(config.row_bits),
                "events": Out(stream.Signature(EVENT_NEURON_BITS + config.layer_bits)),
                "retire": Out(1),
                "retire_state": Out(config.state_bits),
                "retire_neuron": Out(config.row_bits + 1),
                "over_count": Out(range(cores + 1)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """The walk, then what each finished slot still has to hand on."""
        m = Module()
        config = self.config
        cores = config.cores
        lane_bits = ceil_log2(config.lanes)
        busy = Signal()
        walking = Signal()
        group = Signal(config.group_bits)
        neuron = Signal(config.row_bits + 1)
        out_slot = Signal(lane_bits + 1)
        out_neuron = Signal(config.row_bits + 1)

        slot_done = Signal()
        taken = {name: Signal(cores, name=f"{name}_taken") for name in ("spike", "surrogate", "output")}
        scales = [psi.any() for psi in self.psis]
        if config.has("post-trace"):
            scales = [some | post.any() for some, post in zip(scales, self.posts, strict=True)]
        wants = {
            "spike": Cat(valid & spike for valid, spike in zip(self.valid, self.spikes, strict=True)),
            "surrogate": Cat(valid & some & self.learn for valid, some in zip(self.valid, scales, strict=True)),
            "output": Cat(valid & ~self.spiking for valid in self.valid),
        }
        ready = {
            "spike": ~self.record | self.events.ready,
            "surrogate": Const(1),
            "output": self.output_ready,
        }
        remaining: list[Value] = []
        chosen: dict[str, Signal] = {}
        for name, signal in (("spike", self.spike), ("surrogate", self.surrogate), ("output", self.output)):
            pending = Signal(cores, name=f"{name}_pending")
            chosen[name] = core = Signal(range(cores), name=f"{name}_core")
            m.d.comb += pending.eq(wants[name] & ~taken[name] & self.done.replicate(cores))
            for number in reversed(range(cores)):
                with m.If(pending[number]):
                    m.d.comb += core.eq(number)
            go = pending.any() & ready[name]
            m.d.comb += signal.eq(go)
            # Whether more than one waits; not by way of `core`, for all cores' neurons wait for this.
            several = Cat(one & other for one, other in combinations(pending, 2)).any()
            remaining.append(Mux(ready[name], several, pending.any()))
            with m.If(slot_done):
                m.d.sync += taken[name].eq(0)
            with m.Elif(go):
                m.d.sync += taken[name].eq(taken[name] | (Const(1, cores) << core)[:cores])
        event_neuron = Signal(EVENT_NEURON_BITS)
        m.d.comb += [
            slot_done.eq(self.done & ~Cat(remaining).any()),
            self.enable.eq(~(self.done & Cat(remaining).any())),
            self.spike_neuron.eq(out_neuron + chosen["spike"]),
            self.surrogate_neuron.eq(out_neuron + chosen["surrogate"]),
            self.output_neuron.eq(out_neuron + chosen["output"]),
            self.psi.eq(Array(self.psis)[chosen["surrogate"]]),
            *([self.post.eq(Array(self.posts)[chosen["surrogate"]])] if config.has("post-trace") else []),
            self.v.eq(Array(self.vs)[chosen["output"]]),
            self.y.eq(Array(self.ys)[chosen["output"]]),
            self.events.valid.eq(self.record & Cat(wants["spike"] & ~taken["spike"]).any() & self.done),
            event_neuron.eq(out_neuron + chosen["spike"]),
            self.events.payload.eq(Cat(event_neuron, self.layer)),
            self.output_waits.eq((wants["output"] & ~taken["output"]).any() & self.done),
            self.retire.eq(slot_done),
            self.retire_state.eq(Cat(out_slot[:lane_bits], group)),
            self.retire_neuron.eq(out_neuron),
            self.over_count.eq(Mux(slot_done, sum(self.overs, start=Const(0, 1)), 0)),
        ]

        m.d.comb += [
            self.idle.eq(~busy),
            self.slot_valid.eq(walking),
            self.state.eq(Cat(self.slot[:lane_bits], group)),
        ]
        for number in range(cores):
            m.d.comb += self.live[number].eq(neuron + number < self.outputs)
        with m.If(self.capture):
            m.d.sync += [
                busy.eq(1),
                walking.eq(1),
                self.slot.eq(0),
                group.eq(self.group),
                neuron.eq(self.neuron),
                out_slot.eq(0),
                out_neuron.eq(self.neuron),
            ]
        with m.Elif(self.enable & walking):
            m.d.sync += [self.slot.eq(self.slot + 1), neuron.eq(neuron + cores)]
            with m.If(self.slot == config.lanes - 1):
                m.d.sync += walking.eq(0)
        with m.If(slot_done):
            m.d.sync += [out_slot.eq(out_slot + 1), out_neuron.eq(out_neuron + cores)]
            with m.If(out_slot == config.lanes - 1):
                m.d.sync += busy.eq(0)
        return m

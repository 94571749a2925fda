# SPDX-License-Identifier: Apache-2.0
"""What a network costs: bits of state counted from its settings, and the papers' formulas to hold them against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .array import ArrayConfig
from .formats import EXPONENT_MAX, FACTOR_BITS
from .network import Network


@dataclass(frozen=True, kw_only=True)
class State:
    """Bits of state of a whole network: what inference needs, and what learning adds, by purpose."""

    neurons: int
    synapses: int
    inference: dict[str, int]
    learning: dict[str, int]

    @property
    def per_neuron(self) -> float:
        """Bits that learning adds which grow with the neurons, over all neurons: traces, factors."""
        return sum(bits for name, bits in self.learning.items() if name not in PER_SYNAPSE) / self.neurons

    @property
    def per_synapse(self) -> float:
        """Bits that learning adds which grow with the synapses, over all synapses."""
        return sum(self.learning.get(name, 0) for name in PER_SYNAPSE) / self.synapses


PER_SYNAPSE = ("stored weights", "traces of synapses")


def state_of(network: Network, array: ArrayConfig) -> State:
    """What the settings of `network` need in the formats of `array`; units that it does not use are not counted.

    A weight of inference has `synapse_bits`. Learning keeps the rest of the stored one, or, where it acts by sample,
    all of it beside the active one. A pre trace is one per row, and none where it is the event; a factor is a sign, a
    flag and an exponent or a magnitude.
    """
    neurons = sum(layer.outputs for layer in network.layers)
    synapses = sum(layer.rows * layer.outputs for layer in network.layers)
    factor = 2 + (EXPONENT_MAX.bit_length() if array.products == "shift" else FACTOR_BITS)
    by_sample = network.apply == "sample"
    learning = dict.fromkeys(("stored weights", "pre traces", "post traces", "factors", "traces of synapses"), 0)
    learning["fixed matrices"] = sum(
        array.weight_bits * block.rows * block.columns for block in network.blocks if block.fixed
    )
    for layer in network.layers:
        learning["factors"] += factor * layer.outputs * (1 + bool(layer.post))
        if not layer.learns:
            continue
        own = layer.rows * layer.outputs
        learning["stored weights"] += own * (array.weight_bits - (0 if by_sample else array.synapse_bits))
        learning["pre traces"] += FACTOR_BITS * layer.rows * bool(layer.trace_decay)
        learning["post traces"] += FACTOR_BITS * layer.outputs * bool(layer.post)
        learning["traces of synapses"] += (FACTOR_BITS + 1) * own * layer.eligibility
    currents = sum(layer.outputs for layer in network.layers if layer.current_decay)
    return State(
        neurons=neurons,
        synapses=synapses,
        inference={
            "weights": array.synapse_bits * synapses,
            "membranes": array.membrane_bits * neurons,
            "currents": array.membrane_bits * currents,
        },
        learning=learning,
    )


def operations(network: Network, array: ArrayConfig, counters: Mapping[str, int]) -> dict[str, float]:
    """From the counters of samples that learned: additions and products of a synapse in a step, in the mean.

    A word holds one synapse of each lane. SCATTER adds a weight; GATHER takes a product and an addition, UPDATE a
    product, where its factor is not an event, a rounding and an addition. With products as shifts none is a
    multiplication.
    """
    places = sum(layer.rows * layer.outputs for layer in network.layers) * counters["steps"]
    scatter, gather, update = (
        counters[f"{verb}_words"] * array.parallel / places for verb in ("scatter", "gather", "update")
    )
    return {
        "scatter adds": scatter,
        "gather products": gather,
        "update products": update,
        "adds": scatter + gather + update,
        "multiplications": 0.0 if array.products == "shift" else gather + update,
        "weights moved": counters["weight_updates"] / places,
    }


@dataclass(frozen=True, kw_only=True)
class PaperCase:
    """A case of Apolinario & Roy, TMLR 2025: T steps, of which the last `learned` bring a learning signal."""

    name: str
    steps: int
    learned: int

    @property
    def memory_ratio(self) -> float:
        """`T / 2`: a scalar per neuron and step of BPTT over two traces per neuron."""
        return self.steps / 2

    @property
    def operation_ratio(self) -> float:
        """`2 T / (3 (T - T_l))`: weight gradient and error of BPTT over both terms and the error, all dense."""
        return 2 * self.steps / (3 * self.learned)

    @property
    def shallow_operation_ratio(self) -> float:
        """`T / (2 (T - T_l))`: with one hidden layer no error is sent below it, so BPTT has one product instead of two,
        S-TLLR two instead of three. The paper's own figures for spoken digits are this."""
        return self.steps / (2 * self.learned)

    def counted_memory_ratio(self, network: Network, array: ArrayConfig) -> float:
        """The same with what the formula leaves out: BPTT keeps u of every neuron and x of every row for T steps; both
        keep a gradient per synapse until the sample ends, S-TLLR as its stored weight beside the active one."""
        neurons = sum(layer.outputs for layer in network.layers)
        rows = sum(layer.rows for layer in network.layers)
        gradients = sum(layer.rows * layer.outputs for layer in network.layers) * array.weight_bits
        through_time = self.steps * (neurons * array.membrane_bits + rows) + gradients
        traces = FACTOR_BITS * (rows + neurons - network.outputs)
        return through_time / (traces + gradients)


PAPER_CASES = (
    PaperCase(name="CIFAR10-DVS", steps=10, learned=5),
    PaperCase(name="DVS Gesture", steps=20, learned=5),
    PaperCase(name="spoken digits (SHD)", steps=100, learned=90),
    PaperCase(name="optical flow (MVSEC)", steps=10, learned=1),
)

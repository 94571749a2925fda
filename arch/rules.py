# SPDX-License-Identifier: Apache-2.0
"""The rule table: a learning rule is a row of coefficients of the one law, never a branch."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Literal

from .array import ArrayConfig
from .errors import ConfigurationError, did_you_mean
from .formats import RATE_SHIFT_MAX, UNIT
from .network import SURROGATE_ENTRIES, Layer, Network

Surrogate = Literal["sigmoid", "triangle", "fast-sigmoid"]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Coefficients of one rule, in real numbers; `network_for` turns them into the integers of an array.

    `hidden_trace_decay` is a_p for the synapses of spiking layers, `readout_trace_decay` for those of the readout.
    `surrogate` samples psi(x) with x = (u - threshold) / threshold. Rates are powers of two: weights, in units where
    the threshold is 1, move by `2**-rate` times G p. `strict` fires above the threshold, not at it. With `scaled` the
    rate of a layer is further multiplied by classes / (neurons of the layer above), to the nearest power of two.
    """

    name: str
    source: str
    decay: float
    hidden_trace_decay: float
    readout_trace_decay: float
    surrogate: Surrogate
    error: Literal["softmax", "mse"]
    neuron: Literal["lif", "cuba"] = "lif"
    current_decay: float = 0.0
    reset: Literal["soft", "hard"] = "soft"
    strict: bool = False
    clamp: bool = False
    readout_learns: bool = True
    scaled: bool = False
    gate: Literal["all", "last", "after", "random"] = "all"
    gate_steps: int = 0


RULES: dict[str, Rule] = {
    rule.name: rule
    for rule in (
        Rule(
            name="ottt",
            source="Xiao et al., NeurIPS 2022, arXiv 2210.04195, OTTT_O: p = lambda p + s, applied at every step",
            decay=0.5,
            hidden_trace_decay=0.5,
            readout_trace_decay=0.0,
            surrogate="sigmoid",
            error="softmax",
        ),
        Rule(
            name="sltt",
            source="Meng et al., ICCV 2023, arXiv 2302.14311: no trace, p = s; at every step, leak as ottt",
            decay=0.5,
            hidden_trace_decay=0.0,
            readout_trace_decay=0.0,
            surrogate="sigmoid",
            error="softmax",
        ),
        Rule(
            name="sltt-k",
            source="as sltt, but at 2 steps of a sample only, drawn by lot",
            decay=0.5,
            hidden_trace_decay=0.0,
            readout_trace_decay=0.0,
            surrogate="sigmoid",
            error="softmax",
            gate="random",
            gate_steps=2,
        ),
        Rule(
            name="dalton",
            source="Gaurav et al., IEEE TETC 13(3) 2025, as their code: back-propagation within the step, rates scaled "
            "per layer; current-based neurons without leak, fixed random readout, no trace",
            decay=1.0,
            hidden_trace_decay=0.0,
            readout_trace_decay=0.0,
            surrogate="fast-sigmoid",
            error="mse",
            neuron="cuba",
            current_decay=math.exp(-1.0),
            reset="hard",
            strict=True,
            clamp=True,
            readout_learns=False,
            scaled=True,
        ),
    )
}


def rule_named(name: str) -> Rule:
    """The row called `name`, or a `ConfigurationError` that names the nearest."""
    if name not in RULES:
        raise ConfigurationError(f"no rule is called {name!r}", did_you_mean(name, RULES))
    return RULES[name]


def surrogate_value(kind: str, x: float) -> float:
    """psi(x) in real numbers, peak 1: `4 s(4x) (1 - s(4x))` with the logistic s, `max(0, 1 - abs(x))`, or
    `1 / (1 + 5 abs(x))**2`.
    """
    if kind == "fast-sigmoid":
        return 1.0 / (1.0 + 5.0 * abs(x)) ** 2
    if kind == "triangle":
        return max(0.0, 1.0 - abs(x))
    s = 1.0 / (1.0 + math.exp(-4.0 * abs(x)))
    return 4.0 * s * (1.0 - s)


def surrogate_table(kind: str, *, peak: int, threshold: int, shift: int) -> tuple[int, ...]:
    """psi at the middle of each of the table's intervals of abs(u - threshold), `2**shift` wide, scaled to `peak`."""
    middles = ((index + 0.5) * (1 << shift) / threshold for index in range(SURROGATE_ENTRIES))
    return tuple(round(peak * surrogate_value(kind, x)) for x in middles)


def network_for(
    rule: Rule,
    sizes: tuple[int, ...],
    array: ArrayConfig,
    *,
    rate: int = 2,
    event_value_bits: int = 1,
) -> Network:
    """The network of `rule` on `array`: every coefficient in integers.

    `sizes` are widths from the input to the readout. `rate` is the learning rate's power of two, counted so that the
    same `rate` means the same step whatever the stored width: `rate_shift = rate + weight shift alignment`.
    `event_value_bits` is the width of a graded input (1: spikes).
    """
    if len(sizes) < 2:
        raise ConfigurationError(
            f"layers {'-'.join(map(str, sizes))!r} need an input and a readout", "write 784-256-10"
        )
    one = array.decay_one
    threshold = min(1 << (array.synapse_bits - 1), array.membrane.max)
    surrogate_shift = max(0, array.synapse_bits - 4)
    rate_shift = rate + 23 - array.weight_bits
    last = len(sizes) - 2
    layers = []
    for index, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        readout = index == last
        trace_decay = rule.readout_trace_decay if readout else rule.hidden_trace_decay
        above = sizes[-1] if readout else sizes[index + 2]
        slower = round(math.log2(above / sizes[-1])) if rule.scaled else 0
        bits = event_value_bits if index == 0 else 1
        layers.append(
            Layer(
                inputs=inputs,
                outputs=outputs,
                spiking=not readout,
                decay=one if readout else round(rule.decay * one),
                threshold=min(threshold + rule.strict, array.membrane.max),
                reset="none" if readout else rule.reset,
                current_decay=0 if readout else round(rule.current_decay * one),
                clamp=rule.clamp and not readout,
                learns=rule.readout_learns or not readout,
                surrogate_shift=surrogate_shift,
                trace_decay=round(trace_decay * one),
                trace_shift=max(0, UNIT.bit_length() - bits),
                rate_shift=max(0, min(RATE_SHIFT_MAX, rate_shift + slower)),
                signal_shift=max(0, array.synapse_bits + array.surrogate_bits - 4),
            )
        )
    return Network(
        layers=tuple(layers),
        surrogate=surrogate_table(rule.surrogate, peak=array.surrogate_max, threshold=threshold, shift=surrogate_shift),
        error=rule.error,
        error_shift=max(0, array.synapse_bits - 7),
        gate=rule.gate,
        gate_steps=rule.gate_steps,
    )

# SPDX-License-Identifier: Apache-2.0
"""A network that does not learn, as one that does: its own neurons and matrices, the coefficients of a rule."""

from __future__ import annotations

import math
from statistics import median
from typing import Any

from .array import ArrayConfig
from .errors import DoesNotFitError
from .formats import RATE_SHIFT_MAX, SIGNAL_SHIFT_MAX
from .network import SURROGATE_ENTRIES, Layer, Network
from .rules import SURROGATES, network_for, rule_named, surrogate_table

ERROR_SHIFT_MAX = 15
SURROGATE_SHIFT_MAX = 15


def learning(network: Network, rule: str, array: ArrayConfig, *, rate: int, readout_unit: float) -> Network:
    """`network` with all that `network_for(rule, network.sizes, array, rate=rate)` has of learning.

    Sizes, recurrent rows, biases, leaks, currents, thresholds and resets stay. A trace that leaks as the rule's
    membranes do leaks as the layer's. Shifts follow the layer's unit: its threshold, the median of several, or what 1.0
    is in the readout, `readout_unit`. Weights in those units move as those of `network_for` in theirs, to the nearest
    power of two. The surrogate's table is exact for the first layer's unit, to the nearest power of two in others. A
    readout that starts as an identity, frozen, counts spikes and stays so.

    Raises `ConfigurationError` for an unknown rule, `DoesNotFitError` for neurons that the rule cannot have.
    """
    counts = network.layers[-1].start == "identity"
    one = array.decay_one
    # A rule that fires above its threshold has it one higher than its unit.
    above_unit = int(rule_named(rule).strict)
    units = [max(1.0, median(own.thresholds or (own.threshold,)) - above_unit) for own in network.layers[:-1]]
    units.append(readout_unit)
    reference = 1 << (array.synapse_bits - 1)
    finer = [round(math.log2(unit / reference)) for unit in units]
    width = _surrogate_shift(rule, units[0])
    layers = []
    for index, own in enumerate(network.layers):
        made = network_for(
            rule_named(rule),
            network.sizes[:-1] if counts else network.sizes,
            array,
            rate=rate,
            decay=own.decay / one if own.spiking else None,
            readout_decay=1.0 if counts else network.layers[-1].decay / one,
            spiking_readout=counts,
        )
        layer = made.layers[index]
        # The signal of a layer comes down by the weights above, in their units; a fixed matrix has those of the rule.
        above = finer[index + 1] if own.spiking and layer.signal == "backprop" else 0
        relative = round(math.log2(units[index] / units[0]))
        layers.append(
            _laid_over(
                layer,
                own,
                index,
                rule,
                rate_shift=_within(layer.rate_shift - finer[index], RATE_SHIFT_MAX),
                signal_shift=_within(layer.signal_shift + above, SIGNAL_SHIFT_MAX),
                post_shift=_within(layer.post_shift + above, SIGNAL_SHIFT_MAX),
                surrogate_shift=_within(width + relative, SURROGATE_SHIFT_MAX) if own.spiking else 0,
            )
        )
    kind = rule_named(rule).surrogate
    table = surrogate_table(kind, peak=array.surrogate_max, threshold=round(units[0]), shift=width)
    error_shift = _within(made.error_shift + finer[-1], ERROR_SHIFT_MAX)
    return made.model_copy(update={"layers": tuple(layers), "surrogate": table, "error_shift": error_shift})


def differences(layer: Layer, rule: str) -> list[str]:
    """How the neurons of a spiking layer differ from those that a rule was written for, leaks and strictness apart."""
    meant = rule_named(rule)
    found = []
    if meant.current_decay and not layer.current_decay:
        found.append("no synaptic current, the rule's have one")
    if layer.current_decay and not meant.current_decay:
        found.append("a synaptic current, the rule's have none")
    if meant.reset != layer.reset:
        found.append(f"a {layer.reset} reset, the rule's a {meant.reset} one")
    if meant.clamp and not layer.clamp:
        found.append("membranes below 0, the rule's have none")
    thresholds = layer.thresholds or (layer.threshold,)
    if meant.eligibility and layer.reset == "hard" and any(one & (one - 1) for one in thresholds):
        found.append("thresholds that a trace per synapse takes for the power of two below")
    return found


def _laid_over(layer: Layer, own: Layer, index: int, rule: str, **shifts: int) -> Layer:
    values: dict[str, Any] = {**layer.model_dump(), **shifts}
    for name in ("inputs", "outputs", "spiking", "recurrent", "bias", "start", "decay", "current_decay"):
        values[name] = getattr(own, name)
    for name in ("threshold", "thresholds", "reset", "clamp"):
        values[name] = getattr(own, name)
    if layer.eligibility and (own.current_decay or own.clamp):
        raise DoesNotFitError(
            f"layer {index}: {rule} has a trace per synapse, which goes without a synaptic current",
            "choose another rule, or train it without currents",
        )
    return Layer(**values)


def _surrogate_shift(rule: str, unit: float) -> int:
    reach = SURROGATES[rule_named(rule).surrogate][1]
    return _within(math.ceil(math.log2(reach * unit / SURROGATE_ENTRIES)), SURROGATE_SHIFT_MAX)


def _within(value: int, most: int) -> int:
    return max(0, min(most, value))

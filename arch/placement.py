# SPDX-License-Identifier: Apache-2.0
"""Where a network's layers stand in an array's memories, and whether they fit."""

from __future__ import annotations

from dataclasses import dataclass

from .array import ArrayConfig
from .errors import DoesNotFitError
from .network import Layer, Network


@dataclass(frozen=True, kw_only=True)
class LayerPlacement:
    """Bases of one layer, each in the unit of its memory.

    The word of row `j` and group `g` is at `weight_base + g * inputs + j` in every core.
    """

    groups: int
    weight_base: int
    state_base: int
    trace_base: int
    list_base: int
    gather_base: int


@dataclass(frozen=True, kw_only=True)
class Placement:
    """All layers, and what they use of each capacity."""

    layers: tuple[LayerPlacement, ...]
    weight_words: int
    groups: int
    axons: int
    events: int
    classes: int


def place(network: Network, array: ArrayConfig) -> Placement:
    """Stack the layers from address 0 up; raise `DoesNotFitError` naming every capacity that overflows."""
    placed = measure(network, array)
    needs = {
        "layers": len(network.layers),
        "weight_words": placed.weight_words,
        "groups": placed.groups,
        "axons": placed.axons,
        "events": placed.events,
        "classes": placed.classes,
    }
    over = [f"{name} {need} > {getattr(array, name)}" for name, need in needs.items() if need > getattr(array, name)]
    if over:
        sizes = "-".join(map(str, network.sizes))
        raise DoesNotFitError(
            f"network {sizes} does not fit the array: {', '.join(over)}",
            "raise these capacities, use more lanes (weight_words) or a smaller network",
        )
    _check_formats(network, array)
    return placed


def measure(network: Network, array: ArrayConfig) -> Placement:
    """What `network` needs, whether or not `array` has it."""
    rows = array.traces_per_word
    weight = state = trace = lists = gathers = 0
    layers = []
    for layer in network.layers:
        groups = -(-layer.outputs // array.parallel)
        layers.append(
            LayerPlacement(
                groups=groups,
                weight_base=weight,
                state_base=state,
                trace_base=trace,
                list_base=lists,
                gather_base=gathers,
            )
        )
        weight += groups * layer.inputs
        state += groups
        trace += -(-layer.inputs // rows)
        lists += layer.inputs
        gathers += layer.outputs
    return Placement(
        layers=tuple(layers),
        weight_words=weight,
        groups=state,
        axons=trace * rows,
        # A graded value is one entry per set bit.
        events=max(network.inputs * array.event_bits, *(layer.inputs for layer in network.layers)),
        classes=network.outputs,
    )


def fitted(network: Network, array: ArrayConfig) -> ArrayConfig:
    """`array` with every capacity raised, and every optional unit added, that `network` needs."""
    need = measure(network, array)
    return array.model_copy(
        update={
            "weight_words": max(array.weight_words, need.weight_words),
            "groups": max(array.groups, need.groups),
            "axons": max(array.axons, need.axons),
            "events": max(array.events, need.events),
            "classes": max(array.classes, need.classes),
            "layers": max(array.layers, len(network.layers)),
            "neuron": "cuba" if any(map(_needs_cuba, network.layers)) else array.neuron,
        }
    )


def _needs_cuba(layer: Layer) -> bool:
    return layer.current_decay != 0 or layer.clamp


def _check_formats(network: Network, array: ArrayConfig) -> None:
    """Coefficients must be inside the formats that the array was built with."""
    for index, layer in enumerate(network.layers):
        limits = {
            "decay": (layer.decay, array.decay_one),
            "trace_decay": (layer.trace_decay, array.decay_one),
            "current_decay": (layer.current_decay, array.decay_one),
            "threshold": (layer.threshold, array.membrane.max),
        }
        for name, (value, most) in limits.items():
            if value > most:
                raise DoesNotFitError(
                    f"layer {index}: {name} {value} exceeds {most}", "lower it, or build the array with wider formats"
                )
        if not array.cuba and _needs_cuba(layer):
            raise DoesNotFitError(
                f"layer {index}: current_decay and clamp need neurons that the array was built without",
                "build it with neuron = 'cuba'",
            )
    if max(network.surrogate) > array.surrogate_max:
        raise DoesNotFitError(
            f"surrogate value {max(network.surrogate)} exceeds {array.surrogate_max}", "raise surrogate_bits"
        )

# SPDX-License-Identifier: Apache-2.0
"""Where a network's layers stand in an array's memories, and whether they fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import get_args

from .array import UNITS, ArrayConfig, ErrorKind, Unit
from .errors import DoesNotFitError
from .network import Layer, Network


@dataclass(frozen=True, kw_only=True)
class BlockPlacement:
    """Bases of one block of weights, and of its neurons, each in the unit of its memory.

    The word of row `j` and group `g` is at `weight_base + g * rows + j` in every core.
    """

    groups: int
    weight_base: int
    state_base: int
    trace_base: int
    list_base: int
    gather_base: int


@dataclass(frozen=True, kw_only=True)
class Placement:
    """All blocks of `Network.blocks`, the layers' first, and what they use of each capacity."""

    blocks: tuple[BlockPlacement, ...]
    weight_words: int
    groups: int
    axons: int
    events: int
    classes: int


def place(network: Network, array: ArrayConfig) -> Placement:
    """Stack the blocks from address 0 up; raise `DoesNotFitError` naming every capacity that overflows."""
    placed = measure(network, array)
    needs = {
        "layers": len(placed.blocks),
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
    _check_units(network, array)
    _check_formats(network, array)
    return placed


def measure(network: Network, array: ArrayConfig) -> Placement:
    """What `network` needs, whether or not `array` has it."""
    readout = len(network.layers) - 1
    weight = state = trace = lists = gathers = 0
    blocks: list[BlockPlacement] = []
    for block in network.blocks:
        own = network.layers[block.layer]
        # The factors that feedback gathers with are the readout's own.
        shares_readout = block.fixed and own.signal != "local"
        groups = -(-block.columns // array.parallel)
        blocks.append(
            BlockPlacement(
                groups=groups,
                weight_base=weight,
                state_base=blocks[readout].state_base if shares_readout else state,
                trace_base=0 if block.fixed else trace,
                list_base=0 if block.fixed else lists,
                gather_base=0 if block.fixed else gathers,
            )
        )
        weight += groups * block.rows
        state += 0 if shares_readout else groups
        if not block.fixed:
            trace += -(-block.rows // array.traces_per_word)
            lists += block.rows
            gathers += block.columns
    return Placement(
        blocks=tuple(blocks),
        weight_words=weight,
        groups=state,
        axons=trace * array.traces_per_word,
        events=max(entries(layer, array, first=index == 0) for index, layer in enumerate(network.layers)),
        classes=network.outputs,
    )


def entries(layer: Layer, array: ArrayConfig, *, first: bool) -> int:
    """The longest that a layer's event list can be: a graded value is one entry per set bit. Of `sparse_inputs` one."""
    events = layer.inputs * (array.event_bits if first else 1)
    return (1 if first and array.sparse_inputs else events) + own_entries(layer)


def own_entries(layer: Layer) -> int:
    """Entries of an event list behind the events from below."""
    return layer.outputs * layer.recurrent + layer.bias


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
            "layers": max(array.layers, len(need.blocks)),
            "errors": tuple(error for error in get_args(ErrorKind) if error in (*array.errors, network.error)),
            "units": tuple(unit for unit in UNITS if array.has(unit) or needs_unit(network, unit)),
        }
    )


_NEEDS: dict[Unit, tuple[str, Callable[[Layer], object]]] = {
    "cuba": ("current_decay and clamp", lambda layer: layer.current_decay or layer.clamp),
    "post-trace": ("post", lambda layer: layer.post),
    "recurrent": ("recurrent", lambda layer: layer.recurrent),
    "bias": ("bias", lambda layer: layer.bias),
    "thresholds": ("thresholds", lambda layer: layer.thresholds is not None),
    "feedback": ("signal", lambda layer: layer.signal != "backprop"),
    "eligibility": ("eligibility", lambda layer: layer.eligibility),
}
"""Settings of a layer that take a unit, and when they do."""


def needs_unit(network: Network, unit: Unit) -> bool:
    """Whether any setting of `network` takes `unit`."""
    if unit == "shadow":
        return network.apply == "sample"
    return any(_NEEDS[unit][1](layer) for layer in network.layers)


def _check_units(network: Network, array: ArrayConfig) -> None:
    """Settings must not take a unit that the array was built without."""
    for unit, (settings, takes) in _NEEDS.items():
        for index, layer in enumerate(network.layers):
            if takes(layer) and not array.has(unit):
                raise DoesNotFitError(f"layer {index}: {settings} takes a unit that the array lacks", _build_with(unit))
    if network.error not in array.errors:
        raise DoesNotFitError(
            f'error = "{network.error}" is not among the errors that the array was built with',
            f'build it with "{network.error}" among its errors, or set error = "{array.errors[0]}" (learn --error)',
        )
    if network.apply == "sample" and not array.has("shadow"):
        raise DoesNotFitError('apply = "sample" takes a unit that the array lacks', _build_with("shadow"))


def _build_with(unit: Unit) -> str:
    return f'build it with "{unit}" among its units: {UNITS[unit]}'


def _check_formats(network: Network, array: ArrayConfig) -> None:
    """Coefficients must be inside the formats that the array was built with."""
    for index, layer in enumerate(network.layers):
        limits = {
            "decay": (layer.decay, array.decay_one),
            "trace_decay": (layer.trace_decay, array.decay_one),
            "current_decay": (layer.current_decay, array.decay_one),
            "post_decay": (layer.post_decay, array.decay_one),
            "threshold": (max(layer.thresholds or (layer.threshold,)), array.membrane.max),
        }
        for name, (value, most) in limits.items():
            if value > most:
                raise DoesNotFitError(
                    f"layer {index}: {name} {value} exceeds {most}", "lower it, or build the array with wider formats"
                )
    if max(network.surrogate) > array.surrogate_max:
        raise DoesNotFitError(
            f"surrogate value {max(network.surrogate)} exceeds {array.surrogate_max}", "raise surrogate_bits"
        )

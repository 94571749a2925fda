# SPDX-License-Identifier: Apache-2.0
"""Random arrays, networks, weights and samples, each a pure function of (seed, number)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..arch.array import UNITS, ArrayConfig
from ..arch.device import DeviceState, IntArray
from ..arch.formats import RATE_SHIFT_MAX, SIGNAL_SHIFT_MAX, UNIT
from ..arch.network import SURROGATE_ENTRIES, Block, Layer, Network
from ..arch.placement import fitted
from ..arch.rules import Rule, network_for, surrogate_table

NETWORKS_PER_ARRAY = 10
"""Configurations that share a built array: compiling one takes longer than running all of them."""

SIZE_MAX = 40
LAYERS_MAX = 4
STEPS_MAX = 6


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call of a device: samples of shape (B, T, inputs), with a label each.

    `disturb` other than 0 seeds reads by the host while the array is at work.
    """

    inputs: IntArray
    labels: IntArray
    learn: bool
    disturb: int = 0


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """A network on an array, its starting state, single samples to be compared step by step, then calls of many."""

    number: int
    array: ArrayConfig
    network: Network
    state: DeviceState
    stepwise: tuple[Call, ...]
    streamed: tuple[Call, ...]


def configurations(seed: int, block: int, rule: Rule | None = None) -> list[Configuration]:
    """The `NETWORKS_PER_ARRAY` configurations of array number `block`; their numbers count through all blocks.

    The coefficients are those of `rule`, or random ones.
    """
    rng = np.random.default_rng([seed, block])
    formats = _array(rng)
    networks = [
        _network(np.random.default_rng([seed, block, index]), formats, rule) for index in range(NETWORKS_PER_ARRAY)
    ]
    array = _with_capacities(rng, formats, networks)
    return [
        _configuration(
            np.random.default_rng([seed, block, index, 1]), array, network, block * NETWORKS_PER_ARRAY + index
        )
        for index, network in enumerate(networks)
    ]


def stall_seed(seed: int, block: int) -> int:
    """Seed of the gaps on the streams of array number `block`; 0, no gaps, for every third."""
    return 0 if block % 3 == 0 else 1 + int(np.random.default_rng([seed, block, 99]).integers(1 << 31))


def _pick(rng: np.random.Generator, *choices: Any) -> Any:
    return choices[rng.integers(len(choices))]


def _array(rng: np.random.Generator) -> ArrayConfig:
    """Formats, lanes and cores; the capacities are still the smallest that exist."""
    weight_bits = int(rng.integers(4, 17))
    share = _pick(rng, 0.0, 0.3, 0.5, 1.0)
    cores, lanes = _pick(rng, 1, 1, 2, 4, 8), _pick(rng, 1, 2, 4, 8, 16)
    units = tuple(unit for unit in UNITS if rng.random() < share)
    return ArrayConfig(
        cores=cores,
        lanes=lanes,
        weight_bits=weight_bits,
        synapse_bits=int(rng.integers(4, min(8, weight_bits) + 1)),
        membrane_bits=int(rng.integers(8, 17)),
        decay_bits=int(rng.integers(4, 13)),
        surrogate_bits=int(rng.integers(1, 9)),
        event_bits=_pick(rng, 1, 1, int(rng.integers(1, 9))),
        products=_pick(rng, "shift", "exact"),
        units=units,
        signatures=True,
        weight_words=1,
        groups=-(-2 // (cores * lanes)),
        axons=1,
        events=1,
        layers=1,
        classes=2,
        traces_per_word=_pick(rng, 1, 2, 4, 8),
        serial_products=_pick(rng, "adders", "adders", "multipliers"),
        noise_latency=_pick(rng, 6, 6, 2),
        weight_memory=_pick(rng, "dual", "dual", "single"),
        event_readers=_pick(rng, "both", "both", "turns"),
        pipeline="long" if "eligibility" in units else _pick(rng, "long", "short"),
        errors=_pick(rng, ("softmax", "mse"), ("softmax", "mse"), ("softmax",), ("mse",)),
        probes=bool(rng.integers(4)),
    )


def _with_capacities(rng: np.random.Generator, array: ArrayConfig, networks: list[Network]) -> ArrayConfig:
    """Exactly what the networks need, or that with room to spare."""
    for network in networks:
        array = fitted(network, array)
    spare = _pick(rng, 0, 0, 1, 25, 100)
    grown = {name: getattr(array, name) * (100 + spare) // 100 + (spare > 0) for name in ("weight_words", "axons")}
    grown["groups"] = max(array.groups + spare // 20, -(-array.classes // array.parallel))
    grown["events"] = array.events + spare
    return ArrayConfig.model_validate({**array.model_dump(), **grown})


def _network(rng: np.random.Generator, array: ArrayConfig, rule: Rule | None) -> Network:
    depth = int(rng.integers(1, LAYERS_MAX + 1))
    sizes = [int(size) for size in rng.integers(1, SIZE_MAX + 1, depth + 1)]
    if rule is not None:
        return network_for(
            rule,
            tuple(sizes),
            array,
            rate=int(rng.integers(-8, 5)),
            event_value_bits=array.event_bits,
            recurrent=bool(rng.integers(2)),
            bias=bool(rng.integers(2)),
            readout_decay=_pick(rng, 1.0, 0.9),
            weight_range=_pick(rng, 1, 1, 2, 4),
            spiking_readout=not rng.integers(4),
        )
    layers = tuple(_layer(rng, array, sizes[index], sizes[index + 1], index == depth - 1) for index in range(depth))
    peak = array.surrogate_max
    if rng.integers(2):
        kind = _pick(rng, "sigmoid", "triangle")
        surrogate = surrogate_table(kind, peak=peak, threshold=layers[0].threshold, shift=layers[0].surrogate_shift)
    else:
        surrogate = tuple(int(value) for value in rng.integers(0, peak + 1, SURROGATE_ENTRIES))
    return Network(
        layers=layers,
        surrogate=surrogate,
        error=_pick(rng, *array.errors),
        error_on=_pick(rng, "current", "membrane"),
        error_shift=_pick(rng, 0, 1, 2, 3, int(rng.integers(0, 16))),
        gate=_pick(rng, "all", "all", "last", "after", "random"),
        gate_steps=int(rng.integers(0, STEPS_MAX)),
        apply=_pick(rng, "step", "sample") if array.has("shadow") else "step",
    )


def _layer(rng: np.random.Generator, array: ArrayConfig, inputs: int, outputs: int, readout: bool) -> Layer:
    """Settings over their whole ranges, but more often where neurons fire and weights move."""
    one = array.decay_one
    threshold = min(1 << int(rng.integers(0, array.synapse_bits + 1)), array.membrane.max)
    usual_rate = max(0, 20 - array.weight_bits + int(rng.integers(-4, 5)))
    usual_signal = min(SIGNAL_SHIFT_MAX, max(0, array.synapse_bits + array.surrogate_bits + int(rng.integers(-8, 2))))
    usual_post = min(SIGNAL_SHIFT_MAX, max(0, array.synapse_bits + 7 + int(rng.integers(-8, 2))))
    own = array.has("thresholds") and rng.integers(3)
    thresholds = tuple(map(int, rng.integers(1, min(2 * threshold, array.membrane.max) + 1, outputs)))
    eligible = not readout and array.has("eligibility") and bool(rng.integers(2))
    has_post = not readout and not eligible and array.has("post-trace")
    has_current = not eligible and array.has("cuba")
    decay = _pick(rng, 0, one, one // 2, int(rng.integers(0, one + 1)))
    # A trace of a synapse is never more than its row's.
    slow = decay if eligible else 0
    has_signal = not readout and array.has("feedback")
    return Layer(
        inputs=inputs,
        outputs=outputs,
        spiking=not readout,
        recurrent=not readout and array.has("recurrent") and bool(rng.integers(3)),
        bias=array.has("bias") and bool(rng.integers(3)),
        thresholds=thresholds if own else None,
        signal=_pick(rng, "backprop", "local", "feedback", "sign-feedback") if has_signal else "backprop",
        post=_pick(rng, -1, 0, 1, 1) if has_post else 0,
        post_decay=_pick(rng, 0, one, one // 2, int(rng.integers(0, one + 1))) if array.has("post-trace") else 0,
        post_read=_pick(rng, "old", "decayed"),
        post_shift=_pick(rng, usual_post, usual_post, int(rng.integers(0, SIGNAL_SHIFT_MAX + 1))),
        eligibility=eligible,
        decay=decay,
        threshold=_pick(rng, threshold, threshold, int(rng.integers(1, array.membrane.max + 1))),
        reset=_pick(rng, "soft", "hard", "none"),
        current_decay=_pick(rng, 0, one, int(rng.integers(0, one + 1))) if has_current else 0,
        clamp=bool(has_current and rng.integers(2)),
        learns=bool(rng.integers(5)),
        surrogate_shift=_pick(rng, max(0, array.synapse_bits - 4), int(rng.integers(0, 16))),
        trace_decay=max(slow, _pick(rng, 0, one, one // 2, int(rng.integers(0, one + 1)))),
        trace_shift=_pick(rng, UNIT.bit_length() - 1, int(rng.integers(0, 8))),
        rate_shift=_pick(rng, usual_rate, usual_rate, int(rng.integers(0, RATE_SHIFT_MAX + 1))),
        signal_shift=_pick(rng, usual_signal, usual_signal, int(rng.integers(0, SIGNAL_SHIFT_MAX + 1))),
    )


def _configuration(rng: np.random.Generator, array: ArrayConfig, network: Network, number: int) -> Configuration:
    state = DeviceState(
        weights=[_weights(rng, array, block) for block in network.blocks],
        seed=int(rng.integers(1 << 32)),
        sample=_pick(rng, 0, int(rng.integers(1 << 32)), (1 << 32) - 2),
    )
    # The first sample learns, so that the second is the first to see moved weights.
    stepwise = tuple(_call(rng, array, network, samples=1, learn=index == 0 or index % 4 != 3) for index in range(12))
    streamed = tuple(_call(rng, array, network, samples=5, learn=learn) for learn in (True, False, True))
    streamed = (*streamed[:2], replace(streamed[2], disturb=int(rng.integers(1, 1 << 31))))
    return Configuration(number=number, array=array, network=network, state=state, stepwise=stepwise, streamed=streamed)


def _weights(rng: np.random.Generator, array: ArrayConfig, block: Block) -> IntArray:
    """Uniform over the format or a part of it, or at its ends."""
    low, high, shape = array.weight.min, array.weight.max, (block.rows, block.columns)
    kind = rng.integers(4)
    if kind == 0:
        return rng.integers(low, high + 1, shape)
    if kind == 1:
        return rng.choice(np.array([low, 0, high]), shape)
    if kind == 2:
        return rng.integers(low // 2, high + 1, shape)
    return rng.integers(low // 4, high // 4 + 1, shape)


def _call(rng: np.random.Generator, array: ArrayConfig, network: Network, *, samples: int, learn: bool) -> Call:
    """Steps from silent to full, values over the whole range of an event."""
    shape = (samples, int(rng.integers(1, STEPS_MAX + 1)), network.inputs)
    density = rng.choice([0.0, 0.1, 0.3, 0.6, 1.0], shape[:2], p=[0.1, 0.3, 0.3, 0.2, 0.1])
    values = rng.integers(1, 1 << array.event_bits, shape)
    inputs = np.where(rng.random(shape) < density[..., None], values, 0)
    return Call(inputs=inputs, labels=rng.integers(0, network.outputs, samples), learn=learn)

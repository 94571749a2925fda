# SPDX-License-Identifier: Apache-2.0
"""Rules and settings that the law makes equal: the same bits, not only nearly."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from trifactor.arch.array import UNITS, ArrayConfig, Unit
from trifactor.arch.device import DeviceState, IntArray
from trifactor.arch.network import Layer, Network
from trifactor.arch.placement import fitted
from trifactor.arch.rules import network_for, rule_named
from trifactor.golden.device import GoldenDevice
from trifactor.golden.initial import initial_state

SIZES = (20, 18, 14, 4)
ARRAY = ArrayConfig(lanes=4, signatures=True)


def samples(inputs: int, classes: int) -> tuple[IntArray, IntArray]:
    rng = np.random.default_rng(11)
    return (rng.random((6, 5, inputs)) < 0.4).astype(np.int64), rng.integers(0, classes, 6)


def learned(array: ArrayConfig, network: Network, state: DeviceState) -> dict[str, Any]:
    """All that a device gives when it learns a few samples."""
    inputs, labels = samples(network.inputs, network.outputs)
    device = GoldenDevice(fitted(network, array), network, state)
    out, after, record = device(inputs, labels, learn=True, record=("spikes", "membranes", "traces", "signatures"))
    assert record.signatures is not None
    assert record.counters["weight_updates"] > 500
    assert record.counters["gather_rows"] > 20
    return {
        "readout": out.readout.tolist(),
        "weights": [block.tolist() for block in after.weights],
        "counters": record.counters,
        "signatures": record.signatures.tolist(),
        **{name: [part.tolist() for part in getattr(record, name)] for name in ("spikes", "membranes", "traces")},
    }


def with_layers(network: Network, **changes: Any) -> Network:
    """The same changes in every hidden layer."""
    hidden = [layer.model_copy(update=changes) for layer in network.layers[:-1]]
    return network.model_copy(update={"layers": (*hidden, network.layers[-1])})


@pytest.mark.parametrize("recurrent", [False, True])
def test_sltt_is_ottt_without_a_trace(recurrent: bool) -> None:
    ottt, sltt = (
        network_for(rule_named(name), SIZES, ARRAY, rate=-2, recurrent=recurrent, bias=True)
        for name in ("ottt-o", "sltt")
    )
    state = initial_state(sltt, ARRAY, 3)
    without = learned(ARRAY, with_layers(ottt, trace_decay=0), state)
    assert learned(ARRAY, sltt, state) == without
    assert learned(ARRAY, ottt, state)["weights"] != without["weights"]


def test_s_tllr_without_its_post_trace_is_ottt() -> None:
    s_tllr = replace(rule_named("s-tllr"), post_gain=0.0, apply="step", hidden_trace_decay=0.5, strict=False)
    ottt = replace(rule_named("ottt-o"), surrogate="triangle", peak=0.3)
    one, two = (network_for(rule, SIZES, ARRAY, rate=-2) for rule in (s_tllr, ottt))
    state = initial_state(two, ARRAY, 4)
    on_its_array = ARRAY.model_copy(update={"units": ("post-trace", "shadow")})
    expected = learned(ARRAY, two, state)
    assert learned(on_its_array, one, state) == expected
    with_post = network_for(replace(s_tllr, post_gain=1.0), SIZES, ARRAY, rate=-2)
    assert learned(on_its_array, with_post, state)["weights"] != expected["weights"]


@pytest.mark.parametrize("error", ["softmax", "mse"])
def test_a_local_signal_through_a_frozen_readout_is_backpropagation_through_it(error: str) -> None:
    # With products as shifts each error has noise of its own; without they must be the same error.
    array = ArrayConfig(lanes=4, products="exact", signatures=True)
    plain = network_for(replace(rule_named("ottt-o"), readout_learns=False), SIZES, array, rate=-2)
    plain = plain.model_copy(update={"error": error})
    first, top, readout = plain.layers
    local = plain.model_copy(update={"layers": (first, top.model_copy(update={"signal": "local"}), readout)})
    state = initial_state(plain, array, 5)
    own = DeviceState(weights=[*state.weights, state.weights[-1]], seed=state.seed)
    one, two = learned(array, plain, state), learned(array, local, own)
    assert two["weights"] == [*one["weights"], one["weights"][-1]]
    assert two["weights"][1] != state.weights[1].tolist()
    for name in ("spikes", "membranes", "traces", "readout"):
        assert one[name] == two[name], name
    assert [terms[0] for sample in one["signatures"] for terms in sample] == [
        terms[0] for sample in two["signatures"] for terms in sample
    ]
    for name in ("gather_rows", "gather_words", "update_rows", "weight_updates", "signal_saturations"):
        assert one["counters"][name] == two["counters"][name], name
    assert one["counters"]["fire_groups"] < two["counters"]["fire_groups"]


def random_network(seed: int) -> Network:
    """Layers of the plain law with settings at random."""
    rng = random.Random(seed)
    layers = tuple(
        Layer(
            inputs=inputs,
            outputs=outputs,
            spiking=outputs != SIZES[-1],
            decay=rng.choice([256, rng.randint(0, 256)]),
            threshold=rng.randint(20, 200),
            reset=rng.choice(["soft", "hard", "none"]),
            trace_decay=rng.choice([0, 256, rng.randint(0, 256)]),
            rate_shift=rng.randint(3, 10),
            signal_shift=rng.randint(4, 9),
        )
        for inputs, outputs in itertools.pairwise(SIZES)
    )
    return Network(
        layers=layers,
        surrogate=tuple(rng.randint(0, 15) for _ in range(16)),
        error=rng.choice(["softmax", "mse"]),
        error_on=rng.choice(["current", "membrane"]),
        error_shift=rng.randint(0, 3),
    )


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("seed", [1, 2])
def test_a_unit_that_is_not_used_changes_nothing(seed: int, unit: Unit) -> None:
    network = random_network(seed)
    state = initial_state(network, ARRAY, seed)
    expected = learned(ARRAY, network, state)
    assert learned(ARRAY.model_copy(update={"units": (unit,)}), network, state) == expected
    assert learned(ARRAY.model_copy(update={"units": tuple(UNITS)}), network, state) == expected


@pytest.mark.parametrize("reset", ["soft", "hard"])
def test_equal_thresholds_are_one_threshold(reset: str) -> None:
    one = with_layers(network_for(rule_named("ottt-o"), SIZES, ARRAY, rate=-2), reset=reset, threshold=77)
    layers = [layer.model_copy(update={"thresholds": (layer.threshold,) * layer.outputs}) for layer in one.layers]
    many = one.model_copy(update={"layers": tuple(layer.model_copy(update={"threshold": 1}) for layer in layers)})
    state = initial_state(one, ARRAY, 6)
    expected = learned(ARRAY, one, state)
    assert learned(ARRAY, many, state) == expected
    assert learned(ARRAY, with_layers(one, threshold=78), state)["spikes"] != expected["spikes"]

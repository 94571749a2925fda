# SPDX-License-Identifier: Apache-2.0
"""Graphs as chains of layers, chains as integers: scales, thresholds, leaks, and what is refused all at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trifactor.arch.array import ArrayConfig
from trifactor.arch.errors import DoesNotFitError
from trifactor.arch.graph import Graph, Neuron, Node, Source
from trifactor.golden.chain import chain
from trifactor.golden.device import GoldenDevice
from trifactor.golden.floating.device import FloatDevice
from trifactor.golden.quantise import Method, quantise

WIDE = ArrayConfig(weight_bits=8, decay_bits=12)


def dense(name: str, weight: Any, *sources: Source, bias: Any = None) -> Node:
    weight = np.asarray(weight, float)
    parameters = {"weight": weight} if bias is None else {"weight": weight, "bias": np.asarray(bias, float)}
    return Node(name=name, kind="linear", shape=(len(weight),), sources=sources, parameters=parameters)


def lif(name: str, size: int, *sources: Source, **words: Any) -> Node:
    neuron = {"decay": np.full(size, 0.5), "threshold": np.ones(size), "reset": "zero", **words}
    return Node(name=name, kind="neuron", shape=(size,), sources=sources, neuron=Neuron(**neuron))


def network(*nodes: Node, inputs: int, outputs: int) -> Graph:
    first = Node(name="in", kind="input", shape=(inputs,))
    last = Node(name="out", kind="output", shape=(outputs,), sources=(Source(nodes[-1].name),))
    return Graph(nodes=(first, *nodes, last), origin="test")


def test_a_recurrent_population_is_one_stage_with_all_its_biases() -> None:
    graph = network(
        dense("fc", [[1, 2], [3, 4]], Source("in"), bias=[1, 1]),
        dense("rec", [[0, 5], [6, 0]], Source("lif", late=True), bias=[10, 20]),
        lif("lif", 2, Source("fc"), Source("rec"), gain=np.array([2.0, 2.0])),
        inputs=2,
        outputs=2,
    )
    (stage, counter), findings = chain(graph)
    assert stage.weight.tolist() == [[2, 4], [6, 8]]
    assert stage.recurrent.tolist() == [[0, 10], [12, 0]]
    assert stage.bias.tolist() == [22, 42]
    assert counter.weight.tolist() == [[1, 0], [0, 1]]
    assert counter.neuron.decay.tolist() == [1, 1]
    assert {one.fidelity for one in findings} == {"faithful"}


def test_a_way_that_splits_and_merges_without_neurons_is_one_matrix() -> None:
    graph = network(
        dense("a", [[1, 0], [0, 1]], Source("in")),
        dense("b", [[1, 1], [1, 1]], Source("a"), Source("in"), bias=[1, 0]),
        lif("lif", 2, Source("b"), Source("a")),
        inputs=2,
        outputs=2,
    )
    stages, _ = chain(graph)
    assert stages[0].weight.tolist() == [[3, 2], [2, 3]]
    assert stages[0].bias.tolist() == [1, 0]


def test_everything_that_has_no_place_is_named_at_once() -> None:
    graph = network(
        lif("one", 2, Source("in"), reset_value=np.ones(2)),
        Node(name="wait", kind="delay", shape=(2,), sources=(Source("one"),), parameters={"delay": np.ones(2)}),
        lif("two", 2, Source("wait"), threshold=None, reset="none"),
        lif("three", 2, Source("two"), Source("one"), decay=np.array([0.5, 0.75])),
        inputs=2,
        outputs=2,
    )
    stages, findings = chain(graph)
    assert stages == []
    assert [(one.node, one.rule) for one in findings if one.rule] == [
        ("one", "N03"),
        ("wait", "G05"),
        ("three", "G02"),
        ("three", "G03"),
        ("three", "N01"),
    ]
    with pytest.raises(DoesNotFitError, match=r"N03 node 'one': .*; G05 node 'wait': .*; G02 node 'three'") as caught:
        quantise(graph)
    assert "make it a chain" in caught.value.hint


@pytest.mark.parametrize(("method", "scales"), [("channel", [63.5, 12.7]), ("global", [12.7] * 2), ("pow2", [8.0] * 2)])
def test_scales_and_thresholds(method: Method, scales: list[float]) -> None:
    weight = np.array([[2.0, -1.0], [10.0, 0.5]])
    graph = network(dense("fc", weight, Source("in")), lif("lif", 2, Source("fc")), inputs=2, outputs=2)
    made = quantise(graph, WIDE, method=method)
    layer = made.network.layers[0]
    assert made.state.weights[0].T.tolist() == np.rint(weight * np.array(scales)[:, None]).tolist()
    thetas = [int(np.floor(scale)) + 1 for scale in scales]
    assert list(layer.thresholds or (layer.threshold,) * 2) == thetas
    assert made.layers[0].clipped == 0
    assert made.layers[0].scale == (min(scales), max(scales))
    assert not layer.learns


def test_small_weights_leave_room_for_the_threshold() -> None:
    graph = network(dense("fc", [[1e-4]], Source("in")), lif("lif", 1, Source("fc")), inputs=1, outputs=1)
    made = quantise(graph, WIDE)
    assert made.network.layers[0].threshold == WIDE.membrane.max // 4 + 1


def test_leaks_that_are_no_fractions_are_named() -> None:
    graph = network(lif("lif", 1, Source("in"), decay=np.full(1, 0.9)), inputs=1, outputs=1)
    exact = [one for one in quantise(graph, ArrayConfig(decay_bits=4)).findings if one.fidelity == "approximate"]
    assert [(one.node, one.rule, one.reason) for one in exact] == [("lif", "Q01", "leak 0.9 becomes 0.875")]
    assert all(
        one.fidelity == "faithful"
        for one in quantise(network(lif("lif", 1, Source("in")), inputs=1, outputs=1)).findings
    )


@given(st.integers(0, 2**32 - 1))
def test_integers_that_are_exact_spike_as_in_floating_point(seed: int) -> None:
    """Weights that are whole at the scale, leaks of 1/2 of even membranes: nothing is rounded, so nothing differs."""
    rng = np.random.default_rng(seed)
    inputs, outputs = rng.integers(1, 9, 2)
    weight = 2.0 * rng.integers(-63, 64, (outputs, inputs))
    weight[0, 0] = 126.0
    graph = network(
        dense("fc", weight, Source("in")),
        lif("lif", outputs, Source("fc"), decay=np.zeros(outputs), threshold=rng.integers(1, 100, outputs) + 0.5),
        inputs=inputs,
        outputs=outputs,
    )
    made = quantise(graph, WIDE.model_copy(update={"synapse_bits": 8}), method="pow2")
    samples = (rng.random((3, 12, inputs)) < 0.4).astype(np.int64)
    wanted, _, real = FloatDevice(graph)(samples, record=("spikes",))
    found, _, record = GoldenDevice(made.array, made.network, made.state)(samples, record=("spikes",))
    assert np.array_equal(real.spikes[0], record.spikes[0])
    assert np.array_equal(wanted.readout, found.readout)


def test_a_leaky_readout_is_a_readout() -> None:
    graph = network(
        lif("lif", 2, Source("in")),
        dense("fc", [[1, -1], [2, 1]], Source("lif")),
        lif("mean", 2, Source("fc"), threshold=None, reset="none", decay=np.full(2, 0.75)),
        inputs=2,
        outputs=2,
    )
    made = quantise(graph, WIDE, calibrate=np.ones((4, 2), np.int64))
    assert [layer.spiking for layer in made.network.layers] == [True, False]
    assert made.network.layers[-1].decay == 3072
    assert made.layers[0].spikes_equal == 1.0
    assert made.counters["spikes"] > 0
    assert made.to_dict()["layers"][1]["name"] == "mean"


def test_of_many_nodes_without_a_place_some_are_named() -> None:
    nodes = [lif("n0", 2, Source("in"), threshold=np.zeros(2))]
    nodes += [lif(f"n{n}", 2, Source(f"n{n - 1}"), threshold=np.zeros(2)) for n in range(1, 20)]
    with pytest.raises(DoesNotFitError, match=r"node 'n0': .*node 'n7': .*; 12 more, which trifactor check lists$"):
        quantise(network(*nodes, inputs=2, outputs=2))

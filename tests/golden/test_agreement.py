# SPDX-License-Identifier: Apache-2.0
"""Both forms beside each other: what agrees by construction, what is off by a known amount, labels, saturation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from trifactor.arch.array import ArrayConfig
from trifactor.arch.errors import ConfigurationError
from trifactor.arch.graph import Graph, Neuron, Node, Source
from trifactor.golden.device import GoldenDevice
from trifactor.golden.quantise import Quantised, quantise

WIDE = ArrayConfig(weight_bits=8, decay_bits=8)


def layer(weight: Any, *, behind: str = "", **words: Any) -> tuple[Node, Node]:
    """A dense layer and its neurons, called after the layer that it is behind."""
    weight = np.asarray(weight, float)
    size, name = len(weight), f"{behind}lif"
    linear = Node(
        name=f"{behind}fc",
        kind="linear",
        shape=(size,),
        sources=(Source(behind or "in"),),
        parameters={"weight": weight},
    )
    neuron = {"decay": np.ones(size), "threshold": np.ones(size), "reset": "subtract", **words}
    return linear, Node(
        name=name, kind="neuron", shape=(size,), sources=(Source(linear.name),), neuron=Neuron(**neuron)
    )


def graph_of(*nodes: Node) -> Graph:
    first = Node(name="in", kind="input", shape=(nodes[0].parameters["weight"].shape[1],))
    last = Node(name="out", kind="output", shape=nodes[-1].shape, sources=(Source(nodes[-1].name),))
    return Graph(nodes=(first, *nodes, last), origin="test")


def compared(graph: Graph, array: ArrayConfig = WIDE, **words: Any) -> Quantised:
    rng = np.random.default_rng(3)
    samples = rng.integers(0, 2, (6, 20, graph.nodes[0].shape[0]))
    return quantise(graph, array, calibrate=samples, **words)


@pytest.mark.parametrize("reset", ["subtract", "zero", "none", "delayed-subtract", "delayed-zero"])
def test_membranes_are_compared_after_the_reset_even_where_it_is_taken_late(reset: str) -> None:
    """In one step only the threshold, 40.5 as against 41, tells membranes of whole numbers apart, and only if taken."""
    weight = np.random.default_rng(1).integers(-60, 60, (7, 5)).astype(float)
    weight[:, 0] = 127
    graph = graph_of(*layer(weight, threshold=np.full(7, 40.5), reset=reset))
    samples = np.random.default_rng(3).integers(0, 2, (30, 1, 5))
    made = quantise(graph, WIDE, calibrate=samples, method="global")
    report = made.layers[0]
    assert report.scale == (1.0, 1.0)
    assert report.spikes is not None
    assert report.spikes[0] == report.spikes[1] > 50
    taken = report.spikes[0] / (30 * 7) if reset.endswith("subtract") else 0
    assert report.membrane_error == pytest.approx(0.5 / 40.5 * taken**0.5, rel=1e-5)
    assert report.spikes_equal == made.predictions_equal == 1.0
    assert report.saturated == 0.0


def test_the_error_is_in_thresholds_and_of_a_readout_in_its_own_size() -> None:
    """A bias that rounds away shifts every membrane of a neuron that keeps nothing by as much."""
    linear, neuron = layer([[127.0, 50.0]], threshold=np.full(1, 80.0), decay=np.zeros(1), reset="none")
    shifted = Node(**{**vars(linear), "parameters": {**linear.parameters, "bias": np.full(1, 0.4)}})
    made = compared(graph_of(shifted, neuron))
    assert made.layers[0].membrane_error == pytest.approx(0.4 / 80, rel=1e-5)
    readout = Neuron(decay=np.zeros(1))
    made = compared(graph_of(shifted, Node(**{**vars(neuron), "neuron": readout})))
    rng = np.random.default_rng(3)
    real = rng.integers(0, 2, (6, 20, 2)) @ np.array([127.0, 50.0]) + 0.4
    assert made.layers[0].membrane_error == pytest.approx(0.4 / np.sqrt(np.square(real).mean()), rel=1e-5)
    assert made.layers[0].spikes is None


def test_boxes_and_saturation_are_those_of_the_golden_model() -> None:
    weight = np.random.default_rng(1).normal(0, 1, (7, 5))
    array = ArrayConfig(weight_bits=8, membrane_bits=8, decay_bits=8)
    first = layer(weight, threshold=np.full(7, 0.2))
    second = layer(np.random.default_rng(2).normal(0, 1, (3, 7)), behind="lif", threshold=None, reset="none")
    graph = graph_of(*first, *second)
    made = compared(graph, array)
    device = GoldenDevice(made.array, made.network, made.state)
    samples = np.random.default_rng(3).integers(0, 2, (6, 20, 5))
    out, _, record = device(samples, record=("spikes", "membranes"))
    for report, membranes, stored in zip(made.layers, record.membranes, made.state.weights, strict=True):
        assert report.membranes == pytest.approx(np.quantile(membranes, [0, 0.25, 0.5, 0.75, 1]))
        assert report.weights == pytest.approx(np.quantile(stored, [0, 0.25, 0.5, 0.75, 1]))
    assert made.counters == device.counters
    sizes = (7 * 120, 3 * 120)
    total = sum((one.saturated or 0) * size for one, size in zip(made.layers, sizes, strict=True))
    assert total == pytest.approx(device.counters["membrane_saturations"])
    assert total > 50
    right = out.predicted.copy()
    right[:2] = (right[:2] + 1) % 3
    labelled = compared(graph, array, labels=right)
    assert labelled.accuracy is not None
    assert labelled.accuracy[1] == pytest.approx(4 / 6)
    assert labelled.to_dict()["accuracy"] == labelled.accuracy


def test_samples_and_labels_that_do_not_belong_together() -> None:
    graph = graph_of(*layer(np.ones((2, 3))))
    with pytest.raises(ConfigurationError, match=r"labels have shape \(2,\)"):
        compared(graph, labels=np.zeros(2, int))
    with pytest.raises(ConfigurationError, match="labels"):
        compared(graph, labels=np.full(6, 5))
    with pytest.raises(ConfigurationError, match="inputs"):
        quantise(graph, calibrate=np.full((1, 2, 3), 9))

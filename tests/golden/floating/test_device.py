# SPDX-License-Identifier: Apache-2.0
"""Networks in floating point, node by node."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from trifactor.arch.errors import ConfigurationError
from trifactor.arch.graph import Graph, Neuron, Node, Reset, Source
from trifactor.golden.floating.device import FloatDevice


def graph(*nodes: Node, inputs: tuple[int, ...]) -> Graph:
    """A chain of nodes behind an input."""
    chain = [Node(name="in", kind="input", shape=inputs)]
    for node in nodes:
        sources = node.sources or (Source(chain[-1].name),)
        chain.append(Node(**{**vars(node), "sources": sources}))
    end = Node(name="out", kind="output", shape=chain[-1].shape, sources=(Source(chain[-1].name),))
    return Graph(nodes=(*chain, end), origin="test")


def population(size: int, **words: Any) -> Node:
    return Node(name="lif", kind="neuron", shape=(size,), neuron=Neuron(**words))


@pytest.mark.parametrize(
    ("reset", "membranes", "spikes"),
    [
        ("none", [3, 2.5, 1.25], [1, 1, 1]),
        ("zero", [0, 1, 0.5], [1, 0, 0]),
        ("subtract", [2, 1, 0.5], [1, 1, 0]),
        ("delayed-subtract", [3, 1.5, -0.25], [1, 1, 0]),
        ("delayed-zero", [3, 0, 0], [1, 0, 0]),
        # 2 is still above the threshold: the second step takes it off, does not spike, and gives it back.
        ("snntorch-subtract", [2, 2, 1], [1, 0, 0]),
    ],
)
def test_what_a_spike_does_to_the_membrane(reset: Reset, membranes: list[float], spikes: list[int]) -> None:
    neuron = {"decay": np.full(1, 0.5), "threshold": np.ones(1), "reset": reset}
    device = FloatDevice(graph(population(1, **neuron), inputs=(1,)))
    _, _, record = device(np.array([[3.0], [1.0], [0.0]]), record=("spikes", "membranes"))
    assert record.membranes[0][:, 0].tolist() == membranes
    assert record.spikes[0][:, 0].tolist() == spikes


def test_gains_and_currents() -> None:
    neuron = {"decay": np.full(1, 0.5), "gain": np.full(1, 2.0), "current_decay": np.full(1, 0.25)}
    device = FloatDevice(graph(population(1, current_gain=np.full(1, 4.0), **neuron), inputs=(1,)))
    out, _, record = device(np.array([[1.0], [0.0]]), record=("membranes",))
    assert record.membranes[0][:, 0].tolist() == [8.0, 6.0]
    assert out.readout.tolist() == [[6.0]]


def test_delays_are_of_each_neuron_and_late_values_begin_at_zero() -> None:
    delay = Node(name="delay", kind="delay", shape=(2,), parameters={"delay": np.array([0, 2])})
    inputs = np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0], [4.0, 4.0]])
    integrating = population(2, decay=np.zeros(2))
    _, _, record = FloatDevice(graph(delay, integrating, inputs=(2,)))(inputs, record=("membranes",))
    assert record.membranes[0].tolist() == [[1, 0], [2, 0], [3, 1], [4, 2]]
    looped = Node(
        name="lif",
        kind="neuron",
        shape=(2,),
        neuron=Neuron(decay=np.zeros(2)),
        sources=(Source("in"), Source("lif", late=True)),
    )
    _, _, record = FloatDevice(graph(looped, inputs=(2,)))(inputs, record=("membranes",))
    assert record.membranes[0][:, 0].tolist() == [1, 3, 6, 10]


def test_images_go_through_convolution_and_pools_as_in_torch() -> None:
    generator = torch.Generator().manual_seed(1)
    image = torch.randn(2, 1, 3, 8, 8, generator=generator)
    convolution = torch.nn.Conv2d(3, 4, 3, stride=2, padding=1)
    pair = {"stride": (2, 2), "padding": (0, 0)}
    nodes = (
        Node(
            name="conv",
            kind="conv2d",
            shape=(4, 4, 4),
            parameters={
                "weight": convolution.weight.detach().numpy(),
                "bias": convolution.bias.detach().numpy(),
                "stride": (2, 2),
                "padding": (1, 1),
                "dilation": (1, 1),
                "groups": 1,
            },
        ),
        Node(name="sum", kind="sum-pool", shape=(4, 2, 2), parameters={"kernel": (2, 2), **pair}),
        Node(name="mean", kind="average-pool", shape=(4, 1, 1), parameters={"kernel": (2, 2), **pair}),
        Node(name="flat", kind="flatten", shape=(4,)),
    )
    out, _, _ = FloatDevice(graph(*nodes, inputs=(3, 8, 8)))(image.numpy())
    wanted = torch.nn.functional.avg_pool2d(convolution(image[:, 0]), 2) * 4
    assert np.allclose(out.readout, torch.nn.functional.avg_pool2d(wanted, 2).flatten(1).detach(), atol=1e-6)


def test_several_inputs_are_given_by_name_and_outputs_stand_side_by_side() -> None:
    nodes = (
        Node(name="a", kind="input", shape=(2,)),
        Node(name="b", kind="input", shape=(2,)),
        Node(name="sum", kind="scale", shape=(2,), sources=(Source("a"), Source("b")), parameters={"scale": 2.0}),
        Node(name="x", kind="output", shape=(2,), sources=(Source("sum"),)),
        Node(name="y", kind="output", shape=(2,), sources=(Source("b"),)),
    )
    device = FloatDevice(Graph(nodes=nodes, origin="test"))
    out, state, _ = device({"a": np.ones((3, 1, 2)), "b": np.full((3, 1, 2), 2.0)})
    assert out.readout.tolist() == [[6, 6, 2, 2]] * 3
    assert state.weights == []
    with pytest.raises(ConfigurationError, match="inputs in, not a, b"):
        device({"in": np.ones((1, 2))})
    with pytest.raises(ConfigurationError, match="differ in samples or steps"):
        device({"a": np.ones((1, 2)), "b": np.ones((2, 2))})


def test_wrong_calls_are_refused() -> None:
    device = FloatDevice(graph(population(2, decay=np.ones(2)), inputs=(2,)))
    with pytest.raises(ConfigurationError, match="does not learn"):
        device(np.ones((1, 2)), [0], learn=True)
    with pytest.raises(ConfigurationError, match="cannot record 'spike'") as caught:
        device(np.ones((1, 2)), record=("spike",))
    assert "did you mean 'spikes'" in caught.value.hint
    for wrong in (np.ones((1, 3)), np.ones(2), np.ones((0, 2))):
        with pytest.raises(ConfigurationError, match="input 'in' has shape"):
            device(wrong)

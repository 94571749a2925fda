# SPDX-License-Identifier: Apache-2.0
"""Training for few bits: the golden model's integers to the bit, gradients of what they stand for, and that it pays."""

from __future__ import annotations

import copy
import itertools
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from trifactor.arch.array import ArrayConfig
from trifactor.arch.errors import ConfigurationError, DoesNotFitError
from trifactor.arch.graph import Graph, Neuron, Node, Source
from trifactor.golden.aware import QuantisedNetwork
from trifactor.golden.data import load
from trifactor.golden.device import GoldenDevice
from trifactor.golden.encode import bernoulli
from trifactor.golden.floating.device import FloatDevice
from trifactor.golden.floating.network import Shape, float_network
from trifactor.golden.floating.neuron import forward
from trifactor.golden.floating.surrogates import surrogate_named
from trifactor.golden.floating.weights import initial_weights
from trifactor.golden.quantise import quantise

READOUTS = ("spikes", "linear", "leaky")


def dense(name: str, weight: Any, source: Source, bias: Any = None) -> Node:
    parameters = {"weight": weight} if bias is None else {"weight": weight, "bias": bias}
    return Node(name=name, kind="linear", shape=(len(weight),), sources=(source,), parameters=parameters)


def population(rng: np.random.Generator, name: str, size: int, sources: tuple[Source, ...], **words: Any) -> Node:
    own: dict[str, Any] = {
        "decay": np.full(size, rng.choice([0.0, 0.5, 0.9, 1.0])),
        "threshold": np.full(size, 1.0) if rng.random() < 0.5 else rng.uniform(0.3, 2.0, size),
        "reset": rng.choice(["zero", "subtract", "none"]),
        "gain": rng.uniform(0.5, 1.5, size) if rng.random() < 0.3 else None,
        "current_decay": np.full(size, 0.7) if rng.random() < 0.3 else None,
        **words,
    }
    return Node(name=name, kind="neuron", shape=(size,), sources=sources, neuron=Neuron(**own))


def random_graph(rng: np.random.Generator, readout: str, reach: float) -> Graph:
    """Layers of random sizes, with recurrent weights, biases, currents, thresholds and resets by lot."""
    sizes = rng.integers(1, 9, rng.integers(2, 5)).tolist()
    nodes = [Node(name="in", kind="input", shape=(sizes[0],))]
    before = "in"

    def linear(name: str, outputs: int, inputs: int, source: Source) -> None:
        bias = rng.normal(0, reach, outputs) if rng.random() < 0.5 else None
        nodes.append(dense(name, rng.normal(0, reach, (outputs, inputs)), source, bias))

    for index, (below, size) in enumerate(itertools.pairwise(sizes)):
        linear(f"fc{index}", size, below, Source(before))
        sources = [Source(f"fc{index}")]
        if rng.random() < 0.4:
            linear(f"rec{index}", size, size, Source(f"lif{index}", late=True))
            sources.append(Source(f"rec{index}"))
        nodes.append(population(rng, f"lif{index}", size, tuple(sources)))
        before = f"lif{index}"
    if readout != "spikes":
        linear("last", 3, sizes[-1], Source(before))
        before = "last"
    if readout == "leaky":
        words: dict[str, Any] = {"threshold": None, "reset": "none", "current_decay": None}
        nodes.append(population(rng, "mean", 3, (Source("last"),), **words))
        before = "mean"
    shape = nodes[-1].shape
    return Graph(nodes=(*nodes, Node(name="out", kind="output", shape=shape, sources=(Source(before),))), origin="test")


def assert_same(network: QuantisedNetwork, inputs: Any) -> tuple[int, int]:
    """The module's integers are those of the golden model; how many spikes and saturated states there were."""
    made = network.quantised()
    device = GoldenDevice(made.array, made.network, made.state)
    out, _, record = device(inputs, record=("spikes", "membranes"))
    run = network.run(torch.from_numpy(inputs).float())
    scale = made.layers[-1].scale[0]
    assert np.array_equal(np.rint(run.readout.detach().double().numpy() * scale), out.readout)
    assert len(run.membranes) == len(record.membranes)
    for found, wanted in zip(run.membranes, record.membranes, strict=True):
        assert np.array_equal(found.detach().numpy(), wanted)
    for found, wanted in zip(run.spikes, record.spikes, strict=False):
        assert np.array_equal(found.detach().numpy(), wanted)
    return device.counters["spikes"], device.counters["membrane_saturations"]


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    readout=st.sampled_from(READOUTS),
    method=st.sampled_from(["channel", "global", "pow2"]),
    weight_bits=st.integers(4, 8),
    membrane_bits=st.sampled_from([8, 10, 16]),
)
def test_every_integer_is_the_golden_models_before_and_after_training(
    seed: int, readout: str, method: Any, weight_bits: int, membrane_bits: int
) -> None:
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, readout, reach=float(rng.choice([0.3, 1.0, 5.0])))
    array = ArrayConfig(
        weight_bits=weight_bits, synapse_bits=weight_bits, membrane_bits=membrane_bits, decay_bits=8, event_bits=2
    )
    network = QuantisedNetwork(graph, array, method=method)
    inputs = rng.integers(0, 4, (3, 9, graph.nodes[0].shape[0]))
    untrained, same = quantise(graph, array, method=method), network.quantised()
    for wanted, found in zip(untrained.state.weights, same.state.weights, strict=True):
        assert np.array_equal(wanted, found)
    assert untrained.network == same.network
    assert_same(network, inputs)
    optimiser = torch.optim.Adam(network.parameters(), 0.05)
    for _ in range(2):
        value = network(torch.from_numpy(inputs)).square().mean()
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
    assert_same(network, inputs)


def test_those_networks_spike_saturate_and_recur() -> None:
    spikes = saturated = recurrent = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        graph = random_graph(rng, READOUTS[seed % 3], reach=5.0)
        network = QuantisedNetwork(graph, ArrayConfig(weight_bits=8, membrane_bits=8, event_bits=2), method="global")
        found = assert_same(network, rng.integers(0, 4, (4, 12, graph.nodes[0].shape[0])))
        spikes, saturated, recurrent = spikes + found[0], saturated + found[1], recurrent + len(network.recurrent)
    assert spikes > 500
    assert saturated > 100
    assert recurrent > 3


@pytest.mark.parametrize("reset", ["zero", "subtract", "none"])
def test_gradients_are_those_of_the_neuron_that_the_integers_stand_for(reset: Any) -> None:
    rng = np.random.default_rng(5)
    nodes = (
        Node(name="in", kind="input", shape=(6,)),
        dense("fc", rng.normal(0, 1, (5, 6)), Source("in"), rng.normal(0, 1, 5)),
        dense("rec", rng.normal(0, 1, (5, 5)), Source("lif", late=True)),
        population(
            rng, "lif", 5, (Source("fc"), Source("rec")), reset=reset, gain=None, decay=np.full(5, 0.5),
            current_decay=np.full(5, 0.75), threshold=rng.uniform(0.5, 2, 5),
        ),
        dense("last", rng.normal(0, 1, (3, 5)), Source("lif")),
        population(
            rng, "mean", 3, (Source("last"),), threshold=None, reset="none", gain=None, current_decay=None,
            decay=np.ones(3),
        ),
        Node(name="out", kind="output", shape=(3,), sources=(Source("mean"),)),
    )  # fmt: skip
    network = QuantisedNetwork(Graph(nodes=nodes, origin="test"), ArrayConfig(weight_bits=8, decay_bits=8))
    inputs = torch.from_numpy(rng.integers(0, 2, (4, 7, 6))).double()
    goal = torch.from_numpy(rng.normal(0, 1, (4, 3)))
    ((network(inputs) * goal).sum()).backward()

    made = network.quantised()
    active = [torch.tensor(weight.astype(float), requires_grad=True) for weight in made.state.weights]
    theta = torch.tensor(made.network.layers[0].thresholds).double()
    psi = surrogate_named(network.surrogate)

    def floored(value: torch.Tensor) -> torch.Tensor:
        return value + (value.floor() - value).detach()

    v = c = s = torch.zeros(4, 5).double()
    y = torch.zeros(4, 3).double()
    for x in inputs.unbind(1):
        c = floored(0.75 * c) + torch.cat([x, s, torch.ones(4, 1).double()], 1) @ active[0]
        u = floored(0.5 * v) + c
        fired = (u >= theta).double()
        s = fired + (psi((u - theta) / theta) / theta).detach() * (u - u.detach())
        v = {"zero": u * (1 - fired), "subtract": u - theta * fired, "none": u}[reset]
        y = y + s @ active[1]
    real = torch.cat([network.weights[0].T, network.recurrent["0"].T, network.biases["0"][None]]).detach()
    scale = [127 / real.abs().max(0).values, 127 / network.weights[1].detach().abs().max()]
    (((y / scale[1]) * goal).sum()).backward()
    wanted = [gradient.grad * own for gradient, own in zip(active, scale, strict=True)]
    found = [
        torch.cat([network.weights[0].grad.T, network.recurrent["0"].grad.T, network.biases["0"].grad[None]]),
        network.weights[1].grad.T,
    ]
    for one, other in zip(wanted, found, strict=True):
        assert one.abs().max() > 0.1
        assert torch.allclose(one, other.double(), rtol=1e-4, atol=1e-5)


def test_nothing_passes_where_a_membrane_saturated() -> None:
    nodes = (
        Node(name="in", kind="input", shape=(1,)),
        dense("fc", np.array([[1.0], [1.0]]), Source("in"), np.array([0.0, 0.5])),
        population(
            np.random.default_rng(0), "lif", 2, (Source("fc"),), threshold=None, reset="none", gain=None,
            current_decay=None, decay=np.array([1.0, 1.0]),
        ),
        Node(name="out", kind="output", shape=(2,), sources=(Source("lif"),)),
    )  # fmt: skip
    array = ArrayConfig(weight_bits=8, membrane_bits=8, decay_bits=8)
    network = QuantisedNetwork(Graph(nodes=nodes, origin="test"), array)
    network(torch.ones(1, 2, 1))[0, 0].backward()
    assert network.weights[0].grad.flatten().tolist() == [0, 0]
    network.zero_grad()
    network(torch.ones(1, 1, 1))[0, 0].backward()
    assert network.weights[0].grad.flatten().tolist() == pytest.approx([1, 0])


def test_it_is_a_module_like_any_other(tmp_path: Any) -> None:
    rng = np.random.default_rng(4)
    graph = random_graph(rng, "leaky", 1.0)
    network = QuantisedNetwork(graph)
    inputs = torch.from_numpy(rng.integers(0, 2, (2, 5, graph.nodes[0].shape[0])))
    wanted = network(inputs)
    for other in (copy.deepcopy(network), pickle.loads(pickle.dumps(network)), QuantisedNetwork(graph).float()):
        assert torch.equal(other(inputs), wanted)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(0.3)
    changed = QuantisedNetwork(graph)
    changed.load_state_dict(network.state_dict())
    assert torch.equal(changed(inputs), network(inputs))
    for kind in (torch.bool, torch.uint8, torch.float16, torch.float64):
        assert torch.equal(network(inputs.to(kind)), network(inputs))
    numbers = FloatDevice(network.graph())(inputs.numpy())[0].readout
    assert numbers.shape == (2, 3)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (torch.zeros(2, 3), r"shape \(2, 3\)"),
        (torch.zeros(1, 0, 4), r"shape \(1, 0, 4\)"),
        (torch.zeros(1, 2, 5), r"shape \(1, 2, 5\)"),
        (torch.full((1, 2, 4), 2), "whole numbers of 0 to 1"),
        (torch.full((1, 2, 4), -1), "whole numbers"),
        (torch.full((1, 2, 4), 0.5), "whole numbers"),
        (torch.full((1, 2, 4), float("nan")), "whole numbers"),
        (np.zeros((1, 2, 4)), "ndarray, not a tensor"),
    ],
)
def test_inputs_that_it_does_not_take(inputs: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        small()(inputs)
    assert caught.value.hint


def test_other_mistakes() -> None:
    network, diverged = small(), small()
    with torch.no_grad():
        diverged.weights[0][0, 0] = float("nan")
    for call in (diverged.graph, diverged.quantised, lambda: diverged(torch.zeros(1, 2, 4))):
        with pytest.raises(ConfigurationError, match=r"weights.0 holds numbers that are not finite"):
            call()
    with pytest.raises(ConfigurationError, match="no method is called 'row'"):
        QuantisedNetwork(network.graph(), method="row")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="no surrogate is called 'step'"):
        QuantisedNetwork(network.graph(), surrogate="step")
    wait = Node(name="wait", kind="delay", shape=(4,), sources=(Source("in"),), parameters={"delay": np.ones(4)})
    out = Node(name="out", kind="output", shape=(4,), sources=(Source("wait"),))
    with pytest.raises(DoesNotFitError, match="G05 node 'wait'"):
        QuantisedNetwork(Graph(nodes=(Node(name="in", kind="input", shape=(4,)), wait, out), origin="test"))


def small() -> QuantisedNetwork:
    rng = np.random.default_rng(2)
    lif = population(rng, "lif", 3, (Source("fc"),))
    nodes = (Node(name="in", kind="input", shape=(4,)), dense("fc", rng.normal(0, 1, (3, 4)), Source("in")), lif)
    out = Node(name="out", kind="output", shape=(3,), sources=(Source("lif"),))
    return QuantisedNetwork(Graph(nodes=(*nodes, out), origin="test"))


def test_it_pays_on_digits_in_four_bits() -> None:
    """A small recurrent network, a power of two a layer: rounded after training, and trained through its integers."""
    data, steps = load("digits", limit=700), 8
    network = float_network("bptt", Shape((64, 24, 10), recurrent=True, bias=True, decays=(0.875,)))
    weights = [torch.tensor(weight, requires_grad=True) for weight in initial_weights(network, 1)]

    def fit(parameters: Any, logits: Any, epochs: range, rate: float) -> None:
        optimiser = torch.optim.Adam(parameters, rate)
        for epoch in epochs:
            order = np.random.default_rng(epoch).permutation(len(data.train_labels))
            for chosen in np.array_split(order, len(order) // 50):
                inputs = torch.from_numpy(bernoulli(data.train_inputs[chosen], epoch, chosen, steps)).float()
                loss = nn.functional.cross_entropy(logits(inputs), torch.from_numpy(data.train_labels[chosen]))
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()

    def accuracy(graph: Graph) -> float:
        made = quantise(graph, array, method="pow2")
        inputs = bernoulli(data.test_inputs, 99, np.arange(len(data.test_labels)), steps)
        out, *_ = GoldenDevice(made.array, made.network, made.state)(inputs)
        return float((out.predicted == data.test_labels).mean())

    def graph() -> Graph:
        hidden, last = (weight.detach().double().numpy().T for weight in weights)
        lif = Neuron(decay=np.full(24, 0.875), threshold=np.ones(24), reset="subtract")
        late = (Source("lif", late=True),)
        nodes = (
            Node(name="in", kind="input", shape=(64,)),
            dense("fc", hidden[:, :64], Source("in"), hidden[:, -1]),
            Node(name="rec", kind="linear", shape=(24,), sources=late, parameters={"weight": hidden[:, 64:-1]}),
            Node(name="lif", kind="neuron", shape=(24,), sources=(Source("fc"), Source("rec")), neuron=lif),
            dense("last", last[:, :24], Source("lif"), last[:, -1]),
            Node(name="sum", kind="neuron", shape=(10,), sources=(Source("last"),), neuron=Neuron(decay=np.ones(10))),
            Node(name="out", kind="output", shape=(10,), sources=(Source("sum"),)),
        )
        return Graph(nodes=nodes, origin="test")

    def logits(inputs: torch.Tensor) -> torch.Tensor:
        return forward(network, weights, inputs).membrane

    array = ArrayConfig(weight_bits=4, synapse_bits=4, decay_bits=8)
    first, after = range(6), range(6, 9)
    fit(weights, logits, first, 2e-3)
    aware = QuantisedNetwork(graph(), array, method="pow2", surrogate=network.rule.surrogate)
    fit(aware.parameters(), aware, after, 5e-4)
    fit(weights, logits, after, 5e-4)
    rounded, through = accuracy(graph()), accuracy(aware.graph())
    assert through > 0.75
    assert through > rounded + 0.03

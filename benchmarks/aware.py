# SPDX-License-Identifier: Apache-2.0
"""Networks of few bits: rounded after training, and trained through their integers. Tables in Markdown, then JSON.

TRIFACTOR_DATA=… python benchmarks/aware.py [--data braille,digits] [--seeds 1,2,3] [--bits 4,5,6,8] [--method channel]

Both begin with one network that was trained in floating point. The rounded one has as many epochs more in floating
point as the other has through its integers, with the same samples in the same order.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from trifactor.arch.array import ArrayConfig
from trifactor.arch.graph import Graph, Neuron, Node, Source
from trifactor.golden.aware import QuantisedNetwork
from trifactor.golden.coding import Coding
from trifactor.golden.data import load
from trifactor.golden.dataset import Dataset
from trifactor.golden.device import GoldenDevice
from trifactor.golden.floating.network import FloatNetwork, Shape, float_network
from trifactor.golden.floating.neuron import forward
from trifactor.golden.floating.rules import float_rule
from trifactor.golden.floating.weights import initial_weights
from trifactor.golden.quantise import quantise
from trifactor.golden.train import TEST_SEED

BATCH = 50
RATE = 2e-3
"""Of Adam, in the first training; a quarter of it in what comes after."""


SURROGATE = "fast-sigmoid-5"
"""Of both trainings."""


class Setting(NamedTuple):
    """A data set's network, and its epochs: in floating point, and after that."""

    shape: Shape
    coding: Coding
    epochs: int
    after: int


SETTINGS = {
    "digits": Setting(Shape((64, 48, 10), bias=True, decays=(0.875,)), Coding(steps=8), 20, 10),
    "braille": Setting(
        Shape((24, 96, 27), bias=True, recurrent=True, decays=(0.75,)), Coding(kind="events", steps=39), 50, 25
    ),
}


def fit(
    parameters: Iterable[Tensor],
    logits: Callable[[Tensor], Tensor],
    data: Dataset,
    plan: Setting,
    *,
    seed: int,
    epochs: range,
    rate: float,
) -> None:
    """Cross-entropy of the last readout, by Adam, whose rate falls to a tenth."""
    optimiser = torch.optim.Adam(parameters, rate)
    falling = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.1, total_iters=len(epochs))
    total = len(data.train_labels)
    for epoch in epochs:
        order = np.random.default_rng([seed, epoch]).permutation(total)
        for chosen in np.array_split(order, total // BATCH):
            inputs = torch.from_numpy(plan.coding.encode(data.train_inputs[chosen], seed, epoch * total + chosen))
            loss = nn.functional.cross_entropy(logits(inputs.float()), torch.from_numpy(data.train_labels[chosen]))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        falling.step()


def graph_of(network: FloatNetwork, weights: list[Tensor]) -> Graph:
    """The same network as an import would have it."""
    nodes = [Node(name="in", kind="input", shape=(network.layers[0].inputs,))]
    for index, (layer, weight) in enumerate(zip(network.layers, weights, strict=True)):
        rows = weight.detach().double().numpy().T
        size = (layer.outputs,)
        parameters: dict[str, Any] = {"weight": rows[:, : layer.inputs]}
        if layer.bias:
            parameters["bias"] = rows[:, -1]
        before = nodes[-1].name
        nodes.append(
            Node(name=f"fc{index}", kind="linear", shape=size, sources=(Source(before),), parameters=parameters)
        )
        sources = [Source(f"fc{index}")]
        if layer.recurrent:
            own = {"weight": rows[:, layer.inputs : layer.inputs + layer.outputs]}
            late = (Source(f"lif{index}", late=True),)
            nodes.append(Node(name=f"rec{index}", kind="linear", shape=size, sources=late, parameters=own))
            sources.append(Source(f"rec{index}"))
        neuron = Neuron(
            decay=np.full(size, layer.decay),
            threshold=np.ones(size) if layer.spiking else None,
            reset="subtract" if layer.spiking else "none",
        )
        nodes.append(Node(name=f"lif{index}", kind="neuron", shape=size, sources=tuple(sources), neuron=neuron))
    out = Node(name="out", kind="output", shape=nodes[-1].shape, sources=(Source(nodes[-1].name),))
    return Graph(nodes=(*nodes, out), origin="benchmark")


def accuracy(predict: Callable[[Any], Any], data: Dataset, coding: Coding) -> float:
    """In percent of the test samples."""
    inputs = coding.encode(data.test_inputs, TEST_SEED, np.arange(len(data.test_labels)))
    return 100 * float((np.asarray(predict(inputs)) == data.test_labels).mean())


def compare(name: str, seed: int, widths: list[int], method: Any) -> dict[str, Any]:
    """Accuracies of one seed: in floating point, and for each width rounded and aware."""
    plan, data = SETTINGS[name], load(name, None, steps=SETTINGS[name].coding.steps)
    network = float_network(replace(float_rule("bptt"), surrogate=SURROGATE), plan.shape)
    weights = [torch.tensor(weight, requires_grad=True) for weight in initial_weights(network, seed)]

    def logits(inputs: Tensor) -> Tensor:
        return forward(network, weights, inputs).membrane

    def tested(graph: Graph, array: ArrayConfig) -> float:
        made = quantise(graph, array, method=method)
        device = GoldenDevice(made.array, made.network, made.state)
        return accuracy(lambda inputs: device(inputs)[0].predicted, data, plan.coding)

    first, after = range(plan.epochs), range(plan.epochs, plan.epochs + plan.after)
    fit(weights, logits, data, plan, seed=seed, epochs=first, rate=RATE)
    start = graph_of(network, weights)
    fit(weights, logits, data, plan, seed=seed, epochs=after, rate=RATE / 4)
    end = graph_of(network, weights)
    with torch.no_grad():
        found: dict[str, Any] = {
            "float": accuracy(lambda inputs: logits(torch.from_numpy(inputs).float()).argmax(1), data, plan.coding)
        }
    for bits in widths:
        array = ArrayConfig(weight_bits=bits, synapse_bits=bits, decay_bits=8)
        aware = QuantisedNetwork(start, array, method=method, surrogate=SURROGATE)
        fit(aware.parameters(), aware, data, plan, seed=seed, epochs=after, rate=RATE / 4)
        found[str(bits)] = {"rounded": tested(end, array), "aware": tested(aware.graph(), array)}
    return found


def spread(values: list[float]) -> str:
    """The median, the least and the greatest."""
    return f"{median(values):.1f} ({min(values):.1f} … {max(values):.1f})"


def main() -> None:
    """Print a table of all data sets, then one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="braille,digits")
    parser.add_argument("--seeds", default="1,2,3,4,5")
    parser.add_argument("--bits", default="4,5,6,8")
    parser.add_argument("--method", default="channel", choices=("channel", "global", "pow2"))
    words = parser.parse_args()
    seeds, widths = ([int(one) for one in text.split(",")] for text in (words.seeds, words.bits))
    found = {
        name: {seed: compare(name, seed, widths, words.method) for seed in seeds} for name in words.data.split(",")
    }
    print("| | bits | rounded after | trained through | difference |\n| --- | --- | --- | --- | --- |")
    for name, runs in found.items():
        real = spread([run["float"] for run in runs.values()])
        print(f"| {name}, {'-'.join(map(str, SETTINGS[name].shape.sizes))} | float | {real} | | |")
        for bits in map(str, widths):
            rounded, aware = ([run[bits][form] for run in runs.values()] for form in ("rounded", "aware"))
            gains = [one - other for one, other in zip(aware, rounded, strict=True)]
            print(f"| | {bits} | {spread(rounded)} | {spread(aware)} | {spread(gains)} |")
    print(json.dumps({"method": words.method, "accuracy": found}))


if __name__ == "__main__":
    main()

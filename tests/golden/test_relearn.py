# SPDX-License-Identifier: Apache-2.0
"""Imported networks that go on learning: the rule's coefficients, in the import's units, and that it helps."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trifactor.arch.array import ArrayConfig
from trifactor.arch.errors import ConfigurationError, DoesNotFitError
from trifactor.arch.graph import Graph, Neuron, Node, Source
from trifactor.arch.network import Network
from trifactor.arch.relearn import learning
from trifactor.arch.rules import RULES, network_for
from trifactor.golden.aware import QuantisedNetwork
from trifactor.golden.coding import Coding
from trifactor.golden.data import load
from trifactor.golden.device import GoldenDevice
from trifactor.golden.quantise import Quantised, quantise
from trifactor.golden.train import evaluate, learn

ARRAY = ArrayConfig()
OWN = ("inputs", "outputs", "recurrent", "bias", "decay", "current_decay", "threshold", "thresholds", "reset", "clamp")
STEPS = 12


def graph(sizes: tuple[int, ...], seed: int = 1, *, recurrent: bool = False, bias: bool = False, **words: Any) -> Graph:
    """Populations behind dense layers; the last layer is a leaky readout, or spikes if `counted`."""
    rng = np.random.default_rng(seed)
    counted = words.pop("counted", False)
    nodes = [Node(name="in", kind="input", shape=(sizes[0],))]
    for index, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        last = index == len(sizes) - 2 and not counted
        parameters: dict[str, Any] = {"weight": rng.normal(0, 1.5 / np.sqrt(inputs), (outputs, inputs))}
        if bias:
            parameters["bias"] = rng.normal(0, 0.1, outputs)
        before = Source(nodes[-1].name)
        nodes.append(Node(name=f"fc{index}", kind="linear", shape=(outputs,), sources=(before,), parameters=parameters))
        sources = [Source(f"fc{index}")]
        if recurrent and not last:
            back = {"weight": rng.normal(0, 0.3, (outputs, outputs))}
            late = (Source(f"lif{index}", late=True),)
            nodes.append(Node(name=f"rec{index}", kind="linear", shape=(outputs,), sources=late, parameters=back))
            sources.append(Source(f"rec{index}"))
        spiking = {"decay": np.full(outputs, 0.5), "threshold": np.ones(outputs), "reset": "subtract", **words}
        neuron = Neuron(decay=np.ones(outputs)) if last else Neuron(**spiking)
        nodes.append(Node(name=f"lif{index}", kind="neuron", shape=(outputs,), sources=tuple(sources), neuron=neuron))
    nodes.append(Node(name="out", kind="output", shape=(sizes[-1],), sources=(Source(nodes[-1].name),)))
    return Graph(nodes=tuple(nodes), origin="test")


@pytest.mark.parametrize("rule", list(RULES))
@pytest.mark.parametrize("counted", [False, True])
def test_a_network_of_network_for_is_unchanged(rule: str, counted: bool) -> None:
    made = network_for(RULES[rule], (7, 5, 6, 3), ARRAY, rate=1, spiking_readout=counted)
    silent = Network(
        layers=tuple(
            layer.model_copy(update={"learns": False, "surrogate_shift": 0, "rate_shift": 0, "signal": "backprop"})
            for layer in made.layers
        ),
        surrogate=(0,) * 16,
    )
    again = learning(silent, rule, ARRAY, rate=1, readout_unit=128.0)
    assert again.surrogate == made.surrogate
    for mine, theirs in zip(again.layers, made.layers, strict=True):
        update = {} if mine.spiking else {"surrogate_shift": theirs.surrogate_shift}
        assert mine.model_copy(update=update) == theirs
    assert again.model_copy(update={"layers": made.layers, "surrogate": made.surrogate}) == made


@given(st.integers(-3, 4), st.integers(-3, 4), st.sampled_from(list(RULES)))
def test_units_move_rates_signals_and_surrogates(first: int, second: int, rule: str) -> None:
    sizes = (7, 5, 6, 3)
    made = network_for(RULES[rule], sizes, ARRAY, rate=4)
    units = [128 << 4 + first >> 4, 128 << 4 + second >> 4]
    layers = [
        layer.model_copy(update={"threshold": unit + RULES[rule].strict})
        for layer, unit in zip(made.layers[:2], units, strict=True)
    ]
    moved = learning(
        made.model_copy(update={"layers": (*layers, made.layers[2])}), rule, ARRAY, rate=4, readout_unit=256.0
    )
    for mine, theirs, unit in zip(moved.layers, made.layers, [first, second, 1], strict=True):
        assert mine.rate_shift == theirs.rate_shift - unit
    for mine, theirs, above in zip(moved.layers, made.layers, [second, 1], strict=False):
        through = above if mine.signal == "backprop" else 0
        assert mine.signal_shift == max(0, theirs.signal_shift + through)
    assert moved.layers[1].surrogate_shift - moved.layers[0].surrogate_shift == max(
        -moved.layers[0].surrogate_shift, second - first
    )
    assert moved.error_shift == made.error_shift + 1


@pytest.mark.parametrize("rule", [name for name in RULES if not RULES[name].eligibility])
@pytest.mark.parametrize("counted", [False, True])
def test_every_rule_learns_on_what_was_imported(rule: str, counted: bool) -> None:
    source = graph((12, 8, 7, 4), recurrent=True, bias=True, counted=counted, current_decay=None)
    plain = quantise(source, ArrayConfig(weight_bits=16), method="global")
    made = quantise(source, ArrayConfig(weight_bits=16), rule=rule, rate=-2)
    for old, new in zip(plain.network.layers, made.network.layers, strict=True):
        assert all(getattr(old, name) == getattr(new, name) for name in OWN)
    assert made.network.layers[0].learns
    assert made.network.layers[-1].learns == (RULES[rule].readout_learns and not counted)
    for old, new in zip(plain.state.weights[:-1], made.state.weights, strict=False):
        assert np.array_equal(old, new)
    assert len(made.state.weights) == len(made.network.blocks)
    samples = 96 if rule == "s-tllr-shd" else 16  # whose surrogate is very narrow
    events = (np.random.default_rng(2).random((samples, 10, 12)) < 0.5).astype(np.int64)
    golden = GoldenDevice(made.array, made.network, made.state)
    _, state, _ = golden(events, np.arange(samples) % 4, learn=True)
    moved = [int((one != two).sum()) for one, two in zip(state.weights, made.state.weights, strict=True)]
    assert moved[0] > 0
    assert (moved[3] > 0) == made.network.layers[-1].learns if counted else moved[1] > 0


def test_neurons_that_the_rule_was_not_written_for_are_said() -> None:
    made = quantise(graph((4, 3, 2), reset="zero", current_decay=np.full(3, 0.5)), rule="ottt-o")
    reasons = [one.reason for one in made.findings if one.rule == "L01"]
    assert reasons == [
        "ottt-o learns on neurons with a synaptic current, the rule's have none",
        "ottt-o learns on neurons with a hard reset, the rule's a soft one",
    ]
    with pytest.raises(DoesNotFitError, match="temporal-sbp has a trace per synapse") as caught:
        quantise(graph((4, 3, 2), current_decay=np.full(3, 0.5)), rule="temporal-sbp")
    assert caught.value.exit_code == 3
    with pytest.raises(ConfigurationError, match="no rule is called 'otto'"):
        quantise(graph((4, 3, 2)), rule="otto")


def test_a_counter_has_room_for_five_hundred_steps() -> None:
    source = graph((2, 2), counted=True, threshold=np.full(2, 0.5), decay=np.zeros(2), reset="zero")
    source.nodes[1].parameters["weight"][:] = np.eye(2)
    events = np.ones((1, 511, 2), np.int64)
    events[0, 500:, 0] = 0
    made = quantise(source, rule="ottt-o")
    out, _, record = GoldenDevice(made.array, made.network, made.state)(events)
    assert out.readout.tolist() == [[64 * 500, 64 * 511]]
    assert out.predicted.tolist() == [1]
    assert record.counters["membrane_saturations"] == 0


def trained() -> tuple[Graph, Any]:
    """A network of torch that knows `digits`, by Adam through the array's integers."""
    data = load("digits", None)
    torch.manual_seed(1)
    network = QuantisedNetwork(graph((64, 48, 10)), ArrayConfig(weight_bits=8), method="global")
    optimiser = torch.optim.Adam(network.parameters(), 0.02)
    coding = Coding(kind="bernoulli", steps=STEPS)
    inputs = torch.from_numpy(coding.encode(data.train_inputs, 5, np.arange(len(data.train_labels))))
    labels = torch.from_numpy(data.train_labels.astype(np.int64))
    for epoch in range(6):
        for chosen in torch.randperm(len(labels), generator=torch.Generator().manual_seed(epoch)).split(64):
            loss = torch.nn.functional.cross_entropy(network(inputs[chosen]), labels[chosen])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return network.graph(), data


def accuracy(made: Quantised, device: GoldenDevice, data: Any) -> float:
    return evaluate(made.array, made.network, device.state, data, Coding(kind="bernoulli", steps=STEPS))


def test_learning_on_brings_back_what_a_turned_sensor_costs() -> None:
    source, data = trained()
    turn = np.arange(64).reshape(8, 8).T[::-1].ravel()
    turned = replace(data, train_inputs=data.train_inputs[:, turn], test_inputs=data.test_inputs[:, turn])
    made = quantise(source, rule="ottt-o", rate=0)
    device = GoldenDevice(made.array, made.network, made.state)
    before, lost = accuracy(made, device, data), accuracy(made, device, turned)
    learn(device, turned, coding=Coding(kind="bernoulli", steps=STEPS), epochs=3, fall=2, rule="ottt-o")
    found = accuracy(made, device, turned)
    assert before > 0.93
    assert lost < 0.5
    assert found > 0.9

# SPDX-License-Identifier: Apache-2.0
"""Training: every name learns, from the same start, in the same order, on the same spikes as the array."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from trifactor.arch.array import ArrayConfig
from trifactor.arch.errors import ConfigurationError
from trifactor.arch.gate import open_steps
from trifactor.arch.rules import RULES, network_for
from trifactor.golden.coding import Coding
from trifactor.golden.data import Dataset, load
from trifactor.golden.floating.gradients import gradients
from trifactor.golden.floating.network import Shape, float_network
from trifactor.golden.floating.neuron import predict
from trifactor.golden.floating.rules import FLOAT_RULES, float_rule
from trifactor.golden.floating.train import evaluate, open_samples, train
from trifactor.golden.floating.weights import from_array, initial_weights
from trifactor.golden.train import TEST_SEED, order_of

CODING = Coding(steps=5)
TOY_SHAPE = Shape((16, 24, 4))


@pytest.fixture(scope="module")
def toy() -> Dataset:
    """Four classes, each of them bright where a pixel's number says so, with some pixels wrong."""
    random = np.random.default_rng(1)
    labels = np.arange(160) % 4
    bright = np.arange(16) // 4 == labels[:, None]
    wrong = random.random((160, 16)) < 0.1
    inputs = np.where(bright ^ wrong, 220, 25).astype(np.uint8)
    parts = {"train_inputs": inputs[:96], "train_labels": labels[:96], "test_inputs": inputs[96:]}
    return Dataset(name="toy", kind="images", classes=4, shape=(16,), test_labels=labels[96:], **parts)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load("digits", limit=200)


@pytest.mark.parametrize("name", FLOAT_RULES)
def test_every_name_learns(toy: Dataset, name: str) -> None:
    reports: list[tuple[int, float]] = []
    history = train(
        name,
        toy,
        CODING,
        TOY_SHAPE,
        epochs=3,
        rate=0.02,
        batch=8,
        optimiser="adam",
        progress=lambda epoch, accuracy: reports.append((epoch, accuracy)),
    )
    assert history.accuracies[-1] > 0.6
    assert reports == list(enumerate(history.accuracies))
    assert [weight.shape for weight in history.weights] == [(16, 24), (24, 4)]
    assert history.samples_per_second > 0


@pytest.mark.parametrize(
    "shape",
    [
        Shape((16, 24, 16, 4), recurrent=True, bias=True),
        Shape((16, 24, 4), bias=True, spiking_readout=True),
        Shape((16, 24, 4), readout_decay=0.8, standardised=True),
    ],
    ids=["recurrent", "spiking", "standardised"],
)
@pytest.mark.parametrize("name", ["ottt-o", "s-tllr", "bptt"])
def test_so_does_every_shape(toy: Dataset, name: str, shape: Shape) -> None:
    history = train(name, toy, CODING, shape, epochs=4, rate=0.02, batch=8, optimiser="adam")
    assert history.accuracies[-1] > 0.6


@pytest.mark.parametrize(("optimiser", "rate"), [("sgd", 0.3), ("momentum", 0.1), ("adamax", 0.03)])
def test_so_does_every_optimiser(toy: Dataset, optimiser: str, rate: float) -> None:
    history = train("ottt-a", toy, CODING, TOY_SHAPE, epochs=3, rate=rate, batch=4, optimiser=optimiser, loss="ottt")
    assert history.accuracies[-1] > 0.6


def test_one_at_a_time_is_plain_descent_in_the_array_s_order(digits: Dataset) -> None:
    few = replace(digits, train_inputs=digits.train_inputs[:70], train_labels=digits.train_labels[:70])
    shape = Shape((64, 16, 10))
    network = float_network("ottt-o", shape)
    start = [weight.astype(np.float64) for weight in initial_weights(network, 1)]
    history = train("ottt-o", few, CODING, shape, epochs=2, rate=0.1, fall=1, seed=9, weights=start)
    weights = [torch.tensor(weight) for weight in start]
    for epoch, rate in enumerate((0.1, 0.05)):
        for position, index in enumerate(order_of(9, epoch, 70)):
            events = CODING.encode(few.train_inputs[index : index + 1], 9, [70 * epoch + position])
            label = torch.tensor(few.train_labels[index : index + 1])
            for terms in gradients(network, weights, torch.tensor(events, dtype=torch.float64), label):
                for weight, term in zip(weights, terms, strict=True):
                    weight.sub_(rate * term)
    for before, found, expected in zip(start, history.weights, weights, strict=True):
        np.testing.assert_allclose(found, expected.numpy(), rtol=0, atol=1e-10)
        assert np.abs(found - before).max() > 1e-2
    assert history.accuracies[-1] == evaluate(network, weights, few, CODING)


def test_accuracy_is_measured_on_the_spikes_that_the_array_is_tested_with(toy: Dataset) -> None:
    coding = Coding(steps=1)
    network = float_network("ottt-o", TOY_SHAPE)
    weights = [torch.tensor(weight) for weight in initial_weights(network, 2)]
    events = coding.encode(toy.test_inputs, TEST_SEED, np.arange(len(toy.test_labels)))
    hits = predict(network, weights, torch.tensor(events, dtype=torch.float32)).numpy() == toy.test_labels
    assert 0 < hits.mean() < 1
    assert evaluate(network, weights, toy, coding) == hits.mean()


def test_it_reaches_the_digits(digits: Dataset) -> None:
    shape = Shape((64, 32, 10))
    assert train("ottt-o", digits, CODING, shape, epochs=3, rate=0.1).accuracies[-1] > 0.7
    assert train("bptt", digits, CODING, shape, epochs=5, rate=0.5, batch=4).accuracies[-1] > 0.7


def test_the_same_call_gives_the_same_weights(toy: Dataset) -> None:
    settings: dict[str, Any] = {"epochs": 1, "rate": 0.1, "batch": 3, "seed": 4}
    one, two = (train("tess", toy, CODING, TOY_SHAPE, **settings) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(one.weights, two.weights, strict=True))
    other = train("tess", toy, CODING, TOY_SHAPE, **{**settings, "seed": 5})
    assert not np.array_equal(one.weights[0], other.weights[0])


@pytest.mark.parametrize("name", RULES)
def test_an_array_s_matrices_are_a_start(toy: Dataset, name: str) -> None:
    array = ArrayConfig()
    settings: dict[str, Any] = {"recurrent": True, "bias": True}
    sizes = (16, 6, 5, 4)
    network = network_for(RULES[name], sizes, array, **settings)
    random = np.random.default_rng(2)
    stored = [random.integers(-(2**13), 2**13, (block.rows, block.columns)) for block in network.blocks]
    matrices = from_array(array, stored)
    layers = len(network.layers)
    few = replace(toy, train_inputs=toy.train_inputs[:8], train_labels=toy.train_labels[:8])
    history = train(
        name, few, CODING, Shape(sizes, **settings),
        epochs=1, rate=0.05, batch=4, weights=matrices[:layers], fixed=matrices[layers:],
    )  # fmt: skip
    moved = [np.abs(now - before).max() > 0 for now, before in zip(history.weights, matrices[:layers], strict=True)]
    assert moved == [layer.learns for layer in network.layers]


@pytest.mark.parametrize("name", ["sltt-k", "ottt-o"])
def test_gates_are_the_array_s(name: str) -> None:
    numbers = [3, 70, 71]
    mask = open_samples(float_rule(name), 6, 9, numbers)
    network = network_for(RULES[name], (4, 3, 2), ArrayConfig())
    expected = [list(open_steps(network, 6, seed=9, sample=number)) for number in numbers]
    assert (mask is None) == (name == "ottt-o")
    assert expected == ([[True] * 6] * 3 if mask is None else mask.tolist())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rule": "otto"}, "no rule is called 'otto'"),
        ({"optimiser": "sdg"}, "no optimiser is called 'sdg'"),
        ({"schedule": "cosines"}, "no schedule is called 'cosines'"),
        ({"loss": "ms"}, "no loss is called 'ms'"),
        ({"epochs": 0}, r"epochs \(0\) and batch \(1\) must be at least 1"),
        ({"shape": Shape((15, 4))}, "15-4 has 15 inputs and 4 outputs, toy has 16 inputs and 4 classes"),
        (
            {"weights": [np.zeros((16, 4), np.float32)]},
            r"weights of shapes \[\(16, 4\)\], not \[\(16, 24\), \(24, 4\)\]",
        ),
    ],
)
def test_what_does_not_fit_is_refused(toy: Dataset, changes: dict[str, Any], message: str) -> None:
    call: dict[str, Any] = {"rule": "ottt-o", "shape": TOY_SHAPE, "epochs": 1, "rate": 0.1, **changes}
    with pytest.raises(ConfigurationError, match=message) as caught:
        train(call.pop("rule"), toy, CODING, call.pop("shape"), **call)
    assert "\n" not in caught.value.message


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", ["ottt-o", "tess", "sltt-k", "bptt"])
def test_cuda_learns_too(toy: Dataset, name: str) -> None:
    history = train(name, toy, CODING, TOY_SHAPE, epochs=3, rate=0.02, batch=8, optimiser="adam", torch_device="cuda")
    assert history.accuracies[-1] > 0.6

# SPDX-License-Identifier: Apache-2.0
"""Float training by any rule, with the coding, order and schedule of `golden.train.learn`: one call, rules by name."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...arch.errors import ConfigurationError
from ...arch.gate import open_steps
from ...arch.network import Network
from ...arch.rules import Rule
from ..coding import Coding
from ..dataset import Dataset
from ..train import CHUNK, TEST_CHUNK, TEST_SEED, order_of
from .gradients import gradients
from .losses import Loss
from .network import FloatNetwork, Shape, check_matrices, float_network
from .neuron import predict
from .optimisers import Parameters, schedule_named
from .rules import FloatRule
from .weights import FloatArray, fixed_matrices, initial_weights


@dataclass(frozen=True, kw_only=True)
class FloatHistory:
    """Test accuracy (0 … 1) after each epoch, the speed of training, and the weights that the network ends with."""

    accuracies: list[float]
    samples_per_second: float
    weights: list[FloatArray]


def train(
    rule: str | Rule,
    dataset: Dataset,
    coding: Coding,
    shape: Shape,
    *,
    epochs: int,
    rate: float,
    batch: int = 1,
    optimiser: str = "sgd",
    schedule: str = "halving",
    fall: int = 3,
    loss: str | Loss | None = None,
    seed: int = 1,
    weights: Sequence[FloatArray] | None = None,
    fixed: Sequence[FloatArray] | None = None,
    progress: Callable[[int, float], None] | None = None,
    torch_device: str = "cpu",
) -> FloatHistory:
    """Train a float network of `shape` by `rule`, `batch` samples at a time.

    Order, coding, gate and their seeds are those of `golden.train.learn` on a fresh device with this `seed`; accuracy
    is measured on the spikes that `golden.train.evaluate` uses. A rule that is applied by the step moves the weights at
    every step of every batch, any other once a batch. `rate` is multiplied by the `schedule` of `optimisers.SCHEDULES`,
    `fall` being its halvings. `weights` (default `initial_weights`) and `fixed` (default `fixed_matrices`) are the
    start, left as they are; the type of `weights` is the one that is computed in. `weights.from_array` gives those of
    an array. `progress` gets each epoch's number and accuracy.

    Raises `ConfigurationError` for an unknown name, and for data or matrices that do not fit the network.
    """
    network = float_network(rule, shape, loss)
    factor = schedule_named(schedule)
    _check(dataset, shape, epochs, batch)
    start = [torch.tensor(w, device=torch_device) for w in weights or initial_weights(network, seed)]
    matrices = [_tensor(m, start[0]) for m in fixed or fixed_matrices(network, seed)]
    check_matrices(network, start, matrices)
    parameters = Parameters(network, start, optimiser=optimiser, rate=rate)
    total = len(dataset.train_labels)
    accuracies = []
    seconds = 0.0
    for epoch in range(epochs):
        begun = time.perf_counter()
        parameters.rate = rate * factor(epoch, epochs, fall)
        order = order_of(seed, epoch, total)
        size = max(1, CHUNK // batch) * batch
        for first in range(0, total, size):
            chosen = order[first : first + size]
            numbers = epoch * total + first + np.arange(len(chosen))
            inputs = _tensor(coding.encode(dataset.train_inputs[chosen], seed, numbers), start[0])
            labels = torch.as_tensor(dataset.train_labels[chosen], device=torch_device)
            gate = open_samples(network.rule, inputs.shape[1], seed, numbers)
            for begin in range(0, len(chosen), batch):
                part = slice(begin, begin + batch)
                opened = None if gate is None else gate[part].to(torch_device)
                for terms in gradients(
                    network, parameters.weights, inputs[part], labels[part], fixed=matrices, gate=opened
                ):
                    parameters.move(terms)
        seconds += time.perf_counter() - begun
        accuracies.append(evaluate(network, parameters.weights, dataset, coding))
        if progress is not None:
            progress(epoch, accuracies[-1])
    return FloatHistory(
        accuracies=accuracies,
        samples_per_second=epochs * total / seconds,
        weights=[weight.cpu().numpy() for weight in parameters.weights],
    )


def evaluate(network: FloatNetwork, weights: Sequence[Tensor], dataset: Dataset, coding: Coding) -> float:
    """Share of the test samples whose class is predicted, 0 … 1, on the spikes that `golden.train.evaluate` uses."""
    right = 0
    for start in range(0, len(dataset.test_labels), TEST_CHUNK):
        labels = dataset.test_labels[start : start + TEST_CHUNK]
        numbers = np.arange(start, start + len(labels))
        inputs = _tensor(coding.encode(dataset.test_inputs[start : start + TEST_CHUNK], TEST_SEED, numbers), weights[0])
        right += int((predict(network, weights, inputs).cpu().numpy() == labels).sum())
    return right / len(dataset.test_labels)


def open_samples(rule: FloatRule, steps: int, seed: int, samples: Iterable[int]) -> Tensor | None:
    """`arch.gate.open_steps` of the samples with these numbers, (B, steps); None where all of them learn."""
    if rule.gate == "all":
        return None
    gate = Network.model_construct(gate=rule.gate, gate_steps=rule.gate_steps)
    return torch.tensor([open_steps(gate, steps, seed=seed, sample=int(number)) for number in samples])


def _tensor(events: FloatArray, like: Tensor) -> Tensor:
    return torch.as_tensor(events, dtype=like.dtype, device=like.device)


def _check(dataset: Dataset, shape: Shape, epochs: int, batch: int) -> None:
    if epochs < 1 or batch < 1:
        raise ConfigurationError(f"epochs ({epochs}) and batch ({batch}) must be at least 1")
    if dataset.inputs != shape.sizes[0] or dataset.classes > shape.sizes[-1]:
        raise ConfigurationError(
            f"{'-'.join(map(str, shape.sizes))} has {shape.sizes[0]} inputs and {shape.sizes[-1]} outputs, "
            f"{dataset.name} has {dataset.inputs} inputs and {dataset.classes} classes",
            f"begin with {dataset.inputs} and end with {dataset.classes}",
        )

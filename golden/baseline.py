# SPDX-License-Identifier: Apache-2.0
"""Float training with the coding, order and schedule of `train.learn`: what the fixed-point array is compared with."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ..arch.errors import ConfigurationError, did_you_mean
from .coding import Coding
from .data import Dataset
from .floating import OTTT, RULES, SLTT, FloatSettings, descend, predict
from .train import CHUNK, TEST_CHUNK, TEST_SEED, order_of, rate_fall

FloatArray = npt.NDArray[Any]

HIDDEN_GAIN = 2.0
"""Variance of a starting weight times its fan-in."""

READOUT_GAIN = 0.5


@dataclass(frozen=True, kw_only=True)
class FloatHistory:
    """Test accuracy (0 … 1) after each epoch, the speed of training, and the weights at the end."""

    accuracies: list[float]
    samples_per_second: float
    weights: list[FloatArray]


def initial_weights(sizes: Sequence[int], seed: int) -> list[FloatArray]:
    """Normal float32 weights of shape (inputs, outputs), threshold 1."""
    random = np.random.default_rng(seed)
    last = len(sizes) - 2
    weights = []
    for layer, (inputs, outputs) in enumerate(pairwise(sizes)):
        gain = READOUT_GAIN if layer == last else HIDDEN_GAIN
        weights.append(random.normal(0.0, (gain / inputs) ** 0.5, (inputs, outputs)).astype(np.float32))
    return weights


def learn_sample(
    weights: Sequence[FloatArray], events: FloatArray, label: int, rate: float, settings: FloatSettings = OTTT
) -> None:
    """OTTT (or, without trace, SLTT) on one sample of shape (T, inputs), applied at every step, in place.

    The same as `floating.descend("ottt-o", …)` with a batch of one, by explicit formulas and only on the input rows
    that see an event::

        e = logit_scale (softmax(logit_scale y) - onehot) / T
        G_readout = e,    G = psi * (W_above @ G_above),    W -= rate * outer(p, G)
    """
    last = len(weights) - 1
    steps = len(events)
    rows = np.flatnonzero(events.any(axis=0))
    inputs = events[:, rows].astype(weights[0].dtype)
    working = [weights[0][rows], *weights[1:]]
    membranes = [np.zeros(weight.shape[1], weight.dtype) for weight in working[:-1]]
    traces = [np.zeros(weight.shape[0], weight.dtype) for weight in working]
    for step in inputs:
        x = step
        slopes = []
        for layer, weight in enumerate(working):
            traces[layer] *= settings.readout_trace_decay if layer == last else settings.trace_decay
            traces[layer] += x
            current = x @ weight
            if layer == last:
                break
            u = settings.decay * membranes[layer] + current
            spikes = u >= settings.threshold
            slope = np.tanh(2.0 * (u - settings.threshold))
            slopes.append(1.0 - slope * slope)
            membranes[layer] = u - settings.threshold * spikes
            x = spikes.astype(u.dtype)
        logits = settings.logit_scale * (current - current.max())
        odds = np.exp(logits)
        error = odds / odds.sum()
        error[label] -= 1.0
        factors = [error * (settings.logit_scale / steps)]
        for layer in range(last, 0, -1):
            factors.insert(0, slopes[layer - 1] * (working[layer] @ factors[0]))
        for layer, factor in enumerate(factors):
            working[layer] -= np.multiply.outer(rate * traces[layer], factor)
    weights[0][rows] = working[0]


def train_float(
    rule: str,
    dataset: Dataset,
    sizes: Sequence[int],
    *,
    coding: Coding,
    epochs: int,
    seed: int,
    rate: float,
    fall: int = 3,
    batch: int = 1,
    settings: FloatSettings | None = None,
    weights: Sequence[FloatArray] | None = None,
    progress: Callable[[int, float], None] | None = None,
    torch_device: str = "cpu",
) -> FloatHistory:
    """Train a float network from `weights` (default `initial_weights`) by plain gradient descent.

    Order, coding and its seeds are those of `train.learn` on a fresh device with this seed, and the rate halves where
    `rate_shift` grows there. `ottt-o` with a batch of 1 takes the fast path of `learn_sample`, everything else autograd
    on `torch_device`. `progress` gets each epoch's number and accuracy.

    Raises `ConfigurationError` for an unknown rule.
    """
    if rule not in RULES:
        raise ConfigurationError(f"no float rule is called {rule!r}", did_you_mean(rule, RULES))
    settings = settings or (SLTT if rule == "sltt" else OTTT)
    trained = [weight.copy() for weight in (weights or initial_weights(sizes, seed))]
    one_by_one = rule == "ottt-o" and batch == 1
    # On the CPU the tensors share the arrays' memory, which the fast path counts on.
    tensors = [torch.as_tensor(weight, device="cpu" if one_by_one else torch_device) for weight in trained]
    total = len(dataset.train_labels)
    accuracies = []
    seconds = 0.0
    for epoch in range(epochs):
        begun = time.perf_counter()
        slowed = rate * 2.0 ** -rate_fall(epoch, epochs, fall)
        order = order_of(seed, epoch, total)
        size = batch if batch > 1 else CHUNK
        for start in range(0, total, size):
            chosen = order[start : start + size]
            numbers = epoch * total + start + np.arange(len(chosen))
            events = coding.encode(dataset.train_inputs[chosen], seed, numbers)
            labels = dataset.train_labels[chosen]
            if one_by_one:
                for sample, label in zip(events, labels, strict=True):
                    learn_sample(trained, sample, int(label), slowed, settings)
            else:
                for part in np.array_split(np.arange(len(chosen)), -(-len(chosen) // batch)):
                    inputs = torch.as_tensor(events[part], dtype=tensors[0].dtype, device=tensors[0].device)
                    targets = torch.as_tensor(labels[part], device=tensors[0].device)
                    descend(rule, tensors, inputs, targets, rate=slowed, settings=settings)
        seconds += time.perf_counter() - begun
        accuracies.append(_evaluate(tensors, dataset, coding, settings))
        if progress is not None:
            progress(epoch, accuracies[-1])
    return FloatHistory(
        accuracies=accuracies,
        samples_per_second=epochs * total / seconds,
        weights=[tensor.cpu().numpy() for tensor in tensors],
    )


def _evaluate(weights: Sequence[torch.Tensor], dataset: Dataset, coding: Coding, settings: FloatSettings) -> float:
    """Share of the test samples whose class is predicted, on the spikes that `train.evaluate` uses."""
    right = 0
    for start in range(0, len(dataset.test_labels), TEST_CHUNK):
        labels = dataset.test_labels[start : start + TEST_CHUNK]
        numbers = np.arange(start, start + len(labels))
        events = coding.encode(dataset.test_inputs[start : start + TEST_CHUNK], TEST_SEED, numbers)
        inputs = torch.as_tensor(events, dtype=weights[0].dtype, device=weights[0].device)
        right += int((predict(weights, inputs, settings).cpu().numpy() == labels).sum())
    return right / len(dataset.test_labels)

# SPDX-License-Identifier: Apache-2.0
"""Training on the golden model: one sample at a time, resumable to the same bits."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..arch.array import ArrayConfig
from ..arch.device import DeviceState
from ..arch.errors import ConfigurationError
from ..arch.formats import RATE_SHIFT_MAX
from ..arch.network import Network
from .checkpoint import Model, Training, load_model, save_model
from .coding import Coding
from .dataset import Dataset
from .device import GoldenDevice
from .interrupt import HeldInterrupt
from .learning import Rounding

TEST_SEED = 0x7E57
"""Seed of the test samples' coding: the same spikes at every evaluation, whatever the training's seed."""

CHUNK = 64
"""Training samples coded at once."""

TEST_CHUNK = 500
"""Test samples run at once."""

PROBE = 32
"""Samples whose counters are reported."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a training stands: `done` of `samples` in epoch `epoch` (from 0) of `epochs`.

    `accuracy` is None but in the one report after each epoch's evaluation.
    """

    epoch: int
    epochs: int
    done: int
    samples: int
    samples_per_second: float
    accuracy: float | None = None


@dataclass(frozen=True, kw_only=True)
class History:
    """What a training gave: test accuracy (0 … 1) after each epoch, and the speed of the part that ran in this call.

    `counters` are those of a copy of the trained device that learns the first `counted` training samples once more.
    """

    accuracies: list[float]
    samples: int
    seconds: float
    counted: int
    counters: dict[str, int] = field(default_factory=dict)

    @property
    def samples_per_second(self) -> float:
        """Training samples per second, evaluation left out; 0 if nothing was learned in this call."""
        return self.samples / self.seconds if self.seconds else 0.0


def order_of(seed: int, epoch: int, samples: int) -> npt.NDArray[np.intp]:
    """The permutation in which epoch `epoch` visits its samples.

    It sorts the raw words of PCG64 seeded by [seed, epoch], a stream that numpy promises never to change.
    """
    return np.argsort(np.random.PCG64([seed, epoch]).random_raw(samples), kind="stable")


def rate_fall(epoch: int, epochs: int, fall: int) -> int:
    """What is added to every `rate_shift` in `epoch`: 0 in the first, `fall` in the last, evenly in between.

    >>> [rate_fall(epoch, 4, 3) for epoch in range(4)]
    [0, 1, 2, 3]
    """
    return epoch * fall // max(1, epochs - 1)


def slowed(network: Network, shift: int) -> Network:
    """`network` with every `rate_shift` raised by `shift`, at most to the largest there is."""
    layers = tuple(
        layer.model_copy(update={"rate_shift": min(RATE_SHIFT_MAX, layer.rate_shift + shift)})
        for layer in network.layers
    )
    return network.model_copy(update={"layers": layers})


def evaluate(
    array: ArrayConfig,
    network: Network,
    state: DeviceState,
    dataset: Dataset,
    coding: Coding,
    *,
    between: Callable[[], None] = lambda: None,
) -> float:
    """Share of the test samples whose class is predicted, 0 … 1. `between` is called now and then, and may raise."""
    device = GoldenDevice(array, network, state)
    right = 0
    for start in range(0, len(dataset.test_labels), TEST_CHUNK):
        labels = dataset.test_labels[start : start + TEST_CHUNK]
        numbers = np.arange(start, start + len(labels))
        outputs, _, _ = device(coding.encode(dataset.test_inputs[start : start + TEST_CHUNK], TEST_SEED, numbers))
        right += int((outputs.predicted == labels).sum())
        between()
    return right / len(dataset.test_labels)


def learn(
    device: GoldenDevice,
    dataset: Dataset,
    *,
    coding: Coding,
    epochs: int,
    fall: int = 3,
    rule: str = "",
    progress: Callable[[Progress], None] | None = None,
    checkpoint: str | Path | None = None,
    checkpoint_every: int = 2000,
    resume: bool = False,
) -> History:
    """Learn `epochs` times all training samples, one at a time; `device` ends with the learned weights.

    The device's seed decides order, coding and noise. Every `rate_shift` grows by `fall` over the epochs. The file
    `checkpoint` is written every `checkpoint_every` samples, after each epoch, and on Ctrl-C, which is held back until
    the sample in work is done and then raised as `KeyboardInterrupt`. With `resume` the training goes on from there,
    to the same bits as if it had never stopped.

    Raises `ConfigurationError` if the samples do not fit the network, or the file is missing, damaged, or of a training
    with other settings.
    """
    _check(device, dataset, epochs, checkpoint_every)
    if resume and checkpoint is None:
        raise ConfigurationError("resume needs a checkpoint", "name the file to go on from")
    model = Model(
        array=device.array,
        network=device.network,
        state=device.state,
        rule=rule,
        dataset=dataset.name,
        coding=coding,
        training=Training(epochs=epochs, samples=len(dataset.train_labels), fall=fall),
    )
    if resume and checkpoint is not None:
        model = _resumed(model, Path(checkpoint))
    path = None if checkpoint is None else Path(checkpoint)
    run = _Run(model, dataset, progress, path, checkpoint_every, device.rounding)
    state = run.complete()
    device.load(state)
    return run.history(state)


class _Run:
    """One call of `learn`: the working device, which is made anew for each epoch's rate, and the position."""

    def __init__(
        self,
        model: Model,
        dataset: Dataset,
        progress: Callable[[Progress], None] | None,
        checkpoint: Path | None,
        checkpoint_every: int,
        rounding: Rounding,
    ) -> None:
        assert model.training is not None
        self._model = model
        self._training = model.training
        self._dataset = dataset
        self._progress = progress
        self._checkpoint = checkpoint
        self._checkpoint_every = checkpoint_every
        self._rounding = rounding
        self._device = GoldenDevice(model.array, model.network, model.state, rounding=rounding)
        self._mid_sample = False
        self._samples = 0
        self._seconds = 0.0

    def complete(self) -> DeviceState:
        """Do all that is left; the final state."""
        with HeldInterrupt() as held:
            try:
                while self._training.epoch < self._training.epochs:
                    self._learn_epoch(held)
                    self._end_epoch(held)
            except KeyboardInterrupt:
                if not self._mid_sample:
                    self._save()
                raise
        return self._device.state

    def history(self, state: DeviceState) -> History:
        """The result, with the counters of a few samples."""
        counted = min(PROBE, len(self._dataset.train_labels))
        inputs = self._model.coding.encode(self._dataset.train_inputs[:counted], state.seed, np.arange(counted))
        probe = GoldenDevice(self._model.array, self._device.network, state)
        _, _, record = probe(inputs, self._dataset.train_labels[:counted], learn=True)
        return History(
            accuracies=list(self._training.accuracies),
            samples=self._samples,
            seconds=self._seconds,
            counted=counted,
            counters=record.counters,
        )

    def _learn_epoch(self, held: HeldInterrupt) -> None:
        plan = self._training
        state = self._device.state
        network = slowed(self._model.network, rate_fall(plan.epoch, plan.epochs, plan.fall))
        self._device = GoldenDevice(self._model.array, network, state, rounding=self._rounding)
        order = order_of(state.seed, plan.epoch, plan.samples)
        first_number = state.sample - plan.position
        for start in range(plan.position, plan.samples, CHUNK):
            begun = time.perf_counter()
            chosen = order[start : start + CHUNK]
            numbers = (first_number + np.arange(start, start + len(chosen))) & 0xFFFFFFFF
            events = self._model.coding.encode(self._dataset.train_inputs[chosen], state.seed, numbers)
            for sample, index in zip(events, chosen, strict=True):
                self._mid_sample = True
                self._device.learn_sample(sample, int(self._dataset.train_labels[index]))
                self._training = self._training.model_copy(update={"position": self._training.position + 1})
                self._mid_sample = False
                self._samples += 1
                if self._training.position % self._checkpoint_every == 0:
                    self._save()
                held.check()
            self._seconds += time.perf_counter() - begun
            self._report()

    def _end_epoch(self, held: HeldInterrupt) -> None:
        model = self._model
        state = self._device.state
        accuracy = evaluate(model.array, model.network, state, self._dataset, model.coding, between=held.check)
        self._report(accuracy)
        plan = self._training
        done = {"epoch": plan.epoch + 1, "position": 0, "accuracies": (*plan.accuracies, accuracy)}
        self._training = plan.model_copy(update=done)
        self._save()

    def _save(self) -> None:
        if self._checkpoint is not None:
            save_model(self._checkpoint, replace(self._model, state=self._device.state, training=self._training))

    def _report(self, accuracy: float | None = None) -> None:
        if self._progress is not None:
            self._progress(
                Progress(
                    epoch=self._training.epoch,
                    epochs=self._training.epochs,
                    done=self._training.position,
                    samples=self._training.samples,
                    samples_per_second=self._samples / self._seconds if self._seconds else 0.0,
                    accuracy=accuracy,
                )
            )


def _check(device: GoldenDevice, dataset: Dataset, epochs: int, checkpoint_every: int) -> None:
    """Everything that would otherwise go wrong in the middle of a training."""
    if epochs < 1 or checkpoint_every < 1:
        raise ConfigurationError(f"epochs ({epochs}) and checkpoint_every ({checkpoint_every}) must be at least 1")
    if dataset.inputs != device.network.inputs:
        raise ConfigurationError(
            f"{dataset.name} has {dataset.inputs} inputs, the network takes {device.network.inputs}",
            f"start its layers with {dataset.inputs}",
        )
    if dataset.classes > device.network.outputs:
        raise ConfigurationError(
            f"{dataset.name} has {dataset.classes} classes, the network {device.network.outputs} outputs",
            f"end its layers with {dataset.classes}",
        )


def _resumed(asked: Model, path: Path) -> Model:
    """The model in the checkpoint, if it belongs to the training that was asked for."""
    found = load_model(path)
    if found.training is None or asked.training is None:
        raise ConfigurationError(f"{path}: holds no training to go on with", "start anew, without resume")
    pairs = {
        "array": (asked.array, found.array),
        "network": (asked.network, found.network),
        "rule": (asked.rule, found.rule),
        "data set": (asked.dataset, found.dataset),
        "coding": (asked.coding, found.coding),
        "seed": (asked.state.seed, found.state.seed),
        "epochs": (asked.training.epochs, found.training.epochs),
        "samples per epoch": (asked.training.samples, found.training.samples),
        "fall of the rate": (asked.training.fall, found.training.fall),
    }
    for what, (mine, stored) in pairs.items():
        if mine != stored:
            raise ConfigurationError(
                f"{path}: its training has another {what} than this one",
                "use the settings it was started with, or start anew",
            )
    return found

# SPDX-License-Identifier: Apache-2.0
"""The training of `golden/train.py` on any device: the same samples in the same order, the same checkpoints."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..arch.device import Device, DeviceState
from ..arch.errors import ConfigurationError
from ..arch.network import Network

if TYPE_CHECKING:
    from ..golden.checkpoint import Model, Training
    from ..golden.dataset import Dataset
    from ..golden.train import History, Progress

CHUNK = 16
CHUNK_SECONDS = 2.0
"""Samples of the first call of the device, and how long a call may take before the next ones have no more: what Ctrl-C
can lose. After each call weights are read back, which on a board takes as long as many samples."""

MakeDevice = Callable[[Network, DeviceState], Device]


def learn_on(
    make: MakeDevice,
    model: Model,
    dataset: Dataset,
    *,
    progress: Callable[[Progress], None],
    checkpoint: Path,
    checkpoint_every: int,
) -> tuple[Model, History]:
    """Do all that is left of `model.training` on devices that `make` gives, one for each epoch's learning rate.

    Weights, accuracies and checkpoint files are those of `golden.train.learn`, bit for bit; a training can change its
    device on the way. The counters are sums over what ran in this call. Ctrl-C saves the last finished chunk first;
    before there is a device nothing is written.
    """
    from ..golden.checkpoint import save_model
    from ..golden.train import History, Progress, evaluate, order_of, rate_fall, slowed

    if model.training is None:
        raise ConfigurationError("the model holds no training")
    plan: Training = model.training
    state = model.state
    finished = model
    device: Device | None = None
    counters: Counter[str] = Counter()
    samples = 0
    seconds = 0.0
    chunk = CHUNK

    def report(accuracy: float | None = None) -> None:
        progress(
            Progress(
                epoch=plan.epoch,
                epochs=plan.epochs,
                done=plan.position,
                samples=plan.samples,
                samples_per_second=samples / seconds if seconds else 0.0,
                accuracy=accuracy,
            )
        )

    try:
        while plan.epoch < plan.epochs:
            device = make(slowed(model.network, rate_fall(plan.epoch, plan.epochs, plan.fall)), state)
            order = order_of(state.seed, plan.epoch, plan.samples)
            while plan.position < plan.samples:
                begun = time.perf_counter()
                chosen = order[plan.position : plan.position + chunk]
                numbers = (state.sample + np.arange(len(chosen))) & 0xFFFFFFFF
                events = model.coding.encode(dataset.train_inputs[chosen], state.seed, numbers)
                _, state, record = device(events, dataset.train_labels[chosen], learn=True)
                before = plan.position
                plan = plan.model_copy(update={"position": before + len(chosen)})
                finished = replace(model, state=state, training=plan)  # both at once: Ctrl-C may come between lines
                counters.update(record.counters)
                samples += len(chosen)
                took = time.perf_counter() - begun
                seconds += took
                chunk *= 1 + (took < CHUNK_SECONDS / 2)
                if plan.position // checkpoint_every > before // checkpoint_every:
                    save_model(checkpoint, finished)
                report()
            accuracy = evaluate(model.array, model.network, state, dataset, model.coding)
            report(accuracy)
            done = {"epoch": plan.epoch + 1, "position": 0, "accuracies": (*plan.accuracies, accuracy)}
            plan = plan.model_copy(update=done)
            finished = replace(model, state=state, training=plan)
            save_model(checkpoint, finished)
    except KeyboardInterrupt:
        if device is not None:
            save_model(checkpoint, finished)
        raise
    history = History(
        accuracies=list(plan.accuracies), samples=samples, seconds=seconds, counted=samples, counters=dict(counters)
    )
    return finished, history

# SPDX-License-Identifier: Apache-2.0
"""From the settings of `learn` to a training: network, array, coding and starting weights, or those of a checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..arch.array import ArrayConfig
from ..arch.errors import ConfigurationError
from ..arch.placement import fitted, place
from ..arch.rules import network_for, rule_named
from .config import DATASETS, Config, LearnConfig, check_choice, parse_sizes

if TYPE_CHECKING:
    from ..golden.checkpoint import Model
    from ..golden.data import Dataset

SEED = 1
RULE = "ottt"
DATASET = "digits"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A training before it begins, or where it was left: `model` has its settings, state and position."""

    dataset: Dataset
    model: Model


def new_plan(config: Config, settings: LearnConfig, data_dir: Path | None) -> Plan:
    """A training from the start.

    Without an [array] table the array is the default one with the capacities that the network needs; with one it is
    taken as it is. Raises `DoesNotFitError` where the network does not fit it.
    """
    from ..golden.checkpoint import Model, Training
    from ..golden.coding import Coding
    from ..golden.data import load
    from ..golden.initial import initial_state
    from ..golden.train import DEFAULTS

    name = check_choice(settings.dataset or DATASET, DATASETS, "data set")
    rule = rule_named(settings.rule or RULE)
    sizes = parse_sizes(settings.layers) if settings.layers else None
    default = DEFAULTS[name]
    steps = settings.steps or default.steps
    dataset = load(name, data_dir, settings.limit, steps=steps)
    sizes = sizes or default.layers
    kind = "events" if dataset.kind == "events" else settings.coding or "bernoulli"
    bits = config.array.event_bits if kind == "graded" else 1
    check_samples(dataset, sizes, "--layers")
    rate = default.rate if settings.rate is None else settings.rate
    network = network_for(rule, sizes, config.array, rate=rate, event_value_bits=bits)
    array: ArrayConfig = config.array if config.array_given else fitted(network, config.array)
    place(network, array)
    model = Model(
        array=array,
        network=network,
        state=initial_state(network, array, SEED if settings.seed is None else settings.seed),
        rule=rule.name,
        dataset=name,
        coding=Coding(kind=kind, steps=steps, bits=bits),
        training=Training(
            epochs=settings.epochs or default.epochs,
            samples=len(dataset.train_labels),
            fall=default.fall if settings.fall is None else settings.fall,
        ),
    )
    return Plan(dataset=dataset, model=model)


def check_samples(dataset: Dataset, sizes: Sequence[int], where: str) -> None:
    """Raise `ConfigurationError` if a network of these `sizes`, which stand in `where`, cannot take the data set."""
    if dataset.inputs != sizes[0] or dataset.classes > sizes[-1]:
        raise ConfigurationError(
            f"{where}: {'-'.join(map(str, sizes))} has {sizes[0]} inputs and {sizes[-1]} outputs, "
            f"{dataset.name} has {dataset.inputs} inputs and {dataset.classes} classes",
            f"begin with {dataset.inputs} and end with {dataset.classes}, or choose another data set",
        )


def resumed_plan(path: Path, config: Config, settings: LearnConfig, data_dir: Path | None) -> Plan:
    """The training in the checkpoint at `path`; settings that are given must be those it was started with."""
    from ..golden.checkpoint import load_model
    from ..golden.data import load

    model = load_model(path)
    if model.training is None:
        raise ConfigurationError(f"{path}: holds no training to go on with", "start anew, without --resume")
    bits = model.coding.bits
    asked: dict[str, tuple[object, object]] = {
        "dataset": (settings.dataset, model.dataset),
        "rule": (settings.rule, model.rule),
        "layers": (settings.layers and parse_sizes(settings.layers), model.network.sizes),
        "epochs": (settings.epochs, model.training.epochs),
        "limit": (settings.limit, model.training.samples),
        "seed": (settings.seed, model.state.seed),
        "steps": (settings.steps, model.coding.steps),
        "coding": (settings.coding, model.coding.kind),
        "fall": (settings.fall, model.training.fall),
        "[array]": (config.array if config.array_given else None, model.array),
    }
    if settings.rate is not None:
        wanted = network_for(
            rule_named(model.rule), model.network.sizes, model.array, rate=settings.rate, event_value_bits=bits
        )
        asked["rate"] = (wanted, model.network)
    for name, (mine, stored) in asked.items():
        if mine is not None and mine != stored:
            raise ConfigurationError(
                f"{path}: its training was started with another {name}",
                "leave it out: --resume takes every setting from the file; or start anew without --resume",
            )
    dataset = load(model.dataset, data_dir, model.training.samples, steps=model.coding.steps)
    if len(dataset.train_labels) != model.training.samples:
        raise ConfigurationError(
            f"{path}: its training has {model.training.samples} samples, the data set {len(dataset.train_labels)}",
            "give the --data-dir it was started with",
        )
    return Plan(dataset=dataset, model=model)

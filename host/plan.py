# SPDX-License-Identifier: Apache-2.0
"""From the settings of `learn` to a training: network, array, coding and starting weights, or those of a checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from pydantic import BaseModel, ConfigDict

from ..arch.array import ArrayConfig, ErrorKind
from ..arch.errors import ConfigurationError
from ..arch.network import Gate, Network
from ..arch.placement import fitted, place
from ..arch.rules import Rule, network_for, range_of, rule_named
from .config import DATASETS, Config, LearnConfig, check_choice, parse_sizes

if TYPE_CHECKING:
    from ..golden.checkpoint import Model
    from ..golden.dataset import Dataset

AnyRule = TypeVar("AnyRule", bound=Rule)

SEED = 1
DATASET = "digits"
LEAVE_OUT = "leave it out: --resume takes every setting from the file; or start anew without --resume"


class Settings(BaseModel):
    """A training's settings with every default filled in: with the data they decide every bit.

    The fields are those of `LearnConfig`, and the array. `coding` is `events` for recordings.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str
    layers: tuple[int, ...]
    rule: str
    epochs: int
    limit: int | None
    seed: int
    steps: int
    coding: Literal["bernoulli", "graded", "events"]
    rate: int
    fall: int
    recurrent: bool
    bias: bool
    decay: float | None
    readout_decay: float
    weight_range: int
    error: ErrorKind | None
    gate: Gate | None
    gate_steps: int | None
    array: ArrayConfig


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A training before it begins, or where it was left: `model` has its settings, state and position."""

    dataset: Dataset
    model: Model


def resolved(learn: LearnConfig, array: ArrayConfig) -> Settings:
    """`learn` with the defaults of its data set where it says nothing, on `array`.

    The rule is not looked up: a sweep may mean one of floating point alone. Raises `ConfigurationError` for a data set
    or layers that there are not.
    """
    from ..golden.defaults import DEFAULTS

    name = check_choice(learn.dataset or DATASET, DATASETS, "data set")
    default = DEFAULTS[name]
    filled = {
        "epochs": default.epochs,
        "steps": default.steps,
        "rate": default.rate,
        "fall": default.fall,
        "recurrent": default.recurrent,
        "bias": default.bias,
        "decay": default.decay,
        "readout_decay": default.readout_decay,
        "weight_range": default.weight_range,
        "seed": SEED,
    }
    given = learn.model_dump(exclude={"dataset", "layers", "rule", "coding", "checkpoint_every"})
    return Settings(
        **{**given, **{key: value for key, value in filled.items() if given[key] is None}},
        dataset=name,
        layers=parse_sizes(learn.layers) if learn.layers else default.layers,
        rule=learn.rule or default.rule,
        coding=default.coding if default.coding == "events" else learn.coding or default.coding,
        array=array,
    )


def network_of(settings: Settings) -> Network:
    """The network that `settings` describe."""
    return network_for(
        altered(rule_named(settings.rule), settings.gate, settings.gate_steps, settings.error),
        settings.layers,
        settings.array,
        rate=settings.rate,
        event_value_bits=settings.array.event_bits if settings.coding == "graded" else 1,
        recurrent=settings.recurrent,
        bias=settings.bias,
        decay=settings.decay,
        readout_decay=settings.readout_decay,
        weight_range=settings.weight_range,
    )


def altered(rule: AnyRule, gate: Gate | None, steps: int | None, error: ErrorKind | None) -> AnyRule:
    """`rule` with the signal in the steps, and the error at the readout, that are asked for, or its own."""
    return replace(
        rule,
        gate=gate or rule.gate,
        gate_steps=rule.gate_steps if steps is None else steps,
        error=error or rule.error,
    )


def new_plan(config: Config, learn: LearnConfig, data_dir: Path | None) -> Plan:
    """A training from the start.

    Without an [array] table the array is the default one with the capacities that the network needs; with one it is
    taken as it is. Raises `DoesNotFitError` where the network does not fit it.
    """
    return plan_of(resolved(learn, config.array), data_dir, fit=not config.array_given)


def plan_of(settings: Settings, data_dir: Path | None, *, fit: bool = True) -> Plan:
    """A training from the start by `settings`; with `fit` the array gets the capacities and units that it needs."""
    from ..golden.checkpoint import Model, Training
    from ..golden.coding import Coding
    from ..golden.data import load
    from ..golden.initial import initial_state

    dataset = load(settings.dataset, data_dir, settings.limit, steps=settings.steps)
    check_samples(dataset, settings.layers, "--layers")
    network = network_of(settings)
    if not any(layer.learns for layer in network.layers):
        raise ConfigurationError(
            f"{settings.rule} with {'-'.join(map(str, settings.layers))}: no layer learns",
            "its readout is fixed: add a hidden layer, or choose another rule",
        )
    array = fitted(network, settings.array) if fit else settings.array
    place(network, array)
    bits = settings.array.event_bits if settings.coding == "graded" else 1
    model = Model(
        array=array,
        network=network,
        state=initial_state(network, array, settings.seed),
        rule=settings.rule,
        dataset=settings.dataset,
        coding=Coding(kind=settings.coding, steps=settings.steps, bits=bits),
        training=Training(
            epochs=settings.epochs, samples=len(dataset.train_labels), fall=settings.fall, rate=settings.rate
        ),
    )
    return Plan(dataset=dataset, model=model)


NETWORK_SETTINGS = (
    "layers", "rule", "rate", "recurrent", "bias", "decay", "readout_decay", "weight_range", "error", "gate",
    "gate_steps", "coding",
)  # fmt: skip
"""What a model file has decided already."""


def relearning_plan(path: Path, config: Config, settings: LearnConfig, data_dir: Path | None) -> Plan:
    """A training that begins with the network, rule and weights of the model at `path`.

    Data set, steps and seed are the file's unless they are given, the epochs and the fall of the rate those of the data
    set. Raises `ConfigurationError` for settings that the network has decided, a network that does not learn, and data
    that it cannot take.
    """
    from ..golden.checkpoint import Training, load_model
    from ..golden.coding import Coding
    from ..golden.data import load
    from ..golden.defaults import DEFAULTS

    found = load_model(path)
    for setting in NETWORK_SETTINGS:
        if getattr(settings, setting) is not None:
            raise ConfigurationError(f"{path}: its network has its own {setting}", "leave it out, or leave --model out")
    if config.array_given and config.array != found.array:
        raise ConfigurationError(f"{path}: is for another [array]", "leave the table out: the file has the array")
    if not any(layer.learns for layer in found.network.layers):
        raise ConfigurationError(f"{path}: no layer learns", "trifactor quantize --rule makes layers that do")
    known = found.dataset if found.dataset in DATASETS else None
    name = settings.dataset or known
    if name is None:
        raise ConfigurationError(f"{path}: names no data set", f"--dataset {' | '.join(DATASETS)}")
    default = DEFAULTS[name]
    same = name == found.dataset
    steps = settings.steps or (found.coding.steps if same else default.steps)
    dataset = load(name, data_dir, settings.limit, steps=steps)
    check_samples(dataset, found.network.sizes, str(path))
    kind = found.coding.kind if same else default.coding
    bits = found.coding.bits if same else 1
    model = replace(
        found,
        state=found.state if settings.seed is None else replace(found.state, seed=settings.seed),
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
    one = model.array.decay_one
    layers = model.network.layers
    first = layers[0] if layers[0].spiking else None
    recurrent, bias = any(layer.recurrent for layer in layers), any(layer.bias for layer in layers)
    asked: dict[str, tuple[object, object]] = {
        "dataset": (settings.dataset, model.dataset),
        "rule": (settings.rule, model.rule),
        "layers": (settings.layers and parse_sizes(settings.layers), model.network.sizes),
        "epochs": (settings.epochs, model.training.epochs),
        "seed": (settings.seed, model.state.seed),
        "steps": (settings.steps, model.coding.steps),
        "coding": (settings.coding, model.coding.kind),
        "fall": (settings.fall, model.training.fall),
        "rate": (settings.rate, model.training.rate),
        "recurrent": (settings.recurrent and len(layers) > 1, recurrent),
        "bias": (settings.bias, bias),
        "decay": (_rounded(settings.decay, one) if first else None, layers[0].decay),
        "readout_decay": (_rounded(settings.readout_decay, one), layers[-1].decay),
        "weight_range": (settings.weight_range if first else None, first and range_of(first, model.array)),
        "error": (settings.error, model.network.error),
        "gate": (settings.gate, model.network.gate),
        "gate_steps": (settings.gate_steps, model.network.gate_steps),
        "[array]": (config.array if config.array_given else None, model.array),
    }
    for name, (mine, stored) in asked.items():
        if mine is not None and mine != stored:
            raise ConfigurationError(f"{path}: its training was started with another {name}", LEAVE_OUT)
    dataset = load(model.dataset, data_dir, settings.limit or model.training.samples, steps=model.coding.steps)
    if len(dataset.train_labels) != model.training.samples:
        if settings.limit is not None:
            raise ConfigurationError(f"{path}: its training was started with another limit", LEAVE_OUT)
        raise ConfigurationError(
            f"{path}: its training has {model.training.samples} samples, the data set {len(dataset.train_labels)}",
            "give the --data-dir it was started with",
        )
    return Plan(dataset=dataset, model=model)


def _rounded(decay: float | None, one: int) -> int | None:
    """What a layer holds of a leak, None where none was given."""
    return None if decay is None else round(decay * one)

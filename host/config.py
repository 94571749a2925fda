# SPDX-License-Identifier: Apache-2.0
"""The TOML configuration: `[array]`, `[learn]` and `[sweep]`, every key checked, every error one line."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..arch.array import ArrayConfig, ErrorKind
from ..arch.errors import ConfigurationError, brief, did_you_mean
from ..arch.network import Gate

DATASETS = ("digits", "mnist", "nmnist", "fsdd", "braille", "braille-12")
SIMULATORS = ("verilator", "icarus")
DEVICES = ("golden", *SIMULATORS)
SIZE_MAX = 65535
SIZES_MAX = 200
"""Characters of all widths."""

Model = TypeVar("Model", bound=BaseModel)


class LearnConfig(BaseModel):
    """Settings of `learn`, None where not given. A command-line option wins over the same key of a file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: Literal["digits", "mnist", "nmnist", "fsdd", "braille", "braille-12"] | None = None
    layers: str | None = Field(default=None, description="widths from the input to the readout: 784-256-10")
    rule: str | None = None
    epochs: int | None = Field(default=None, ge=1)
    limit: int | None = Field(default=None, ge=1, description="training samples per epoch; all if absent")
    seed: int | None = Field(default=None, ge=0, lt=1 << 32)
    steps: int | None = Field(default=None, ge=1, le=1024, description="time steps per sample")
    coding: Literal["bernoulli", "graded"] | None = Field(default=None, description="of images")
    rate: int | None = Field(default=None, ge=-8, le=24, description="the learning rate is 2**-rate")
    fall: int | None = Field(default=None, ge=0, le=24, description="how far the rate falls: to 2**-(rate + fall)")
    recurrent: bool | None = Field(default=None, description="hidden layers see their own spikes of the step before")
    bias: bool | None = Field(default=None, description="layers that learn have a row that always fires")
    decay: float | None = Field(default=None, ge=0, le=1, description="leak of hidden membranes; the rule's if absent")
    readout_decay: float | None = Field(default=None, ge=0, le=1, description="leak of the readout; 1: none")
    weight_range: Literal[1, 2, 4, 8] | None = Field(
        default=None, description="greatest hidden weight, in thresholds; few inputs need more than 1"
    )
    error: ErrorKind | None = Field(default=None, description="of the readout; the rule's if absent")
    gate: Gate | None = Field(default=None, description="steps that learn; the rule's if absent")
    gate_steps: int | None = Field(default=None, ge=0, le=1024, description="how many those are, see docs/law.md")
    checkpoint_every: int | None = Field(default=None, ge=1, description="samples between checkpoints")


class Config(BaseModel):
    """A whole configuration file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    array: ArrayConfig = ArrayConfig()
    learn: LearnConfig = LearnConfig()
    sweep: dict[str, Any] = Field(default={}, description="axes and their values, see `sweep_points.axes_of_table`")
    array_given: bool = Field(default=False, exclude=True, description="the file has an [array] table")


TABLES = ("array", "learn", "sweep")


def load_config(path: Path | None) -> Config:
    """The file at `path`, or the defaults for None.

    Raises `ConfigurationError` naming file, key, what was expected and what was found.
    """
    if path is None:
        return Config()
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror or error}", "check the path after --config") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: not a text file", "--config takes a TOML file") from error
    try:
        tables = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, tables without end
        raise ConfigurationError(f"{path}: not valid TOML: {brief(error, 200)}", "see https://toml.io") from error
    for name, table in tables.items():
        if name not in TABLES:
            raise ConfigurationError(f"{path}: unknown table or key {name!r}", did_you_mean(name, TABLES))
        if not isinstance(table, dict):
            raise ConfigurationError(
                f"{path}: [{name}] must be a table, not {table!r}", f"write [{name}] on its own line"
            )
    array = validated(ArrayConfig, tables.get("array", {}), f"{path}: [array]")
    return Config(
        array=array,
        learn=validated(LearnConfig, tables.get("learn", {}), f"{path}: [learn]"),
        sweep=tables.get("sweep", {}),
        array_given="array" in tables,
    )


def validated(model: type[Model], values: dict[str, Any], where: str) -> Model:
    """`model(**values)`, or a `ConfigurationError` that starts with `where`."""
    for key in values:
        if key not in model.model_fields:
            raise ConfigurationError(f"{where} has no key {key!r}", did_you_mean(key, model.model_fields))
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise one_line(error, where) from error


def overridden(model: Model, values: dict[str, Any]) -> Model:
    """`model` with those of `values` that are not None, checked again as a whole."""
    given = {key: value for key, value in values.items() if value is not None}
    return validated(type(model), {**model.model_dump(), **given}, "option" if given else "configuration")


def one_line(error: ValidationError, where: str) -> ConfigurationError:
    """The first problem of a pydantic error as one line; the hint says how many more there are."""
    problems = error.errors(include_url=False)
    first = problems[0]
    key = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    found = f", got {first['input']!r}" if key else ""
    more = len(problems) - 1
    hint = f"and {more} more" if more else ""
    return ConfigurationError(f"{where} {key}: {message}{found}" if key else f"{where}: {message}", hint)


def parse_sizes(text: str) -> tuple[int, ...]:
    """Widths from the input to the readout: `784-256-10` is `(784, 256, 10)`."""
    hint = "write widths from the input to the readout, as in 784-256-10"
    parts = text.split("-")
    if len(text) > SIZES_MAX or not all(part.isascii() and part.isdigit() for part in parts):
        raise ConfigurationError(f"layers {brief(repr(text))} are not whole numbers joined by '-'", hint)
    sizes = tuple(int(part) for part in parts)
    if len(sizes) < 2:
        raise ConfigurationError(f"layers {text!r} need an input and a readout at least", hint)
    for size in sizes:
        if not 1 <= size <= SIZE_MAX:
            raise ConfigurationError(f"layers {text!r}: width {size} is not in 1 … {SIZE_MAX}", hint)
    return sizes


def check_choice(value: str, known: tuple[str, ...], what: str) -> str:
    """`value` if it is one of `known`; else a `ConfigurationError` naming the nearest."""
    if value not in known:
        raise ConfigurationError(f"no {what} is called {value!r}", did_you_mean(value, known))
    return value

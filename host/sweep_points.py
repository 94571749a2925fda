# SPDX-License-Identifier: Apache-2.0
"""What a sweep runs: axes as they are written, and the points of their grid, each with a name made of its content."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from .. import __version__
from ..arch.array import NUMBERS, ArrayConfig
from ..arch.errors import ConfigurationError, did_you_mean
from ..arch.rules import RULES
from ..golden.floating.rules import float_rule
from .config import DATASETS, LearnConfig, check_choice, one_line, overridden, parse_sizes
from .plan import Settings, resolved

KEY_DIGITS = 16


class Experiment(BaseModel):
    """What only a sweep can vary: no hardware does it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rounding: Literal["hash", "random", "nearest", "floor"] = Field(
        default="hash", description="the shared hash; a true random source; constants"
    )
    form: Literal["fixed", "float"] = Field(default="fixed", description="float: the same rule in floating point")
    batch: int = Field(default=1, ge=1, description="samples that float moves its weights by at once")
    optimiser: Literal["sgd", "momentum", "adam", "adamax"] = Field(default="sgd", description="of float")


AXES: dict[str, type[BaseModel]] = {
    **{name: LearnConfig for name in LearnConfig.model_fields if name != "checkpoint_every"},
    **{name: ArrayConfig for name in ArrayConfig.model_fields if name in NUMBERS},
    **{name: Experiment for name in Experiment.model_fields},
}
"""Every axis, and the model whose field it is. A field that is added there is an axis at once."""

PLURALS = {"rules": "rule", "seeds": "seed"}

Axes = dict[str, tuple[Any, ...]]
"""Values per axis, checked; `seed` is the last."""


class Point(Settings):
    """One run's settings."""

    experiment: Experiment = Experiment()

    @property
    def key(self) -> str:
        """16 hexadecimal digits of a hash of all settings and the package's version: the same on every machine."""
        content = {"version": __version__, "settings": self.model_dump(mode="json")}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:KEY_DIGITS]

    @property
    def values(self) -> dict[str, Any]:
        """The point's value on every axis, layers as `64-64-10`."""
        parts = {ArrayConfig: self.array, Experiment: self.experiment}
        own = {name: getattr(parts.get(model, self), name) for name, model in AXES.items()}
        return {**own, "layers": "-".join(map(str, self.layers))}


@dataclass(frozen=True, kw_only=True)
class Grid:
    """All points of a sweep, in order, and why combinations were left out: `{reason: how many}`."""

    axes: Axes
    points: list[Point]
    left_out: dict[str, int] = field(default_factory=dict)


def parse_axis(text: str) -> tuple[str, list[str]]:
    """`weight_bits=8,12` is `("weight_bits", ["8", "12"])`."""
    name, equals, values = text.partition("=")
    if not equals:
        raise ConfigurationError(f"axis {text!r} has no values", "write --axis name=value,value")
    return name, parse_values(values)


def parse_values(text: str) -> list[str]:
    """`8,12` is `["8", "12"]`."""
    return [value.strip() for value in text.split(",")]


def checked_axes(given: Mapping[str, Any], where: str) -> Axes:
    """Axes by name with their values, which may be text: both checked. A single value is a list of one.

    Names may be plural (`rules`, `seeds`) and have dashes. Raises `ConfigurationError`, which starts with `where`, for
    an axis that there is not, for a value that it cannot have, and for none.
    """
    axes: Axes = {}
    for written, values in given.items():
        name = PLURALS.get(written, written.replace("-", "_"))
        if name not in AXES:
            raise ConfigurationError(f"{where}: no axis is called {written!r}", did_you_mean(name, AXES))
        listed = values if isinstance(values, list | tuple) else [values]
        checked = [_checked(name, value, where) for value in listed]
        if not checked:
            raise ConfigurationError(f"{where}: axis {written!r} has no values", f"give at least one {name}")
        axes[name] = tuple(dict.fromkeys(checked))
    return in_order(axes)


def in_order(axes: Axes) -> Axes:
    """The rule first, the seed last, the others as they were given."""
    rank = {"rule": 0, "seed": 2}
    return dict(sorted(axes.items(), key=lambda axis: rank.get(axis[0], 1)))


def grid_of(learn: LearnConfig, array: ArrayConfig, axes: Axes) -> Grid:
    """Every combination of the axes' values on top of `learn` and `array`.

    Combinations that no array can have (more active bits than stored ones) are left out; raises `ConfigurationError`
    if none remains.
    """
    points: list[Point] = []
    left_out: dict[str, int] = {}
    for values in itertools.product(*axes.values()):
        chosen = dict(zip(axes, values, strict=True))
        built = {name: value for name, value in chosen.items() if AXES[name] is ArrayConfig}
        try:
            own = ArrayConfig.model_validate({**array.model_dump(), **built})
        except ValidationError as error:
            reason = one_line(error, "array").message
            left_out[reason] = left_out.get(reason, 0) + 1
            continue
        varied = {name: value for name, value in chosen.items() if AXES[name] is Experiment}
        trained = {name: value for name, value in chosen.items() if AXES[name] is LearnConfig}
        experiment = Experiment(**varied)
        if reason := _float_alone(experiment, chosen.get("rule")):
            left_out[reason] = left_out.get(reason, 0) + 1
            continue
        points.append(Point(**dict(resolved(overridden(learn, trained), own)), experiment=experiment))
    if not points:
        raise ConfigurationError(next(iter(left_out)), "no combination of the axes is possible")
    return Grid(axes=axes, points=list({point.key: point for point in points}.values()), left_out=left_out)


def _float_alone(experiment: Experiment, rule: str | None) -> str:
    """Why fixed point cannot do this, or nothing."""
    if experiment.form == "float":
        return ""
    if rule not in (None, *RULES):
        return f"rule {rule} is for floating point only"
    if (experiment.batch, experiment.optimiser) != (1, "sgd"):
        return "fixed point learns sample by sample and descends plainly: batch 1, optimiser sgd"
    return ""


def varying(grid: Grid) -> list[str]:
    """The axes that tell combinations apart: more than one value, and not the seed; the rule at least."""
    names = [name for name, values in grid.axes.items() if name != "seed" and len(values) > 1]
    return names or ["rule"]


def _checked(name: str, value: Any, where: str) -> Any:
    """`value` as the axis has it."""
    info = AXES[name].model_fields[name]
    try:
        annotation: Any = Annotated[info.annotation, info]
        checked = TypeAdapter(annotation).validate_python(value)
    except ValidationError as error:
        raise one_line(error, f"{where}: {name} {value!r}") from error
    if name == "rule":
        return float_rule(checked).name
    if name == "layers":
        parse_sizes(checked)
    return checked if name != "dataset" else check_choice(checked, DATASETS, "data set")

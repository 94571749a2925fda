# SPDX-License-Identifier: Apache-2.0
"""Events with times, counted in steps: structured arrays, and those of NIRData."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from ..arch.errors import ConfigurationError

Sensor = tuple[int, int, int]
"""Width, height, polarities, as tonic has it."""

MICRO = 1e-6
NEAR = 4
"""Roundings that a time may be short of a step and still be in it: dt is seldom a binary fraction."""

STEPS = 1 << 31
"""More steps than any sample has."""


def parse_sensor(text: str | None) -> Sensor | None:
    """`34x34x2` as (34, 34, 2), `700` as (700, 1, 1)."""
    if text is None:
        return None
    parts = text.lower().split("x")
    if len(parts) > 3 or not all(part.isascii() and part.isdigit() for part in parts):
        raise ConfigurationError(f"sensor size {text!r}", "width x height x polarities, as 34x34x2, or one number")
    width, height, polarities = (*map(int, parts), 1, 1)[:3]
    return width, height, polarities


def binned(
    events: npt.NDArray[Any], dt: float, sensor: Sensor, name: str
) -> tuple[int, npt.NDArray[np.int64], npt.NDArray[Any]]:
    """Steps up to the last event, the cells `step * inputs + input` that have any, and how many each has.

    `events` has fields `t` (whole: microseconds; else seconds), `x`, and maybe `y`, `p` and `value`, which is added
    instead of 1. A polarity of a sensor that has but one is not looked at. Raises `ConfigurationError` for a missing or
    wrong field, an event outside the sensor, and a time that is negative or not finite; `name` begins it.
    """
    fields = events.dtype.names or ()
    if "t" not in fields or "x" not in fields:
        raise ConfigurationError(f"{name} has fields {', '.join(fields)}", "events have t and x, and maybe y and p")
    if events.ndim != 1:
        raise ConfigurationError(f"{name}: events of shape {events.shape}", "a list of events, (events,)")
    channels = np.zeros(len(events), np.int64)
    outside = np.zeros(len(events), bool)
    for field, size in (("p", sensor[2]), ("y", sensor[1]), ("x", sensor[0])):
        if field == "p" and size == 1:
            continue
        if field not in fields:
            if size > 1:
                raise ConfigurationError(f"{name}: events without {field}, a sensor with {size}", "which sensor is it?")
            continue
        if events[field].dtype.kind not in "biu":
            raise ConfigurationError(f"{name}: {field} is {events[field].dtype}", "places are whole numbers")
        place = events[field].astype(np.int64)
        outside |= (place < 0) | (place >= size)
        channels = channels * size + place
    if outside.any():
        first = int(np.argmax(outside))
        where = ", ".join(f"{field} = {events[field][first]}" for field in ("x", "y", "p") if field in fields)
        raise ConfigurationError(
            f"{name}, event {first}: {where} is outside a sensor of {'x'.join(map(str, sensor))}",
            "sensor_size is width, height, polarities",
        )
    steps = _steps(events["t"], dt, name)
    weights = events["value"] if "value" in fields else np.ones(len(events), np.int64)
    if weights.dtype.kind not in "iuf":
        raise ConfigurationError(f"{name}: value is {weights.dtype}", "how many events it counts for")
    cells, which = np.unique(steps * math.prod(sensor) + channels, return_inverse=True)
    counts = np.zeros(len(cells), weights.dtype)
    np.add.at(counts, which, weights)
    return int(steps.max(initial=-1)) + 1, cells, counts


def _steps(times: npt.NDArray[Any], dt: float, name: str) -> npt.NDArray[np.int64]:
    """The step that each event is in."""
    if times.dtype.kind not in "iuf":
        raise ConfigurationError(f"{name}: t is {times.dtype}", "times are numbers")
    with np.errstate(invalid="ignore", over="ignore"):
        exact = times.astype(np.float64) / (dt if times.dtype.kind == "f" else dt / MICRO)
        wrong = ~((times >= 0) & (exact < STEPS))
    if wrong.any():
        first = int(np.argmax(wrong))
        reason = "is before time 0" if times[first] < 0 else f"is no time within {STEPS} steps of {dt:g} s"
        raise ConfigurationError(
            f"{name}, event {first}: t = {times[first]} {reason}", "whole times are microseconds, others are seconds"
        )
    unit = np.finfo(times.dtype if times.dtype.kind == "f" else np.float64).eps
    return np.floor(exact * (1 + NEAR * float(unit))).astype(np.int64)


def steps_of(seconds: float, dt: float, name: str) -> int:
    """Steps of `dt` that cover `seconds`."""
    if not 0 < seconds / dt < STEPS:
        raise ConfigurationError(f"{name} is {seconds:g} s", f"from one to {STEPS} steps of {dt:g} s")
    return max(1, math.ceil(seconds / dt * (1 - NEAR * float(np.finfo(np.float64).eps))))


def node_recordings(data: Any, name: str) -> tuple[list[tuple[Any, None, float | None, Sensor | None]], float | None]:
    """The samples of NIRData, values, label, seconds and sensor of each, and the dt of what is gridded.

    Of a graph's nodes the only one is taken, or `input`; of a node's observables the only one, or `spikes`.
    """
    kind = type(data).__name__
    for attribute, preferred in (("nodes", "input"), ("observables", "spikes")):
        held = getattr(data, attribute, None)
        if kind not in ("NIRGraphData", "NIRNodeData") or held is None:
            continue
        chosen = next(iter(held), None) if len(held) == 1 else preferred if preferred in held else None
        if chosen is None:
            known = ", ".join(map(str, held)) or "nothing"
            raise ConfigurationError(f"{name}{attribute} {known}: which are the samples?", "pass that one alone")
        return node_recordings(held[chosen], name)
    if kind == "TimeGriddedData":
        return [(sample, None, None, None) for sample in data.data], float(data.dt)
    if kind not in ("EventData", "ValuedEventData"):
        raise ConfigurationError(f"{name}nir.{kind} holds no samples", "pass NIRGraphData, or a part of it")
    fields: list[tuple[str, Any]] = [("t", np.float64), ("x", np.int64)]
    columns = [np.asarray(data.time), np.asarray(data.idx)]
    if kind == "ValuedEventData":
        fields.append(("value", np.asarray(data.value).dtype))
        columns.append(np.asarray(data.value))
    if columns[1].dtype.kind not in "iu" or any(one.ndim != 2 for one in columns):
        raise ConfigurationError(f"{name}events of {columns[1].dtype} {columns[1].shape}", "wanted (B, events)")
    recordings: list[tuple[Any, None, float | None, Sensor | None]] = []
    for rows in zip(*columns, strict=True):
        there = rows[1] != -1
        events = np.zeros(int(there.sum()), fields)
        for (field, _), row in zip(fields, rows, strict=True):
            events[field] = row[there]
        recordings.append((events, None, float(data.t_max), (int(data.n_neurons), 1, 1)))
    return recordings, None

# SPDX-License-Identifier: Apache-2.0
"""Samples that users bring: rasters, frames and events, in files and in memory, as the integers that devices take."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..arch.errors import ConfigurationError
from .events import Sensor, binned, steps_of
from .loaded import Loaded, Recording, check_room, unpacked
from .raster_files import load_file

EVENT_BITS = 8
"""Of the widest input that an array can have."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Samples:
    """`rasters`: (B, T, inputs), events per step and input, uint8; `labels`: (B,) or None.

    `dt` is the seconds of a step, None where nobody said; `notes` say what was done to the data on the way.
    """

    rasters: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64] | None
    dt: float | None
    notes: tuple[str, ...] = ()


def read_samples(
    source: Any,
    *,
    inputs: int | None = None,
    event_bits: int = EVENT_BITS,
    dt: float | None = None,
    sensor_size: Sensor | None = None,
    steps: int | None = None,
    clip: bool = False,
    limit: int | None = None,
) -> Samples:
    """The samples of a file, a folder or an object, docs/data.md lists which, for a network of `inputs`.

    Arrays are (T, inputs), (B, T, inputs), or frames (T, P, H, W), (B, T, P, H, W), whose input is `(p H + y) W + x`.
    Each of a list is one sample, its first dimension time. Structured arrays are events: `t` in microseconds where
    it is whole and in seconds else, `x` and maybe `y` and `p` within `sensor_size` (W, H, P); they are counted in steps
    of `dt` seconds, the first from time 0, in any order. Samples are cut to `steps`, and shorter ones padded with
    silence at the end: to `steps`, or to the longest.

    A value is a count of 0 … 2**event_bits - 1; with `clip` greater ones become the greatest. At most `limit` samples.

    Raises `ConfigurationError`, one line, for a file that is damaged or foreign, shapes that do not fit, values that
    are no counts, events outside the sensor or before time 0, and more than `LARGEST` bytes; `ToolError` where the
    package that reads a format is missing.
    """
    _check_dt(dt, "")
    if sensor_size is not None and (len(sensor_size) != 3 or min(sensor_size) < 1):
        raise ConfigurationError(f"sensor_size is {sensor_size}", "(width, height, polarities), each at least 1")
    if steps is not None and steps < 1:
        raise ConfigurationError(f"steps are {steps}", "at least 1")
    name = f"{source}: " if isinstance(source, str | Path) else ""
    reader = _Reader(
        name=name,
        inputs=inputs,
        greatest=(1 << event_bits) - 1,
        dt=dt,
        sensor=sensor_size,
        steps=steps,
        clip=clip,
    )
    return reader.read(_loaded(source), limit)


def _check_dt(dt: float | None, name: str) -> None:
    if dt is not None and not (math.isfinite(dt) and dt > 0):
        raise ConfigurationError(f"{name}dt is {dt:g}", "a time step in seconds, > 0")


def _loaded(source: Any) -> Loaded:
    """A file, a folder or an object, taken apart."""
    return load_file(Path(source)) if isinstance(source, str | Path) else unpacked(source, "")


@dataclass(kw_only=True)
class _Reader:
    """What is wanted of the samples of one source."""

    name: str
    inputs: int | None
    greatest: int
    dt: float | None
    sensor: Sensor | None
    steps: int | None
    clip: bool
    cut: int = 0

    def read(self, found: Loaded, limit: int | None) -> Samples:
        """All of them, as one array."""
        dt = self.dt if found.dt is None else found.dt
        _check_dt(dt, self.name)
        if self.dt is not None and not math.isclose(self.dt, dt or 0, rel_tol=1e-6):
            raise ConfigurationError(f"{self.name}steps of {dt:g} s, asked for {self.dt:g} s", "bin the events anew")
        rasters: list[npt.NDArray[np.uint8]] = []
        labels: list[int | None] = []
        longest = self.steps or 0
        for number, one in enumerate(itertools.islice(found.recordings, limit)):
            rasters.append(self._raster(one, f"{self.name}sample {number}"))
            longest = max(longest, len(rasters[-1]))
            labels.append(one.label)
            if rasters[-1].shape[1] != rasters[0].shape[1]:
                widths = f"{rasters[0].shape[1]} and {rasters[-1].shape[1]}"
                raise ConfigurationError(
                    f"{self.name}samples 0 and {number} have {widths} values a step", "all go through one network"
                )
            check_room((number + 1) * longest * rasters[0].shape[1], f"{self.name}{number + 1} samples or more")
        if not any(map(len, rasters)):
            raise ConfigurationError(f"{self.name}holds no samples", "nothing to run")
        shorter = sum(len(raster) < longest for raster in rasters)
        notes = list(found.notes)
        if self.cut:
            notes.append(f"{self.cut} of {len(rasters)} samples are cut to {self.steps} steps")
        if shorter:
            notes.append(f"{shorter} of {len(rasters)} samples are padded with silence at the end, to {longest} steps")
        without = sum(label is None for label in labels)
        if 0 < without < len(labels):
            raise ConfigurationError(f"{self.name}{without} of {len(labels)} samples have no label", "all or none")
        if any(label is not None and label < 0 for label in labels):
            raise ConfigurationError(f"{self.name}a label is negative", "classes are whole numbers from 0")
        joined = np.zeros((len(rasters), longest, rasters[0].shape[1]), np.uint8)
        for target, raster in zip(joined, rasters, strict=True):
            target[: len(raster)] = raster
        classes = None if without else np.array(labels, np.int64)
        return Samples(rasters=joined, labels=classes, dt=dt, notes=tuple(notes))

    def _raster(self, one: Recording, name: str) -> npt.NDArray[np.uint8]:
        """One sample, (T, inputs)."""
        if one.values.dtype.names is not None:
            return self._counted(one, name)
        values = one.values
        self.cut += self.steps is not None and len(values) > self.steps
        values = values[: self.steps]
        if values.ndim < 2 or 0 in values.shape:
            raise ConfigurationError(f"{name} has shape {values.shape}", "wanted (steps, inputs), none of them empty")
        if self.sensor is not None and values.ndim == 4 and values.shape[:0:-1] != self.sensor:
            wanted = "x".join(map(str, self.sensor))
            raise ConfigurationError(f"{name} has frames (P, H, W) of {values.shape[1:]}", f"the sensor is {wanted}")
        width = math.prod(values.shape[1:])
        self._check_width(width, f"{name} has shape {values.shape}, {width} values a step")
        check_room(values.size, name)
        counts = self._checked(values.reshape(-1), lambda k: k, width, name)
        return counts.reshape(len(values), width)

    def _counted(self, one: Recording, name: str) -> npt.NDArray[np.uint8]:
        """One sample of events."""
        if self.dt is None:
            raise ConfigurationError(f"{name}: dt is missing: events have times", "say how many seconds a step is: dt")
        sensor = one.sensor or self.sensor
        fields = one.values.dtype.names
        if sensor is None:
            if self.inputs is None or "y" in fields or "p" in fields:
                raise ConfigurationError(f"{name}: sensor_size is missing", "say (W, H, P), as (34, 34, 2)")
            sensor = (self.inputs, 1, 1)
        width = math.prod(sensor)
        check_room(float(width), f"{name}: a step")
        self._check_width(width, f"{name}: a sensor of {'x'.join(map(str, sensor))} has {width} inputs")
        length, cells, counts = binned(one.values, self.dt, sensor, name)
        if one.seconds is not None:
            most = steps_of(one.seconds, self.dt, f"{name}: t_max")
            if length > most:
                raise ConfigurationError(f"{name}: an event in step {length - 1} of {most}", "raise t_max")
            length = most
        if self.steps is not None and length > self.steps:
            self.cut += 1
            length = self.steps
            kept = cells < length * width
            cells, counts = cells[kept], counts[kept]
        check_room(length * float(width), f"{name} of {length} steps")
        raster = np.zeros((length, width), np.uint8)
        raster.reshape(-1)[cells] = self._checked(counts, lambda k: int(cells[k]), width, name)
        return raster

    def _check_width(self, width: int, found: str) -> None:
        if self.inputs is not None and width != self.inputs:
            raise ConfigurationError(found, f"the network has {self.inputs} inputs")

    def _checked(
        self, values: npt.NDArray[Any], cell: Callable[[int], int], width: int, name: str
    ) -> npt.NDArray[np.uint8]:
        """`values` as counts; `cell` says where one lies in a raster of `width`."""
        if values.dtype.kind not in "biuf":
            raise ConfigurationError(f"{name} is {values.dtype}, not numbers", "events are whole numbers")
        real = values.dtype.kind == "f"
        wrong = ~np.isfinite(values) | (values != np.floor(values)) if real else np.zeros(0, bool)
        if wrong.any() or (values.size and values.min() < 0):
            where = int(np.argmax(wrong if wrong.any() else values < 0))
            raise ConfigurationError(
                f"{self._place(name, cell(where), width)}: {values[where]:g} is no count of events",
                f"whole numbers of 0 to {self.greatest}",
            )
        if self.clip:
            values = np.minimum(values, self.greatest)
        elif values.size and values.max() > self.greatest:
            where = int(np.argmax(values > self.greatest))
            raise ConfigurationError(
                f"{self._place(name, cell(where), width)}: {values[where]:g} is more than {self.greatest}",
                "clip them, or take an array with more event_bits",
            )
        return values.astype(np.uint8)

    def _place(self, name: str, cell: int, width: int) -> str:
        step, neuron = divmod(cell, width)
        return f"{name}, step {step}, input {neuron}"

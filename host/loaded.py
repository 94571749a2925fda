# SPDX-License-Identifier: Apache-2.0
"""A source of samples taken apart into recordings: what a person handed over, or what a file held."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..arch.errors import ConfigurationError
from .events import Sensor, node_recordings

LARGEST = 1 << 31
"""Bytes of samples that are read; more is refused before memory is taken for them."""

INPUTS = ("inputs", "input")
LABELS = ("labels", "label")
"""Names of the arrays in npz files and mappings."""


class Recording(NamedTuple):
    """One sample on its way: (T, …) or a structured array of events; `seconds` is how long it lasts, if that is said.

    `sensor` is that of its events, where they bring it along.
    """

    values: Any
    label: int | None = None
    seconds: float | None = None
    sensor: Sensor | None = None


@dataclass(kw_only=True)
class Loaded:
    """A source taken apart: its recordings in order, and what it says of all of them."""

    recordings: Iterable[Recording]
    dt: float | None = None
    notes: Sequence[str] = ()


def unpacked(value: Any, name: str) -> Loaded:
    """An object in memory, or what a file held: see `read_samples`; `name` begins its errors."""
    labels = None
    if isinstance(value, Mapping):
        value, labels = _named(value, name)
    elif isinstance(value, tuple):
        if len(value) != 2:
            raise ConfigurationError(f"{name}a tuple of {len(value)}", "a pair is (inputs, labels)")
        value, labels = value
    if type(value).__module__.partition(".")[0] == "nir":
        recordings, dt = node_recordings(value, name)
        count = len(recordings)
        found = Loaded(recordings=[Recording(*one) for one in recordings], dt=dt)
    else:
        arrays = _separate(value, name)
        count, found = len(arrays), Loaded(recordings=map(Recording, arrays))
    if labels is not None:
        known = _labels(labels, count, name)
        found.recordings = (
            one._replace(label=label) for one, label in zip(found.recordings, known.tolist(), strict=True)
        )
    return found


def _named(value: Mapping[Any, Any], name: str) -> tuple[Any, Any]:
    """Inputs and labels of a mapping."""
    label = next((key for key in LABELS if key in value), None)
    others = [key for key in value if key != label]
    inputs = next((key for key in INPUTS if key in value), others[0] if len(others) == 1 else None)
    if inputs is None:
        held = ", ".join(map(str, value)) or "nothing"
        raise ConfigurationError(
            f"{name}holds {held}: which are the samples?", "call them inputs, and their labels labels"
        )
    return value[inputs], None if label is None else value[label]


def _separate(value: Any, name: str) -> Sequence[Any]:
    """One array per sample."""
    if isinstance(value, list):
        return [_array(one, f"{name}sample {number}") for number, one in enumerate(value)]
    array = _array(value, name or "samples")
    if array.dtype.names is not None and array.ndim == 1:
        return [array]
    if array.ndim == 1 and array.size:
        return [array[:, None]]  # steps of one input
    if array.ndim not in (2, 3, 4, 5):
        raise ConfigurationError(
            f"{name}samples of shape {array.shape}", "wanted (T, N), (B, T, N), (T, P, H, W) or (B, T, P, H, W)"
        )
    return [array] if array.ndim in (2, 4) else list(array)


def _array(value: Any, what: str) -> npt.NDArray[Any]:
    """`value`, maybe a tensor, as an array; what would be Python objects is none."""
    try:
        array = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ConfigurationError(f"{what.rstrip(': ')}: no array: {one_line(error)}", "pass numbers") from error
    if array.dtype.kind == "O":
        raise ConfigurationError(f"{what.rstrip(': ')}: {type(value).__name__} is no array of numbers", "pass numbers")
    return array


def _labels(value: Any, count: int, name: str) -> npt.NDArray[np.int64]:
    labels = np.atleast_1d(_array(value, f"{name}labels"))
    if labels.dtype.kind not in "iu" or labels.shape != (count,):
        what = f"labels are {labels.dtype} of shape {labels.shape}"
        raise ConfigurationError(f"{name}{what} for {count} samples", "one class per sample, whole numbers from 0")
    return labels.astype(np.int64)


def check_room(size: float, what: str) -> None:
    """Raise `ConfigurationError` if `what` would take more than `LARGEST` bytes."""
    if not size <= LARGEST:
        raise ConfigurationError(
            f"{what} would take {size / 2**30:.3g} GiB, at most {LARGEST >> 30} are read at once",
            "read fewer of them with a limit, or take longer steps",
        )


def one_line(error: Exception) -> str:
    """The first line of a library's error."""
    return next(iter(str(error).strip().splitlines()), "")[:200] or type(error).__name__

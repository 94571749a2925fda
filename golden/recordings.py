# SPDX-License-Identifier: Apache-2.0
"""Data sets of recorded events, as zeros and ones in time bins: N-MNIST, spoken digits, Braille letters."""

from __future__ import annotations

import gzip
import io
import itertools
import re
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ..arch.errors import ConfigurationError, ToolError
from .dataset import FETCH, Dataset, Labels, Values, data_file, data_folder, fixed_order
from .encode import binned

DIGITS = 10

NMNIST_FOLDERS = ("NMNIST", "NMNISTSmall")
NMNIST_SIDE = 17
NMNIST_STEPS = 12
SACCADES_US = 300_000
"""Three saccades of 100 ms; the few later events are dropped."""

FSDD_FOLDER = "SpikingFSDD"
FSDD_CHANNELS = 700
FSDD_STEPS = 50
SPOKEN_US = 600_000
"""Most digits are over by then: what follows is noise, and learned as such."""
"""All but one in a hundred of the words are over by then; later spikes are dropped."""

BRAILLE_FOLDER = "Braille"
BRAILLE_TAXELS = 12
BRAILLE_RECORDED = 77
BRAILLE_STEPS = 39
BRAILLE_TEST_SHARE = 5
"""One repetition in five is for the test."""

DAMAGED = (
    OSError,
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    EOFError,
    zlib.error,
    zipfile.BadZipFile,
    ConfigurationError,
)
"""What libraries raise on a file that is not what its name says."""

_NMNIST_MEMBER = re.compile(r"(Train|Test)/\d/\d+\.bin")


def load_nmnist(data_dir: str | Path | None, steps: int | None = None) -> Dataset:
    """N-MNIST recordings from `data_dir/NMNIST` or `data_dir/NMNISTSmall`: Train and Test as folders or zips.

    Each becomes `steps` time bins of 2x17x17 inputs: 1 where any event of that polarity fell into the 2x2 pixels.
    """
    steps = NMNIST_STEPS if steps is None else steps
    folder = data_folder(data_dir, NMNIST_FOLDERS, "N-MNIST")
    with _unpacked(folder) as unpacked:
        train_inputs, train_labels = _read_nmnist(unpacked, steps, train=True)
        test_inputs, test_labels = _read_nmnist(unpacked, steps, train=False)
    return Dataset(
        name="nmnist",
        kind="events",
        classes=DIGITS,
        shape=(2, NMNIST_SIDE, NMNIST_SIDE),
        train_inputs=train_inputs,
        train_labels=train_labels,
        test_inputs=test_inputs,
        test_labels=test_labels,
    )


def load_fsdd(data_dir: str | Path | None, steps: int | None = None) -> Dataset:
    """Spoken digits as cochlea spikes, from `data_dir/SpikingFSDD/sfsdd_train.h5` and `sfsdd_test.h5`, or `.h5.gz`.

    The files are laid out as those of the Spiking Heidelberg Digits: `spikes/times` in seconds and `spikes/units` of
    0 … 699 per recording, `labels`. Their first 0.6 seconds become `steps` time bins of 700 inputs: 1 where any spike
    fell.
    """
    steps = FSDD_STEPS if steps is None else steps
    folder = data_folder(data_dir, (FSDD_FOLDER,), "the spoken digits")
    hint = f"the spoken digits are two HDF5 files in {FSDD_FOLDER}"
    train_inputs, train_labels = _read_spoken(data_file(folder, "sfsdd_train.h5", hint), steps)
    test_inputs, test_labels = _read_spoken(data_file(folder, "sfsdd_test.h5", hint), steps)
    return Dataset(
        name="fsdd",
        kind="events",
        classes=DIGITS,
        shape=(FSDD_CHANNELS,),
        train_inputs=train_inputs,
        train_labels=train_labels,
        test_inputs=test_inputs,
        test_labels=test_labels,
    )


def load_braille(data_dir: str | Path | None, steps: int | None = None, *, polarities: int = 2) -> Dataset:
    """Braille letters under 12 touch sensors, from the npz file in `data_dir/Braille`.

    Its arrays: `label` (N) and `repetition` (N); the events of sample k are `[ev_offset[k]:ev_offset[k + 1]]` of `ev_t`
    (step of 0 … 76) and `ev_ch` (sensor, plus 12 where it fell); `classes`, one name per label. Samples are shuffled in
    a fixed way, and every fifth repetition is for the test. Each becomes `steps` time bins of 24 inputs, or with
    `polarities=1` of 12, which rising and falling events share.
    """
    steps = BRAILLE_STEPS if steps is None else steps
    path = _only_file(data_folder(data_dir, (BRAILLE_FOLDER,), "Braille"))
    channels = polarities * BRAILLE_TAXELS
    try:
        with np.load(path, allow_pickle=False) as file:
            labels = file["label"].astype(np.int64)
            tests = file["repetition"] % BRAILLE_TEST_SHARE == 0
            times, events, offsets = file["ev_t"], file["ev_ch"], file["ev_offset"]
            classes = len(file["classes"])
        if not len(labels) == len(tests) == len(offsets) - 1 or offsets[-1] != len(times):
            raise ValueError(f"{len(labels)} labels, {len(tests)} repetitions, {len(offsets)} offsets")
        inputs = np.zeros((len(labels), steps, channels), np.uint8)
        for index, (begin, end) in enumerate(itertools.pairwise(offsets)):
            span = slice(begin, end)
            bins = binned(times[span], events[span], duration=BRAILLE_RECORDED, steps=steps, inputs=2 * BRAILLE_TAXELS)
            inputs[index] = bins.reshape(steps, 2 // polarities, channels).max(axis=1)
    except DAMAGED as error:
        raise ConfigurationError(f"{path}: not a file of Braille recordings: {_said(error)}", FETCH) from error
    if not len(labels) or not 0 <= labels.min() <= labels.max() < classes:
        raise ConfigurationError(f"{path}: its labels do not fit its {classes} classes", FETCH)
    order = fixed_order(len(labels))
    train, test = order[~tests[order]], order[tests[order]]
    return Dataset(
        name="braille" if polarities > 1 else "braille-12",
        kind="events",
        classes=classes,
        shape=(channels,),
        train_inputs=inputs[train],
        train_labels=labels[train],
        test_inputs=inputs[test],
        test_labels=labels[test],
    )


def bin_events(events: Any, steps: int) -> Values:
    """Events of a 34x34 sensor (a structured array: x, y, t in microseconds, p) as (steps, 2*17*17) zeros and ones.

    The input is `(p * 17 + y // 2) * 17 + x // 2`. Raises `ConfigurationError` for an event outside the sensor.
    """
    x, y = events["x"] >> 1, events["y"] >> 1
    if events.size and max(x.max(), y.max()) >= NMNIST_SIDE:
        raise ConfigurationError(f"an event at ({events['x'].max()}, {events['y'].max()}) is outside the 34x34 sensor")
    channels = (events["p"] * NMNIST_SIDE + y) * NMNIST_SIDE + x
    bins = binned(events["t"], channels, duration=SACCADES_US, steps=steps, inputs=2 * NMNIST_SIDE**2)
    return bins.astype(np.uint8)


@contextmanager
def _unpacked(folder: Path) -> Iterator[Path]:
    """A folder with Train and Test: `folder` itself, or for the time of the context a copy made from its zips."""
    if (folder / "Train").is_dir() and (folder / "Test").is_dir():
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="trifactor-nmnist-") as temporary:
        copy = Path(temporary) / folder.name
        for name in ("train.zip", "test.zip"):
            path = folder / name
            if not path.is_file():
                raise ConfigurationError(f"no file {path}", f"{folder} needs Train and Test, or train.zip and test.zip")
            try:
                with zipfile.ZipFile(path) as archive:
                    archive.extractall(copy, [name for name in archive.namelist() if _NMNIST_MEMBER.fullmatch(name)])
            except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
                raise ConfigurationError(f"{path}: cannot be unpacked: {error}", FETCH) from error
        yield copy


def _read_nmnist(folder: Path, steps: int, *, train: bool) -> tuple[Values, Labels]:
    """All recordings of one part, in the order of their numbers, which is that of MNIST."""
    try:
        from tonic.datasets import NMNIST
    except ImportError as error:
        raise ToolError("nmnist is read by tonic, which is not installed", 'pip install "trifactor[data]"') from error
    # tonic derives the folder from the class's name, and refuses to read fewer than 10 000 recordings.
    reader = type(folder.name, (NMNIST,), {"_check_exists": lambda self: True})
    try:
        recordings = reader(str(folder.parent), train=train)
    except ValueError as error:
        raise ConfigurationError(
            f"{folder}: a recording outside the folders 0 … 9", "expected LABEL/NUMBER.bin"
        ) from error
    order = sorted(range(len(recordings)), key=lambda index: Path(recordings.data[index]).name)
    if not order:
        raise ConfigurationError(
            f"{folder / ('Train' if train else 'Test')}: holds no recording", "expected LABEL/NUMBER.bin"
        )
    inputs = np.zeros((len(order), steps, 2 * NMNIST_SIDE**2), np.uint8)
    labels = np.zeros(len(order), np.int64)
    for position, index in enumerate(order):
        try:
            events, label = recordings[index]
            inputs[position] = bin_events(events, steps)
        except (OSError, ValueError, ConfigurationError) as error:
            raise ConfigurationError(f"{recordings.data[index]}: not a recording: {error}", FETCH) from error
        labels[position] = label
    return inputs, labels


def _read_spoken(path: Path, steps: int) -> tuple[Values, Labels]:
    """All recordings of one file, in its order."""
    try:
        import h5py
    except ImportError as error:
        raise ToolError("fsdd is read by h5py, which is not installed", 'pip install "trifactor[data]"') from error
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
        with h5py.File(io.BytesIO(content), "r") as file:
            times, units, labels = (file[name][()] for name in ("spikes/times", "spikes/units", "labels"))
        if not len(labels) == len(times) == len(units):
            raise ValueError(f"{len(labels)} labels, {len(times)} lists of times, {len(units)} of units")
        inputs = np.zeros((len(labels), steps, FSDD_CHANNELS), np.uint8)
        for index, (seconds, channels) in enumerate(zip(times, units, strict=True)):
            microseconds = np.rint(np.asarray(seconds, np.float64) * 1e6).astype(np.int64)
            inputs[index] = binned(microseconds, channels, duration=SPOKEN_US, steps=steps, inputs=FSDD_CHANNELS)
    except DAMAGED as error:
        raise ConfigurationError(f"{path}: not a file of spoken digits: {_said(error)}", FETCH) from error
    if not len(labels) or labels.max() >= DIGITS:
        raise ConfigurationError(f"{path}: its labels are not those of {DIGITS} digits", FETCH)
    return inputs, labels.astype(np.int64)


def _only_file(folder: Path) -> Path:
    """The npz file in `folder`."""
    found = sorted(folder.glob("*.npz"))
    if len(found) != 1:
        raise ConfigurationError(f"{folder}: {len(found)} npz files, expected 1", "leave the recordings there")
    return found[0]


def _said(error: Exception) -> str:
    """An error of a library in one line."""
    return " ".join(str(error).split()) or type(error).__name__

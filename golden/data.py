# SPDX-License-Identifier: Apache-2.0
"""Data sets: `digits` comes with scikit-learn, `mnist` and `nmnist` are read from a folder. Nothing is downloaded."""

from __future__ import annotations

import gzip
import math
import os
import re
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..arch.errors import ConfigurationError, ToolError, did_you_mean
from .encode import binned

Values = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]

DATA_VARIABLE = "TRIFACTOR_DATA"
CLASSES = 10
INTENSITY_MAX = 255
DIGITS_TEST_SHARE = 5
"""One digit in five is a test sample."""
DIGITS_SEED = 0
"""The raw stream of PCG64, which numpy promises never to change, shuffles the digits before they are split."""

IMAGES_MAGIC = 0x803
LABELS_MAGIC = 0x801
MNIST_SIDE = 28

NMNIST_FOLDERS = ("NMNIST", "NMNISTSmall")
NMNIST_SIDE = 17
NMNIST_STEPS = 12
SACCADES_US = 300_000
"""Three saccades of 100 ms; the few later events are dropped."""

FETCH = "the file is damaged: fetch it again"

_NMNIST_MEMBER = re.compile(r"(Train|Test)/\d/\d+\.bin")


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Samples in a fixed order.

    `images`: inputs are (N, pixels), intensities 0 … 255, still to be coded. `events`: (N, T, inputs), 0 or 1.
    Labels are 0 … classes - 1. `shape` is that of one image or of one step's events.
    """

    name: str
    kind: Literal["images", "events"]
    classes: int
    shape: tuple[int, ...]
    train_inputs: Values
    train_labels: Labels
    test_inputs: Values
    test_labels: Labels

    @property
    def inputs(self) -> int:
        """Axons that a sample needs."""
        return int(self.train_inputs.shape[-1])


def load(
    name: str, data_dir: str | Path | None = None, limit: int | None = None, *, steps: int | None = None
) -> Dataset:
    """The data set `name`, with its first `limit` training samples (the test set stays whole).

    `data_dir` is the folder that holds `MNIST/raw` or `NMNISTSmall`; None takes the environment's TRIFACTOR_DATA.
    `steps` is the number of time bins of `nmnist`. Raises `ConfigurationError` for what is missing or malformed, and
    `ToolError` when `nmnist` lacks tonic.
    """
    if name not in LOADERS:
        raise ConfigurationError(f"no data set is called {name!r}", did_you_mean(name, LOADERS))
    if limit is not None and limit < 1:
        raise ConfigurationError(f"limit must be at least 1, not {limit}")
    if steps is not None and steps < 1:
        raise ConfigurationError(f"steps must be at least 1, not {steps}")
    dataset = LOADERS[name](data_dir, steps)
    if limit is None:
        return dataset
    return replace(dataset, train_inputs=dataset.train_inputs[:limit], train_labels=dataset.train_labels[:limit])


def load_digits() -> Dataset:
    """1797 8x8 digits from scikit-learn, shuffled in a fixed way; the first fifth is the test set."""
    try:
        from sklearn.datasets import load_digits as fetch
    except ImportError as error:
        raise ToolError("the digits data set comes with scikit-learn", 'pip install "trifactor[golden]"') from error
    source = fetch()
    order = np.argsort(np.random.PCG64(DIGITS_SEED).random_raw(len(source.target)), kind="stable")
    inputs = np.rint(source.data[order] * (INTENSITY_MAX / 16)).astype(np.uint8)
    labels = source.target[order].astype(np.int64)
    tests = len(order) // DIGITS_TEST_SHARE
    return Dataset(
        name="digits",
        kind="images",
        classes=CLASSES,
        shape=(8, 8),
        train_inputs=inputs[tests:],
        train_labels=labels[tests:],
        test_inputs=inputs[:tests],
        test_labels=labels[:tests],
    )


def load_mnist(data_dir: str | Path | None) -> Dataset:
    """MNIST from the four idx files in `data_dir/MNIST/raw`, plain or gzip."""
    folder = _folder(data_dir, ("MNIST/raw",), "MNIST")
    train_inputs, train_labels = _read_pair(folder, "train")
    test_inputs, test_labels = _read_pair(folder, "t10k")
    return Dataset(
        name="mnist",
        kind="images",
        classes=CLASSES,
        shape=(MNIST_SIDE, MNIST_SIDE),
        train_inputs=train_inputs,
        train_labels=train_labels,
        test_inputs=test_inputs,
        test_labels=test_labels,
    )


def load_nmnist(data_dir: str | Path | None, steps: int | None = None) -> Dataset:
    """N-MNIST recordings from `data_dir/NMNIST` or `data_dir/NMNISTSmall`: Train and Test as folders or zips.

    Each becomes `steps` time bins of 2x17x17 inputs: 1 where any event of that polarity fell into the 2x2 pixels.
    """
    steps = NMNIST_STEPS if steps is None else steps
    folder = _folder(data_dir, NMNIST_FOLDERS, "N-MNIST")
    with _unpacked(folder) as unpacked:
        train_inputs, train_labels = _read_recordings(unpacked, steps, train=True)
        test_inputs, test_labels = _read_recordings(unpacked, steps, train=False)
    return Dataset(
        name="nmnist",
        kind="events",
        classes=CLASSES,
        shape=(2, NMNIST_SIDE, NMNIST_SIDE),
        train_inputs=train_inputs,
        train_labels=train_labels,
        test_inputs=test_inputs,
        test_labels=test_labels,
    )


LOADERS: dict[str, Callable[[str | Path | None, int | None], Dataset]] = {
    "digits": lambda data_dir, steps: load_digits(),
    "mnist": lambda data_dir, steps: load_mnist(data_dir),
    "nmnist": load_nmnist,
}


def read_idx(path: Path, magic: int) -> Values:
    """The array of unsigned bytes in an idx file, plain or (name ends in .gz) gzip.

    Raises `ConfigurationError` if the file is unreadable, corrupt, of another kind than `magic`, too short or too long.
    """
    try:
        data = path.read_bytes()
        if path.suffix == ".gz":
            data = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise ConfigurationError(f"{path}: cannot be read: {error}", FETCH) from error
    dimensions = magic & 0xFF
    header = 4 + 4 * dimensions
    found = int.from_bytes(data[:4], "big")
    if len(data) >= 4 and found != magic:
        raise ConfigurationError(f"{path}: magic number {found:#010x}, expected {magic:#010x}", "is this an idx file?")
    if len(data) < header:
        raise ConfigurationError(f"{path}: truncated: {len(data)} bytes, not even a header", FETCH)
    shape = tuple(int.from_bytes(data[4 + 4 * axis : 8 + 4 * axis], "big") for axis in range(dimensions))
    expected = header + math.prod(shape)
    if len(data) != expected:
        problem = "truncated" if len(data) < expected else "too long"
        raise ConfigurationError(f"{path}: {problem}: {len(data)} bytes, expected {expected}", FETCH)
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape)


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


def _folder(data_dir: str | Path | None, names: tuple[str, ...], what: str) -> Path:
    """The first of `names` that is a folder in `data_dir` or, without one, in the environment's."""
    given = data_dir if data_dir is not None else os.environ.get(DATA_VARIABLE)
    if not given:
        raise ConfigurationError(
            f"{what} needs a data folder", f"set {DATA_VARIABLE} to the folder that holds {names[-1]}"
        )
    for name in names:
        if (folder := Path(given) / name).is_dir():
            return folder
    raise ConfigurationError(f"no folder {Path(given) / names[-1]}", f"{what} is looked for there; see {DATA_VARIABLE}")


def _read_pair(folder: Path, part: str) -> tuple[Values, Labels]:
    """Images and labels of one part of MNIST."""
    images_path = _find(folder, f"{part}-images-idx3-ubyte")
    labels_path = _find(folder, f"{part}-labels-idx1-ubyte")
    images = read_idx(images_path, IMAGES_MAGIC)
    labels = read_idx(labels_path, LABELS_MAGIC)
    if images.shape[1:] != (MNIST_SIDE, MNIST_SIDE):
        raise ConfigurationError(f"{images_path}: images of {images.shape[1]}x{images.shape[2]} pixels, expected 28x28")
    if len(images) != len(labels):
        raise ConfigurationError(f"{labels_path}: {len(labels)} labels for {len(images)} images")
    if not len(images):
        raise ConfigurationError(f"{images_path}: holds no image")
    if labels.max() >= CLASSES:
        raise ConfigurationError(f"{labels_path}: label {labels.max()} is not a digit", FETCH)
    return images.reshape(len(images), -1), labels.astype(np.int64)


def _find(folder: Path, stem: str) -> Path:
    for name in (stem, f"{stem}.gz"):
        if (folder / name).is_file():
            return folder / name
    raise ConfigurationError(f"no file {folder / stem} nor {stem}.gz", "MNIST is four idx files in MNIST/raw")


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


def _read_recordings(folder: Path, steps: int, *, train: bool) -> tuple[Values, Labels]:
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

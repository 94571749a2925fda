# SPDX-License-Identifier: Apache-2.0
"""The data sets by name. `digits` comes with scikit-learn, the others are read from a folder; nothing is downloaded."""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from ..arch.errors import ConfigurationError, ToolError, did_you_mean
from .dataset import FETCH, Dataset, Labels, Values, data_file, data_folder, fixed_order
from .recordings import load_braille, load_fsdd, load_nmnist

__all__ = ["LOADERS", "Dataset", "load", "load_digits", "load_mnist", "read_idx"]

CLASSES = 10
INTENSITY_MAX = 255
DIGITS_TEST_SHARE = 5
"""One digit in five is a test sample."""

IMAGES_MAGIC = 0x803
LABELS_MAGIC = 0x801
MNIST_SIDE = 28


def load(
    name: str, data_dir: str | Path | None = None, limit: int | None = None, *, steps: int | None = None
) -> Dataset:
    """The data set `name`, with its first `limit` training samples (the test set stays whole).

    `data_dir` is the folder that holds `MNIST/raw`, `NMNISTSmall`, `SpikingFSDD` or `Braille`; None takes the
    environment's TRIFACTOR_DATA. `steps` is the number of time bins of recordings. Raises `ConfigurationError` for what
    is missing or malformed, and `ToolError` when the package that reads the files is missing.
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
    order = fixed_order(len(source.target))
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
    folder = data_folder(data_dir, ("MNIST/raw",), "MNIST")
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


LOADERS: dict[str, Callable[[str | Path | None, int | None], Dataset]] = {
    "digits": lambda data_dir, steps: load_digits(),
    "mnist": lambda data_dir, steps: load_mnist(data_dir),
    "nmnist": load_nmnist,
    "fsdd": load_fsdd,
    "braille": load_braille,
    "braille-12": partial(load_braille, polarities=1),
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


def _read_pair(folder: Path, part: str) -> tuple[Values, Labels]:
    """Images and labels of one part of MNIST."""
    hint = "MNIST is four idx files in MNIST/raw"
    images_path = data_file(folder, f"{part}-images-idx3-ubyte", hint)
    labels_path = data_file(folder, f"{part}-labels-idx1-ubyte", hint)
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

# SPDX-License-Identifier: Apache-2.0
"""Loaders: shapes, values and order of what is read, and one clear error for each way a file can be wrong."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from trifactor.arch.errors import ConfigurationError
from trifactor.golden import data

DATA = os.environ.get("TRIFACTOR_DATA", "")
needs_mnist = pytest.mark.skipif(
    not (Path(DATA) / "MNIST" / "raw").is_dir(), reason="TRIFACTOR_DATA names no folder with MNIST/raw"
)

TEST_LABELS = [0, 6, 3, 8, 1, 8, 4, 1, 5, 8, 9, 7]
"""The first labels of the published split of the digits."""


def idx(magic: int, values: np.ndarray) -> bytes:
    head = magic.to_bytes(4, "big") + b"".join(extent.to_bytes(4, "big") for extent in values.shape)
    return head + values.astype(np.uint8).tobytes()


@pytest.fixture
def mnist_dir(tmp_path: Path) -> Path:
    """A small MNIST: 6 training and 4 test images, half the files gzip."""
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    rng = np.random.default_rng(1)
    for part, count in (("train", 6), ("t10k", 4)):
        images = rng.integers(0, 256, (count, 28, 28))
        (raw / f"{part}-images-idx3-ubyte").write_bytes(idx(0x803, images))
        labels = gzip.compress(idx(0x801, np.arange(count)))
        (raw / f"{part}-labels-idx1-ubyte.gz").write_bytes(labels)
    return tmp_path


def test_digits_split_is_fixed_and_whole() -> None:
    digits = data.load("digits")
    assert digits.kind == "images"
    assert digits.train_inputs.shape == (1438, 64)
    assert digits.test_inputs.shape == (359, 64)
    assert digits.train_inputs.max() == 255
    assert digits.test_labels[:12].tolist() == TEST_LABELS
    assert np.bincount(digits.test_labels, minlength=10).min() >= 25
    assert digits.inputs == 64


def test_limit_shortens_only_the_training_part() -> None:
    whole, short = data.load("digits"), data.load("digits", limit=7)
    assert short.train_inputs.shape == (7, 64)
    assert np.array_equal(short.train_inputs, whole.train_inputs[:7])
    assert len(short.test_labels) == 359


def test_unknown_name_and_bad_numbers_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="mnits") as caught:
        data.load("mnits")
    assert "mnist" in caught.value.hint
    with pytest.raises(ConfigurationError, match="limit"):
        data.load("digits", limit=0)
    with pytest.raises(ConfigurationError, match="steps"):
        data.load("nmnist", steps=0)


def test_mnist_reads_plain_and_gzip(mnist_dir: Path) -> None:
    mnist = data.load("mnist", mnist_dir)
    assert mnist.train_inputs.shape == (6, 784)
    assert mnist.test_labels.tolist() == [0, 1, 2, 3]
    assert mnist.train_inputs.dtype == np.uint8
    expected = np.random.default_rng(1).integers(0, 256, (6, 28, 28)).reshape(6, 784)
    assert np.array_equal(mnist.train_inputs, expected)


def test_mnist_folder_comes_from_the_environment(mnist_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIFACTOR_DATA", str(mnist_dir))
    assert len(data.load("mnist", limit=2).train_labels) == 2
    monkeypatch.delenv("TRIFACTOR_DATA")
    with pytest.raises(ConfigurationError, match="needs a data folder") as caught:
        data.load("mnist")
    assert "TRIFACTOR_DATA" in caught.value.hint


def cut(raw: Path) -> None:
    path = raw / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-1])


def lengthen(raw: Path) -> None:
    path = raw / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes() + b"\0")


def behead(raw: Path) -> None:
    (raw / "train-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03\0")


def mislabel(raw: Path) -> None:
    (raw / "train-images-idx3-ubyte").write_bytes(idx(0x801, np.zeros(6)))


def cut_gzip(raw: Path) -> None:
    path = raw / "train-labels-idx1-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-6])


def not_gzip(raw: Path) -> None:
    (raw / "train-labels-idx1-ubyte.gz").write_bytes(b"hello")


def damage_gzip(raw: Path) -> None:
    path = raw / "train-labels-idx1-ubyte.gz"
    content = bytearray(path.read_bytes())
    content[12] ^= 0xFF
    path.write_bytes(content)


def fewer_labels(raw: Path) -> None:
    (raw / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(0x801, np.arange(5))))


def no_digit(raw: Path) -> None:
    (raw / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(0x801, np.full(6, 10))))


def small_images(raw: Path) -> None:
    (raw / "train-images-idx3-ubyte").write_bytes(idx(0x803, np.zeros((6, 8, 8))))


def empty(raw: Path) -> None:
    (raw / "train-images-idx3-ubyte").write_bytes(idx(0x803, np.zeros((0, 28, 28))))
    (raw / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(0x801, np.zeros(0))))


def remove(raw: Path) -> None:
    (raw / "train-labels-idx1-ubyte.gz").unlink()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (cut, "truncated"),
        (lengthen, "too long"),
        (behead, "truncated"),
        (mislabel, "magic number 0x00000801, expected 0x00000803"),
        (cut_gzip, "cannot be read"),
        (not_gzip, "cannot be read"),
        (damage_gzip, "train-labels-idx1-ubyte.gz"),
        (fewer_labels, "5 labels for 6 images"),
        (no_digit, "label 10 is not a digit"),
        (small_images, "8x8 pixels, expected 28x28"),
        (empty, "holds no image"),
        (remove, "no file .*train-labels-idx1-ubyte nor"),
    ],
)
def test_a_wrong_file_is_one_clear_error(mnist_dir: Path, spoil: Callable[[Path], None], words: str) -> None:
    spoil(mnist_dir / "MNIST" / "raw")
    with pytest.raises(ConfigurationError, match=words) as caught:
        data.load("mnist", mnist_dir)
    assert "\n" not in caught.value.message


def test_missing_folder_names_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no folder .*MNIST/raw"):
        data.load("mnist", tmp_path)
    with pytest.raises(ConfigurationError, match=r"no folder .*NMNISTSmall"):
        data.load("nmnist", tmp_path)


@needs_mnist
def test_the_real_mnist() -> None:
    mnist = data.load("mnist", DATA)
    assert mnist.train_inputs.shape == (60000, 784)
    assert mnist.test_inputs.shape == (10000, 784)
    assert mnist.train_labels[:5].tolist() == [5, 0, 4, 1, 9]

# SPDX-License-Identifier: Apache-2.0
"""Recorded events: what a bin holds, which part a recording is for, and one clear error for each wrong file."""

from __future__ import annotations

import gzip
import io
import os
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trifactor.arch.errors import ConfigurationError, ToolError
from trifactor.golden import data
from trifactor.golden.recordings import bin_events

DATA = os.environ.get("TRIFACTOR_DATA", "")


def needs(folder: str) -> pytest.MarkDecorator:
    missing = not (Path(DATA) / folder).is_dir()
    return pytest.mark.skipif(missing, reason=f"TRIFACTOR_DATA names no folder with {folder}")


def test_events_fall_into_time_bins_and_quarter_pixels() -> None:
    kind = [("x", int), ("y", int), ("t", int), ("p", int)]
    events = np.array([(0, 0, 0, 0), (1, 1, 10, 0), (33, 2, 149_999, 1), (4, 33, 150_000, 0), (5, 6, 300_000, 1)], kind)
    bins = bin_events(events, 2).reshape(2, 2, 17, 17)
    assert np.argwhere(bins).tolist() == [[0, 0, 0, 0], [0, 1, 1, 16], [1, 0, 16, 2]]


def record(x: int, y: int, polarity: int, time: int) -> bytes:
    return bytes([x, y]) + (polarity << 23 | time).to_bytes(3, "big")


def write_recordings(folder: Path, *, zipped: bool) -> None:
    folder.mkdir(parents=True)
    for part, labels in (("Train", [3, 1, 2]), ("Test", [7])):
        files = {f"{part}/{label}/{k + 1:05}.bin": record(2 * k, 0, 1, 0) for k, label in enumerate(labels)}
        if zipped:
            with zipfile.ZipFile(folder / f"{part.lower()}.zip", "w") as archive:
                for name, content in files.items():
                    archive.writestr(name, content)
        else:
            for name, content in files.items():
                (folder / name).parent.mkdir(parents=True)
                (folder / name).write_bytes(content)


@pytest.mark.parametrize("zipped", [False, True])
def test_nmnist_keeps_the_order_of_the_numbers(tmp_path: Path, zipped: bool) -> None:
    pytest.importorskip("tonic", reason="tonic is not installed")
    write_recordings(tmp_path / "NMNISTSmall", zipped=zipped)
    nmnist = data.load("nmnist", tmp_path, steps=3)
    assert nmnist.kind == "events"
    assert nmnist.train_labels.tolist() == [3, 1, 2]
    assert nmnist.test_labels.tolist() == [7]
    assert nmnist.train_inputs.shape == (3, 3, 578)
    assert np.argwhere(nmnist.train_inputs).tolist() == [[0, 0, 289], [1, 0, 290], [2, 0, 291]]


def test_nmnist_without_recordings_or_with_a_damaged_zip(tmp_path: Path) -> None:
    pytest.importorskip("tonic", reason="tonic is not installed")
    (tmp_path / "NMNISTSmall").mkdir()
    with pytest.raises(ConfigurationError, match=r"no file .*train\.zip"):
        data.load("nmnist", tmp_path)
    (tmp_path / "NMNISTSmall" / "train.zip").write_bytes(b"PK no zip")
    with pytest.raises(ConfigurationError, match=r"train\.zip: cannot be unpacked"):
        data.load("nmnist", tmp_path)
    (tmp_path / "NMNIST" / "Train").mkdir(parents=True)
    (tmp_path / "NMNIST" / "Test").mkdir()
    with pytest.raises(ConfigurationError, match="holds no recording"):
        data.load("nmnist", tmp_path)


def test_a_damaged_recording_is_named(tmp_path: Path) -> None:
    pytest.importorskip("tonic", reason="tonic is not installed")
    write_recordings(tmp_path / "NMNISTSmall", zipped=False)
    (tmp_path / "NMNISTSmall" / "Train" / "1" / "00002.bin").write_bytes(record(99, 0, 1, 0))
    with pytest.raises(ConfigurationError, match=r"00002\.bin: not a recording"):
        data.load("nmnist", tmp_path)


def test_nmnist_without_tonic_names_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_recordings(tmp_path / "NMNISTSmall", zipped=False)
    monkeypatch.setitem(sys.modules, "tonic.datasets", None)
    with pytest.raises(ToolError, match="tonic") as caught:
        data.load("nmnist", tmp_path)
    assert "pip install" in caught.value.hint
    assert caught.value.exit_code == 4


def spoken_digits(labels: Any, times: list[list[float]], units: list[list[int]]) -> bytes:
    """An HDF5 file in the layout of the Spiking Heidelberg Digits."""
    h5py = pytest.importorskip("h5py", reason="h5py is not installed")
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        for name, rows, kind in (("times", times, np.float16), ("units", units, np.uint16)):
            ragged = file.create_dataset(f"spikes/{name}", (len(rows),), h5py.vlen_dtype(kind))
            for index, row in enumerate(rows):
                ragged[index] = np.array(row, kind)
        file["labels"] = np.asarray(labels, np.uint16)
    return content.getvalue()


def write_spoken(folder: Path, test: bytes | None = None) -> None:
    """Two training recordings in a gzip file, one for the test in a plain one."""
    folder.mkdir(parents=True)
    train = spoken_digits([3, 9], [[0.0, 0.29, 0.3], [0.599, 0.9]], [[0, 699, 1], [5, 6]])
    (folder / "sfsdd_train.h5.gz").write_bytes(gzip.compress(train))
    (folder / "sfsdd_test.h5").write_bytes(test or spoken_digits([7], [[0.25]], [[350]]))


def test_spoken_digits_are_their_first_600_milliseconds_in_bins(tmp_path: Path) -> None:
    write_spoken(tmp_path / "SpikingFSDD")
    fsdd = data.load("fsdd", tmp_path, steps=2)
    assert (fsdd.kind, fsdd.classes, fsdd.inputs) == ("events", 10, 700)
    assert fsdd.train_labels.tolist() == [3, 9]
    assert fsdd.test_labels.tolist() == [7]
    assert np.argwhere(fsdd.train_inputs).tolist() == [[0, 0, 0], [0, 0, 699], [0, 1, 1], [1, 1, 5]]
    assert data.load("fsdd", tmp_path, limit=1).train_inputs.shape == (1, 50, 700)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (lambda: b"no HDF5", "not a file of spoken digits"),
        (lambda: spoken_digits([7], [[0.25]], [[350]])[:900], "not a file of spoken digits"),
        (lambda: spoken_digits([7, 8], [[0.25]], [[350]]), "not a file of spoken digits"),
        (lambda: spoken_digits([7], [[0.25]], [[700]]), "channels 700 to 700 leave 0 to 699"),
        (lambda: spoken_digits([7], [[0.25, 0.5]], [[350]]), "2 times and 1 channels"),
        (lambda: spoken_digits([7], [[-0.25]], [[350]]), "before the start"),
        (lambda: spoken_digits([10], [[0.25]], [[350]]), "its labels are not those of 10 digits"),
        (lambda: spoken_digits([], [], []), "its labels are not those of 10 digits"),
    ],
)
def test_a_wrong_file_of_spoken_digits_is_one_clear_error(tmp_path: Path, content: Any, words: str) -> None:
    pytest.importorskip("h5py", reason="h5py is not installed")
    write_spoken(tmp_path / "SpikingFSDD", content())
    with pytest.raises(ConfigurationError, match=words) as caught:
        data.load("fsdd", tmp_path)
    assert "sfsdd_test.h5" in caught.value.message
    assert "\n" not in caught.value.message


def test_spoken_digits_that_are_not_there_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match=r"no folder .*SpikingFSDD"):
        data.load("fsdd", tmp_path)
    (tmp_path / "SpikingFSDD").mkdir()
    with pytest.raises(ConfigurationError, match=r"no file .*sfsdd_train\.h5 nor .*\.gz"):
        data.load("fsdd", tmp_path)
    (tmp_path / "SpikingFSDD" / "sfsdd_train.h5").write_bytes(b"")
    (tmp_path / "SpikingFSDD" / "sfsdd_test.h5").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ToolError, match="h5py") as caught:
        data.load("fsdd", tmp_path)
    assert "pip install" in caught.value.hint


def write_braille(folder: Path, **changed: Any) -> Path:
    """Two letters, ten repetitions each; sample k has an event at step k, one of sensor 3 that falls."""
    folder.mkdir(parents=True)
    count = 20
    arrays = {
        "label": np.repeat([0, 1], 10),
        "repetition": np.tile(np.arange(10), 2),
        "ev_t": np.repeat(np.arange(count), 2),
        "ev_ch": np.tile([3, 15], count),
        "ev_offset": 2 * np.arange(count + 1),
        "classes": np.array(["A", "B"]),
    }
    np.savez(
        folder / "letters.npz", **{name: value for name, value in {**arrays, **changed}.items() if value is not None}
    )
    return folder / "letters.npz"


def test_every_fifth_repetition_of_a_letter_is_for_the_test(tmp_path: Path) -> None:
    write_braille(tmp_path / "Braille")
    braille = data.load("braille", tmp_path, steps=77)
    assert (braille.kind, braille.classes, braille.inputs) == ("events", 2, 24)
    assert braille.train_inputs.shape == (16, 77, 24)
    assert sorted(np.argwhere(braille.test_inputs[:, :, 3])[:, 1].tolist()) == [0, 5, 10, 15]
    assert np.bincount(braille.test_labels).tolist() == [2, 2]
    for inputs, label in zip(braille.train_inputs, braille.train_labels, strict=True):
        (rise, fall) = np.argwhere(inputs).tolist()
        assert (rise[1], fall[1], rise[0] // 10) == (3, 15, label)
    assert len(set(braille.train_labels[:8].tolist())) == 2, "a limit must not leave one letter"


def test_braille_polarities_may_share_their_sensor(tmp_path: Path) -> None:
    write_braille(tmp_path / "Braille")
    both, shared = data.load("braille", tmp_path), data.load("braille-12", tmp_path)
    assert shared.name == "braille-12"
    assert shared.inputs == 12
    assert np.array_equal(shared.train_inputs, both.train_inputs[..., :12] | both.train_inputs[..., 12:])
    assert shared.train_inputs.sum() == 16


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"label": None}, "not a file of Braille recordings"),
        ({"ev_ch": np.full(40, 24)}, "channels 24 to 24 leave 0 to 23"),
        ({"ev_offset": np.arange(4)}, "not a file of Braille recordings"),
        ({"repetition": np.arange(3)}, "not a file of Braille recordings"),
        ({"label": np.full(20, 2)}, "its labels do not fit its 2 classes"),
        ({"classes": np.array([object()])}, "not a file of Braille recordings"),
    ],
)
def test_a_wrong_file_of_letters_is_one_clear_error(tmp_path: Path, changed: dict[str, Any], words: str) -> None:
    write_braille(tmp_path / "Braille", **changed)
    with pytest.raises(ConfigurationError, match=words) as caught:
        data.load("braille", tmp_path)
    assert "letters.npz" in caught.value.message
    assert "\n" not in caught.value.message


def test_letters_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no folder .*Braille"):
        data.load("braille", tmp_path)
    path = write_braille(tmp_path / "Braille")
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(ConfigurationError, match="not a file of Braille recordings"):
        data.load("braille", tmp_path)
    path.unlink()
    with pytest.raises(ConfigurationError, match="0 npz files, expected 1"):
        data.load("braille", tmp_path)


@needs("NMNISTSmall")
def test_the_real_nmnist_has_the_labels_of_mnist() -> None:
    pytest.importorskip("tonic", reason="tonic is not installed")
    nmnist = data.load("nmnist", DATA)
    assert nmnist.train_labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert len(nmnist.train_labels) == 750
    assert 0.05 < nmnist.train_inputs.mean() < 0.3


@needs("SpikingFSDD")
def test_the_real_spoken_digits() -> None:
    pytest.importorskip("h5py", reason="h5py is not installed")
    fsdd = data.load("fsdd", DATA)
    assert fsdd.train_inputs.shape == (1600, 50, 700)
    assert fsdd.train_labels[:8].tolist() == [6, 2, 9, 5, 6, 2, 6, 4]
    assert np.bincount(fsdd.test_labels).tolist() == [20] * 10
    assert 0.05 < fsdd.train_inputs.mean() < 0.2


@needs("Braille")
def test_the_real_letters() -> None:
    braille = data.load("braille", DATA)
    assert braille.train_inputs.shape == (756, 39, 24)
    assert np.bincount(braille.test_labels).tolist() == [7] * 27
    assert np.bincount(braille.train_labels).tolist() == [28] * 27
    assert 0.02 < braille.train_inputs.mean() < 0.2

# SPDX-License-Identifier: Apache-2.0
"""Model files: what is written comes back, and whatever else a file may hold is one clear error."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trifactor.arch.array import ArrayConfig
from trifactor.arch.errors import ConfigurationError
from trifactor.arch.rules import network_for, rule_named
from trifactor.golden import checkpoint
from trifactor.golden.checkpoint import Model, Training, load_model, save_model
from trifactor.golden.coding import Coding
from trifactor.golden.initial import initial_state


@pytest.fixture(scope="module")
def model() -> Model:
    array = ArrayConfig(weight_bits=12)
    network = network_for(rule_named("ottt-o"), (6, 5, 4), array)
    state = initial_state(network, array, 3)
    state.sample = 77
    training = Training(epochs=2, samples=100, fall=1, epoch=0, position=77)
    return Model(
        array=array, network=network, state=state, rule="ottt-o", dataset="digits", coding=Coding(), training=training
    )


@pytest.fixture
def path(model: Model, tmp_path: Path) -> Path:
    file = tmp_path / "model.npz"
    save_model(file, model)
    return file


def test_a_model_comes_back_whole(model: Model, path: Path) -> None:
    read = load_model(path)
    assert (read.array, read.network, read.rule, read.dataset) == (model.array, model.network, "ottt-o", "digits")
    assert (read.coding, read.training) == (model.coding, model.training)
    assert (read.state.seed, read.state.sample) == (3, 77)
    for a, b in zip(read.state.weights, model.state.weights, strict=True):
        assert a.dtype == np.int64
        assert np.array_equal(a, b)
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file(model: Model, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = path.read_bytes()

    def full(file: Any, **_: Any) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint.np, "savez", full)
    with pytest.raises(ConfigurationError, match="No space left"):
        save_model(path, model)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def rewrite(path: Path, **changes: Any) -> None:
    """The file with other arrays; a `meta` dict is merged into the description."""
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files}
    meta = json.loads(arrays["meta"].tobytes())
    meta.update(changes.pop("meta", {}))
    arrays["meta"] = np.frombuffer(json.dumps(meta).encode(), np.uint8)
    arrays.update(changes)
    np.savez(path, **{name: value for name, value in arrays.items() if value is not None})


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: path.unlink(), "no such file"),
        (lambda path: path.write_bytes(b""), "not a readable model"),
        (lambda path: path.write_bytes(b"hello"), "not a readable model"),
        (lambda path: path.write_bytes(path.read_bytes()[:-30]), "not a readable model"),
        (lambda path: path.write_bytes(path.read_bytes()[:40]), "not a readable model"),
        (lambda path: np.savez(path, weights=np.zeros(3)), "has no description"),
        (lambda path: np.savez(path, meta=np.array([{}], dtype=object)), "not a readable model"),
        (lambda path: np.savez(path, meta=np.frombuffer(b"{", np.uint8)), "description is damaged"),
        (lambda path: np.savez(path, meta=np.frombuffer(b"\xff", np.uint8)), "description is damaged"),
        (lambda path: np.savez(path, meta=np.frombuffer(b"[]", np.uint8)), "model.npz: "),
        (lambda path: rewrite(path, meta={"version": 2}), "version"),
        (lambda path: rewrite(path, meta={"seed": -1}), "seed"),
        (lambda path: rewrite(path, meta={"extra": 1}), "extra"),
        (lambda path: rewrite(path, weights_1=None), "expected weights_0, weights_1"),
        (lambda path: rewrite(path, weights_1=np.zeros((5, 3), np.int16)), "weights_1 is int16"),
        (lambda path: rewrite(path, weights_0=np.zeros((6, 5))), "weights_0 is float64"),
        (lambda path: rewrite(path, weights_0=np.full((6, 5), 2048, np.int16)), "exceeds 12 bits"),
    ],
)
def test_a_wrong_file_is_one_clear_error(path: Path, spoil: Callable[[Path], Any], words: str) -> None:
    spoil(path)
    with pytest.raises(ConfigurationError, match=words) as caught:
        load_model(path)
    assert "\n" not in caught.value.message


def test_a_folder_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no such file"):
        load_model(tmp_path)


def test_a_plain_array_file_is_no_model(tmp_path: Path) -> None:
    np.save(tmp_path / "array.npy", np.zeros(3))
    with pytest.raises(ConfigurationError, match="not a readable model"):
        load_model(tmp_path / "array.npy")


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.integers(0, 10_000), value=st.integers(0, 255))
def test_no_damaged_byte_gives_anything_but_the_model_or_an_error(
    position: int, value: int, model: Model, tmp_path: Path
) -> None:
    file = tmp_path / "damaged.npz"
    save_model(file, model)
    content = bytearray(file.read_bytes())
    content[position % len(content)] = value
    file.write_bytes(content)
    try:
        read = load_model(file)
    except ConfigurationError:
        return
    assert [weights.tolist() for weights in read.state.weights] == [w.tolist() for w in model.state.weights]

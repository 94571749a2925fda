# SPDX-License-Identifier: Apache-2.0
"""Model files: what is written comes back, and whatever else a file may hold is one clear error."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from trifactor.arch.array import ArrayConfig
from trifactor.arch.content import content_words
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
    file = tmp_path / "model.tri"
    save_model(file, model)
    return file


def test_a_model_comes_back_whole(model: Model, path: Path) -> None:
    read = load_model(path)
    assert (read.array, read.network, read.rule, read.dataset) == (model.array, model.network, "ottt-o", "digits")
    assert (read.coding, read.training) == (model.coding, model.training)
    assert (read.state.seed, read.state.sample) == (3, 77)
    turned = replace(model, state=replace(model.state, weights=[np.asfortranarray(w) for w in model.state.weights]))
    save_model(path, turned)
    assert load_model(path).hash == turned.hash == model.hash == read.hash
    for a, b in zip(read.state.weights, model.state.weights, strict=True):
        assert a.dtype == np.int64
        assert np.array_equal(a, b)
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file(model: Model, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = path.read_bytes()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint.zipfile.ZipFile, "writestr", full)
    with pytest.raises(ConfigurationError, match="No space left"):
        save_model(path, replace(model, rule="sltt"))
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_the_same_model_gives_the_same_bytes_and_another_another_hash(model: Model, path: Path) -> None:
    before = path.read_bytes()
    save_model(path, load_model(path))
    assert path.read_bytes() == before
    # What decides the numbers is in the hash, how large and how fast the array is is not.
    wider = replace(
        model, array=ArrayConfig(weight_bits=12, lanes=4, cores=2), rule="of another name", source=("here",)
    )
    assert wider.hash == model.hash
    moved = [weights.copy() for weights in model.state.weights]
    moved[1][0, 0] += 1
    others = [
        replace(model, state=replace(model.state, weights=moved)),
        replace(model, state=replace(model.state, sample=78)),
        replace(model, state=replace(model.state, seed=4)),
        replace(model, array=ArrayConfig(weight_bits=12, decay_bits=9)),
        replace(model, network=model.network.model_copy(update={"error_shift": 3})),
    ]
    assert len({one.hash for one in (model, *others)}) == 1 + len(others)
    assert content_words(model.hash) == [int(model.hash[:8], 16), int(model.hash[8:16], 16)]


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(content: dict[str, bytes], path: Path, *, kind: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", kind) as archive:
        for name, data in content.items():
            archive.writestr(name, data)


def rewrite(path: Path, **changes: Any) -> None:
    """The file with another description, and with other arrays where they are named."""
    content = members(path)
    arrays = {name: value for name, value in changes.items() if name.startswith("weights_")}
    described = {name: value for name, value in changes.items() if name not in arrays}
    content["model.json"] = json.dumps({**json.loads(content["model.json"]), **described}).encode()
    with np.load(io.BytesIO(content["weights.npz"])) as archive:
        arrays = {**{name: archive[name] for name in archive.files}, **arrays}
    stream = io.BytesIO()
    np.savez(stream, **{name: value for name, value in arrays.items() if value is not None})
    content["weights.npz"] = stream.getvalue()
    packed(content, path)


def with_member(path: Path, name: str, data: bytes) -> None:
    packed({**members(path), name: data}, path)


def twice(path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr("model.json", b"{}")


def bomb(path: Path) -> None:
    """A hundred megabytes of nothing, in a hundred kilobytes."""
    packed({**members(path), "weights.npz": bytes(100 << 20)}, path, kind=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 200_000


def inner_bomb(path: Path) -> None:
    stream = io.BytesIO()
    np.savez_compressed(stream, weights_0=np.zeros((6, 5), np.int16), weights_1=np.zeros((5, 4), np.int16))
    packed({**members(path), "weights.npz": stream.getvalue()}, path)


def pickled(path: Path) -> None:
    rewrite(path, weights_0=np.array([[{}] * 5] * 6, dtype=object))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: path.unlink(), "no such file"),
        (lambda path: path.write_bytes(b""), "not a readable model"),
        (lambda path: path.write_bytes(b"hello"), "not a readable model"),
        (lambda path: path.write_bytes(path.read_bytes()[:-30]), "not a"),
        (lambda path: path.write_bytes(path.read_bytes()[:40]), "not a readable model"),
        (lambda path: np.savez(path.open("wb"), weights=np.zeros(3)), "not a trifactor model: it holds 'weights.npy'"),
        (lambda path: packed({}, path), "it holds nothing"),
        (
            lambda path: with_member(path, "../../evil", b"x"),
            "it holds 'model.json', 'weights.npz', 'sha256', '../../e",
        ),
        (lambda path: with_member(path, "/etc/passwd", b"x"), "'/etc/passwd'"),
        (twice, "it holds 'model.json', 'weights.npz', 'sha256', 'model.json'"),
        (bomb, "model.json is compressed"),
        (inner_bomb, "weights_0.npy is compressed"),
        (pickled, "weights_0 is object"),
        (lambda path: with_member(path, "model.json", b"{"), "description is damaged"),
        (lambda path: with_member(path, "model.json", b"\xff"), "description is damaged"),
        (lambda path: with_member(path, "model.json", b"[" * 100_000), "description is damaged"),
        (lambda path: with_member(path, "model.json", b"[]"), "model.tri: "),
        (lambda path: with_member(path, "model.json", b" " * (1 << 23)), "model.json has 8388608 bytes, at most"),
        (lambda path: with_member(path, "weights.npz", bytes(1 << 20)), "weights.npz has 1048576 bytes, at most"),
        (lambda path: with_member(path, "weights.npz", b"hello"), "not a readable model"),
        (lambda path: with_member(path, "sha256", b"0" * 64), "not the one it says"),
        (
            lambda path: rewrite(path, version=3),
            r"a later version of trifactor wrote it \(format 3, this one reads 2\)",
        ),
        (lambda path: rewrite(path, version=1), "version"),
        (lambda path: rewrite(path, version="2"), "version"),
        (lambda path: rewrite(path, seed=-1), "seed"),
        (lambda path: rewrite(path, seed=4), "not the one it says"),
        (lambda path: rewrite(path, extra=1), "extra"),
        (lambda path: rewrite(path, weights_1=None), "it holds 'weights_0.npy', not weights_0.npy, weights_1.npy"),
        (lambda path: rewrite(path, weights_1=np.zeros((5, 3), np.int16)), "weights_1 is int16"),
        (lambda path: rewrite(path, weights_0=np.zeros((6, 5), np.float16)), "weights_0 is float16"),
        (lambda path: rewrite(path, weights_0=np.zeros((5, 6), np.int16).T), "weights_0 is int16"),
        (lambda path: rewrite(path, weights_0=np.full((6, 5), 2048, np.int16)), "exceeds 12 bits"),
    ],
)
def test_a_wrong_file_is_one_clear_error(path: Path, spoil: Callable[[Path], Any], words: str) -> None:
    spoil(path)
    before = {one: one.read_bytes() for one in path.parent.iterdir()}
    with pytest.raises(ConfigurationError, match=words) as caught:
        load_model(path)
    assert "\n" not in caught.value.message
    assert {one: one.read_bytes() for one in path.parent.iterdir()} == before


def test_a_network_too_large_for_any_array_is_refused_before_its_weights_are_read(path: Path) -> None:
    network = json.loads(members(path)["model.json"])["network"]
    network["layers"][0]["inputs"] = 1 << 40
    rewrite(path, network=network)
    with pytest.raises(ConfigurationError, match=r"weights|inputs"):
        load_model(path)


def test_an_array_that_declares_more_than_it_has_is_refused(path: Path) -> None:
    content = members(path)
    with zipfile.ZipFile(io.BytesIO(content["weights.npz"])) as archive:
        inner = {name: archive.read(name) for name in archive.namelist()}
    inner["weights_0.npy"] = inner["weights_0.npy"].replace(b"(6, 5)", b"(6, 500000000000000)")
    stream = path.with_name("inner.npz")
    packed(inner, stream)
    content["weights.npz"] = stream.read_bytes()
    packed(content, path)
    with pytest.raises(ConfigurationError):
        load_model(path)


def test_every_beginning_of_a_file_is_refused(path: Path) -> None:
    content = path.read_bytes()
    assert len(content) > 1000
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(ConfigurationError):
            load_model(path)


def test_a_folder_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no such file"):
        load_model(tmp_path)


def test_a_plain_array_file_is_no_model(tmp_path: Path) -> None:
    np.save(tmp_path / "array.npy", np.zeros(3))
    with pytest.raises(ConfigurationError, match="not a readable model"):
        load_model(tmp_path / "array.npy")


@settings(deadline=None, max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.integers(0, 10_000), value=st.integers(0, 255))
def test_no_damaged_byte_gives_anything_but_the_model_or_an_error(
    position: int, value: int, model: Model, tmp_path: Path
) -> None:
    file = tmp_path / "damaged.tri"
    save_model(file, model)
    content = bytearray(file.read_bytes())
    content[position % len(content)] = value
    file.write_bytes(content)
    try:
        read = load_model(file)
    except ConfigurationError:
        return
    assert [weights.tolist() for weights in read.state.weights] == [w.tolist() for w in model.state.weights]


@pytest.mark.parametrize("values", [{"epoch": 3}, {"position": 101}, {"epoch": 1}, {"accuracies": (0.5,)}])
def test_no_training_comes_where_none_can(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="no training comes there"):
        Training.model_validate({"epochs": 2, "samples": 100, "fall": 1, **values})

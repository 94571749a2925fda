# SPDX-License-Identifier: Apache-2.0
"""Model files: weights with everything that is needed to run, or to go on training, to the same bits.

A file is an npz archive without pickled objects: `weights_0`, `weights_1` …, int16 of shape (inputs, outputs), and
`meta`, the UTF-8 bytes of one JSON object.
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..arch.array import ArrayConfig
from ..arch.device import DeviceState
from ..arch.errors import ConfigurationError
from ..arch.files import written_whole
from ..arch.network import Network
from ..arch.noise import WORD_MASK
from .coding import Coding

FORMAT: Final = "trifactor-model"
VERSION: Final = 1


class Training(BaseModel):
    """A training's plan, and how far it has come: `epoch` epochs done and evaluated, `position` samples of the next."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = Field(ge=1)
    samples: int = Field(ge=1, description="training samples per epoch")
    fall: int = Field(ge=0, description="how much rate_shift grows from the first epoch to the last")
    epoch: int = Field(default=0, ge=0)
    position: int = Field(default=0, ge=0)
    accuracies: tuple[float, ...] = Field(default=(), description="test accuracy after each epoch, 0 … 1")


@dataclass(frozen=True, kw_only=True)
class Model:
    """A network with its weights, the array it is for, and what it was trained on."""

    array: ArrayConfig
    network: Network
    state: DeviceState
    rule: str
    dataset: str
    coding: Coding
    training: Training | None = None


class _Meta(BaseModel):
    """The JSON object in the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["trifactor-model"]
    version: Literal[1]
    array: ArrayConfig
    network: Network
    seed: int = Field(ge=0, le=WORD_MASK)
    sample: int = Field(ge=0, le=WORD_MASK)
    rule: str
    dataset: str
    coding: Coding
    training: Training | None


def save_model(path: str | Path, model: Model) -> None:
    """Write `model` to `path`, at once or not at all: a crash leaves the file that was there before.

    Raises `ConfigurationError` if the folder is missing or cannot be written.
    """
    path = Path(path)
    meta = _Meta(
        format=FORMAT,
        version=VERSION,
        array=model.array,
        network=model.network,
        seed=model.state.seed,
        sample=model.state.sample,
        rule=model.rule,
        dataset=model.dataset,
        coding=model.coding,
        training=model.training,
    )
    arrays: dict[str, Any] = {f"weights_{n}": w.astype(np.int16) for n, w in enumerate(model.state.weights)}
    arrays["meta"] = np.frombuffer(meta.model_dump_json().encode(), np.uint8)
    with written_whole(path) as file:
        np.savez(file, **arrays)


def load_model(path: str | Path) -> Model:
    """The model in the file at `path`.

    Raises `ConfigurationError`, one line, if the file is missing, damaged, of another kind or version, or inconsistent.
    """
    path = Path(path)
    if not path.is_file():
        raise ConfigurationError(f"{path}: no such file", "give the path of a model that trifactor wrote")
    try:
        with path.open("rb") as file, zipfile.ZipFile(file):
            file.seek(0)
            with np.load(file, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
    except Exception as error:  # a damaged archive fails in every way that zipfile, zlib, struct and numpy know
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ConfigurationError(f"{path}: not a readable model: {reason}", "the file is damaged or foreign") from error
    meta = _read_meta(path, arrays.pop("meta", None))
    return Model(
        array=meta.array,
        network=meta.network,
        state=DeviceState(weights=_read_weights(path, meta, arrays), seed=meta.seed, sample=meta.sample),
        rule=meta.rule,
        dataset=meta.dataset,
        coding=meta.coding,
        training=meta.training,
    )


def _read_meta(path: Path, data: Any) -> _Meta:
    if data is None or data.dtype != np.uint8:
        raise ConfigurationError(f"{path}: not a trifactor model: it has no description", "is this another npz file?")
    try:
        values = json.loads(data.tobytes().decode())
        return _Meta.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigurationError(f"{path}: {where}: {first['msg']}", "another version wrote this file") from error
    except ValueError as error:
        raise ConfigurationError(f"{path}: its description is damaged", "the file is damaged or foreign") from error


def _read_weights(path: Path, meta: _Meta, arrays: dict[str, Any]) -> list[Any]:
    blocks = meta.network.blocks
    names = [f"weights_{n}" for n in range(len(blocks))]
    if sorted(arrays) != sorted(names):
        raise ConfigurationError(
            f"{path}: holds arrays {', '.join(sorted(arrays)) or 'none'}, expected {', '.join(names)}"
        )
    for name, block in zip(names, blocks, strict=True):
        weights = arrays[name]
        if weights.dtype != np.int16 or weights.shape != (block.rows, block.columns):
            raise ConfigurationError(
                f"{path}: {name} is {weights.dtype} {weights.shape}, expected int16 {(block.rows, block.columns)}"
            )
        if weights.min() < meta.array.weight.min or weights.max() > meta.array.weight.max:
            raise ConfigurationError(f"{path}: {name} exceeds {meta.array.weight_bits} bits")
    return [arrays[name].astype(np.int64) for name in names]

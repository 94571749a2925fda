# SPDX-License-Identifier: Apache-2.0
"""Model files, `model.tri`: weights with everything that is needed to run, or to go on training, to the same bits.

A file is a zip archive, nothing in it compressed: `model.json`, one JSON object; `weights.npz`, the arrays `weights_0`,
`weights_1` …, int16 of shape (rows, outputs); `sha256`, the hash of what a device is loaded with (`arch/content.py`).
Nothing in it is ever unpickled or written to a disk.
"""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..arch.array import ArrayConfig
from ..arch.content import content_hash
from ..arch.device import DeviceState
from ..arch.errors import ConfigurationError
from ..arch.files import written_whole
from ..arch.network import Block, Network
from ..arch.noise import WORD_MASK
from .coding import Coding

FORMAT: Final = "trifactor-model"
VERSION: Final = 2

DESCRIPTION, WEIGHTS, HASH = "model.json", "weights.npz", "sha256"
DESCRIPTION_MAX = 1 << 22
"""Bytes of a description: that of 16 layers with a threshold for each of 65 535 neurons is shorter."""

HEADER_MAX = 1 << 10
"""Bytes that the header of an array, or an entry of an archive, takes at most."""

VALUES_MAX = 1 << 27
"""Weights of all layers together."""

FOREIGN = "the file is damaged or foreign"


class Training(BaseModel):
    """A training's plan, and how far it has come: `epoch` epochs done and evaluated, `position` samples of the next."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = Field(ge=1)
    samples: int = Field(ge=1, description="training samples per epoch")
    fall: int = Field(ge=0, description="how much rate_shift grows from the first epoch to the last")
    rate: int | None = Field(default=None, description="that of `network_for`; None: the network has its own")
    epoch: int = Field(default=0, ge=0)
    position: int = Field(default=0, ge=0)
    accuracies: tuple[float, ...] = Field(default=(), description="test accuracy after each epoch, 0 … 1")

    @model_validator(mode="after")
    def _is_one_that_can_be(self) -> Self:
        if len(self.accuracies) != self.epoch or self.epoch > self.epochs or self.position > self.samples:
            raise ValueError(
                f"epoch {self.epoch} of {self.epochs}, sample {self.position} of {self.samples}, "
                f"{len(self.accuracies)} accuracies: no training comes there"
            )
        return self


@dataclass(frozen=True, kw_only=True)
class Model:
    """A network with its weights, the array it is for, and what it was trained on.

    `source` says where an imported network came from, and what was decided on the way, a line each.
    """

    array: ArrayConfig
    network: Network
    state: DeviceState
    rule: str
    dataset: str
    coding: Coding
    training: Training | None = None
    source: tuple[str, ...] = ()

    @property
    def hash(self) -> str:
        """That of what a device is loaded with, as the device itself keeps it."""
        return content_hash(self.array, self.network, self.state)


class _Meta(BaseModel):
    """The JSON object in the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["trifactor-model"]
    version: Literal[2]
    array: ArrayConfig
    network: Network
    seed: int = Field(ge=0, le=WORD_MASK)
    sample: int = Field(ge=0, le=WORD_MASK)
    rule: str
    dataset: str
    coding: Coding
    training: Training | None
    source: tuple[str, ...]


def save_model(path: str | Path, model: Model) -> None:
    """Write `model` to `path`, at once or not at all: a crash leaves the file that was there before.

    The same model gives the same bytes. Raises `ConfigurationError` if the folder is missing or cannot be written.
    """
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
        source=model.source,
    )
    arrays: dict[str, Any] = {
        f"weights_{n}": np.ascontiguousarray(w, dtype="<i2") for n, w in enumerate(model.state.weights)
    }
    packed = io.BytesIO()
    np.savez(packed, **arrays)
    with written_whole(Path(path)) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        members = {DESCRIPTION: meta.model_dump_json().encode(), WEIGHTS: packed.getvalue(), HASH: model.hash.encode()}
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)


def load_model(path: str | Path) -> Model:
    """The model in the file at `path`.

    Raises `ConfigurationError`, one line, if the file is missing, damaged, of another kind or a later version, or not
    what its hash says.
    """
    path = Path(path)
    if not path.is_file():
        raise ConfigurationError(f"{path}: no such file", "give the path of a model that trifactor wrote")
    try:
        with path.open("rb") as file:
            return _read(path, file)
    except ConfigurationError:
        raise
    except Exception as error:  # a damaged archive fails in every way that zipfile, zlib and struct know
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ConfigurationError(f"{path}: not a readable model: {reason}", FOREIGN) from error


def _read(path: Path, file: BinaryIO) -> Model:
    with zipfile.ZipFile(file) as archive:
        members = _members(path, archive, (DESCRIPTION, WEIGHTS, HASH))
        meta = _described(path, _content(path, archive, members[DESCRIPTION], DESCRIPTION_MAX))
        blocks = meta.network.blocks
        values = sum(block.rows * block.columns for block in blocks)
        if values > VALUES_MAX:
            raise ConfigurationError(f"{path}: {values} weights", f"at most {VALUES_MAX} are possible")
        most = 2 * values + 4 * HEADER_MAX * (len(blocks) + 1)
        packed = _content(path, archive, members[WEIGHTS], most)
        said = _content(path, archive, members[HASH], HEADER_MAX)
    state = DeviceState(weights=_weights(path, meta, packed), seed=meta.seed, sample=meta.sample)
    model = Model(
        array=meta.array,
        network=meta.network,
        state=state,
        rule=meta.rule,
        dataset=meta.dataset,
        coding=meta.coding,
        training=meta.training,
        source=meta.source,
    )
    if said != model.hash.encode():
        raise ConfigurationError(f"{path}: its content has hash {model.hash[:16]}…, not the one it says", FOREIGN)
    return model


def _members(path: Path, archive: zipfile.ZipFile, wanted: tuple[str, ...]) -> dict[str, zipfile.ZipInfo]:
    """The members of an archive that has these and no others, each once."""
    found = [info.filename for info in archive.infolist()]
    if sorted(found) != sorted(wanted):
        shown = ", ".join(repr(name[:40]) for name in found[: len(wanted) + 1]) or "nothing"
        raise ConfigurationError(
            f"{path}: not a trifactor model: it holds {shown}, not {', '.join(wanted)}", "is this another archive?"
        )
    return {info.filename: info for info in archive.infolist()}


def _content(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo, most: int) -> bytes:
    """The bytes of a member that is stored as it is, and not longer than it may be."""
    if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1:
        raise ConfigurationError(f"{path}: {member.filename} is compressed", "trifactor compresses nothing")
    if max(member.file_size, member.compress_size) > most:
        raise ConfigurationError(f"{path}: {member.filename} has {member.file_size} bytes, at most {most} fit", FOREIGN)
    return archive.read(member)


def _described(path: Path, text: bytes) -> _Meta:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{path}: its description is damaged", FOREIGN) from error
    version = values.get("version") if isinstance(values, dict) else None
    if isinstance(version, int) and version > VERSION:
        raise ConfigurationError(
            f"{path}: a later version of trifactor wrote it (format {version}, this one reads {VERSION})",
            "pip install --upgrade trifactor",
        )
    try:
        return _Meta.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigurationError(f"{path}: {where}: {first['msg']}", "another version wrote this file") from error


def _weights(path: Path, meta: _Meta, packed: bytes) -> list[Any]:
    """The matrices of all blocks, int64."""
    blocks = meta.network.blocks
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        members = _members(path, archive, tuple(f"weights_{n}.npy" for n in range(len(blocks))))
        found = []
        for n, block in enumerate(blocks):
            most = 2 * block.rows * block.columns + HEADER_MAX
            content = _content(path, archive, members[f"weights_{n}.npy"], most)
            found.append(_matrix(f"{path}: weights_{n}", content, block))
    for n, weights in enumerate(found):
        if weights.size and (weights.min() < meta.array.weight.min or weights.max() > meta.array.weight.max):
            raise ConfigurationError(f"{path}: weights_{n} exceeds {meta.array.weight_bits} bits")
    return found


def _matrix(what: str, content: bytes, block: Block) -> Any:
    """The array in an npy file whose header says that it is the block's: nothing else of it is looked at."""
    stream = io.BytesIO(content)
    if np.lib.format.read_magic(stream) != (1, 0):
        raise ConfigurationError(f"{what} has another npy version", FOREIGN)
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream, max_header_size=HEADER_MAX)
    values = stream.read()
    wanted = (block.rows, block.columns)
    if dtype != np.dtype("<i2") or shape != wanted or fortran or len(values) != 2 * block.rows * block.columns:
        raise ConfigurationError(f"{what} is {dtype} {shape}, expected int16 {wanted}", FOREIGN)
    return np.frombuffer(values, "<i2").reshape(shape).astype(np.int64)

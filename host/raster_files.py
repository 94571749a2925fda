# SPDX-License-Identifier: Apache-2.0
"""Files of samples: npy, npz, torch's pt, HDF5 as NIRData or as tonic caches it. Nothing in them is ever executed."""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..arch.errors import ConfigurationError, ToolError, TrifactorError
from .loaded import Loaded, Recording, check_room, one_line, unpacked

NIR_HINT = "pip install trifactor[nir]"
CACHED = re.compile(r"(\d+)(?:_(\d+))?\.hdf5")
"""tonic's name of a cached sample: its index, and which of its copies."""


def load_file(path: Path) -> Loaded:
    """The samples of a file, by its suffix, or of a folder; see `read_samples` for what is raised."""
    if path.is_dir():
        return _folder(path)
    if not path.is_file():
        raise ConfigurationError(f"{path}: no such file", f"{', '.join(SUFFIXES)}, or a folder that tonic cached in")
    if path.suffix not in SUFFIXES:
        raise ConfigurationError(f"{path}: unknown kind of file", f"known: {', '.join(SUFFIXES)}")
    try:
        return SUFFIXES[path.suffix](path)
    except TrifactorError:
        raise
    except ImportError as error:
        raise ToolError(f"{path}: Python package {error.name!r} is missing", NIR_HINT) from error
    except Exception as error:  # whatever numpy, zipfile, torch, h5py and nir raise for a file that is damaged
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> ConfigurationError:
    return ConfigurationError(f"{path}: cannot be read as {path.suffix}: {one_line(error)}", "is it damaged?")


def _npy(path: Path) -> Loaded:
    # Mapped, not read: a limit costs no more than what it leaves, and a false header no memory.
    if path.stat().st_size == 0:
        raise ValueError("the file is empty")
    return unpacked(np.load(path, mmap_mode="r", allow_pickle=False), f"{path}: ")


def _npz(path: Path) -> Loaded:
    _check_zip(path)
    with np.load(path, allow_pickle=False) as archive:
        return unpacked(archive, f"{path}: ")


def _pt(path: Path) -> Loaded:
    try:
        import torch
    except ImportError as error:
        raise ToolError(f"{path}: torch is not installed", "pip install trifactor[golden]") from error
    if zipfile.is_zipfile(path):
        _check_zip(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a damaged file it says more than its error does
            held = torch.load(path, weights_only=True, map_location="cpu")
    except pickle.UnpicklingError as error:
        raise ConfigurationError(f"{path}: holds other things than tensors, or is damaged", "save a tensor") from error
    return unpacked(held, f"{path}: ")


def _check_zip(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        check_room(sum(member.file_size for member in archive.infolist()), f"{path}: its content")


def _hdf5(path: Path) -> Loaded:
    import h5py

    with h5py.File(path, "r") as file:
        kind = file.attrs.get("__type__")
        if kind != "NIRGraphData":
            if "data" in file:
                return Loaded(recordings=[_cached(file, path)])
            held = ", ".join(file) or "nothing"
            raise ConfigurationError(f"{path}: HDF5 of another layout: it holds {held}", "wanted NIRData")
        sizes: list[int] = []
        file.visititems(lambda name, item: sizes.append(item.nbytes) if isinstance(item, h5py.Dataset) else None)
        check_room(float(sum(sizes)), f"{path}: its content")
    import nir

    if not hasattr(nir, "read_data"):
        raise ToolError(f"{path}: nir {nir.version} knows no NIRData", NIR_HINT)
    return unpacked(nir.read_data(path), f"{path}: ")


def _folder(path: Path) -> Loaded:
    """What tonic's DiskCachedDataset left in a folder: the first copy of every sample, in their order."""
    try:
        import h5py
    except ImportError as error:
        raise ToolError(f"{path}: h5py is not installed", NIR_HINT) from error
    first: dict[int, tuple[int, Path]] = {}
    for one in path.iterdir():
        if (named := CACHED.fullmatch(one.name)) is not None:
            index, copy = int(named[1]), int(named[2] or 0)
            first[index] = min(first.get(index, (copy, one)), (copy, one))
    if not first:
        raise ConfigurationError(f"{path}: a folder without cached samples", "tonic calls them 0_0.hdf5, 1_0.hdf5, …")
    missing = max(first) + 1 - len(first)
    notes = [f"{missing} of {max(first) + 1} samples are not in the cache"] if missing else []

    def recordings() -> Iterator[Recording]:
        for _, (_, one) in sorted(first.items()):
            try:
                with h5py.File(one, "r") as file:
                    yield _cached(file, one)
            except TrifactorError:
                raise
            except Exception as error:  # h5py raises anything for a file that is damaged
                raise _damaged(one, error) from error

    return Loaded(recordings=recordings(), notes=notes)


def _cached(file: Any, path: Path) -> Recording:
    """A sample as tonic caches it: `data/0`, and `target/0` if that is a class."""
    data = file.get("data/0")
    if not hasattr(data, "dtype"):
        raise ConfigurationError(f"{path}: HDF5 of another layout: it has no array data/0", "did tonic write it?")
    check_room(float(data.nbytes), f"{path}: data/0")
    target = file.get("target/0")
    is_class = hasattr(target, "dtype") and target.size == 1 and target.dtype.kind in "iu"
    return Recording(data[()], int(np.ravel(target[()])[0]) if is_class else None)


SUFFIXES: dict[str, Callable[[Path], Loaded]] = {
    ".npy": _npy,
    ".npz": _npz,
    ".pt": _pt,
    ".nir": _hdf5,
    ".h5": _hdf5,
    ".hdf5": _hdf5,
}
"""What reads a file, by its suffix."""

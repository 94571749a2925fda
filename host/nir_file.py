# SPDX-License-Identifier: Apache-2.0
"""Files of the Neuromorphic Intermediate Representation, which anybody may have written: looked at before it is read.

The reader of the package `nir` follows every link and reads whatever size a file declares; this one does neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from ..arch.errors import ConfigurationError, DoesNotFitError, ToolError, TrifactorError, brief
from .guarded import guarded
from .nir_nodes import NODES, VALUES_MAX

DEPTH_MAX = 16
"""Graphs in graphs."""

OBJECTS_MAX = 1 << 14
TOTAL_MAX = 1 << 26
"""Values of all parameters together."""

NAME_MAX = 1 << 12
"""Bytes of a string of a fixed length."""

AGAIN = "write it anew with nir.write"
NAME_SHOWN = 40
TOLD = ("trifactor_dt", "trifactor_reset")
"""Metadata that say what NIR has no place for."""

DERIVED = {"Conv2d": "input_shape", "Flatten": "input_type"}
"""Keys that only repeat what arrives, and may be missing."""


def read_file(path: str | Path) -> Any:
    """The `nir.NIRGraph` in a file, its shapes unchecked.

    Raises `ConfigurationError` for what is no file, no HDF5 or no NIR graph, links and parts in other files included;
    `DoesNotFitError` for types of nodes that are unknown and for more values than are possible, before anything of that
    size is read; `ToolError` without the package `nir`.
    """
    try:
        import h5py  # noqa: F401 - whether they are there
        import nir  # noqa: F401
    except ImportError as error:
        raise ToolError("nir is not installed", "pip install trifactor[nir]") from error
    if not Path(path).is_file():
        raise ConfigurationError(f"{path}: no such file", "name a NIR file, *.nir")
    # HDF5 itself crashes, or never ends, where a file is damaged in the right place.
    return guarded(lambda: _read(str(path)), f"{path}: not a NIR graph")


def _read(path: str) -> Any:
    import h5py

    try:
        with h5py.File(path, "r") as file, np.errstate(all="ignore"):
            return _Reader(path).root(file)
    except TrifactorError:
        raise
    except Exception as error:  # whatever h5py raises for a file that is damaged
        raise ConfigurationError(f"{path}: not a NIR graph: {_reason(error)}", AGAIN) from error


def _reason(error: Exception) -> str:
    """One line of it."""
    return brief(" ".join(str(error).split()), 200) or type(error).__name__


def _shown(text: str) -> str:
    """A word of a file, which may be anything, fit for a line."""
    return text if text.isprintable() and 0 < len(text) <= NAME_SHOWN else repr(text[:NAME_SHOWN])


@dataclass
class _Reader:
    """One file, and how much of it was read."""

    path: str
    objects: int = 0
    values: int = 0

    def root(self, file: Any) -> Any:
        """The graph at the root of a file."""
        if "node" not in file:
            if "nodes" in file:
                version = self._text("", file, "version") if "version" in file else "before 0.1"
                reason = f"nir {_shown(version)} wrote it, with its nodes at the root of the file"
                raise ConfigurationError(f"{self.path}: not a NIR graph: {reason}", "write it anew with nir 1.0")
            raise ConfigurationError(f"{self.path}: not a NIR graph: it has no 'node'", AGAIN)
        node = self._object("", file, "node")
        kind = self._text("", node, "type")
        if kind != "NIRGraph":
            raise ConfigurationError(
                f"{self.path}: a single {_shown(kind)}, not a NIR graph", "put it between Input and Output"
            )
        return self._graph("", node, 0)

    def _graph(self, name: str, group: Any, depth: int) -> Any:
        """A graph and all graphs in it."""
        import nir

        if depth > DEPTH_MAX:
            raise DoesNotFitError(f"{self.path}: more than {DEPTH_MAX} graphs in each other", "open them")
        nodes = self._object(name, group, "nodes")
        prefix = f"{name}." if name else ""
        made = {}
        for key in nodes:
            one = self._object(f"{prefix}{key}", nodes, key)
            kind = self._text(f"{prefix}{key}", one, "type")
            read = self._graph(f"{prefix}{key}", one, depth + 1) if kind == "NIRGraph" else None
            made[key] = self._node(f"{prefix}{key}", one, kind) if read is None else read
        edges = self._dataset(name, group, "edges")
        pairs = [] if edges.size == 0 else edges.asstr()[()].tolist()
        return nir.NIRGraph(nodes=made, edges=[tuple(pair) for pair in pairs], type_check=False)

    def _node(self, name: str, group: Any, kind: str) -> Any:
        """A node that is no graph."""
        import nir

        if kind not in NODES:
            raise DoesNotFitError(f"node {name!r}: unknown type {_shown(kind)}", f"known: {', '.join(NODES)}")
        found: dict[str, Any] = {"type": kind}
        for key in group:
            if key not in ("type", "metadata", DERIVED.get(kind)):
                found[key] = self._parameter(name, group, key)
        if "metadata" in group:
            found["metadata"] = self._told(name, group)
        if kind == "Conv2d":
            found["input_shape"] = None
        if kind in ("CubaLI", "CubaLIF"):  # nir multiplies them with each other
            sizes = [np.size(value) for value in found.values() if isinstance(value, np.ndarray)]
            if len({size for size in sizes if size != 1}) > 1:
                raise ConfigurationError(
                    f"node {name!r}: its parameters have {sizes} values", "one a neuron, all of it"
                )
        try:
            return nir.dict2NIRNode(found)
        except Exception as error:  # nir asserts, and takes what it needs without looking
            raise ConfigurationError(f"node {name!r}: no {kind}: {_reason(error)}", AGAIN) from error

    def _told(self, name: str, group: Any) -> dict[str, Any]:
        """What `to_nir` wrote into a node's metadata; what others did is none of our business."""
        metadata = self._object(name, group, "metadata")
        return {key: self._parameter(name, metadata, key) for key in TOLD if key in metadata}

    def _object(self, name: str, group: Any, key: str) -> Any:
        """What is at `key` of a group, not what a link there leads to."""
        import h5py

        self.objects += 1
        if self.objects > OBJECTS_MAX:
            raise DoesNotFitError(f"{self.path}: more than {OBJECTS_MAX} objects", "no array holds such a network")
        where = f"node {name!r}: {key!r}" if name else f"{self.path}: not a NIR graph: {key!r}"
        if not isinstance(group, h5py.Group) or key not in group:
            raise ConfigurationError(f"{where} is missing", AGAIN)
        if not isinstance(group.get(key, getlink=True), h5py.HardLink):
            raise ConfigurationError(f"{where} is a link to elsewhere", "write what it leads to into the file")
        return group[key]

    def _dataset(self, name: str, group: Any, key: str) -> Any:
        """A dataset that may be read."""
        import h5py

        data = self._object(name, group, key)
        where = f"node {name!r}: {key}" if name else f"{self.path}: {key}"
        if not isinstance(data, h5py.Dataset) or data.shape is None:
            raise ConfigurationError(f"{where} is no array of numbers", AGAIN)
        if data.is_virtual or data.external:
            raise ConfigurationError(f"{where} is stored in another file", "write it into this one")
        string = h5py.check_string_dtype(data.dtype)
        number = data.dtype.kind in "biuf"
        if (string is None and not number) or (string is not None and (string.length or 0) > NAME_MAX):
            raise ConfigurationError(f"{where} is no array of numbers", AGAIN)
        self.values += data.size
        chunk = prod(data.chunks or (0,))
        if max(data.size, chunk) > VALUES_MAX:
            raise DoesNotFitError(f"{where} has {max(data.size, chunk)} values", f"1 to {VALUES_MAX} are possible")
        if self.values > TOTAL_MAX:
            raise DoesNotFitError(f"{where}: more than {TOTAL_MAX} values up to here", "no array holds such a network")
        return data

    def _text(self, name: str, group: Any, key: str) -> str:
        """A string."""
        import h5py

        data = self._dataset(name, group, key)
        if h5py.check_string_dtype(data.dtype) is None or data.shape != ():
            where = f"node {name!r}" if name else self.path
            raise ConfigurationError(f"{where}: {key} is no text", AGAIN)
        return str(data.asstr(errors="replace")[()])

    def _parameter(self, name: str, group: Any, key: str) -> Any:
        """Numbers, or a word."""
        import h5py

        data = self._dataset(name, group, key)
        if h5py.check_string_dtype(data.dtype) is None:
            return data[()]
        return self._text(name, group, key)

# SPDX-License-Identifier: Apache-2.0
"""What a device put out, in a file: an npz archive, or NIRData that other frameworks read."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..arch.device import IntArray, Outputs, Record
from ..arch.errors import ConfigurationError, ToolError
from ..arch.files import written_whole

NIR_SUFFIXES = (".nir", ".h5", ".hdf5")
LAYERED = ("spikes", "membranes", "traces", "post_traces")
"""What a record has one array of per layer."""


def check_results(path: Path) -> None:
    """Refuse, before any work, a name that says no format, or one whose package is missing (`ToolError`)."""
    if path.suffix in NIR_SUFFIXES:
        _nir()
    elif path.suffix != ".npz":
        raise ConfigurationError(f"{path}: unknown kind of file", f"known: .npz, {', '.join(NIR_SUFFIXES)} (NIRData)")


def write_results(
    path: str | Path,
    outputs: Outputs,
    record: Record | None = None,
    *,
    dt: float | None = None,
    labels: IntArray | None = None,
) -> list[str]:
    """Write what a device's call returned to `path`, at once or not at all; the names of what is in it.

    npz: `readout` (B, classes), `predicted` (B,), `labels` (B,) if given, and of the record `spikes_0`, `membranes_0`,
    … (B, T, neurons) and `signatures` (B, T, 3).

    NIRData (.nir, .h5, .hdf5): time-gridded, (B, T, neurons) with steps of `dt` seconds, 1.0 if that is None. Nodes are
    `layer0`, `layer1`, … with what was recorded of each, spikes as bool; `output` with `readout`, `predicted` and
    `labels`, of one step each; `array` with `signatures`.

    Raises `ConfigurationError` for another suffix or a path that cannot be written, `ToolError` without `nir`.
    """
    path = Path(path)
    check_results(path)
    layers = _layers(record or Record())
    whole: dict[str, Any] = {"readout": outputs.readout, "predicted": outputs.predicted}
    if labels is not None:
        whole["labels"] = labels
    signatures = None if record is None else record.signatures
    names = [*whole, *(f"{name}_{layer}" for layer, held in enumerate(layers) for name in held)]
    names += [] if signatures is None else ["signatures"]
    content = io.BytesIO()
    if path.suffix == ".npz":
        for layer, held in enumerate(layers):
            whole |= {f"{name}_{layer}": values for name, values in held.items()}
        if signatures is not None:
            whole["signatures"] = signatures
        np.savez_compressed(content, **whole)
    else:
        nodes = {f"layer{layer}": held for layer, held in enumerate(layers) if held}
        nodes["output"] = {name: np.reshape(values, (len(values), 1, -1)) for name, values in whole.items()}
        if signatures is not None:
            nodes["array"] = {"signatures": signatures}
        _write_nir(content, nodes, 1.0 if dt is None else dt)
    with written_whole(path) as file:
        file.write(content.getbuffer())
    return names


def joined(calls: Sequence[tuple[Outputs, Record]]) -> tuple[Outputs, Record]:
    """What several calls returned, as if it had been one; counters are added."""
    records = [record for _, record in calls]
    record = Record()
    for name in LAYERED:
        parts = zip(*(getattr(one, name) for one in records), strict=True)
        setattr(record, name, [np.concatenate(part) for part in parts])
    signatures = [one.signatures for one in records if one.signatures is not None]
    record.signatures = np.concatenate(signatures) if signatures else None
    for one in records:
        for counter, count in one.counters.items():
            record.counters[counter] = record.counters.get(counter, 0) + count
    readout, predicted = (np.concatenate([getattr(one, name) for one, _ in calls]) for name in ("readout", "predicted"))
    return Outputs(readout=readout, predicted=predicted), record


def _layers(record: Record) -> list[dict[str, Any]]:
    """What was recorded of each layer, by name."""
    held: list[dict[str, Any]] = [{} for _ in range(max(len(getattr(record, name)) for name in LAYERED))]
    for name in LAYERED:
        for layer, values in enumerate(getattr(record, name)):
            held[layer][name] = values.astype(bool) if name == "spikes" else values
    return held


def _write_nir(file: io.BytesIO, nodes: dict[str, dict[str, Any]], dt: float) -> None:
    nir = _nir()
    gridded = {
        node: nir.NIRNodeData({name: nir.TimeGriddedData(np.asarray(values), dt) for name, values in held.items()})
        for node, held in nodes.items()
    }
    nir.write_data(file, nir.NIRGraphData(gridded))


def _nir() -> Any:
    try:
        import nir
    except ImportError as error:
        raise ToolError("nir is not installed", "pip install trifactor[nir], or write an .npz file") from error
    if not hasattr(nir, "write_data"):
        raise ToolError(f"nir {nir.version} knows no NIRData", "pip install -U nir, or write an .npz file")
    return nir

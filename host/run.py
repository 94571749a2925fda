# SPDX-License-Identifier: Apache-2.0
"""`trifactor run`: inference on the test samples of a data set, on any device."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from ..arch.device import RECORDABLE, Record
from ..arch.errors import ConfigurationError
from .config import DATASETS, check_choice
from .devices import check_device, closed_after, make_device
from .learn import check_output
from .options import Baud, DataDir, Device, Json, Verbose
from .output import Output, percent, thousands
from .plan import check_samples
from .utilisation import limits_text, utilisation

CHUNK = {"golden": 500, "verilator": 16, "icarus": 4}
BOARD_CHUNK = 256
"""Samples per call of the device."""


def run(
    model: Annotated[Path, typer.Option(help="Model file written by learn.")],
    dataset: Annotated[str | None, typer.Option(help="Data set.", show_default="the model's")] = None,
    data_dir: DataDir = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Test samples to run.", show_default="all")] = None,
    device: Device = "golden",
    baud: Baud = None,
    record: Annotated[
        list[str] | None, typer.Option(help="spikes, membranes, traces, signatures: repeat, or join by commas.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write readout, classes, labels and the record to this npz file.")
    ] = None,
    json_output: Json = False,
    verbose: Verbose = 0,
) -> None:
    """Run the test samples through a trained network: accuracy, counters, and what --record names."""
    output = Output(as_json=json_output, verbosity=verbose)
    check_device(device, baud)
    wanted = [check_choice(name, RECORDABLE, "record") for item in record or () for name in item.split(",")]
    if wanted and out is None:
        raise ConfigurationError("--record needs a file to write to", "add --out results.npz")
    if out is not None:
        check_output(out)
    from ..golden.checkpoint import load_model
    from ..golden.data import load
    from ..golden.train import TEST_SEED

    stored = load_model(model)
    samples = load(check_choice(dataset or stored.dataset, DATASETS, "data set"), data_dir, steps=stored.coding.steps)
    check_samples(samples, stored.network.sizes, str(model))
    labels = samples.test_labels[:limit]
    backend = make_device(device, stored.array, stored.network, stored.state, baud)
    counters: Counter[str] = Counter()
    kept: dict[str, list[Any]] = {}
    chunk = CHUNK.get(device, BOARD_CHUNK)
    begun = time.perf_counter()
    with closed_after(backend), output.progress("run", len(labels)) as update:
        for start in range(0, len(labels), chunk):
            numbers = np.arange(start, min(start + chunk, len(labels)))
            events = stored.coding.encode(samples.test_inputs[numbers], TEST_SEED, numbers)
            outputs, _, made = backend(events, record=wanted)
            counters.update(made.counters)
            keep = {"readout": outputs.readout, "predicted": outputs.predicted, **_arrays(made)}
            for name, values in keep.items():
                kept.setdefault(name, []).append(values)
            update(int(numbers[-1]) + 1)
    seconds = time.perf_counter() - begun
    arrays: dict[str, Any] = {name: np.concatenate(parts) for name, parts in kept.items()}
    accuracy = float((arrays["predicted"] == labels).mean())
    if out is not None:
        np.savez_compressed(out, labels=labels, **arrays)
    result: dict[str, Any] = {
        "test_accuracy": accuracy,
        "samples": len(labels),
        "samples_per_second": len(labels) / seconds,
        "counters": dict(counters),
        "device": device,
        "dataset": samples.name,
        "out": None if out is None else str(out),
    }
    rows = [
        ("accuracy on unseen samples", percent(accuracy, 2)),
        ("samples", thousands(len(labels))),
        ("samples per second", thousands(len(labels) / seconds, 1)),
    ]
    if "spikes" in counters:
        rows.append(("spikes per sample", thousands(counters["spikes"] / len(labels), 1)))
    if counters.get("cycles"):
        result["utilisation"] = utilisation(counters)
        rows.append(("cycles busy", percent(result["utilisation"])))
    if hasattr(backend, "limits"):
        limits = result["limits"] = backend.limits(len(labels), counters.get("cycles", 0))
        rows.insert(3, ("samples per second at most, by line and array", limits_text(limits)))
    output.table(f"{model.name} on {samples.name}, {device}", ("", "value"), rows)
    if out is not None:
        output.line(f"written to {out}: {', '.join(['labels', *arrays])}")
    output.result(result)


def _arrays(record: Record) -> dict[str, Any]:
    """What was recorded, one array per name and layer."""
    per_layer = {"spikes": record.spikes, "membranes": record.membranes, "traces": record.traces}
    arrays = {f"{name}_{layer}": values for name, layers in per_layer.items() for layer, values in enumerate(layers)}
    return arrays if record.signatures is None else {**arrays, "signatures": record.signatures}

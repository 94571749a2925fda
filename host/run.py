# SPDX-License-Identifier: Apache-2.0
"""`trifactor run`: inference on the test samples of a data set or on samples of one's own, on any device."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from ..arch.device import RECORDABLE, IntArray, Outputs, Record
from ..arch.errors import ConfigurationError
from .config import DATASETS, check_choice
from .devices import check_device, closed_after, make_device
from .events import parse_sensor
from .learn import check_output
from .options import SAMPLES, Baud, Clip, DataDir, Device, Json, SensorSize, Verbose
from .output import Output, percent, thousands
from .plan import check_samples
from .rasters import read_samples
from .results import check_results, joined, write_results
from .utilisation import limits_text, utilisation

if TYPE_CHECKING:
    from ..golden.checkpoint import Model

CHUNK = {"golden": 500, "verilator": 16, "icarus": 4}
BOARD_CHUNK = 256
"""Samples per call of the device."""

LISTED = 20
"""Predictions that are shown one by one."""


@dataclass(frozen=True, kw_only=True)
class _Work:
    """What is run: `events(numbers)` are those samples as a device takes them, (b, T, inputs)."""

    name: str
    count: int
    events: Callable[[IntArray], IntArray]
    labels: IntArray | None
    dt: float | None = None
    notes: tuple[str, ...] = ()


def run(
    model: Annotated[Path, typer.Option(help="Model file written by learn or quantize.")],
    dataset: Annotated[str | None, typer.Option(help="Data set.", show_default="the model's")] = None,
    data_dir: DataDir = None,
    input_path: Annotated[Path | None, typer.Option("--input", help=f"Samples to run instead: {SAMPLES}.")] = None,
    dt: Annotated[float | None, typer.Option(help="Seconds a step; events of --input need it.")] = None,
    sensor_size: SensorSize = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Cut or pad the samples of --input to this many.")] = None,
    clip: Clip = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Samples to run.", show_default="all")] = None,
    device: Device = "golden",
    baud: Baud = None,
    record: Annotated[
        list[str] | None, typer.Option(help=f"{', '.join(RECORDABLE)}: repeat, or join by commas.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Write readout, classes, labels and the record to this .npz, or as NIRData to this .nir or .h5."
        ),
    ] = None,
    json_output: Json = False,
    verbose: Verbose = 0,
) -> None:
    """Run samples through a network: predictions, accuracy if labels are there, counters, and what --record names."""
    output = Output(as_json=json_output, verbosity=verbose)
    check_device(device, baud)
    wanted = [check_choice(name, RECORDABLE, "record") for item in record or () for name in item.split(",")]
    if wanted and out is None:
        raise ConfigurationError("--record needs a file to write to", "add --out results.npz")
    if out is not None:
        check_results(out)
        check_output(out)
    if input_path is None and (dt, sensor_size, steps, clip) != (None, None, None, False):
        raise ConfigurationError(
            "--dt, --sensor-size, --steps and --clip belong to --input", "name the samples: --input FILE"
        )
    if input_path is not None and dataset is not None:
        raise ConfigurationError("--input and --dataset both say what to run", "leave one of them out")
    from ..golden.checkpoint import load_model

    stored = load_model(model)
    if input_path is None:
        work = _of_dataset(stored, str(model), dataset, data_dir, limit)
    else:
        work = _of_file(stored, input_path, dt, sensor_size, steps, clip, limit)
    for note in work.notes:
        output.note(note)
    backend = make_device(device, stored.array, stored.network, stored.state, baud)
    calls: list[tuple[Outputs, Record]] = []
    chunk = CHUNK.get(device, BOARD_CHUNK)
    begun = time.perf_counter()
    with closed_after(backend), output.progress("run", work.count) as update:
        for start in range(0, work.count, chunk):
            numbers = np.arange(start, min(start + chunk, work.count))
            outputs, _, made = backend(work.events(numbers), record=wanted)
            calls.append((outputs, made))
            update(int(numbers[-1]) + 1)
    seconds = time.perf_counter() - begun
    outputs, made = joined(calls)
    written = [] if out is None else write_results(out, outputs, made, dt=work.dt, labels=work.labels)
    accuracy = None if work.labels is None else float((outputs.predicted == work.labels).mean())
    result: dict[str, Any] = {
        "test_accuracy": accuracy,
        "samples": work.count,
        "samples_per_second": work.count / seconds,
        "counters": made.counters,
        "device": device,
        "dataset": work.name,
        "out": None if out is None else str(out),
    }
    rows = (
        [] if accuracy is None else [("accuracy" if input_path else "accuracy on unseen samples", percent(accuracy, 2))]
    )
    if input_path is not None:
        result |= {"input": str(input_path), "notes": work.notes, "predicted": outputs.predicted.tolist()}
        rows.append(("predicted", _predicted(outputs.predicted)))
    rows.append(("samples", thousands(work.count)))
    rows.append(("samples per second", thousands(work.count / seconds, 1)))
    if hasattr(backend, "limits"):
        limits = result["limits"] = backend.limits(work.count, made.counters.get("cycles", 0))
        rows.append(("samples per second at most, by line and array", limits_text(limits)))
    if "spikes" in made.counters:
        rows.append(("spikes per sample", thousands(made.counters["spikes"] / work.count, 1)))
    if made.counters.get("cycles"):
        result["utilisation"] = utilisation(Counter(made.counters))
        rows.append(("cycles busy", percent(result["utilisation"])))
    output.table(f"{model.name} on {work.name}, {device}", ("", "value"), rows)
    if out is not None:
        output.line(f"written to {out}: {', '.join(written)}")
    output.result(result)


def _of_dataset(stored: Model, where: str, dataset: str | None, data_dir: Path | None, limit: int | None) -> _Work:
    """The test samples of a data set, in the model's coding."""
    from ..golden.data import load
    from ..golden.train import TEST_SEED

    name = dataset or stored.dataset
    if name not in DATASETS and dataset is None:
        raise ConfigurationError(f"{where}: names no data set", "say what to run: --input FILE, or --dataset NAME")
    samples = load(check_choice(name, DATASETS, "data set"), data_dir, steps=stored.coding.steps)
    check_samples(samples, stored.network.sizes, where)

    def events(numbers: IntArray) -> IntArray:
        return stored.coding.encode(samples.test_inputs[numbers], TEST_SEED, numbers)

    labels = samples.test_labels[:limit]
    return _Work(name=samples.name, count=len(labels), events=events, labels=labels)


def _of_file(
    stored: Model,
    path: Path,
    dt: float | None,
    sensor_size: str | None,
    steps: int | None,
    clip: bool,
    limit: int | None,
) -> _Work:
    """Samples of one's own, which are events already."""
    samples = read_samples(
        path,
        inputs=stored.network.inputs,
        event_bits=stored.array.event_bits,
        dt=dt,
        sensor_size=parse_sensor(sensor_size),
        steps=steps,
        clip=clip,
        limit=limit,
    )
    classes = stored.network.outputs
    if samples.labels is not None and samples.labels.max() >= classes:
        raise ConfigurationError(
            f"{path}: a label is {samples.labels.max()}, the network has {classes} outputs",
            f"classes are 0 to {classes - 1}",
        )
    return _Work(
        name=path.name,
        count=len(samples.rasters),
        events=lambda numbers: samples.rasters[numbers].astype(np.int64),
        labels=samples.labels,
        dt=samples.dt,
        notes=samples.notes,
    )


def _predicted(classes: IntArray) -> str:
    """The classes in order, or, of many samples, how many of each."""
    if len(classes) <= LISTED:
        return ", ".join(map(str, classes.tolist()))
    return ", ".join(f"{kind}: {count}" for kind, count in sorted(Counter(classes.tolist()).items()))

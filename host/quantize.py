# SPDX-License-Identifier: Apache-2.0
"""`trifactor quantize`: a network of another framework as the array's integers, with a report of what that changes."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from ..arch.array import ArrayConfig
from ..arch.errors import ConfigurationError
from ..arch.rules import RULES, rule_named
from .check import Dt, NirFile, ResetKind, array_of, read_graph, samples_of, show_findings
from .config import DATASETS, check_choice, overridden
from .learn import check_output
from .options import SAMPLES, Clip, ConfigFile, DataDir, Json, SensorSize, Verbose
from .output import Output, percent, thousands

if TYPE_CHECKING:
    from ..arch.graph import Graph
    from ..golden.quantise import Quantised


def quantize(
    model: NirFile,
    out: Annotated[Path | None, typer.Option(help="Model file to write, for run, verify, weights and learn.")] = None,
    dt: Dt = None,
    reset: ResetKind = None,
    method: Annotated[
        str | None,
        typer.Option(
            help="A scale per neuron (channel), per layer (global), or pow2.",
            show_default="channel; global with --rule",
        ),
    ] = None,
    rule: Annotated[str | None, typer.Option(help=f"Rule to learn on by: {', '.join(RULES)}.")] = None,
    rate: Annotated[int, typer.Option(min=-8, max=24, help="With --rule: the learning rate is 2**-rate.")] = 2,
    weight_bits: Annotated[
        int | None, typer.Option(min=4, max=16, help="Of a stored weight.", show_default="8; 16 with --rule")
    ] = None,
    state_bits: Annotated[int | None, typer.Option(min=8, max=16, help="Of a membrane.")] = None,
    decay_bits: Annotated[int | None, typer.Option(min=4, max=12, help="Fraction bits of leaks.")] = None,
    board: Annotated[str | None, typer.Option(help="Board whose formats are taken.")] = None,
    config: ConfigFile = None,
    calib: Annotated[
        str | None,
        typer.Option(help=f"Samples to compare by: {SAMPLES}; or a data set's tests.", metavar="FILE|DATASET[:N]"),
    ] = None,
    data_dir: DataDir = None,
    sensor_size: SensorSize = None,
    clip: Clip = False,
    sweep: Annotated[
        str | None, typer.Option(help="Bits of weights to compare, as 4..8; needs --calib.", metavar="A..B")
    ] = None,
    dataset: Annotated[str | None, typer.Option(help="Data set that run, verify and learn take for it.")] = None,
    steps: Annotated[int, typer.Option(min=1, max=1024, help="Steps that its samples are coded in.")] = 16,
    html: Annotated[Path | None, typer.Option(help="Write it as a page with pictures, too.")] = None,
    json_output: Json = False,
    verbose: Verbose = 0,
) -> None:
    """Round weights, thresholds and leaks to the array's formats; say what that changes, in numbers and in spikes."""
    output = Output(as_json=json_output, verbosity=verbose)
    from ..golden.quantise import Method, quantise

    if method is not None:
        check_choice(method, get_args(Method), "method")
    if rule is not None:
        rule_named(rule)
    for path in (out, html):
        if path is not None:
            check_output(path)
    if sweep is not None and calib is None:
        raise ConfigurationError("--sweep compares spikes", "give it samples with --calib")
    if sweep is not None and rule is not None:
        raise ConfigurationError("--sweep compares spikes, --rule is for learning on", "leave one of them out")
    if sweep is not None and out is not None:
        raise ConfigurationError("--sweep makes several networks, --out takes one", "leave one of them out")
    graph = read_graph(model, dt, reset)
    start = array_of(board, config) or ArrayConfig(weight_bits=16 if rule else 8, decay_bits=12)
    bits = {"weight_bits": weight_bits, "membrane_bits": state_bits, "decay_bits": decay_bits}
    if weight_bits is not None:
        bits["synapse_bits"] = min(weight_bits, 8)
    array = overridden(start, bits)
    samples, labels = (None, None)
    if calib is not None:
        samples, labels = _calibration(output, calib, graph, array, data_dir, steps, sensor_size, clip=clip)
    if sweep is not None:
        found = {}
        for width in _widths(sweep):
            narrow = overridden(array, {"weight_bits": width, "synapse_bits": width})
            found[width] = quantise(graph, narrow, method=method, calibrate=samples, labels=labels)  # type: ignore[arg-type]
        _show_sweep(output, found)
        if html is not None:
            from .quantize_page import write_swept

            write_swept(html, found, model.name)
            output.note(f"written: {html}")
        output.result({"sweep": {str(width): one.to_dict() for width, one in found.items()}})
        return
    made = quantise(graph, array, method=method, rule=rule, rate=rate, calibrate=samples, labels=labels)  # type: ignore[arg-type]
    for note in graph.notes:
        output.line(note)
    show_findings(output, [one for one in made.findings if one.fidelity != "faithful"], "approximate")
    _show(output, made, method or ("global" if rule else "channel"))
    _show_agreement(output, made)
    if out is not None:
        scaled = method or ("global" if rule else "channel")
        source = (*graph.notes, f"{graph.origin}, steps of {graph.dt:g} s, a scale per {scaled}")
        _write(out, made, rule, dataset, steps, source)
        data = "" if dataset else " --dataset NAME" if rule else " --input FILE"
        output.line(f"{out}: trifactor {'learn' if rule else 'run'} --model {out}{data}")
    if html is not None:
        from .quantize_page import write_quantised

        write_quantised(html, made, model.name)
        output.note(f"written: {html}")
    output.result({**made.to_dict(), "out": None if out is None else str(out)})


def _calibration(
    output: Output,
    text: str,
    graph: Graph,
    array: ArrayConfig,
    data_dir: Path | None,
    steps: int,
    sensor_size: str | None,
    *,
    clip: bool,
) -> tuple[Any, Any]:
    """Samples (B, T, inputs) and their labels, or None, of a file, or the first N tests of a data set."""
    name, colon, count = text.partition(":")
    if Path(text).exists() or name not in DATASETS:
        found = samples_of(output, Path(text), graph, array, sensor_size, clip)
        return found.rasters, found.labels
    if colon and not (count.isdigit() and int(count)):
        raise ConfigurationError(f"--calib {text!r}", f"a number of samples, as {name}:100")
    import numpy as np

    from ..golden.coding import Coding
    from ..golden.data import load
    from ..golden.defaults import DEFAULTS
    from ..golden.train import TEST_SEED

    data = load(name, data_dir, steps=steps)
    inputs, outputs = (prod(graph.of_kind(kind)[0].shape) for kind in ("input", "output"))
    if data.inputs != inputs or data.classes > outputs:
        raise ConfigurationError(
            f"{name} has {data.inputs} inputs and {data.classes} classes, the network {inputs} and {outputs}",
            "name the data set that it was trained on, or a file",
        )
    labels = data.test_labels[: int(count) if colon else None]
    coding = Coding(kind=DEFAULTS[name].coding, steps=steps)
    return coding.encode(data.test_inputs[: len(labels)], TEST_SEED, np.arange(len(labels))), labels


def _widths(text: str) -> range:
    first, found, last = text.partition("..")
    if not found or not (first.isdigit() and last.isdigit()) or not 4 <= int(first) <= int(last) <= 8:
        raise ConfigurationError(f"--sweep {text!r}", "two widths of 4 to 8, as 4..8")
    return range(int(first), int(last) + 1)


def _write(
    path: Path, made: Quantised, rule: str | None, dataset: str | None, steps: int, source: tuple[str, ...]
) -> None:
    from ..golden.checkpoint import Model, save_model
    from ..golden.coding import Coding
    from ..golden.defaults import DEFAULTS

    name = check_choice(dataset, DATASETS, "data set") if dataset else "none"
    coding = Coding(kind=DEFAULTS[name].coding if dataset else "events", steps=steps)
    stored = Model(
        array=made.array,
        network=made.network,
        state=made.state,
        rule=rule or "imported",
        dataset=name,
        coding=coding,
        source=source,
    )
    save_model(path, stored)


def _show(output: Output, made: Quantised, method: str) -> None:
    rows = []
    for one in made.layers:
        least, greatest = one.scale
        rows.append(
            (
                one.name,
                f"{least:.4g}" if least == greatest else f"{least:.4g} … {greatest:.4g}",
                f"{one.weight_error:.2f}",
                percent(one.clipped),
                f"{one.decay[0]:.4g} -> {one.decay[1]:.4g}",
                "" if one.current_decay is None else f"{one.current_decay[0]:.4g} -> {one.current_decay[1]:.4g}",
                str(one.threshold[0]) if one.threshold[0] == one.threshold[1] else " … ".join(map(str, one.threshold)),
            )
        )
    heads = ("layer", "1.0 is", "weight error", "clipped", "leak", "of current", "threshold")
    bits = made.array
    title = f"{bits.synapse_bits}-bit synapses, {bits.membrane_bits}-bit membranes, a scale per {method}"
    output.table(title.replace("per channel", "per neuron").replace("per global", "per layer"), heads, rows)


def _show_agreement(output: Output, made: Quantised) -> None:
    """What the samples said, if there were any."""
    if made.predictions_equal is None:
        return
    rows = [
        (
            one.name,
            "" if one.spikes is None else f"{thousands(one.spikes[0])} -> {thousands(one.spikes[1])}",
            "" if one.spikes_equal is None else percent(one.spikes_equal, 2),
            "" if one.membrane_error is None else f"{one.membrane_error:.3f}",
            percent(one.saturated or 0.0, 2),
        )
        for one in made.layers
    ]
    samples = thousands(made.counters["samples"])
    heads = ("layer", "spikes", "equal", "membrane error", "saturated")
    output.table(f"against floating point, samples: {samples}", heads, rows)
    output.line(f"predicted as in floating point: {percent(made.predictions_equal)}")
    if made.accuracy is not None:
        output.line(f"right: {percent(made.accuracy[0])} in floating point, {percent(made.accuracy[1])} in integers")


def _show_sweep(output: Output, found: dict[int, Quantised]) -> None:
    first = next(iter(found.values()))
    names = [one.name for one in first.layers if one.spikes_equal is not None]
    rows: list[list[Any]] = []
    for width, made in found.items():
        equal = {one.name: one.spikes_equal for one in made.layers}
        row = [str(width), *(percent(equal[name] or 0.0, 2) for name in names), percent(made.predictions_equal or 0.0)]
        rows.append(row if made.accuracy is None else [*row, percent(made.accuracy[1])])
    heads = ["bits", *names, "predictions"]
    if first.accuracy is not None:
        heads.append("right")
        rows.append(["float", *("" for _ in names), "", percent(first.accuracy[0])])
    output.table("neuron-steps that spike, or not, and samples predicted, as in floating point", heads, rows)

# SPDX-License-Identifier: Apache-2.0
"""`trifactor check`: whether a network of another framework can be placed, node by node, before anything is built."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from ..arch.array import ArrayConfig
from ..arch.errors import ConfigurationError, DoesNotFitError
from ..arch.graph import Graph, Reset
from ..arch.placement import measure, needs_unit, place
from .config import load_config
from .options import SAMPLES, Clip, ConfigFile, Json, SensorSize, Verbose
from .output import Output, thousands

if TYPE_CHECKING:
    from ..golden.chain import Finding
    from ..golden.quantise import Quantised
    from .rasters import Samples

NirFile = Annotated[Path, typer.Argument(help="NIR file.", metavar="MODEL", show_default=False)]
Dt = Annotated[float | None, typer.Option(help="Seconds a step.", show_default="if the file tells")]
ResetKind = Annotated[
    str | None, typer.Option(help="What a spike does: zero, subtract, …", show_default="if the file tells")
]


def check(
    model: NirFile,
    dt: Dt = None,
    reset: ResetKind = None,
    board: Annotated[str | None, typer.Option(help="Board whose array it must fit.")] = None,
    config: ConfigFile = None,
    input_path: Annotated[Path | None, typer.Option("--input", help=f"Samples to count words by: {SAMPLES}.")] = None,
    sensor_size: SensorSize = None,
    clip: Clip = False,
    json_output: Json = False,
    verbose: Verbose = 0,
) -> None:
    """Say of every node whether the array does it faithfully, approximately or not at all; exit code 3 if not."""
    output = Output(as_json=json_output, verbosity=verbose)
    from ..golden.chain import chain

    graph = read_graph(model, dt, reset)
    array = array_of(board, config)
    stages, findings = chain(graph)
    samples = samples_of(output, input_path, graph, array, sensor_size, clip).rasters if input_path and stages else None
    quantised = _quantised(graph, array, samples) if stages else None
    problems = [one for one in findings if one.fidelity == "unsupported"]
    rows: list[tuple[str, int, int | None]] = []
    if quantised is not None:
        findings = list(quantised.findings)
        rows = _memories(quantised, array)
        problems += _misfits(quantised, array)
    for note in graph.notes:
        output.line(note)
    show_findings(output, [*findings, *(one for one in problems if one.rule == "A01")], str(model))
    if rows:
        lines = [(name, thousands(need), "-" if there is None else thousands(there)) for name, need, there in rows]
        output.table(board or (str(config) if config else "an array made for it"), ("", "needed", "there"), lines)
    words = {} if quantised is None else _words(quantised)
    if words:
        output.table("words a step", ("", "clocks"), [(name, thousands(count)) for name, count in words.items()])
    output.result(
        {
            "model": str(model),
            "dt": graph.dt,
            "notes": graph.notes,
            "fits": not problems,
            "findings": [vars(one) for one in findings] + [vars(one) for one in problems if one.rule == "A01"],
            "memories": [{"name": name, "needed": need, "there": there} for name, need, there in rows],
            "words_per_step": words,
        }
    )
    if problems:
        raise typer.Exit(DoesNotFitError.exit_code)


def read_graph(path: Path, dt: float | None, reset: str | None) -> Graph:
    """The network of a NIR file."""
    from .nir import from_nir

    return from_nir(path, dt=dt, reset=cast("Reset | None", reset))


def array_of(board: str | None, config: Path | None) -> ArrayConfig | None:
    """The array of a board or of a configuration file; None: one that is made for the network."""
    if board is not None and config is not None:
        raise ConfigurationError("--board and --config both say which array", "leave one of them out")
    if board is not None:
        from ..boards.catalog import board_named

        return board_named(board).array
    return load_config(config).array if config is not None else None


def samples_of(
    output: Output, path: Path, graph: Graph, array: ArrayConfig | None, sensor_size: str | None, clip: bool
) -> Samples:
    """Samples in a file for the input of `graph`, saying what was done to them."""
    from .events import parse_sensor
    from .rasters import read_samples

    # A step of 1.0 s is that of networks without time constants, whose data may have any.
    samples = read_samples(
        path,
        inputs=prod(graph.of_kind("input")[0].shape),
        event_bits=(array or ArrayConfig()).event_bits,
        dt=None if graph.dt == 1.0 else graph.dt,
        sensor_size=parse_sensor(sensor_size),
        clip=clip,
    )
    for note in samples.notes:
        output.note(note)
    return samples


def show_findings(output: Output, findings: list[Finding], title: str) -> None:
    """A line for every finding."""
    rows = [(one.node, one.kind, one.fidelity, one.rule, one.reason, one.remedy) for one in findings]
    output.table(title, ("node", "kind", "", "rule", "reason", "remedy"), rows, left=True)


def _quantised(graph: Graph, array: ArrayConfig | None, samples: Any) -> Quantised:
    from ..golden.quantise import quantise

    return quantise(graph, array, calibrate=samples)


def _memories(quantised: Quantised, array: ArrayConfig | None) -> list[tuple[str, int, int | None]]:
    """What the network takes of each memory and table, and what there is."""
    need = measure(quantised.network, array or quantised.array)
    rows = {
        "layers": len(need.blocks),
        "weight_words": need.weight_words,
        "groups": need.groups,
        "axons": need.axons,
        "events": need.events,
        "classes": need.classes,
    }
    return [(name, count, None if array is None else getattr(array, name)) for name, count in rows.items()]


def _misfits(quantised: Quantised, array: ArrayConfig | None) -> list[Finding]:
    """Everything that the array lacks."""
    from ..golden.chain import Finding

    if array is None:
        return []
    text, found = "", []
    try:
        place(quantised.network, array)
    except DoesNotFitError as error:
        text = error.message
        found.append((error.message, error.hint))
    for unit in quantised.array.units:
        if needs_unit(quantised.network, unit) and not array.has(unit):
            remedy = f'build it with "{unit}" among its units'
            if not text.startswith("layer"):
                found.append((f"the array has no unit {unit}", remedy))
            else:
                text, found = "", [(f"the array has no unit {unit}", remedy)]
    return [
        Finding(node="all", kind="array", fidelity="unsupported", rule="A01", reason=reason, remedy=remedy)
        for reason, remedy in found
    ]


def _words(quantised: Quantised) -> dict[str, float]:
    """Clocks of a step in which SCATTER and FIRE are at work: at most, and on the samples given."""
    need = measure(quantised.network, quantised.array)
    layers = list(zip(quantised.network.layers, need.blocks, strict=False))
    words: dict[str, float] = {"at most": sum(block.groups * (layer.rows + 1) for layer, block in layers)}
    if quantised.counters:
        counted = quantised.counters
        words["on the samples given"] = (counted["scatter_words"] + counted["fire_groups"]) / counted["steps"]
    return words

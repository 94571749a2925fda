# SPDX-License-Identifier: Apache-2.0
"""`trifactor show`: a network at a glance, a NIR file's or a model file's: a table, and a drawing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from ..arch.content import shown
from ..arch.errors import ConfigurationError
from ..arch.files import written_whole
from ..arch.graph import Graph, Node, Source
from .check import Dt, ResetKind, read_graph
from .drawing import Box, drawn
from .learn import check_output
from .options import Json, Verbose
from .output import Output, percent, thousands

if TYPE_CHECKING:
    from ..golden.checkpoint import Model

PICTURES = (".svg", ".png", ".pdf")
HDF5 = b"\x89HDF\r\n\x1a\n"
"""How a NIR file begins; model files are zip archives."""

UNKNOWN = "not in the file"


def show(
    model: Annotated[Path, typer.Argument(help="NIR file, or model file.", metavar="MODEL", show_default=False)],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Drawing to write: svg, png or pdf.")] = None,
    dt: Dt = None,
    reset: ResetKind = None,
    json_output: Json = False,
    verbose: Verbose = 0,
) -> None:
    """Show a network: its nodes with shapes, parameters and neurons, or its layers as integers; and draw it."""
    output = Output(as_json=json_output, verbosity=verbose)
    if out is not None:
        if out.suffix.lower() not in PICTURES:
            raise ConfigurationError(f"{out}: not a picture", f"a name that ends in {', '.join(PICTURES)}")
        check_output(out)
    if _is_nir(model):
        boxes, result = _graph(output, model, *_read(model, dt, reset))
    else:
        from ..golden.checkpoint import load_model

        boxes, result = _model(output, model, load_model(model))
    if out is not None:
        _draw(out, boxes, model.name)
        output.line(f"drawn in {out}")
    output.result({"model": str(model), **result, "out": None if out is None else str(out)})


def _is_nir(path: Path) -> bool:
    """Whether it begins as HDF5 does."""
    try:
        with path.open("rb") as file:
            return file.read(len(HDF5)) == HDF5
    except OSError as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else error.strerror
        raise ConfigurationError(f"{path}: {reason}", "a NIR file, *.nir, or a model file") from error


def _read(path: Path, dt: float | None, reset: str | None) -> tuple[Graph, bool]:
    """The network, and whether its reset is known: to be looked at, it need not be."""
    try:
        return read_graph(path, dt, reset), True
    except ConfigurationError as error:
        if reset is not None or not error.message.startswith("reset is missing"):
            raise
    return read_graph(path, dt, "none"), False


def _draw(out: Path, boxes: list[Box], title: str) -> None:
    import matplotlib as mpl

    with mpl.rc_context({"svg.hashsalt": "trifactor"}), written_whole(out) as file:
        kind = out.suffix.lower().removeprefix(".")
        when = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind)
        drawn(boxes, title).savefig(file, format=kind, dpi=160, metadata=when)


def _span(values: Any) -> str:
    """Least and greatest, or the only one."""
    if values is None:
        return ""
    least, greatest = float(np.min(values)), float(np.max(values))
    return f"{least:.4g}" if np.isclose(least, greatest, rtol=1e-6, atol=0) else f"{least:.4g} … {greatest:.4g}"


def _heard(sources: tuple[Source, ...]) -> str:
    return ", ".join(f"{name} a step later" if late else name for name, late in sources)


def _parameters(node: Node) -> int:
    """Values that a node has of its own."""
    if node.neuron is not None:
        return sum(np.size(value) for value in vars(node.neuron).values() if isinstance(value, np.ndarray))
    return sum(np.size(node.parameters[key]) for key in ("weight", "bias", "scale", "delay") if key in node.parameters)


def _graph(output: Output, path: Path, graph: Graph, known: bool) -> tuple[list[Box], dict[str, Any]]:
    """The table of an imported network; its boxes; the same for JSON."""
    rows, boxes, nodes = [], [], []
    for node in graph.nodes:
        look = "neuron" if node.neuron is not None else "end" if node.kind in ("input", "output") else "plain"
        shape = " x ".join(map(str, node.shape))
        neuron = node.neuron
        decay = "" if neuron is None else _span(neuron.decay)
        current = "" if neuron is None else _span(neuron.current_decay)
        threshold = "" if neuron is None else _span(neuron.threshold)
        reset = "" if neuron is None or not node.spiking else neuron.reset if known else UNKNOWN
        count = _parameters(node)
        leaks = f"{decay}, {current}" if current else decay
        rows.append((node.name, node.kind, shape, thousands(count), leaks, threshold, reset, _heard(node.sources)))
        text = f"{shape} {'neurons' if neuron is not None else 'values' if look == 'end' else node.kind}"
        if node.kind == "scale" and np.ndim(node.parameters["scale"]) == 0:
            text = f"passes {shape} values on"
        if node.kind in ("linear", "conv2d"):
            text += f"\nweights {' x '.join(map(str, np.shape(node.parameters['weight'])))}"
            text += ", bias" if "bias" in node.parameters else ""
        if neuron is not None:
            text += f"\nleak {leaks}" + (f", threshold {threshold}" if threshold else "")
        boxes.append(Box(name=node.name, text=text, sources=node.sources, look=look))
        nodes.append(
            {
                "name": node.name,
                "kind": node.kind,
                "shape": node.shape,
                "parameters": count,
                "spiking": node.spiking,
                "reset": reset or None,
                "sources": [source._asdict() for source in node.sources],
            }
        )
    heads = ("node", "type", "shape", "values", "leak, of current", "threshold", "reset", "hears")
    output.table(str(path), heads, rows, left=True)
    notes = [note for note in graph.notes if known or not note.startswith("reset")]
    for note in notes:
        output.line(note)
    if not known:
        output.line("what a spike does to the membrane is not in the file: check and quantize want --reset")
    return boxes, {"kind": "nir", "dt": graph.dt, "notes": notes, "nodes": nodes}


def _model(output: Output, path: Path, model: Model) -> tuple[list[Box], dict[str, Any]]:
    """The same of a model file."""
    network, array = model.network, model.array
    one = array.decay_one
    rows, boxes = [], [Box(name="input", text=f"{network.inputs} axons", look="end")]
    for index, layer in enumerate(network.layers):
        name = f"layer {index}"
        thresholds = _span(layer.thresholds or [layer.threshold]) if layer.spiking else ""
        extra = [word for word in ("recurrent", "bias", "eligibility") if getattr(layer, word)]
        learns = f"2**-{layer.rate_shift}" if layer.learns else "no"
        decay = f"{layer.decay}/{one}"
        current = f"{layer.current_decay}/{one}" if layer.current_decay else ""
        rows.append(
            (name, f"{layer.inputs} -> {layer.outputs}", thousands(layer.rows * layer.outputs), ", ".join(extra), decay,
             current, thresholds, layer.reset if layer.spiking else "", learns)
        )  # fmt: skip
        text = f"{layer.outputs} {'neurons' if layer.spiking else 'sums, the readout'}, {layer.rows} rows of weights"
        text += f"\nleak {decay}" + (f", threshold {thresholds}, {layer.reset} reset" if layer.spiking else "")
        sources = [Source(boxes[-1].name), *([Source(name, True)] if layer.recurrent else [])]
        look = "neuron" if layer.spiking else "end"
        boxes.append(Box(name=name, text=text, sources=tuple(sources), look=look))
    heads = ("layer", "neurons", "weights", "with", "leak", "of current", "threshold", "reset", "learns")
    output.table(str(path), heads, rows)
    training = model.training
    facts = {
        "rule": model.rule,
        "data": model.dataset,
        "coding": f"{model.coding.kind}, {model.coding.steps} steps",
        "seed": str(model.state.seed),
        "learned": "nothing" if training is None else _learned(training),
        "formats": f"weights {array.weight_bits} bits, synapses {array.synapse_bits}, membranes {array.membrane_bits}, "
        f"leaks {array.decay_bits} behind the point",
        "array": f"{array.lanes} lanes" + (f", units {', '.join(array.units)}" if array.units else ""),
        "hash": f"{shown(model.hash)}, as a board shows it that is loaded with this",
    }
    output.table("made by", ("", ""), list(facts.items()), left=True)
    for line in model.source:
        output.line(line)
    facts |= {"hash": model.hash}
    return boxes, {
        "kind": "model",
        **facts,
        "source": model.source,
        "network": network.model_dump(),
        "array_config": array.model_dump(),
    }


def _learned(training: Any) -> str:
    text = f"{training.epoch} of {training.epochs} epochs of {thousands(training.samples)} samples"
    return text + (f", {percent(training.accuracies[-1], 2)} on unseen samples" if training.accuracies else "")

# SPDX-License-Identifier: Apache-2.0
"""An imported graph as the chain of layers that the array has, and everything that stands in the way, at once."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Literal

import numpy as np

from ..arch.errors import DoesNotFitError
from ..arch.graph import FloatArray, Graph, Neuron, Node

Fidelity = Literal["faithful", "approximate", "unsupported"]

RULES: dict[str, str] = {
    "G01": "one input and one output",
    "G02": "a chain: a population hears the one before it, and itself a step later",
    "G03": "only the last population does not spike",
    "G04": "a readout has no synaptic current",
    "G05": "convolutions, pools and delays have no place yet",
    "N01": "one leak for all neurons of a layer",
    "N02": "what a spike does to the membrane",
    "N03": "a reset goes to 0",
    "N04": "thresholds are positive",
    "L01": "neurons that the rule was written for",
    "Q01": "a leak is a fraction of decay_bits",
    "A01": "the array's memories and tables are large enough",
}
"""What is checked; docs/import.md says more of each."""

VALUES_MAX = 1 << 27
"""Of all matrices that are made on the way."""

Origin = tuple[str, bool]
"""A population or input, and whether its value is that of the step before."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one rule says of one node: `fidelity`, the `reason`, and what to do (`remedy`)."""

    node: str
    kind: str
    fidelity: Fidelity
    rule: str = ""
    reason: str = ""
    remedy: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class Stage:
    """A population with all that leads to it: `weight` (neurons, inputs), `recurrent` (neurons, neurons) or None,
    `bias` (neurons,). Gains of the neuron are in the weights already.
    """

    name: str
    weight: FloatArray
    recurrent: FloatArray | None
    bias: FloatArray
    neuron: Neuron


@dataclass
class _Affine:
    """A node's value: matrices of what it comes from, and a constant."""

    parts: dict[Origin, FloatArray]
    bias: FloatArray


def chain(graph: Graph) -> tuple[list[Stage], list[Finding]]:
    """The stages of `graph`, the readout last, and findings of every node; stages are empty if one is unsupported.

    A spiking output is counted by a readout, and a linear output becomes a readout that keeps nothing from step to
    step.

    Raises `DoesNotFitError` at the node at which the matrices become too many, and where the weights of a stage, all
    that leads to it multiplied, are not finite.
    """
    walker = _Walker(graph)
    with np.errstate(all="ignore"):
        for node in graph.nodes:
            walker.visit(node)
    for stage in walker.stages:
        arrays = (stage.weight, stage.bias, *([] if stage.recurrent is None else [stage.recurrent]))
        if not all(np.isfinite(array).all() for array in arrays):
            raise DoesNotFitError(f"node {stage.name!r}: weights, multiplied, are not finite", "train it anew")
    findings = walker.findings
    stages = [] if any(one.fidelity == "unsupported" for one in findings) else walker.stages
    return stages, findings


class _Walker:
    """Goes through the nodes in order and keeps what each comes from."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.stages: list[Stage] = []
        self.findings: list[Finding] = []
        self._affine: dict[str, _Affine] = {}
        self._unplaced: set[str] = set()
        self._last = ""
        self._spikes = True
        self._values = 0
        self._shapes = {node.name: prod(node.shape) for node in graph.nodes}

    def visit(self, node: Node) -> None:
        before = len(self.findings)
        self._count(node)
        if node.kind == "input":
            if self._last:
                self._say(node, "unsupported", "G01", "the graph has several inputs", "merge them into one")
            self._last = self._last or node.name
            self._stands_for_itself(node)
        elif node.kind in ("conv2d", "sum-pool", "average-pool", "delay"):
            self._say(node, "unsupported", "G05", f"{node.kind} has no place on the array yet", "use dense layers")
            self._stands_for_itself(node)
            self._unplaced.add(node.name)
        elif node.kind == "neuron":
            self._population(node)
        else:
            self._affine[node.name] = self._transformed(node, self._arriving(node))
            if node.kind == "output":
                self._output(node)
        if len(self.findings) == before:
            self._say(node, "faithful")

    def _say(self, node: Node, fidelity: Fidelity, rule: str = "", reason: str = "", remedy: str = "") -> None:
        kind = node.kind
        self.findings.append(
            Finding(node=node.name, kind=kind, fidelity=fidelity, rule=rule, reason=reason, remedy=remedy)
        )

    def _count(self, node: Node) -> None:
        """All matrices that a node will need, before one of them is made."""
        size = self._shapes[node.name]
        widths = [size]
        for name, late in node.sources:
            own = {} if late else self._affine[name].parts
            widths += [self._shapes[name], *(matrix.shape[1] for matrix in own.values())]
        self._values += max([size, *(self._shapes[source.name] for source in node.sources)]) * sum(widths)
        if self._values > VALUES_MAX:
            raise DoesNotFitError(
                f"node {node.name!r} of {size} values: a network this large has no place on the array",
                "make its layers smaller",
            )

    def _stands_for_itself(self, node: Node) -> None:
        size = self._shapes[node.name]
        self._affine[node.name] = _Affine({(node.name, False): np.eye(size)}, np.zeros(size))

    def _arriving(self, node: Node) -> _Affine:
        """The sum of a node's sources."""
        parts: dict[Origin, FloatArray] = {}
        bias: FloatArray | None = None
        for source in node.sources:
            size = self._shapes[source.name]
            if source.late:
                own = _Affine({(source.name, True): np.eye(size)}, np.zeros(size))
            else:
                own = self._affine[source.name]
            for origin, matrix in own.parts.items():
                parts[origin] = parts[origin] + matrix if origin in parts else matrix
            bias = own.bias if bias is None else bias + own.bias
        return _Affine(parts, np.zeros(self._shapes[node.name]) if bias is None else bias)

    def _transformed(self, node: Node, found: _Affine) -> _Affine:
        if node.kind == "linear":
            weight = np.asarray(node.parameters["weight"])
            bias = weight @ found.bias + node.parameters.get("bias", 0.0)
            return _Affine({origin: weight @ matrix for origin, matrix in found.parts.items()}, bias)
        if node.kind == "scale":
            scale = np.broadcast_to(node.parameters["scale"], node.shape).reshape(-1)
            parts = {origin: scale[:, None] * matrix for origin, matrix in found.parts.items()}
            return _Affine(parts, scale * found.bias)
        return found

    def _population(self, node: Node) -> None:
        neuron = node.neuron
        assert neuron is not None
        found = self._arriving(node)
        self._check_sources(node, found, own=True)
        if not self._spikes:
            self._say(node, "unsupported", "G03", f"{self._last!r} before it does not spike", "give it a threshold")
        if not node.spiking and neuron.current_decay is not None:
            self._say(node, "unsupported", "G04", "a readout with a synaptic current", "use LI, without a current")
        self._check_neuron(node, neuron)
        gain: FloatArray = np.ones(self._shapes[node.name])
        for one in (neuron.gain, neuron.current_gain):
            gain = gain if one is None else gain * one.reshape(-1)
        zero = np.zeros((len(gain), 0))
        back = found.parts.get((node.name, True))
        self.stages.append(
            Stage(
                name=node.name,
                weight=gain[:, None] * found.parts.get((self._last, False), zero),
                recurrent=None if back is None else gain[:, None] * back,
                bias=gain * found.bias,
                neuron=neuron,
            )
        )
        self._stands_for_itself(node)
        self._last, self._spikes = node.name, node.spiking

    def _check_sources(self, node: Node, found: _Affine, *, own: bool) -> None:
        for name, late in found.parts:
            if (name, late) not in ((self._last, False), (node.name, own)) and name not in self._unplaced:
                when = "the step before of " if late else ""
                reason = f"hears {when}{name!r}, the array {self._last!r} alone" + (" and itself" if own else "")
                self._say(node, "unsupported", "G02", reason, "make it a chain")

    def _check_neuron(self, node: Node, neuron: Neuron) -> None:
        for what, decay in (("leaks", neuron.decay), ("leaks of the current", neuron.current_decay)):
            if decay is not None and np.ptp(decay) > 1e-9:
                reason = f"{what} from {decay.min():.4g} to {decay.max():.4g}: the layer gets the median"
                self._say(node, "approximate", "N01", reason, "train it with one leak a layer")
        if neuron.threshold is None:
            if neuron.reset_value is not None:
                self._say(node, "unsupported", "N03", "a readout with a reset", "leave it out")
            return
        if (neuron.threshold <= 0).any():
            self._say(node, "unsupported", "N04", f"a threshold of {neuron.threshold.min():g}", "train it anew")
        if neuron.reset_value is not None and neuron.reset_value.any():
            self._say(node, "unsupported", "N03", "a reset to a value other than 0", "train it with a reset to 0")
        if neuron.reset in RESETS and RESETS[neuron.reset][1]:
            self._say(node, "approximate", "N02", RESETS[neuron.reset][1], "train it with reset zero or subtract")

    def _output(self, node: Node) -> None:
        if len(self.graph.of_kind("output")) > 1:
            self._say(node, "unsupported", "G01", "the graph has several outputs", "keep one")
            return
        found = self._affine[node.name]
        self._check_sources(node, found, own=False)
        matrix = found.parts.get((self._last, False))
        if matrix is None:
            return
        plain = (
            matrix.shape[0] == matrix.shape[1] and np.array_equal(matrix, np.eye(len(matrix))) and not found.bias.any()
        )
        if not self.stages:
            self._say(node, "unsupported", "G02", "no population is on the way", "put neurons behind the layers")
        elif self._spikes:
            keeps = 1.0 if plain else 0.0
            self.stages.append(
                Stage(
                    name=node.name,
                    weight=matrix,
                    recurrent=None,
                    bias=found.bias,
                    neuron=Neuron(decay=np.full(len(matrix), keeps)),
                )
            )
        elif not plain:
            self._say(
                node, "unsupported", "G03", f"a layer behind {self._last!r}, which does not spike", "leave it out"
            )


RESETS: dict[str, tuple[Literal["soft", "hard", "none"], str]] = {
    "zero": ("hard", ""),
    "subtract": ("soft", ""),
    "none": ("none", ""),
    "snntorch-subtract": ("soft", "subtracts at once, snnTorch once more where it is still above"),
    "delayed-subtract": ("soft", "subtracts before the leak, snnTorch's default after it"),
    "delayed-zero": ("hard", "goes to 0 at once, snnTorch also discards what comes in the step after"),
}
"""The array's reset for each, and how it differs."""

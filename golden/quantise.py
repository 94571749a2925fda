# SPDX-License-Identifier: Apache-2.0
"""From an imported graph to integers: weights and thresholds by a common scale, leaks as fractions, with a report."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from ..arch.array import ArrayConfig
from ..arch.device import DeviceState, IntArray
from ..arch.errors import DoesNotFitError
from ..arch.graph import FloatArray, Graph
from ..arch.network import SURROGATE_ENTRIES, Layer, Network
from ..arch.placement import fitted
from ..arch.relearn import differences, learning
from .agreement import Agreement, Box, box, compare
from .chain import RESETS, Finding, Stage, chain
from .initial import initial_state

Method = Literal["channel", "global", "pow2"]
"""One scale per neuron, per layer, or per layer and a power of two."""

HEADROOM = 4
"""A threshold takes no more than this share of the membrane's range."""

NOTHING = 1e-300
"""Weights and thresholds below it are 0: a scale for them would not be finite."""

NAMED_MAX = 8
"""Nodes that an error names: a line has an end."""

FLAT = (0,) * SURROGATE_ENTRIES


@dataclass(frozen=True, kw_only=True)
class LayerReport:
    """One layer: integers for 1.0 (`scale`, least and greatest), a box of its active `weights` (`agreement.Box`), the
    greatest error of a weight in units of the scale, the share of weights at an end of their format, leaks wanted and
    got, thresholds. With samples to calibrate by, all of `agreement.LayerAgreement`.
    """

    name: str
    scale: tuple[float, float]
    weights: Box
    weight_error: float
    clipped: float
    decay: tuple[float, float]
    current_decay: tuple[float, float] | None
    threshold: tuple[int, int]
    membranes: Box | None = None
    saturated: float | None = None
    membrane_error: float | None = None
    spikes_equal: float | None = None
    spikes: tuple[int, int] | None = None


@dataclass(frozen=True, kw_only=True)
class Quantised:
    """What the array computes: as a device takes it, with the findings on the way and a report for each layer.

    `counters`, `predictions_equal` and `accuracy` are of the samples that it was calibrated by (`agreement.Agreement`).
    """

    array: ArrayConfig
    network: Network
    state: DeviceState
    findings: tuple[Finding, ...]
    layers: tuple[LayerReport, ...]
    counters: dict[str, int]
    predictions_equal: float | None = None
    accuracy: tuple[float, float] | None = None

    def to_dict(self) -> dict[str, Any]:
        """For JSON: all but the weights."""
        return {
            "array": self.array.model_dump(),
            "network": self.network.model_dump(),
            "findings": [vars(one) for one in self.findings],
            "layers": [vars(one) for one in self.layers],
            "counters": self.counters,
            "predictions_equal": self.predictions_equal,
            "accuracy": self.accuracy,
        }


def quantise(
    graph: Graph,
    array: ArrayConfig | None = None,
    *,
    method: Method | None = None,
    rule: str | None = None,
    rate: int = 2,
    calibrate: IntArray | None = None,
    labels: IntArray | None = None,
    seed: int = 1,
) -> Quantised:
    """The network of `graph` in the formats of `array`, whose capacities and units are raised to what it needs::

        scale   = (2**(synapse_bits - 1) - 1) / max |w|    of a neuron, or of a layer; `pow2` rounds it down
        weight  = round(scale w),  bias the same           in the upper synapse_bits of the stored weight
        theta   = floor(scale threshold) + 1               u > threshold is u >= theta
        decay   = round(decay 2**decay_bits)

    No scale is so large that a threshold takes more than 1/4 of the membrane. Integers run on any device. `calibrate`,
    samples (B, T, inputs), and maybe their `labels`, are run in both forms for the report.

    Without a `rule` no layer learns. With one of `arch.rules` they go on learning by it at `rate`, as `arch.relearn`
    says; a spiking output is counted by half of the largest weight, and fixed matrices are drawn by `seed`. `method` is
    `channel` unless given, or `global` with a rule, whose surrogate and rate are one a layer. `array` has weights of 8
    bits, or 16 with a rule, of which synapses see 8, and decays of 12.

    Raises `DoesNotFitError`, naming what is unsupported, and `ConfigurationError` for an unknown rule.
    """
    stages, findings = chain(graph)
    wrong = [one for one in findings if one.fidelity == "unsupported"]
    if wrong:
        named = wrong[:NAMED_MAX]
        text = "; ".join(f"{one.rule} node {one.node!r}: {one.reason}" for one in named)
        more = f"; {len(wrong) - NAMED_MAX} more, which trifactor check lists" if len(wrong) > NAMED_MAX else ""
        raise DoesNotFitError(text + more, "; ".join(dict.fromkeys(one.remedy for one in named)))
    method = method or ("global" if rule else "channel")
    array = array or ArrayConfig(weight_bits=16 if rule else 8, decay_bits=12)
    scales = [_scale(stage, array, method, learns=rule is not None) for stage in stages]
    made = [_layer(stage, array, scale, last=stage is stages[-1]) for stage, scale in zip(stages, scales, strict=True)]
    network = Network(layers=tuple(layer for layer, _, _ in made), surrogate=FLAT, error_on="membrane")
    weights = [weights for _, weights, _ in made]
    reports = [report for _, _, report in made]
    if rule is not None:
        if _counts(stages[-1]):
            counter = network.layers[-1].model_copy(update={"start": "identity"})
            network = network.model_copy(update={"layers": (*network.layers[:-1], counter)})
        network = learning(network, rule, array, rate=rate, readout_unit=reports[-1].scale[0])
        weights += initial_state(network, array, seed).weights[len(weights) :]
        findings += _differences(network, rule, stages)
    array = fitted(network, array)
    state = DeviceState(weights=weights, seed=seed)
    for report in reports:
        for what, pair in (("leak", report.decay), ("leak of the current", report.current_decay)):
            if pair is not None and abs(pair[0] - pair[1]) > 1e-9:
                reason = f"{what} {pair[0]:.6g} becomes {pair[1]:.6g}"
                findings.append(
                    Finding(
                        node=report.name,
                        kind="neuron",
                        fidelity="approximate",
                        rule="Q01",
                        reason=reason,
                        remedy="more decay_bits",
                    )
                )
    together: Agreement | None = None
    if calibrate is not None:
        together = compare(graph, array, network, state, scales, calibrate, labels)
        reports = [replace(report, **vars(found)) for report, found in zip(reports, together.layers, strict=True)]
    return Quantised(
        array=array,
        network=network,
        state=state,
        findings=_sorted(graph, findings),
        layers=tuple(reports),
        counters={} if together is None else together.counters,
        predictions_equal=None if together is None else together.predictions_equal,
        accuracy=None if together is None else together.accuracy,
    )


def _sorted(graph: Graph, findings: list[Finding]) -> tuple[Finding, ...]:
    """In the order of the nodes; a node is faithful if nothing else is said of it."""
    order = {node.name: index for index, node in enumerate(graph.nodes)}
    said = {one.node for one in findings if one.fidelity != "faithful"}
    kept = [one for one in findings if one.fidelity != "faithful" or one.node not in said]
    return tuple(sorted(kept, key=lambda one: order[one.node]))


def _differences(network: Network, rule: str, stages: list[Stage]) -> list[Finding]:
    """Where the neurons are not those that the rule was written for."""
    return [
        Finding(
            node=stage.name,
            kind="neuron",
            fidelity="approximate",
            rule="L01",
            reason=f"{rule} learns on neurons with {text}",
            remedy="a rule for such neurons, or none",
        )
        for stage, layer in zip(stages[:-1], network.layers[:-1], strict=True)
        for text in differences(layer, rule)
    ]


def _layer(stage: Stage, array: ArrayConfig, scale: FloatArray, *, last: bool) -> tuple[Layer, IntArray, LayerReport]:
    neuron = stage.neuron
    one = array.decay_one
    recurrent, bias = stage.recurrent is not None, bool(stage.bias.any())
    real = _rows(stage)
    threshold = None if neuron.threshold is None else neuron.threshold.reshape(-1)
    top = (1 << (array.synapse_bits - 1)) - 1
    wanted = real * scale
    active = np.clip(np.rint(wanted), -top - 1, top).astype(np.int64)
    below = array.weight_bits - array.synapse_bits
    decay = float(np.median(neuron.decay))
    current = None if neuron.current_decay is None else float(np.median(neuron.current_decay))
    thresholds = (1,) if threshold is None else tuple((np.floor(threshold * scale) + 1).astype(int).tolist())
    layer = Layer(
        inputs=stage.weight.shape[1],
        outputs=stage.weight.shape[0],
        spiking=not last,
        recurrent=recurrent,
        bias=bias,
        decay=round(decay * one),
        current_decay=0 if current is None else round(current * one),
        threshold=thresholds[0],
        thresholds=thresholds if len(set(thresholds)) > 1 else None,
        reset="none" if last else RESETS[neuron.reset][0],
        learns=False,
    )
    report = LayerReport(
        name=stage.name,
        scale=(float(scale.min()), float(scale.max())),
        weights=box(active),
        weight_error=float(np.abs(active - wanted).max()),
        clipped=float((np.abs(wanted) > top + 0.5).mean()),
        decay=(decay, layer.decay / one),
        current_decay=None if current is None else (current, layer.current_decay / one),
        threshold=(min(thresholds), max(thresholds)),
    )
    # In the middle of what the floor makes the same active weight of: learning may go either way.
    return layer, (active << below) + (1 << below >> 1), report


def _rows(stage: Stage) -> FloatArray:
    """Weights (rows, neurons) in the order of the array's rows; no row for biases that are all 0."""
    rows = [stage.weight.T]
    if stage.recurrent is not None:
        rows.append(stage.recurrent.T)
    if stage.bias.any():
        rows.append(stage.bias[None])
    return np.concatenate(rows)


def _counts(stage: Stage) -> bool:
    """Whether it only counts the spikes before it."""
    neuron = stage.neuron
    return neuron.threshold is None and bool((neuron.decay == 1).all()) and _is_identity(_rows(stage))


def _is_identity(real: FloatArray) -> bool:
    return np.array_equal(real, np.eye(len(real)))


def _scale(stage: Stage, array: ArrayConfig, method: Method, *, learns: bool) -> FloatArray:
    threshold = stage.neuron.threshold
    if learns and _counts(stage):
        return np.full(len(stage.weight), float(1 << (array.synapse_bits - 2)))
    return scale_of(_rows(stage), None if threshold is None else threshold.reshape(-1), array, method)


def scale_of(real: FloatArray, threshold: FloatArray | None, array: ArrayConfig, method: Method) -> FloatArray:
    """Integers for 1.0, one per neuron."""
    top = (1 << (array.synapse_bits - 1)) - 1
    greatest = np.abs(real).max(axis=0)
    greatest = np.where(greatest > NOTHING, greatest, 1.0)
    if threshold is None and _is_identity(real):
        return np.ones(len(real))  # spikes are counted as they are
    limit = np.inf if threshold is None else array.membrane.max / HEADROOM / np.maximum(threshold, NOTHING)
    scale: FloatArray = np.minimum(top / greatest, limit)
    if method == "channel" and threshold is not None:
        return scale
    least = scale.min()
    return np.full(len(scale), 2.0 ** np.floor(np.log2(least)) if method == "pow2" else least)

# SPDX-License-Identifier: Apache-2.0
"""A network of the array as a graph of the Neuromorphic Intermediate Representation, in real numbers."""

from __future__ import annotations

import math
from statistics import median
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..arch.array import ArrayConfig
from ..arch.device import DeviceState
from ..arch.errors import ConfigurationError, ToolError
from ..arch.graph import FloatArray
from ..arch.network import Layer, Network

if TYPE_CHECKING:
    import nir

RESETS = {"soft": "subtract", "hard": "zero", "none": "none"}
"""What a node's metadata say of its reset, in the words of `from_nir`."""

FOREVER = 2.0**60
"""Steps of a time constant without leak: 1 - 1 / FOREVER is 1 in 64 bits."""

MANTISSA = 24
"""Bits of a 32-bit real number: thresholds are exact in it, too."""


class Placed(Protocol):
    """A `golden.checkpoint.Model`, a `golden.quantise.Quantised`."""

    @property
    def array(self) -> ArrayConfig:
        """The array that it is for."""

    @property
    def network(self) -> Network:
        """Its layers."""

    @property
    def state(self) -> DeviceState:
        """Its weights."""


def to_nir(model: Placed, *, dt: float = 1e-4) -> nir.NIRGraph:
    """The network of `model` with its active weights, a step being `dt` seconds; all numbers have 64 bits.

    Weights and thresholds are divided by a power of two near the layer's threshold (in the readout by that near the
    largest weight), so that nothing is rounded. Leaks become time constants; populations are LIF, IF, CubaLIF, LI or I,
    with own spikes through a Linear that leads back. u >= theta becomes u > theta - 1/2, and where theta is taken off
    it is the greatest number below theta that 32 bits hold. `from_nir` finds dt and resets in the nodes' metadata, as
    `trifactor_dt` and `trifactor_reset`; the graph's `trifactor_left_out` is the text of `left_out`.

    Raises `ConfigurationError` for a `dt` that is not positive, `ToolError` without the package `nir`.
    """
    try:
        import nir
    except ImportError as error:
        raise ToolError("nir is not installed", "pip install trifactor[nir]") from error
    if not (math.isfinite(dt) and dt > 0):
        raise ConfigurationError(f"dt is {dt:g}", "a time step in seconds, > 0")
    network, array = model.network, model.array
    nodes: dict[str, Any] = {"input": nir.Input(input_type={"input": np.array([network.inputs])})}
    edges: list[tuple[str, str]] = []
    before = "input"
    for index, layer in enumerate(network.layers):
        active = np.asarray(model.state.weights[index]) >> (array.weight_bits - array.synapse_bits)
        unit = _unit(layer, array)
        real = (active / unit).T
        below, own, name = f"fc{index}", f"recurrent{index}", f"neurons{index}"
        if layer.bias:
            nodes[below] = nir.Affine(weight=real[:, : layer.inputs], bias=real[:, -1])
        else:
            nodes[below] = nir.Linear(weight=real[:, : layer.inputs])
        nodes[name] = _population(nir, layer, array.decay_one, unit, dt)
        edges += [(before, below), (below, name)]
        if layer.recurrent:
            nodes[own] = nir.Linear(weight=real[:, layer.inputs : layer.inputs + layer.outputs])
            edges += [(name, own), (own, name)]
        before = name
    nodes["output"] = nir.Output(output_type={"output": np.array([network.outputs])})
    edges.append((before, "output"))
    return nir.NIRGraph(nodes=nodes, edges=edges, metadata={"trifactor_left_out": "; ".join(left_out(network))})


def left_out(network: Network) -> list[str]:
    """What NIR cannot say of a network, in words."""
    found = ["widths of integers: membranes saturate at theirs, and leaks round down"]
    if any(layer.learns for layer in network.layers):
        found.append("learning: rules, traces, surrogates, rates and the bits of weights below those that synapses see")
    if len(network.blocks) > len(network.layers):
        found.append("fixed matrices of the learning signal")
    found += [f"layer {index}: membranes stay at 0 or more" for index, one in enumerate(network.layers) if one.clamp]
    return found


def _unit(layer: Layer, array: ArrayConfig) -> float:
    if not layer.spiking:
        return float(1 << (array.synapse_bits - 1))
    return float(2.0 ** round(math.log2(median(layer.thresholds or (layer.threshold,)))))


def _population(nir: Any, layer: Layer, one: int, unit: float, dt: float) -> Any:
    size = layer.outputs
    values: dict[str, Any] = {"metadata": {"trifactor_dt": dt, "trifactor_reset": RESETS[layer.reset]}}
    if layer.spiking:
        values["v_threshold"] = _thresholds(layer) / unit
        values["v_reset"] = np.zeros(size)
    decay = layer.decay / one
    if not layer.current_decay and decay == 1:
        kind = nir.IF if layer.spiking else nir.I
        return kind(r=np.full(size, 1 / dt), **values)
    tau = _time_constant(decay, dt)
    values.update(r=np.full(size, tau / dt), v_leak=np.zeros(size))
    if not layer.current_decay:
        kind = nir.LIF if layer.spiking else nir.LI
        return kind(tau=np.full(size, tau), **values)
    synapse = _time_constant(layer.current_decay / one, dt)
    values.update(tau_mem=np.full(size, tau), tau_syn=np.full(size, synapse), w_in=np.full(size, synapse / dt))
    return (nir.CubaLIF if layer.spiking else nir.CubaLI)(**values)


def _thresholds(layer: Layer) -> FloatArray:
    whole = np.broadcast_to(np.array(layer.thresholds or layer.threshold, float), (layer.outputs,))
    if layer.reset != "soft":
        return whole - 0.5
    return np.asarray(whole - 2.0 ** (np.floor(np.log2(whole)) + 1 - MANTISSA), np.float64)


def _time_constant(decay: float, dt: float) -> float:
    """tau of which forward Euler makes `decay` again, 1 - dt / tau, if there is one."""
    if decay == 1:
        return dt * FOREVER
    tau = dt / (1 - decay)
    lower, upper = math.nextafter(tau, 0), math.nextafter(tau, math.inf)
    return next((found for found in (tau, lower, upper) if found >= dt and 1 - dt / found == decay), tau)

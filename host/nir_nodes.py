# SPDX-License-Identifier: Apache-2.0
"""What each node of the Neuromorphic Intermediate Representation becomes, its shapes and numbers checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from ..arch.errors import ConfigurationError, DoesNotFitError, brief
from ..arch.graph import FloatArray, Neuron, Node, Reset, Source

VALUES_MAX = 1 << 24
"""Values that one parameter may have: more is no network that any array holds."""

SIZE_MAX = 1 << 20
"""Values that one node may put out."""

NEURONS = ("I", "LI", "IF", "LIF", "CubaLI", "CubaLIF", "Threshold")

DIMENSIONS_MAX = 8

Shape = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a node stands: its `name`, its `sources`, the `shape` of what arrives (None: all of it is late)."""

    name: str
    sources: tuple[Source, ...]
    shape: Shape | None
    dt: float
    reset: Reset


def type_of(node: Any) -> str:
    """The name of its type in NIR."""
    return type(node).__name__


def values_of(name: str, node: Any, key: str) -> FloatArray:
    """A parameter, of real and finite numbers."""
    try:
        found = np.asarray(getattr(node, key))
        if found.dtype.kind not in "biuf":
            raise TypeError(found.dtype)
        with np.errstate(over="ignore"):
            array = found.astype(np.float64)
    except (AttributeError, TypeError, ValueError) as error:
        raise ConfigurationError(f"node {name!r}: {key} is no array of numbers", "write the graph anew") from error
    if not 0 < array.size <= VALUES_MAX:
        raise DoesNotFitError(f"node {name!r}: {key} has {array.size} values", f"1 to {VALUES_MAX} are possible")
    if not np.isfinite(array).all():
        raise ConfigurationError(f"node {name!r}: {key} has values that are not finite", "train it anew")
    return array


def built_node(
    name: str,
    node: Any,
    sources: tuple[Source, ...],
    built: Mapping[str, Node],
    *,
    dt: float,
    reset: Reset,
    last: bool,
) -> Node:
    """The node of a graph that a node of NIR becomes; `built` has its sources but for late ones, `last` is an output.

    Raises `ConfigurationError` for numbers and shapes that cannot be, `DoesNotFitError` for what nothing here does.
    """
    kind = type_of(node)
    shapes = [built[source.name].shape for source in sources if not source.late]
    for shape in shapes:
        if bare(shape) != bare(shapes[0]):
            raise ConfigurationError(f"node {name!r}: what arrives has shapes {shapes[0]} and {shape}", "make them one")
    place = Place(name=name, sources=sources, shape=shapes[0] if shapes else None, dt=dt, reset=reset)
    if kind == "Input" and not sources:
        return Node(name=name, kind="input", shape=_declared(name, node))
    if kind in ("Input", "Output"):
        if place.shape is None:
            raise DoesNotFitError(f"node {name!r}: only a loop leads to it", "connect it to what comes first")
        # Inside a nested graph inputs and outputs only pass on.
        return Node(
            name=name,
            kind="output" if last else "scale",
            shape=place.shape,
            sources=sources,
            parameters={} if last else {"scale": np.ones(())},
        )
    with np.errstate(all="ignore"):
        made = BUILDERS[kind](place, node)
    size = prod(made.shape)
    if size > SIZE_MAX:
        raise DoesNotFitError(f"node {name!r} puts out {size:.7g} values", f"{SIZE_MAX} at most")
    coefficients = {} if made.neuron is None else vars(made.neuron)
    for key, values in coefficients.items():
        if isinstance(values, np.ndarray) and not np.isfinite(values).all():
            raise ConfigurationError(f"node {name!r}: its {key} with dt = {dt:g} s is not finite", "train it anew")
    return made


def check_late(node: Node, source: Node) -> None:
    """What arrives a step later must have the shape of what arrives at once."""
    size = np.shape(node.parameters["weight"])[1] if node.kind == "linear" else prod(node.shape)
    if node.kind in ("linear", "scale", "delay", "neuron") and size != prod(source.shape):
        raise ConfigurationError(
            f"node {node.name!r} takes {size} values, {source.name!r} puts out {prod(source.shape)}",
            "a loop leads back to as many neurons",
        )


def bare(shape: Sequence[int]) -> Shape:
    """A shape without its leading dimensions of 1, which a batch of 1 leaves behind."""
    kept = list(shape)
    while len(kept) > 1 and kept[0] == 1:
        kept.pop(0)
    return tuple(kept)


def _declared(name: str, node: Any) -> Shape:
    try:
        sizes = np.ravel(node.input_type["input"])
        if sizes.dtype.kind not in "iuf" or (sizes != np.floor(sizes)).any():
            raise TypeError(sizes.dtype)
        shape = tuple(int(size) for size in sizes[: DIMENSIONS_MAX + 1])
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise ConfigurationError(f"node {name!r}: its shape is no list of sizes", "write the graph anew") from error
    if not 1 <= len(shape) <= DIMENSIONS_MAX or min(shape) < 1 or prod(shape) > SIZE_MAX:
        raise ConfigurationError(
            f"node {name!r}: shape {brief(shape)}", f"sizes of 1 and more, {SIZE_MAX} values at most"
        )
    return shape


def _fitted(place: Place, shape: Shape, key: str, values: FloatArray) -> FloatArray:
    """A parameter as one value for each of `shape`: a single one is that of all."""
    if values.size == 1:
        return np.full(shape, values.item())
    if bare(values.shape) != bare(shape):
        raise ConfigurationError(
            f"node {place.name!r}: {key} has shape {values.shape}, what arrives {shape}", "make them one"
        )
    return values.reshape(shape)


def _unless_one(values: FloatArray) -> FloatArray | None:
    """A gain, or None where it is 1 but for rounding: then nothing is multiplied."""
    return None if np.allclose(values, 1, rtol=1e-6, atol=0) else values


def _population(*keys: str) -> Callable[[Place, Any], Node]:
    """Populations with these parameters."""

    def build(place: Place, node: Any) -> Node:
        found = {key: values_of(place.name, node, key) for key in keys}
        if (leak := found.pop("v_leak", None)) is not None and leak.any():
            raise DoesNotFitError(
                f"node {place.name!r}: v_leak is {leak.flat[np.abs(leak).argmax()]:g}, only 0 can be placed",
                "add v_leak / r to the bias of the node before it, and make it 0",
            )
        if found.get("v_threshold") is not None and place.reset != "none" and (found["v_threshold"] <= 0).any():
            raise DoesNotFitError(f"node {place.name!r}: v_threshold has values that are not positive", "train it anew")
        shape = place.shape or max((values.shape for values in found.values()), key=np.prod) or (1,)
        value = {key: _fitted(place, shape, key, values) for key, values in found.items()}
        tau = value.get("tau", value.get("tau_mem"))
        decay = np.ones(shape) if tau is None else 1 - place.dt / tau
        gain = value.get("r", np.ones(shape)) * (place.dt if tau is None else place.dt / tau)
        neuron = Neuron(decay=decay, gain=_unless_one(gain))
        if "tau_syn" in value:
            share = place.dt / value["tau_syn"]
            neuron = Neuron(
                decay=decay,
                gain=_unless_one(gain),
                current_decay=1 - share,
                current_gain=_unless_one(value["w_in"] * share),
            )
        if "v_threshold" in value:
            neuron = Neuron(
                **{
                    **vars(neuron),
                    "threshold": value["v_threshold"],
                    "reset": place.reset,
                    "reset_value": value["v_reset"] if value["v_reset"].any() else None,
                }
            )
        return Node(name=place.name, kind="neuron", shape=shape, sources=place.sources, neuron=neuron)

    return build


def _threshold(place: Place, node: Any) -> Node:
    values = values_of(place.name, node, "threshold")
    shape = place.shape or values.shape or (1,)
    neuron = Neuron(decay=np.zeros(shape), threshold=_fitted(place, shape, "threshold", values))
    return Node(name=place.name, kind="neuron", shape=shape, sources=place.sources, neuron=neuron)


def _linear(place: Place, node: Any) -> Node:
    weight = values_of(place.name, node, "weight")
    weight = weight.reshape(bare(weight.shape)) if weight.ndim > 2 else weight
    if weight.ndim != 2:
        raise ConfigurationError(f"node {place.name!r}: weight has shape {weight.shape}", "wanted (outputs, inputs)")
    outputs, inputs = weight.shape
    if place.shape is not None and inputs != prod(place.shape):
        raise ConfigurationError(
            f"node {place.name!r}: weight of shape {weight.shape} takes {inputs} values, {place.shape} arrive",
            "is it transposed? wanted (outputs, inputs)",
        )
    parameters: dict[str, Any] = {"weight": weight}
    # Some frameworks write False where there is no bias.
    if np.any(getattr(node, "bias", False)):
        bias = values_of(place.name, node, "bias")
        if bias.size not in (1, outputs):
            raise ConfigurationError(f"node {place.name!r}: {bias.size} biases for {outputs} outputs", "one an output")
        parameters["bias"] = np.broadcast_to(bias.ravel(), (outputs,))
    return Node(name=place.name, kind="linear", shape=(outputs,), sources=place.sources, parameters=parameters)


def _scale(place: Place, node: Any) -> Node:
    values = values_of(place.name, node, "scale")
    shape = place.shape or values.shape or (1,)
    scale = {"scale": _fitted(place, shape, "scale", values)}
    return Node(name=place.name, kind="scale", shape=shape, sources=place.sources, parameters=scale)


def _delay(place: Place, node: Any) -> Node:
    values = values_of(place.name, node, "delay")
    shape = place.shape or values.shape or (1,)
    steps = _fitted(place, shape, "delay", values) / place.dt
    if (steps < 0).any() or (steps > 1 << 12).any() or not np.allclose(steps, np.round(steps), atol=1e-3):
        raise DoesNotFitError(f"node {place.name!r}: delays are 0 to 4096 whole steps of {place.dt:g} s", "choose dt")
    parameters = {"delay": np.round(steps)}
    return Node(name=place.name, kind="delay", shape=shape, sources=place.sources, parameters=parameters)


def _needed_shape(place: Place, dimensions: int) -> Shape:
    shape = place.shape
    if shape is None or len(shape) < dimensions or bare(shape[:-dimensions] or (1,)) != (1,):
        raise DoesNotFitError(f"node {place.name!r}: {shape} arrives, {dimensions} dimensions are wanted", "reshape it")
    return shape[-dimensions:]


def _flatten(place: Place, node: Any) -> Node:
    shape = (1,) if place.shape is None else place.shape
    return Node(name=place.name, kind="flatten", shape=(prod(shape),), sources=place.sources)


def _pair(place: Place, node: Any, key: str, least: int) -> tuple[int, int]:
    values = values_of(place.name, node, key)
    if values.size > 2 or (values != np.round(values)).any() or values.min() < least or values.max() > 1 << 12:
        raise ConfigurationError(
            f"node {place.name!r}: {key} is {brief(values.tolist())}", f"one or two integers >= {least}"
        )
    pair = np.broadcast_to(values.ravel(), (2,)).astype(int).tolist()
    return pair[0], pair[1]


def _window(place: Place, size: Shape, kernel: Shape, stride: Shape, padding: Shape, dilation: Shape) -> Shape:
    found = tuple(
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, s, p, d in zip(size, kernel, stride, padding, dilation, strict=True)
    )
    if min(found) < 1:
        raise ConfigurationError(
            f"node {place.name!r}: a window of {kernel} does not fit into {size}", "make it smaller"
        )
    return found


def _conv2d(place: Place, node: Any) -> Node:
    channels, *size = _needed_shape(place, 3)
    weight = values_of(place.name, node, "weight")
    groups = _pair(place, node, "groups", 1)[0]
    if weight.ndim != 4 or weight.shape[1] * groups != channels or weight.shape[0] % groups:
        raise ConfigurationError(
            f"node {place.name!r}: weight of shape {weight.shape}, {groups} groups, for {channels} channels",
            "wanted (channels out, channels in / groups, height, width)",
        )
    kernel = weight.shape[2:]
    stride, dilation = _pair(place, node, "stride", 1), _pair(place, node, "dilation", 1)
    if isinstance(node.padding, str):
        if node.padding not in ("same", "valid") or (node.padding == "same" and not all(k % 2 for k in kernel)):
            raise DoesNotFitError(
                f"node {place.name!r}: padding {brief(repr(node.padding))}", "write it as two numbers"
            )
        padding = (
            (0, 0) if node.padding == "valid" else tuple(d * (k // 2) for k, d in zip(kernel, dilation, strict=True))
        )
    else:
        padding = _pair(place, node, "padding", 0)
    parameters: dict[str, Any] = {
        "weight": weight,
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
        "groups": groups,
    }
    if np.any(getattr(node, "bias", False)):
        bias = values_of(place.name, node, "bias")
        if bias.size not in (1, len(weight)):
            raise ConfigurationError(f"node {place.name!r}: {bias.size} biases for {len(weight)} channels", "one each")
        parameters["bias"] = np.broadcast_to(bias.ravel(), (len(weight),))
    shape = (len(weight), *_window(place, tuple(size), kernel, stride, padding, dilation))
    return Node(name=place.name, kind="conv2d", shape=shape, sources=place.sources, parameters=parameters)


def _pool(kind: Any) -> Callable[[Place, Any], Node]:
    def build(place: Place, node: Any) -> Node:
        channels, *size = _needed_shape(place, 3)
        kernel, stride = _pair(place, node, "kernel_size", 1), _pair(place, node, "stride", 1)
        padding = _pair(place, node, "padding", 0)
        shape = (channels, *_window(place, tuple(size), kernel, stride, padding, (1, 1)))
        parameters = {"kernel": kernel, "stride": stride, "padding": padding}
        return Node(name=place.name, kind=kind, shape=shape, sources=place.sources, parameters=parameters)

    return build


BUILDERS: dict[str, Callable[[Place, Any], Node]] = {
    "I": _population("r"),
    "LI": _population("tau", "r", "v_leak"),
    "IF": _population("r", "v_threshold", "v_reset"),
    "LIF": _population("tau", "r", "v_leak", "v_threshold", "v_reset"),
    "CubaLI": _population("tau_mem", "tau_syn", "r", "v_leak", "w_in"),
    "CubaLIF": _population("tau_mem", "tau_syn", "r", "v_leak", "w_in", "v_threshold", "v_reset"),
    "Threshold": _threshold,
    "Linear": _linear,
    "Affine": _linear,
    "Scale": _scale,
    "Flatten": _flatten,
    "Conv2d": _conv2d,
    "SumPool2d": _pool("sum-pool"),
    "AvgPool2d": _pool("average-pool"),
    "Delay": _delay,
}
NODES = ("Input", "Output", "NIRGraph", *BUILDERS)
"""Types of nodes that are read."""

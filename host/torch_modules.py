# SPDX-License-Identifier: Apache-2.0
"""Networks of torch modules: snnTorch's neurons as they are, or plain layers with neurons between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from torch import Tensor, nn

from ..arch.errors import ConfigurationError, DoesNotFitError
from ..arch.graph import FloatArray, Graph, Kind, Neuron, Node, Reset, Source

PASSED_OVER = ("Dropout", "Identity")
"""Modules that do nothing once a network is trained."""

SNNTORCH = ("Leaky", "Synaptic", "RLeaky", "RSynaptic")


def from_snntorch(module: nn.Module, *, inputs: tuple[int, ...] | None = None) -> Graph:
    """The network of an snnTorch module, in snnTorch's own arithmetic (`arch.graph.Reset` has its resets).

    Layers are the module's children in the order in which they were registered, nested ones opened; `forward` is not
    read, and the graph's `notes` say the order. `Linear`, `Flatten`, `Leaky`, `Synaptic`, `RLeaky` and `RSynaptic` with
    any `reset_mechanism` are taken, `Dropout` and `Identity` left out. `inputs` is the shape of one step's input, which
    may be left out where the first layer is a `Linear`. The last layer is the output.

    Raises `DoesNotFitError` for another module or an option that nothing here does, `ConfigurationError` for a shape
    that does not follow from the layers, or parameters that are not finite.
    """
    chain = _Chain(_first(module, inputs))
    for name, layer in _layers(module):
        kind = type(layer).__name__
        if _is_snntorch(layer):
            _snntorch_neuron(chain, name, layer)
        elif not _plain(chain, name, layer):
            raise DoesNotFitError(
                f"layer {name!r}: {kind} is not known",
                f"known: Linear, Flatten, {', '.join((*SNNTORCH, *PASSED_OVER))}",
            )
    return chain.graph(f"snnTorch {type(module).__name__}")


def from_torch(
    module: nn.Module,
    *,
    decay: float | Sequence[float],
    threshold: float = 1.0,
    reset: Reset = "subtract",
    readout: bool = False,
    inputs: tuple[int, ...] | None = None,
) -> Graph:
    """Plain layers of torch, `Linear` and `Flatten`, every `Linear` followed by neurons::

        u = decay v + W x + b;  s = u > threshold;  v by `reset` (`arch.graph.Reset`)

    `decay` is one for all layers, or one each. With `readout` the last layer's neurons put out u and do not spike.
    Modules, `inputs` and errors are as with `from_snntorch`; a nonlinearity is refused, as neurons take its place.
    """
    layers = list(_layers(module))
    linear = [name for name, layer in layers if isinstance(layer, nn.Linear)]
    decays = [float(decay)] * len(linear) if isinstance(decay, int | float) else [float(one) for one in decay]
    if len(decays) != len(linear) or not all(0 <= one <= 1 for one in decays):
        raise ConfigurationError(f"decays {decays} for {len(linear)} Linear layers", "one of 0 to 1 each, or one")
    if not threshold > 0:
        raise ConfigurationError(f"threshold {threshold:g}", "it is > 0")
    chain = _Chain(_first(module, inputs))
    for name, layer in layers:
        if not _plain(chain, name, layer):
            hint = (
                "leave it out: a neuron follows every Linear" if "Linear" not in type(layer).__name__ else "use Linear"
            )
            raise DoesNotFitError(f"layer {name!r}: {type(layer).__name__} is not known", hint)
        if isinstance(layer, nn.Linear):
            own = decays[linear.index(name)]
            spikes = not (readout and name == linear[-1])
            neuron = Neuron(
                decay=np.full(chain.shape, own),
                threshold=np.full(chain.shape, threshold) if spikes else None,
                reset=reset if spikes else "none",
            )
            chain.add(f"{name}.neurons", "neuron", chain.shape, neuron=neuron)
    return chain.graph(f"torch {type(module).__name__}")


@dataclass
class _Chain:
    """Nodes one after the other; a loop is added by `back`."""

    shape: tuple[int, ...]
    nodes: list[Node] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.nodes.append(Node(name="input", kind="input", shape=self.shape))

    def add(self, name: str, kind: Kind, shape: tuple[int, ...], back: Node | None = None, **words: Any) -> None:
        sources = (Source(self.nodes[-1].name), *((Source(back.name),) if back else ()))
        if back:
            self.nodes.append(back)
        self.nodes.append(Node(name=name, kind=kind, shape=shape, sources=sources, **words))
        self.shape = shape

    def graph(self, origin: str) -> Graph:
        if len(self.nodes) == 1:
            raise ConfigurationError(f"{origin}: there are no layers", "give it some")
        names = [node.name for node in self.nodes[1:]]
        self.add("output", "output", self.shape)
        return Graph(
            nodes=tuple(self.nodes),
            origin=origin,
            notes=(f"layers in the order they were registered: {', '.join(names)}",),
        )


def _layers(module: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Names and layers in order of registration, containers opened, what does nothing left out."""
    if not prefix and (_is_snntorch(module) or isinstance(module, nn.Linear)):
        yield type(module).__name__.lower(), module
        return
    for key, child in module.named_children():
        name = f"{prefix}{key}"
        if _is_snntorch(child) or not list(child.children()):
            if type(child).__name__ not in PASSED_OVER and not type(child).__module__.endswith("surrogate"):
                yield name, child
        else:
            yield from _layers(child, f"{name}.")


def _is_snntorch(layer: nn.Module) -> bool:
    return type(layer).__module__.split(".")[0] == "snntorch"


def _first(module: nn.Module, inputs: tuple[int, ...] | None) -> tuple[int, ...]:
    """The shape of the input."""
    if inputs is not None:
        if not inputs or min(inputs) < 1:
            raise ConfigurationError(f"inputs {inputs}", "the shape of one step's input, as (784,)")
        return tuple(inputs)
    for _, layer in _layers(module):
        if isinstance(layer, nn.Linear):
            return (layer.in_features,)
        if not isinstance(layer, nn.Flatten):
            break
    raise ConfigurationError("the shape of the input does not follow from the layers", "say it: inputs = (784,)")


def _numbers(name: str, key: str, values: Any) -> FloatArray:
    """A parameter as real and finite numbers."""
    array = values.detach().cpu().double().numpy() if isinstance(values, Tensor) else np.asarray(values, np.float64)
    if not np.isfinite(array).all():
        raise ConfigurationError(f"layer {name!r}: {key} has values that are not finite", "train it anew")
    return array


def _each(name: str, key: str, values: Any, shape: tuple[int, ...]) -> FloatArray:
    """A parameter as one value for each neuron."""
    array = _numbers(name, key, values)
    try:
        return np.broadcast_to(array, shape).copy()
    except ValueError as error:
        message = f"layer {name!r}: {key} has shape {array.shape}, the layer {shape}"
        raise ConfigurationError(message, "one value, or one a neuron") from error


def _linear(name: str, layer: nn.Linear) -> dict[str, FloatArray]:
    found = {"weight": _numbers(name, "weight", layer.weight)}
    return found if layer.bias is None else {**found, "bias": _numbers(name, "bias", layer.bias)}


def _plain(chain: _Chain, name: str, layer: nn.Module) -> bool:
    """Add a layer of torch's own; whether it is one that we know."""
    size = prod(chain.shape)
    if type(layer) is nn.Flatten:
        chain.add(name, "flatten", (size,))
        return True
    if type(layer) is not nn.Linear:
        return False
    if layer.in_features != size:
        raise ConfigurationError(
            f"layer {name!r} takes {layer.in_features} values, {size} arrive", "are the layers registered in order?"
        )
    chain.add(name, "linear", (layer.out_features,), parameters=_linear(name, layer))
    return True


def _snntorch_neuron(chain: _Chain, name: str, layer: Any) -> None:
    """Add a population of snnTorch, and what leads back to it."""
    kind, shape = type(layer).__name__, chain.shape
    if kind not in SNNTORCH:
        raise DoesNotFitError(f"layer {name!r}: {kind} is not known", f"known: {', '.join(SNNTORCH)}")
    recurrent, synaptic = kind.startswith("R"), kind.endswith("Synaptic")
    graded = np.any(_numbers(name, "graded_spikes_factor", layer.graded_spikes_factor) != 1)
    for option, used in (
        ("inhibition", layer.inhibition),
        ("state_quant", layer.state_quant),
        ("graded spikes", graded),
    ):
        if used:
            raise DoesNotFitError(f"layer {name!r}: {option} is not known here", "train it without")
    if recurrent and not layer.reset_delay:
        raise DoesNotFitError(f"layer {name!r}: {kind} with reset_delay=False fails in snnTorch itself", "leave it out")
    threshold = _each(name, "threshold", layer.threshold, shape)
    if (threshold <= 0).any():
        raise DoesNotFitError(f"layer {name!r}: threshold has values that are not positive", "train it anew")
    resets: dict[str, Reset] = {
        "none": "none",
        "subtract": "delayed-subtract" if layer.reset_delay else "snntorch-subtract",
        # Where the leak acts on what is already zero, to zero it late is to zero it at once.
        "zero": "delayed-zero" if layer.reset_delay and kind != "Leaky" else "zero",
    }
    neuron = Neuron(
        decay=np.clip(_each(name, "beta", layer.beta, shape), 0, 1),
        current_decay=np.clip(_each(name, "alpha", layer.alpha, shape), 0, 1) if synaptic else None,
        threshold=threshold,
        reset=resets[layer.reset_mechanism],
    )
    back = None
    if recurrent:
        own = (Source(name, late=True),)
        if isinstance(layer.recurrent, nn.Linear):
            weights = _linear(f"{name}.recurrent", layer.recurrent)
            back = Node(name=f"{name}.recurrent", kind="linear", shape=shape, sources=own, parameters=weights)
        elif layer.all_to_all:
            raise DoesNotFitError(f"layer {name!r}: convolution of own spikes is not known here", "use linear_features")
        else:
            scale = {"scale": _each(name, "V", layer.recurrent.V, shape)}
            back = Node(name=f"{name}.recurrent", kind="scale", shape=shape, sources=own, parameters=scale)
    chain.add(name, "neuron", shape, back=back, neuron=neuron)

# SPDX-License-Identifier: Apache-2.0
"""A network in floating point: its shape, and the coefficients that a rule gives to each of its layers."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Literal

from torch import Tensor

from ...arch.errors import ConfigurationError
from ...arch.network import Signal
from ...arch.rules import Rule
from .losses import Loss, loss_named
from .rules import FloatRule, float_rule
from .surrogates import surrogate_named


@dataclass(frozen=True)
class Shape:
    """What `arch.rules.network_for` is told of a network: `sizes` are widths from the input to the readout.

    Hidden layers may be `recurrent`: they also see their own spikes of the step before. All layers that learn may have
    a `bias`. The readout is a membrane with `readout_decay`, its error taken from the membrane unless it does not leak;
    `error_on` says otherwise. With `spiking_readout` the last layer spikes, and a frozen identity above it is the
    readout. `decays` are leaks of the spiking layers, instead of the rule's. `standardised` hidden layers use their
    weights, but for the bias, by way of `standardise`.
    """

    sizes: tuple[int, ...]
    _: KW_ONLY
    recurrent: bool = False
    bias: bool = False
    readout_decay: float = 1.0
    spiking_readout: bool = False
    error_on: Literal["current", "membrane"] | None = None
    decays: tuple[float, ...] | None = None
    standardised: bool = False

    def __post_init__(self) -> None:
        if len(self.sizes) < 2 or min(self.sizes) < 1:
            raise ConfigurationError(
                f"layers {'-'.join(map(str, self.sizes))!r} need an input and a readout", "write (784, 256, 10)"
            )
        spiking = len(self.sizes) - 2 + self.spiking_readout
        if self.decays is not None and (len(self.decays) != spiking or not all(0 <= d <= 1 for d in self.decays)):
            raise ConfigurationError(
                f"decays are {spiking} numbers of 0 to 1, not {self.decays}", "one a spiking layer"
            )


@dataclass(frozen=True, kw_only=True)
class FloatLayer:
    """One layer's coefficients; the rows of its weights are as those of `arch.network.Layer`.

    `gain` multiplies what its own weights move by, not what is sent down. Where `eligibility` is set, `trace_decay` is
    that of the synaptic current.
    """

    inputs: int
    outputs: int
    spiking: bool
    recurrent: bool
    bias: bool
    learns: bool
    identity: bool
    standardised: bool
    decay: float
    trace_decay: float
    second_trace_decay: float
    psi_decay: float
    signal: Signal
    gain: float
    eligibility: bool

    @property
    def synapses(self) -> int:
        """Rows but for the bias: inputs, own neurons."""
        return self.inputs + self.outputs * self.recurrent

    @property
    def rows(self) -> int:
        """Rows of its weights: inputs, own neurons, bias."""
        return self.synapses + self.bias


@dataclass(frozen=True, kw_only=True)
class FloatNetwork:
    """Layers in order, the last one the readout, and the rule that they learn by. The threshold is 1."""

    rule: FloatRule
    layers: tuple[FloatLayer, ...]
    loss: Loss
    error_on: Literal["current", "membrane"]

    @property
    def fixed_layers(self) -> tuple[int, ...]:
        """Layers whose learning signal comes through a fixed matrix; of these there is one each, in this order."""
        return tuple(index for index, layer in enumerate(self.layers) if layer.signal != "backprop")


def float_network(rule: str | Rule, shape: Shape, loss: str | Loss | None = None) -> FloatNetwork:
    """The network of `shape` that learns by `rule`: layer by layer the reals that `arch.rules.network_for` rounds.

    `loss` is the rule's `error` unless it is given. The rate of a `scaled` rule is multiplied by classes / (neurons of
    the layer above) as it is. What decays as the rule's membrane follows a leak given by `Shape.decays`. In the
    rule's output layer, which spikes with `spiking_readout`, psi is not averaged nor a trace filtered twice.

    Raises `ConfigurationError` for a rule, loss or surrogate that there is not.
    """
    rule = float_rule(rule)
    surrogate_named(rule.surrogate)
    sizes = (*shape.sizes, shape.sizes[-1]) if shape.spiking_readout else shape.sizes
    last = len(sizes) - 2
    layers = []
    for index, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        readout = index == last
        identity = readout and shape.spiking_readout
        learns = not identity and (rule.readout_learns or not readout)
        hidden = index < last - shape.spiking_readout
        decay = rule.decay if shape.decays is None or readout else shape.decays[index]
        hidden_decays = (rule.hidden_trace_decay, rule.second_trace_decay, rule.psi_decay)
        trace_decay, second_trace_decay, psi_decay = (decay if own == rule.decay else own for own in hidden_decays)
        if index == 0 and rule.first_trace_decay is not None:
            trace_decay = rule.first_trace_decay
        if rule.eligibility:
            trace_decay = rule.current_decay
        # A readout that all layers see through is also the topmost layer's own.
        topmost = index == last - 1 and rule.signal == "local" and not rule.readout_learns
        layers.append(
            FloatLayer(
                inputs=inputs,
                outputs=outputs,
                spiking=not readout,
                recurrent=shape.recurrent and not readout,
                bias=shape.bias and learns,
                learns=learns,
                identity=identity,
                standardised=shape.standardised and not readout,
                decay=decay if not readout else 1.0 if identity else shape.readout_decay,
                trace_decay=rule.readout_trace_decay if readout else trace_decay,
                second_trace_decay=second_trace_decay if hidden else 0.0,
                psi_decay=psi_decay if hidden else 0.0,
                signal="backprop" if readout or topmost or rule.backward != "step" else rule.signal,
                gain=sizes[-1] / sizes[index + 2] if rule.scaled and not readout else 1.0,
                eligibility=rule.eligibility and not readout,
            )
        )
    return FloatNetwork(
        rule=rule,
        layers=tuple(layers),
        loss=loss_named(rule.error if loss is None else loss),
        error_on=shape.error_on or ("current" if shape.readout_decay == 1.0 else "membrane"),
    )


def check_matrices(network: FloatNetwork, weights: Sequence[Tensor], fixed: Sequence[Tensor]) -> None:
    """Raise `ConfigurationError` unless there are (rows, outputs) weights and (neurons, classes) fixed matrices."""
    classes = network.layers[-1].outputs
    wanted = {
        "weights": (weights, [(layer.rows, layer.outputs) for layer in network.layers]),
        "fixed matrices": (fixed, [(network.layers[index].outputs, classes) for index in network.fixed_layers]),
    }
    for what, (matrices, shapes) in wanted.items():
        found = [tuple(matrix.shape) for matrix in matrices]
        if found != shapes:
            raise ConfigurationError(f"{what} of shapes {found}, not {shapes}", "leave them out to have them drawn")

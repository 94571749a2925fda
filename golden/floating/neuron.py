# SPDX-License-Identifier: Apache-2.0
"""The neuron of all rules, and one step of a whole network: differentiable, and what the law learns from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from .network import FloatLayer, FloatNetwork
from .rules import FloatRule
from .surrogates import surrogate_named


class NeuronState(NamedTuple):
    """v, c and the spikes of the last step, (B, neurons) each; None where the layer has no use for one."""

    membrane: Tensor
    current: Tensor | None
    spikes: Tensor | None


class NeuronOutput(NamedTuple):
    """`membrane`: u, before the reset; `spikes`: 0 or 1; `psi`; `free`: where u was not clamped, None without clamp."""

    membrane: Tensor
    spikes: Tensor
    psi: Tensor
    free: Tensor | None


class NetworkOutput(NamedTuple):
    """One step of all layers.

    `events`: x of each layer's rows, (B, rows); `neurons`: of the spiking layers; `readout`: (B, classes), what the
    error is taken from.
    """

    events: list[Tensor]
    neurons: list[NeuronOutput]
    readout: Tensor


def first_state(rule: FloatRule, layer: FloatLayer, inputs: Tensor) -> NeuronState:
    """The state that samples (B, …) start from: zeros of their device and type."""
    zero = inputs.new_zeros(len(inputs), layer.outputs)
    has_current = rule.current_decay > 0 and layer.spiking
    return NeuronState(zero, zero if has_current else None, zero if layer.recurrent else None)


def step(rule: FloatRule, layer: FloatLayer, state: NeuronState, current: Tensor) -> tuple[NeuronState, NeuronOutput]:
    """One step of a spiking layer from its input I, (B, neurons)::

    c   = current_decay c + I
    u   = decay v + c; 0 if it is below 0 and `clamp` is set
    s   = u >= 1 (`strict`: >),   ds/du = psi
    psi = peak surrogate(u - 1), 0 where u was clamped
    v'  = u - s (soft) | u (1 - s) (hard) | u (none);   s a constant unless the rule's `backward` is `attached`
    """
    if state.current is not None:
        current = rule.current_decay * state.current + current
    unclamped = layer.decay * state.membrane + current
    u = unclamped.clamp(min=0) if rule.clamp else unclamped
    above = u - 1
    psi = surrogate_named(rule.surrogate)(above.detach())
    if rule.peak != 1.0:
        psi = rule.peak * psi
    free = unclamped >= 0 if rule.clamp else None
    if free is not None:
        psi = psi * free
    fired = (above > 0 if rule.strict else above >= 0).to(u.dtype)
    # The value is that of `fired`: the difference is exactly 0, and only its derivative is not.
    spikes = fired + psi * (u - u.detach()) if u.requires_grad else fired
    taken = spikes if rule.backward == "attached" else fired
    after = u - taken if rule.reset == "soft" else u * (1 - taken) if rule.reset == "hard" else u
    kept = NeuronState(after, None if state.current is None else current, spikes if layer.recurrent else None)
    return kept, NeuronOutput(u, spikes, psi, free)


def network_step(
    network: FloatNetwork, weights: Sequence[Tensor], states: Sequence[NeuronState], inputs: Tensor
) -> tuple[list[NeuronState], NetworkOutput]:
    """One step of all layers, each seeing the spikes of the one below in the same step; `inputs` is (B, inputs).

    The readout integrates: `v' = decay v + I`, and its error is taken from I or from v'.
    """
    below = inputs
    after: list[NeuronState] = []
    events: list[Tensor] = []
    neurons: list[NeuronOutput] = []
    for layer, weight, state in zip(network.layers, weights, states, strict=True):
        x = _events(layer, below, state)
        events.append(x)
        current = x @ weight
        if layer.spiking:
            kept, out = step(network.rule, layer, state, current)
            neurons.append(out)
            below = out.spikes
        else:
            kept = NeuronState(layer.decay * state.membrane + current, None, None)
        after.append(kept)
    readout = current if network.error_on == "current" else after[-1].membrane
    return after, NetworkOutput(events, neurons, readout)


def _events(layer: FloatLayer, below: Tensor, state: NeuronState) -> Tensor:
    """x of the layer's rows: what comes from below, the neurons' own spikes of the step before, the bias' 1."""
    parts = [below]
    if state.spikes is not None:
        parts.append(state.spikes)
    if layer.bias:
        parts.append(below.new_ones(len(below), 1))
    return torch.cat(parts, 1) if len(parts) > 1 else below


class Outputs(NamedTuple):
    """`readout`: (B, T, classes), what the error is taken from; `membrane`: (B, classes), after the last step."""

    readout: Tensor
    membrane: Tensor


def forward(network: FloatNetwork, weights: Sequence[Tensor], inputs: Tensor) -> Outputs:
    """Samples (B, T, inputs) through the network; gradients pass from step to step as the rule's `backward` says."""
    states = [first_state(network.rule, layer, inputs) for layer in network.layers]
    readouts = []
    for x in inputs.unbind(1):
        states, out = network_step(network, weights, states, x)
        readouts.append(out.readout)
    return Outputs(torch.stack(readouts, 1), states[-1].membrane)


@torch.no_grad()
def predict(network: FloatNetwork, weights: Sequence[Tensor], inputs: Tensor) -> Tensor:
    """Classes (B,): the largest membrane of the readout after the last step, the sum of its inputs if none leaked."""
    return forward(network, weights, inputs).membrane.argmax(1)

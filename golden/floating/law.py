# SPDX-License-Identifier: Apache-2.0
"""The law: every rule that learns while the sample runs is one setting of two outer products a step, without autograd.

A step of a layer, after its neurons (`neuron.step`), with x the events of its rows::

    p   = trace_decay p + x;   z = second_trace_decay z + p             or, per synapse, E = kappa E + x
    psi' = psi, or its normalised running mean                            kappa = du[t]/du[t-1], the reset included
    q'  = q (`old`) or post_decay q (`decayed`), then q = post_decay q + psi
    G   = gain delta psi'                                                 H = gain post_gain delta q'
    gradient of W = z^T G + x^T H                                         summed over the batch

A bias moves by G alone: it has no trace, no eligibility and no post term. delta is the loss' derivative by the neuron's
spike, within the step: W^T (delta psi') of the layer above, or what a fixed matrix gives (`arch.network.Signal`). These
are equations 8.1 to 8.6 of the unified form.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from . import neuron
from .network import FloatLayer, FloatNetwork
from .neuron import NetworkOutput, NeuronOutput, NeuronState
from .rules import FloatRule


class Traces(NamedTuple):
    """What a layer remembers for learning; None where its rule has no use for one.

    `pre` p and `second` z, (B, rows); `post` q and `mean` psi', (B, neurons), over `horizon` steps; `eligibility`
    kappa E, (B, rows, neurons), as the next step adds to it.
    """

    pre: Tensor | None
    second: Tensor | None
    post: Tensor | None
    mean: Tensor | None
    horizon: float
    eligibility: Tensor | None


class LayerState(NamedTuple):
    """All that a layer keeps from step to step."""

    neuron: NeuronState
    traces: Traces


class Factors(NamedTuple):
    """What a layer's update takes, but for delta: z or E as `pre`, psi' as `slope`, q' as `post` (None: no term)."""

    pre: Tensor
    slope: Tensor
    post: Tensor | None


def first_states(network: FloatNetwork, inputs: Tensor) -> list[LayerState]:
    """The states that samples (B, …) start from."""
    return [
        LayerState(neuron.first_state(network.rule, layer, inputs), _first_traces(network.rule, layer, inputs))
        for layer in network.layers
    ]


def _first_traces(rule: FloatRule, layer: FloatLayer, inputs: Tensor) -> Traces:
    rows, neurons = inputs.new_zeros(len(inputs), layer.rows), inputs.new_zeros(len(inputs), layer.outputs)
    return Traces(
        pre=rows if layer.trace_decay > 0 and layer.learns else None,
        second=rows if layer.second_trace_decay > 0 else None,
        post=neurons if rule.post_gain and layer.spiking else None,
        mean=neurons if layer.psi_decay > 0 else None,
        horizon=0.0,
        eligibility=inputs.new_zeros(len(inputs), layer.rows, layer.outputs) if layer.eligibility else None,
    )


@torch.no_grad()
def step(
    network: FloatNetwork,
    weights: Sequence[Tensor],
    states: Sequence[LayerState],
    inputs: Tensor,
    target: Tensor,
    *,
    fixed: Sequence[Tensor] = (),
    share: Tensor | float | None = None,
) -> tuple[list[LayerState], list[Tensor]]:
    """One step of samples (B, inputs) with one-hot targets (B, classes): the new states, and the gradients.

    `share` is what the step's loss weighs, a number or one for each sample, (B, 1). Where it is None the step is
    closed: states move, and there are no gradients.
    """
    neurons, made = neuron.network_step(network, weights, [state.neuron for state in states], inputs)
    after = []
    factors = []
    for index, (layer, state) in enumerate(zip(network.layers, states, strict=True)):
        out = made.neurons[index] if layer.spiking else None
        traces, factor = _follow(network.rule, layer, state.traces, made.events[index], out)
        after.append(LayerState(neurons[index], traces))
        factors.append(factor)
    if share is None:
        return after, []
    return after, _gradients(network, weights, made, factors, target, fixed, share)


def _follow(
    rule: FloatRule, layer: FloatLayer, old: Traces, x: Tensor, out: NeuronOutput | None
) -> tuple[Traces, Factors]:
    """Traces after the step, and what the update takes of them."""
    new = old
    pre = x
    if old.pre is not None:
        pre = _but_for_bias(layer, layer.trace_decay * old.pre + x)
        new = new._replace(pre=pre)
    if old.second is not None:
        pre = _but_for_bias(layer, layer.second_trace_decay * old.second + pre)
        new = new._replace(second=pre)
    if out is None:
        return new, Factors(pre, x, None)
    if old.eligibility is not None:
        pre = old.eligibility + pre.unsqueeze(2)
        if out.free is not None:
            pre = pre * out.free.unsqueeze(1)
        pre = _but_for_bias(layer, pre)
        new = new._replace(eligibility=_kappa(rule, layer, out).unsqueeze(1) * pre)
    slope = out.psi
    if old.mean is not None:
        horizon = layer.psi_decay * old.horizon + 1
        slope = old.mean + (slope - old.mean) / horizon
        new = new._replace(mean=slope, horizon=horizon)
    post = None
    if old.post is not None:
        decayed = rule.post_decay * old.post
        post = rule.post_gain * (old.post if rule.post_read == "old" else decayed)
        new = new._replace(post=decayed + out.psi)
    return new, Factors(pre, slope, post)


def _but_for_bias(layer: FloatLayer, values: Tensor) -> Tensor:
    """The new traces `values`, (B, rows, …), with the bias' event in place of its trace."""
    if layer.bias:
        values[:, -1] = 1
    return values


def _kappa(rule: FloatRule, layer: FloatLayer, out: NeuronOutput) -> Tensor:
    """du[t+1]/du[t], the reset's derivative included."""
    if rule.reset == "soft":
        return layer.decay * (1 - out.psi)
    if rule.reset == "hard":
        return layer.decay * ((1 - out.spikes) - out.membrane * out.psi)
    return torch.full_like(out.psi, layer.decay)


def _gradients(
    network: FloatNetwork,
    weights: Sequence[Tensor],
    made: NetworkOutput,
    factors: Sequence[Factors],
    target: Tensor,
    fixed: Sequence[Tensor],
    share: Tensor | float,
) -> list[Tensor]:
    """Gradients of all weights, from the readout down; zeros where a layer does not learn."""
    loss = network.loss
    error = loss.error(made.readout, target)
    through = dict(zip(network.fixed_layers, fixed, strict=True))
    down = error * share
    gradients = [_outer(factors[-1].pre, down) if network.layers[-1].learns else torch.zeros_like(weights[-1])]
    for index in reversed(range(len(network.layers) - 1)):
        layer, factor, x = network.layers[index], factors[index], made.events[index]
        if layer.signal == "backprop":
            delta = down @ weights[index + 1][: layer.outputs].T
        elif layer.signal == "local":
            delta = loss.error(made.neurons[index].spikes @ through[index], target) * share @ through[index].T
        else:
            sent = error if layer.signal == "feedback" else error.sign()
            delta = sent * share @ through[index].T
        down = delta * factor.slope
        gradient = _outer(factor.pre, down)
        if factor.post is not None:
            synapses = layer.synapses
            gradient[:synapses] += x[:, :synapses].T @ (delta * factor.post)
        gradients.insert(0, gradient if layer.gain == 1.0 else layer.gain * gradient)
    return gradients


def _outer(pre: Tensor, factor: Tensor) -> Tensor:
    """Over the batch, the sum of p G for traces (B, rows), and of E G for those per synapse, (B, rows, neurons)."""
    return pre.T @ factor if pre.ndim == 2 else torch.einsum("brn,bn->rn", pre, factor)

# SPDX-License-Identifier: Apache-2.0
"""Optimisers and learning-rate schedules by name, and the parameters that they move."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ...arch.errors import ConfigurationError, did_you_mean
from ..train import rate_fall
from .network import FloatLayer, FloatNetwork
from .standardise import standardise

MOMENTUM = 0.9

SPIKE_GAIN = 2.74
"""`1 / std(H(x - 1))` for a normal x: OTTT multiplies spikes with it, here the gains of the layers that they go to."""

OPTIMISERS: dict[str, Callable[[list[Tensor], float], torch.optim.Optimizer] | None] = {
    "sgd": None,
    "momentum": lambda parameters, rate: torch.optim.SGD(parameters, rate, momentum=MOMENTUM),
    "adam": torch.optim.Adam,
    "adamax": torch.optim.Adamax,
}
"""`sgd` is what the array does, and needs no state: w -= rate g. The others keep one or two words for each weight."""

SCHEDULES: dict[str, Callable[[int, int, int], float]] = {
    "constant": lambda epoch, epochs, fall: 1.0,
    "halving": lambda epoch, epochs, fall: 2.0 ** -rate_fall(epoch, epochs, fall),
    "cosine": lambda epoch, epochs, fall: 0.5 * (1 + math.cos(math.pi * epoch / epochs)),
}
"""The rate's factor in `epoch` of `epochs`; `halving` is that of `golden.train.learn`, `fall` halvings in all."""


def schedule_named(name: str) -> Callable[[int, int, int], float]:
    """The schedule called `name`, or a `ConfigurationError` that names the nearest."""
    if name not in SCHEDULES:
        raise ConfigurationError(f"no schedule is called {name!r}", did_you_mean(name, SCHEDULES))
    return SCHEDULES[name]


class Parameters:
    """What is learned: the weights of the layers that learn and, of standardised ones, a gain per neuron.

    A gain is 1 at first, or `SPIKE_GAIN` in a layer that sees spikes alone. `weights` are those that the network
    computes with: every `move` puts new ones into the list in place of standardised ones, and changes the others in
    place. `rate` may be set between moves. Raises `ConfigurationError` for an unknown optimiser.
    """

    def __init__(self, network: FloatNetwork, start: Sequence[Tensor], *, optimiser: str, rate: float) -> None:
        if optimiser not in OPTIMISERS:
            raise ConfigurationError(f"no optimiser is called {optimiser!r}", did_you_mean(optimiser, OPTIMISERS))
        self._layers = network.layers
        self._own = [weight.clone() for weight in start]
        self._gains = {
            index: torch.full_like(weight[0], SPIKE_GAIN if index else 1.0)
            for index, (layer, weight) in enumerate(zip(network.layers, start, strict=True))
            if layer.standardised
        }
        learned = [index for index, layer in enumerate(network.layers) if layer.learns]
        self._moved = {index: [self._own[index]] for index in learned}
        for index, gain in self._gains.items():
            self._moved[index].append(gain)
        make = OPTIMISERS[optimiser]
        self._optimiser = (
            None if make is None else make([part for parts in self._moved.values() for part in parts], rate)
        )
        self.rate = rate
        self.weights = [
            _used(layer, self._own[index], self._gains.get(index)) for index, layer in enumerate(network.layers)
        ]

    def move(self, gradients: Sequence[Tensor]) -> None:
        """One step of the optimiser from the gradients of `weights`."""
        for index, parts in self._moved.items():
            terms = self._pulled_back(index, gradients[index])
            for part, term in zip(parts, terms, strict=True):
                if self._optimiser is None:
                    part.sub_(term, alpha=self.rate)
                else:
                    part.grad = term
        if self._optimiser is not None:
            for group in self._optimiser.param_groups:
                group["lr"] = self.rate
            self._optimiser.step()
        for index, gain in self._gains.items():
            self.weights[index] = _used(self._layers[index], self._own[index], gain)

    def _pulled_back(self, index: int, gradient: Tensor) -> Sequence[Tensor]:
        """The gradients of what layer `index` learns from that of the weights it computes with."""
        if index not in self._gains:
            return [gradient]
        weight, gain = (own.detach().requires_grad_() for own in self._moved[index])
        return torch.autograd.grad(_used(self._layers[index], weight, gain), [weight, gain], gradient)


def _used(layer: FloatLayer, weight: Tensor, gain: Tensor | None) -> Tensor:
    """The weights that `layer` computes with: all but its bias standardised, if it has a gain."""
    if gain is None:
        return weight
    return torch.cat([standardise(weight[: layer.synapses], gain), weight[layer.synapses :]])

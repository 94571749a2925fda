# SPDX-License-Identifier: Apache-2.0
"""Modules of torch and snnTorch: the same spikes as snnTorch itself makes, and what is refused."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from trifactor.arch.errors import ConfigurationError, DoesNotFitError
from trifactor.golden.floating.device import FloatDevice
from trifactor.host.torch_modules import from_snntorch, from_torch

snntorch = pytest.importorskip("snntorch", reason="needs snntorch: pip install snntorch")

SAMPLES, STEPS = 4, 50


def random_network(seed: int) -> nn.Sequential:
    """Three layers of any kind with any of its settings."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(3, 40, 4)
    generator = torch.manual_seed(seed)
    layers: list[nn.Module] = [nn.Flatten()] if rng.random() < 0.3 else []
    for inputs, outputs in itertools.pairwise(sizes):
        layers.append(nn.Linear(int(inputs), int(outputs), bias=bool(rng.random() < 0.7)))
        kind = rng.choice(["Leaky", "Synaptic", "RLeaky", "RSynaptic"])
        words: dict[str, Any] = {"reset_mechanism": rng.choice(["subtract", "zero", "none"]), "init_hidden": True}
        many = rng.random(2) < 0.5
        beta = torch.rand(outputs, generator=generator) if many[0] else rng.uniform(0.3, 1)
        words["threshold"] = torch.rand(outputs, generator=generator) + 0.1 if many[1] else rng.uniform(0.2, 1)
        if not kind.startswith("R"):
            words["reset_delay"] = bool(rng.random() < 0.5)
        elif rng.random() < 0.6:
            words["linear_features"] = int(outputs)
        else:
            words |= {"all_to_all": False, "V": rng.uniform(-1, 1)}
        alpha = (rng.uniform(0.2, 0.95),) if kind.endswith("Synaptic") else ()
        layers.append(getattr(snntorch, kind)(*alpha, beta, **words))
    return nn.Sequential(*layers)


@torch.no_grad()
def recorded(network: nn.Sequential, inputs: torch.Tensor) -> list[np.ndarray]:
    """What snnTorch itself makes: (B, T, neurons) of each spiking layer."""
    spikes: dict[int, list[torch.Tensor]] = {}
    for x in inputs.unbind(1):
        for index, layer in enumerate(network):
            x = layer(x)  # noqa: PLW2901 - it goes from layer to layer
            if type(layer).__module__.startswith("snntorch"):
                spikes.setdefault(index, []).append(x)
    return [torch.stack(values, 1).numpy() for values in spikes.values()]


def test_random_networks_spike_as_in_snntorch() -> None:
    compared = spiked = 0
    for seed in range(24):
        network = random_network(seed)
        first = next(layer for layer in network if isinstance(layer, nn.Linear))
        inputs = 2 * (torch.rand(SAMPLES, STEPS, first.in_features) < 0.4).float()
        wanted = recorded(network, inputs)
        _, _, record = FloatDevice(from_snntorch(network))(inputs.numpy(), record=("spikes",))
        for own, theirs in zip(record.spikes, wanted, strict=True):
            assert np.array_equal(own, theirs), f"seed {seed}"
            compared += own.size
            spiked += int(own.sum())
    assert compared > 10**5
    assert spiked > 10**4


def test_a_module_s_layers_are_taken_in_the_order_of_registration_and_that_is_said() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc1 = nn.Linear(6, 5)
            self.lif1 = snntorch.Leaky(0.9)
            self.drop = nn.Dropout()
            self.block = nn.Sequential(nn.Linear(5, 3), snntorch.Leaky(0.8))

    graph = from_snntorch(Net())
    assert [node.name for node in graph.nodes] == ["input", "fc1", "lif1", "block.0", "block.1", "output"]
    assert graph.notes == ("layers in the order they were registered: fc1, lif1, block.0, block.1",)
    assert graph.spiking[0].neuron.reset == "delayed-subtract"


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (lambda: [nn.Linear(3, 2), nn.ReLU()], "layer '1': ReLU is not known"),
        (lambda: [nn.Linear(3, 2), snntorch.Alpha(0.9, 0.8)], "layer '1': Alpha is not known"),
        (lambda: [nn.Linear(3, 2), snntorch.Leaky(0.9, inhibition=True)], "inhibition is not known"),
        (lambda: [nn.Linear(3, 2), snntorch.Leaky(0.9, threshold=-1.0)], "threshold has values that are not positive"),
        (lambda: [nn.Linear(3, 2), snntorch.Leaky(0.9, graded_spikes_factor=2.0)], "graded spikes is not known"),
        (lambda: [nn.Linear(3, 2), snntorch.RLeaky(0.9, linear_features=2, reset_delay=False)], "fails in snnTorch"),
    ],
)
def test_what_nothing_here_does_is_refused(layers: Any, message: str) -> None:
    with pytest.raises(DoesNotFitError, match=message):
        from_snntorch(nn.Sequential(*layers()))


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (lambda: [nn.Linear(3, 2), snntorch.Leaky(torch.ones(5))], r"layer '1': beta has shape \(5,\)"),
        (lambda: [nn.Linear(3, 2), nn.Linear(3, 2)], "layer '1' takes 3 values, 2 arrive"),
        (lambda: [snntorch.Leaky(0.9)], "the shape of the input does not follow"),
        (lambda: [nn.Linear(3, 2), snntorch.Leaky(float("nan"))], "beta has values that are not finite"),
    ],
)
def test_numbers_and_shapes_that_cannot_be_are_refused(layers: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        from_snntorch(nn.Sequential(*layers()))


def test_plain_layers_get_neurons() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.Linear(3, 2))
    graph = from_torch(network, decay=(0.5, 0.75), threshold=2.0, reset="zero", readout=True, inputs=(2, 2))
    hidden, readout = graph.of_kind("neuron")
    assert hidden.spiking
    assert not readout.spiking
    assert readout.neuron.decay.tolist() == [0.75, 0.75]
    out, _, _ = FloatDevice(graph)(np.ones((5, 2, 2, 2)))
    assert out.readout.shape == (5, 2)
    with pytest.raises(DoesNotFitError, match="'1': ReLU") as caught:
        from_torch(nn.Sequential(nn.Linear(4, 3), nn.ReLU()), decay=0.5)
    assert "a neuron follows every Linear" in caught.value.hint
    with pytest.raises(ConfigurationError, match="2 Linear layers"):
        from_torch(network, decay=(0.5,))

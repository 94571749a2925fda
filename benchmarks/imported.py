# SPDX-License-Identifier: Apache-2.0
"""A network trained on MNIST in snnTorch, imported, quantised to 8 bits: accuracy of each form, the hardware's bits.

TRIFACTOR_DATA=… python benchmarks/imported.py [--epochs 3] [--rtl 1000]      # some minutes
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import snntorch
import torch
from torch import Tensor, nn

from trifactor.arch.array import ArrayConfig
from trifactor.cosim.device import RtlDevice
from trifactor.golden.data import load
from trifactor.golden.device import GoldenDevice
from trifactor.golden.encode import bernoulli
from trifactor.golden.floating.device import FloatDevice
from trifactor.golden.quantise import quantise
from trifactor.golden.train import TEST_SEED
from trifactor.host.torch_modules import from_snntorch

STEPS = 8
BATCH = 100
CHUNK = 500


def spikes_of(network: nn.Sequential, inputs: Tensor) -> Tensor:
    """Counts of output spikes, (B, 10), by snnTorch itself."""
    states = [None if isinstance(layer, nn.Linear) else layer.reset_mem() for layer in network]
    counts = torch.zeros(len(inputs), 10)
    for step in inputs.unbind(1):
        x = step
        for index, layer in enumerate(network):
            if isinstance(layer, nn.Linear):
                x = layer(x)
            else:
                x, states[index] = layer(x, states[index])
        counts = counts + x
    return counts


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rtl", type=int, default=1000, help="samples that run in Verilator, too")
    parser.add_argument("--reset", default="subtract", choices=("subtract", "zero"))
    words = parser.parse_args()
    data = load("mnist", None, steps=STEPS)
    torch.manual_seed(1)
    network = nn.Sequential(
        nn.Linear(784, 128),
        snntorch.Leaky(0.875, reset_mechanism=words.reset),
        nn.Linear(128, 10),
        snntorch.Leaky(0.875, reset_mechanism=words.reset),
    )
    optimiser = torch.optim.Adam(network.parameters(), 1e-3)
    order = np.random.default_rng(1)
    for epoch in range(words.epochs):
        for chosen in np.array_split(order.permutation(len(data.train_labels)), len(data.train_labels) // BATCH):
            inputs = torch.from_numpy(bernoulli(data.train_inputs[chosen], epoch, chosen, STEPS)).float()
            loss = nn.functional.cross_entropy(spikes_of(network, inputs), torch.from_numpy(data.train_labels[chosen]))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    graph = from_snntorch(network)
    made = quantise(graph, ArrayConfig(weight_bits=8, decay_bits=8))
    golden, real = GoldenDevice(made.array, made.network, made.state), FloatDevice(graph)
    right: dict[str, int] = dict.fromkeys(("snnTorch", "imported, float", "imported, 8 bits"), 0)
    readouts = []
    for start in range(0, len(data.test_labels), CHUNK):
        numbers = np.arange(start, start + CHUNK)
        inputs = bernoulli(data.test_inputs[numbers], TEST_SEED, numbers, STEPS)
        with torch.no_grad():
            theirs = spikes_of(network, torch.from_numpy(inputs).float()).numpy()
        out, *_ = golden(inputs)
        readouts.append(out.readout)
        for name, found in zip(right, (theirs, real(inputs)[0].readout, out.readout), strict=True):
            right[name] += int((found.argmax(1) == data.test_labels[numbers]).sum())
    print("| 784-128-10, MNIST's 10 000 test digits | accuracy |\n| --- | --- |")
    for name, count in right.items():
        print(f"| {name} | {count / len(data.test_labels):.2%} |")
    if words.rtl:
        numbers = np.arange(words.rtl)
        inputs = bernoulli(data.test_inputs[numbers], TEST_SEED, numbers, STEPS)
        begun = time.perf_counter()
        with RtlDevice(made.array, made.network, made.state, sim="verilator") as device:
            found = np.concatenate(
                [device(part)[0].readout for part in np.array_split(inputs, max(1, words.rtl // 16))]
            )
        wrong = int((found != np.concatenate(readouts)[: words.rtl]).sum())
        print(
            f"| Verilator, {words.rtl} samples, {time.perf_counter() - begun:.0f} s | {wrong} of {found.size} differ |"
        )


if __name__ == "__main__":
    main()

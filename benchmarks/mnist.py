# SPDX-License-Identifier: Apache-2.0
"""Accuracy and speed of learning MNIST (784-256-10) on the golden model, next to float OTTT with the same coding.

    TRIFACTOR_DATA=… python benchmarks/mnist.py --epochs 4 > mnist.json

Both see the same spikes, in the same order, one sample at a time, with updates at every step; the rate falls alike.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

import torch

from trifactor.arch.array import ArrayConfig
from trifactor.arch.placement import fitted
from trifactor.arch.rules import network_for, rule_named
from trifactor.golden.coding import Coding
from trifactor.golden.data import Dataset, load
from trifactor.golden.defaults import DEFAULTS, Defaults
from trifactor.golden.device import GoldenDevice
from trifactor.golden.floating.network import Shape
from trifactor.golden.floating.train import train
from trifactor.golden.initial import initial_state
from trifactor.golden.train import Progress, learn

FLOAT_RATE = 0.1


def golden(dataset: Dataset, defaults: Defaults, arguments: argparse.Namespace) -> dict[str, Any]:
    """Learn in fixed point: stored weights of 16 bits, active ones of 8, all products shifts."""
    array = ArrayConfig(weight_bits=16, synapse_bits=8, products="shift")
    network = network_for(rule_named("ottt-o"), defaults.layers, array, rate=defaults.rate)
    array = fitted(network, array)
    device = GoldenDevice(array, network, initial_state(network, array, arguments.seed))
    history = learn(
        device,
        dataset,
        coding=Coding(steps=defaults.steps),
        epochs=arguments.epochs,
        fall=defaults.fall,
        rule="ottt-o",
        progress=show,
        checkpoint=arguments.checkpoint,
        resume=arguments.resume,
    )
    return {
        "accuracies": history.accuracies,
        "samples_per_second": round(history.samples_per_second, 1),
        "per_sample": {name: value / history.counted for name, value in history.counters.items() if value},
    }


def floating(dataset: Dataset, defaults: Defaults, arguments: argparse.Namespace) -> dict[str, Any]:
    """Learn in float32."""
    history = train(
        "ottt-o",
        dataset,
        Coding(steps=defaults.steps),
        Shape(defaults.layers),
        epochs=arguments.epochs,
        seed=arguments.seed,
        rate=arguments.float_rate,
        fall=defaults.fall,
        progress=lambda epoch, accuracy: print(f"float epoch {epoch}: {accuracy:.2%}", file=sys.stderr),
    )
    return {"accuracies": history.accuracies, "samples_per_second": round(history.samples_per_second, 1)}


def show(progress: Progress) -> None:
    """One line per epoch."""
    if progress.accuracy is not None:
        print(f"golden epoch {progress.epoch}: {progress.accuracy:.2%}", file=sys.stderr)


def main() -> None:
    """Run what was asked for and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    defaults = DEFAULTS["mnist"]
    parser.add_argument("--epochs", type=int, default=defaults.epochs)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--limit", type=int, help="training samples per epoch; all if absent")
    parser.add_argument("--float-rate", type=float, default=FLOAT_RATE)
    parser.add_argument("--only", choices=("golden", "float"))
    parser.add_argument("--checkpoint", help="file that the golden training is kept in")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint")
    parser.add_argument(
        "--threads", type=int, default=1, help="threads of torch; more seldom help, the tensors are small"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    dataset = load("mnist", limit=arguments.limit)
    result: dict[str, Any] = {
        "network": "-".join(map(str, defaults.layers)),
        "steps": defaults.steps,
        "epochs": arguments.epochs,
        "training_samples": len(dataset.train_labels),
        "test_samples": len(dataset.test_labels),
        "seed": arguments.seed,
    }
    if arguments.only != "float":
        result["golden"] = golden(dataset, defaults, arguments)
    if arguments.only != "golden":
        result["float"] = {"rate": arguments.float_rate, **floating(dataset, defaults, arguments)}
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()

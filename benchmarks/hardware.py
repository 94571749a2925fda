# SPDX-License-Identifier: Apache-2.0
"""The array in a simulator, learning MNIST (784-256-10, T = 6) beside the golden model: speed and utilisation.

    TRIFACTOR_DATA=… python benchmarks/hardware.py --samples 30 > hardware.json

Signatures are compared at every step, and every state and weight at the end of each sample.
"""

from __future__ import annotations

import argparse
import json
import sys

from trifactor.arch.array import ArrayConfig
from trifactor.arch.placement import fitted
from trifactor.arch.rules import network_for, rule_named
from trifactor.cosim.harness import build_array
from trifactor.cosim.verify import verify_samples
from trifactor.golden.coding import Coding
from trifactor.golden.data import load
from trifactor.golden.defaults import DEFAULTS
from trifactor.golden.initial import initial_state


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=30)
    parser.add_argument("--sim", choices=("verilator", "icarus"), default="verilator")
    parser.add_argument("--lanes", type=int, default=16)
    parser.add_argument("--cores", type=int, default=1)
    parser.add_argument("--data-dir")
    options = parser.parse_args()

    defaults = DEFAULTS["mnist"]
    data = load("mnist", options.data_dir, limit=options.samples)
    array = ArrayConfig(lanes=options.lanes, cores=options.cores, signatures=True)
    network = network_for(rule_named("ottt-o"), defaults.layers, array, rate=defaults.rate)
    array = fitted(network, array)
    inputs = Coding(steps=defaults.steps).encode(data.train_inputs[: options.samples], 1, range(options.samples))
    result = verify_samples(
        options.sim,
        array,
        network,
        initial_state(network, array, 1),
        inputs,
        data.train_labels[: options.samples],
        every_step=False,
        build=build_array(array, sim=options.sim),
        progress=lambda so_far: print(f"{so_far.samples} samples, {so_far.seconds:.1f} s", file=sys.stderr),
    )
    print(
        json.dumps(
            {
                "simulator": options.sim,
                "lanes": array.parallel,
                "samples": result.samples,
                "samples_per_second": result.samples / result.seconds,
                "cycles_per_second": result.cycles / result.seconds,
                "cycles_per_sample": result.cycles / result.samples,
                "utilisation": result.utilisation,
                "compared": result.compared,
                "mismatched": result.mismatched,
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()

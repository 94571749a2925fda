# SPDX-License-Identifier: Apache-2.0
"""How much of the serial line's rate long transfers use: top level in Verilator, clocks of the board, no wall clock.

    python benchmarks/line.py --divisor 16 --latency 0.001 > line.json

Of a 64-128-10 network weights are pushed and pulled, then samples run and learn. `use` is bits on the line, start and
stop bits included, over the time that the line could have carried bits; `payload` the same without what packets add.
`latency` seconds pass between the program and the pins, each way, as on a line over USB.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import Any

import numpy as np

from trifactor.arch.array import ArrayConfig
from trifactor.arch.link import LinkConfig
from trifactor.arch.packets import item_bytes
from trifactor.arch.placement import fitted
from trifactor.arch.rules import network_for, rule_named
from trifactor.cosim.stepped_board import SteppedBoard
from trifactor.golden.initial import initial_state
from trifactor.host.board import BoardDevice

BARE = ArrayConfig(lanes=8, weight_words=1, groups=2, axons=1, events=1, layers=1, classes=10)
NETWORK = network_for(rule_named("ottt-o"), (64, 128, 10), BARE)
ARRAY = fitted(NETWORK, BARE)
STEPS = 12


def measure(link: LinkConfig, *, latency: float, samples: int) -> dict[str, dict[str, float]]:
    """`use` and `payload` of the direction that matters, and `clocks`, of `push`, `pull`, `run` and `learn`."""
    rng = np.random.default_rng(1)
    inputs = (rng.random((samples, STEPS, NETWORK.inputs)) < 0.3).astype(np.int64)
    labels = rng.integers(0, NETWORK.outputs, samples)
    items = (np.count_nonzero(inputs) + samples * (STEPS + 1)) * item_bytes(ARRAY)
    weights = sum(block.rows * block.columns for block in NETWORK.blocks) * ARRAY.weight_bits // 8
    state = initial_state(NETWORK, ARRAY, 3)
    found: dict[str, dict[str, float]] = {}
    with SteppedBoard(ARRAY, link, latency=latency) as board:
        device = BoardDevice(ARRAY, NETWORK, state, port=board, link=link)
        work: dict[str, tuple[str, int, Callable[[], Any]]] = {
            "push": ("sent", weights, lambda: device.load(state)),
            "pull": ("received", weights, lambda: device.peek("weights")),
            "run": ("sent", items, lambda: device.observe(inputs)),
            "learn": ("sent", items, lambda: device.observe(inputs, labels, learn=True)),
        }
        for name, (direction, payload, do) in work.items():
            clocks, before = board.clocks, getattr(board, direction)
            do()
            clocks = board.clocks - clocks
            use = board.use(getattr(board, direction) - before, clocks)
            found[name] = {"use": use, "payload": board.use(payload, clocks), "clocks": clocks}
    return found


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--divisor", type=int, default=LinkConfig().divisor, help="clocks of a bit")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds, each way")
    parser.add_argument("--samples", type=int, default=100)
    options = parser.parse_args()
    link = LinkConfig(divisor=options.divisor)
    found = measure(link, latency=options.latency, samples=options.samples)
    print(json.dumps({"baud": link.baud, "latency": options.latency, **found}, indent=2))


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: Apache-2.0
"""Faults on the line between the host program and the top level of a bitstream in Verilator, pins and UART included.

    python benchmarks/faults.py --faults 100000 --seed 1 > faults.json

Networks are loaded, samples learned and run, everything is read back, and compared with the golden model, while bytes
are flipped, dropped, doubled, inserted, cut out and repeated either way, and the board is reset at random. Time is the
board's: the same seed gives the same faults.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Callable

import numpy as np

from trifactor.arch.array import ArrayConfig
from trifactor.arch.device import DeviceState
from trifactor.arch.errors import DeviceError
from trifactor.arch.link import LinkConfig
from trifactor.arch.placement import fitted
from trifactor.arch.rules import network_for, rule_named
from trifactor.cosim.faults import KINDS, FaultyLine
from trifactor.cosim.stepped_board import SteppedBoard
from trifactor.golden.device import GoldenDevice
from trifactor.golden.initial import initial_state
from trifactor.host.board import BoardDevice
from trifactor.host.link import LinkSession

SIZES = (8, 6, 3)
BARE = ArrayConfig(
    lanes=2, weight_bits=8, event_bits=2, weight_words=1, groups=2, axons=1, events=1, layers=1, classes=3
)
NETWORK = network_for(rule_named("ottt-o"), SIZES, BARE, event_value_bits=2)
ARRAY = fitted(NETWORK, BARE)
LINK = LinkConfig(divisor=4, items=256, results=32, events=32, packets=512)
PATIENCE = 0.00005
"""Seconds of the board: less than the longest packets take, so that some are sent again for nothing, too."""

FAULTS = (*KINDS, "reset")
RATES = (0.003, 0.01)
"""Faults a byte, either way."""

RESETS, LOADS, CLEAN_LOOKS = 0.05, 0.2, 0.05
"""Shares of the rounds in which the board is reset, gets other weights, is read on a line without faults."""

CLOCKS_TO_RESET = 200_000
SAMPLES = 8
STEPS = 3
TRIES = 100
SECONDS_BETWEEN_LINES = 10


class Wrong(Exception):
    """A corruption that nobody was told of."""


class Bench:
    """A board behind a faulty line, and the golden model that does the same."""

    def __init__(self, board: SteppedBoard, seed: int) -> None:
        self.rng = random.Random(seed)
        self.draw = np.random.default_rng(seed)
        self.board = board
        self.line = FaultyLine(board, seed, 0.0)
        self.counted: Counter[str] = Counter()
        self.noticed = 0
        self.golden = GoldenDevice(ARRAY, NETWORK, initial_state(NETWORK, ARRAY, seed))
        self.device = self.begin()

    def begin(self) -> BoardDevice:
        """A session, with the golden model's weights."""
        session = LinkSession(self.line, PATIENCE, self.rng.randrange)
        return BoardDevice(ARRAY, NETWORK, self.golden.state, port=session, link=LINK)

    def round(self) -> None:
        """Some work on a line of some rate; the board may be reset in it. Raises `Wrong`."""
        self.line.set_rate(self.rng.choice(RATES))
        before = self.golden.state
        if self.rng.random() < RESETS:
            self.counted["reset"] += 1
            self.board.reset(after=self.rng.randrange(CLOCKS_TO_RESET))
        try:
            self.work()
            if self.rng.random() < CLEAN_LOOKS:
                self.line.set_rate(0.0)
                self.compare(self.device.state)
                self.counted["looks without faults"] += 1
        except DeviceError as error:
            self.told(error)
            self.golden.load(before)
            self.again()

    def work(self) -> None:
        """Sometimes other weights, then samples; readouts, weights and the number of samples are compared."""
        if self.rng.random() < LOADS:
            self.load()
        samples = self.rng.randrange(1, SAMPLES)
        values = self.draw.integers(1, 4, (samples, STEPS, SIZES[0]))
        inputs = np.where(self.draw.random(values.shape) < 0.5, values, 0)
        labels = self.draw.integers(0, SIZES[-1], samples)
        learn = self.rng.random() < 0.8
        expected = self.golden(inputs, labels, learn=learn)[0].readout
        answer = self.device.observe(inputs, labels, learn=learn)
        if not np.array_equal(answer["readout"], expected):
            raise Wrong("a readout differs")
        self.counted["readouts"] += expected.size
        self.counted["samples"] += samples
        self.compare(self.device.state)

    def load(self) -> None:
        """Random weights, seed and number of the next sample."""
        weights = [self.draw.integers(-128, 128, values.shape) for values in self.golden.state.weights]
        state = DeviceState(weights=weights, seed=self.rng.getrandbits(32), sample=self.rng.getrandbits(31))
        self.golden.load(state)
        self.device.load(state)

    def compare(self, found: DeviceState) -> None:
        """What the board holds with what the golden model has."""
        expected = self.golden.state
        if (found.sample, found.seed) != (expected.sample, expected.seed):
            raise Wrong(f"sample {found.sample}, not {expected.sample}: one was left out, or done twice")
        for one, two in zip(found.weights, expected.weights, strict=True):
            self.counted["weights"] += one.size
            if not np.array_equal(one, two):
                raise Wrong("weights differ")

    def told(self, error: DeviceError) -> None:
        """An error is right after a reset, and after nothing else."""
        if self.noticed == self.counted["reset"]:
            raise Wrong(f"an error without a cause: {error.message}") from error
        self.counted["told"] += 1

    def again(self) -> None:
        """Begin again after a reset, as a user would: what is on the board may be anything."""
        for _ in range(TRIES):
            try:
                self.device = self.begin()
            except DeviceError as error:
                self.told(error)
                continue
            self.noticed = self.counted["reset"]
            return
        raise Wrong("the board is not to be had any more")


def inject(faults: int, seed: int, progress: Callable[[Counter[str]], None] = lambda counted: None) -> Counter[str]:
    """Work until there were so many faults; how many of each kind, and what was compared. Raises `Wrong`."""
    with SteppedBoard(ARRAY, LINK) as board:
        bench = Bench(board, seed)
        while bench.line.counted.total() + bench.counted["reset"] < faults:
            try:
                bench.round()
            except Wrong as error:
                raise Wrong(f"{error}, seed {seed}, after {bench.line.counted.total()} faults") from error
            bench.counted["rounds"] += 1
            progress(bench.line.counted + bench.counted)
        bench.counted["clocks"] = board.clocks
        bench.counted["bytes"] = board.sent + board.received
        return bench.line.counted + bench.counted


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faults", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    begun = time.perf_counter()
    last = begun

    def progress(counted: Counter[str]) -> None:
        nonlocal last
        if time.perf_counter() - last > SECONDS_BETWEEN_LINES:
            last = time.perf_counter()
            print(f"{sum(counted[kind] for kind in FAULTS)} faults, {last - begun:.0f} s", file=sys.stderr)

    counted = inject(options.faults, options.seed, progress)
    faults = {kind: counted.pop(kind, 0) for kind in FAULTS}
    print(
        json.dumps(
            {
                "seed": options.seed,
                "faults": sum(faults.values()),
                "kinds": faults,
                "silent_corruptions": 0,
                "hangs": 0,
                **counted,
                "seconds": round(time.perf_counter() - begun, 1),
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: Apache-2.0
"""Cost and speed of the bare array on ECP5, as a JSON table: `python benchmarks/synth.py [--seeds 5] [row …]`.

A row is one `ArrayConfig` on one device. Results come from the cache where tools and hardware are the same as before.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from trifactor.arch.array import UNITS, ArrayConfig
from trifactor.arch.errors import TrifactorError
from trifactor.boards.synth import synthesise

STORED_8 = ArrayConfig(lanes=16, weight_bits=8, weight_words=4096)
STORED_12 = ArrayConfig(lanes=16, weight_bits=12, weight_words=2048)
STORED_16 = ArrayConfig(lanes=16, weight_bits=16, weight_words=2048)

ROWS: dict[str, tuple[ArrayConfig, str]] = {
    "stored-8": (STORED_8, "25k"),
    # Traces of synapses take more block RAM than a 25F has beside the weights.
    **{
        f"stored-8-{unit}": (
            STORED_8.model_copy(update={"units": (unit,)}),
            "45k" if unit in ("eligibility", "shadow") else "25k",
        )
        for unit in UNITS
    },
    "stored-12": (STORED_12, "25k"),
    "stored-16": (STORED_16, "25k"),
    "stored-16-signatures": (STORED_16.model_copy(update={"signatures": True}), "25k"),
    "stored-16-graded": (STORED_16.model_copy(update={"event_bits": 8}), "25k"),
    "stored-16-exact": (STORED_16.model_copy(update={"products": "exact"}), "45k"),
    "stored-16-two-cores": (STORED_16.model_copy(update={"cores": 2, "weight_words": 1024}), "25k"),
}
"""Exact products take two multipliers a lane: 16 lanes need more than the 28 of an LFE5U-25F."""


def measure(name: str, seeds: int, jobs: int) -> dict[str, Any]:
    """One row, or what stands in its way."""
    array, device = ROWS[name]

    def tell(line: str) -> None:
        print(f"{name}: {line}", file=sys.stderr)

    try:
        report = synthesise(array, device=device, seeds=seeds, jobs=jobs, progress=tell)
    except TrifactorError as error:
        return {"name": name, "device": device, "error": error.message, "hint": error.hint}
    return {"name": name, "array": array.model_dump(exclude_defaults=True), **report.to_dict()}


def main() -> None:
    """Measure the rows named, or all, and print them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("rows", nargs="*", help=f"of {', '.join(ROWS)}; all if none")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2, help="placements at a time")
    words = parser.parse_args()
    if unknown := set(words.rows) - set(ROWS):
        parser.error(f"unknown row: {', '.join(sorted(unknown))}")
    print(json.dumps([measure(name, words.seeds, words.jobs) for name in words.rows or ROWS], indent=2))


if __name__ == "__main__":
    main()

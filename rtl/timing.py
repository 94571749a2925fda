# SPDX-License-Identifier: Apache-2.0
"""Clocks of the row pipeline, counted from the read of a list entry."""

from __future__ import annotations

from dataclasses import dataclass

from ..arch.array import ArrayConfig


@dataclass(frozen=True, kw_only=True)
class Timing:
    """When things happen to a row.

    Attributes
    ----------
    hashed : the row's noise is there
    read : the weight word is addressed
    word : it is in the lanes; the factors in use are those of its group from `hashed + 1` on
    capture : a sum of SCATTER is handed over
    moving : an UPDATE's last register is told to take its result
    write : it is written, or `write_delay` clocks later
    total : the sum of all cores is there, and MODULATE begins
    noise : clocks from then to the noise of its product; `modulate`: to the factor
    """

    hashed: int
    read: int
    word: int
    capture: int
    moving: int
    write: int
    write_delay: int
    total: int
    noise: int
    modulate: int


def domain(config: ArrayConfig) -> str:
    """Where a step goes that has a register behind it in the long pipeline alone."""
    return "sync" if config.pipeline == "long" else "comb"


def between(config: ArrayConfig, clocks: int) -> int:
    """Clocks of a delay that goes with such steps."""
    return clocks if config.pipeline == "long" else 0


def eligibility_lag(config: ArrayConfig) -> int:
    """Clocks that an update takes longer where synapses have traces of their own."""
    return 3 if config.has("eligibility") else 0


def timing(config: ArrayConfig) -> Timing:
    """The clocks of an array's row pipeline."""
    hashed = 1 + config.noise_latency
    if config.pipeline == "short":
        # On a single port reads and writes fall on clocks of unlike parity: one clock lies between.
        return Timing(
            hashed=hashed,
            read=hashed,
            word=hashed + 1,
            capture=hashed + 1,
            moving=hashed + 1,
            write=hashed + 1,
            write_delay=0,
            total=hashed + 2,
            noise=2,
            modulate=3,
        )
    read = hashed + 1
    write = hashed + (6 if config.products == "shift" else 7) + eligibility_lag(config)
    return Timing(
        hashed=hashed,
        read=read,
        word=hashed + 3,
        capture=hashed + 4,
        moving=write - 2,
        write=write,
        write_delay=int(config.weight_memory == "single" and (write - read) % 2 == 0),
        total=hashed + 7,
        noise=3,
        modulate=6,
    )

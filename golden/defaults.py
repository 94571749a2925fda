# SPDX-License-Identifier: Apache-2.0
"""What each data set is learned with unless told otherwise."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Defaults:
    """Network, coding and training of a data set.

    `rate`, `recurrent`, `bias`, `decay`, `readout_decay` and `weight_range` are those of `arch.rules.network_for`.
    """

    layers: tuple[int, ...]
    steps: int
    epochs: int
    rate: int
    fall: int
    coding: Literal["bernoulli", "events"] = "bernoulli"
    rule: str = "ottt-o"
    recurrent: bool = False
    bias: bool = False
    decay: float | None = None
    readout_decay: float = 1.0
    weight_range: int = 1


BRAILLE = Defaults(
    layers=(24, 256, 27),
    steps=39,
    epochs=24,
    rate=1,
    fall=7,
    coding="events",
    rule="ottt-a",
    bias=True,
    decay=0.75,
    weight_range=2,
)

DEFAULTS: dict[str, Defaults] = {
    "digits": Defaults(layers=(64, 64, 10), steps=12, epochs=10, rate=0, fall=2),
    "mnist": Defaults(layers=(784, 256, 10), steps=6, epochs=4, rate=1, fall=3),
    "nmnist": Defaults(
        layers=(578, 128, 10), steps=12, epochs=20, rate=0, fall=4, coding="events", rule="ottt-a", bias=True
    ),
    "fsdd": Defaults(
        layers=(700, 256, 10),
        steps=50,
        epochs=10,
        rate=4,
        fall=5,
        coding="events",
        rule="ottt-a",
        bias=True,
        decay=0.75,
    ),
    "braille": BRAILLE,
    "braille-12": replace(BRAILLE, layers=(12, 256, 27)),
}

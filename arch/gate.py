# SPDX-License-Identifier: Apache-2.0
"""Which steps of a sample learn. In the others traces move and nothing else does."""

from __future__ import annotations

from .network import Network
from .noise import Domain, domain_key, mix, step_key


def open_steps(network: Network, steps: int, *, seed: int, sample: int) -> tuple[bool, ...]:
    """One truth value per step, by `network.gate` and `network.gate_steps`.

    `random` opens the steps whose words `mix(key(0, GATE))`, each from its own step's key, are the lowest: a function
    of seed and sample alone, the same for whatever runs the sample.
    """
    count = network.gate_steps
    if network.gate == "all":
        return (True,) * steps
    if network.gate == "last":
        return tuple(step >= steps - count for step in range(steps))
    if network.gate == "after":
        return tuple(step >= count for step in range(steps))
    words = [(mix(domain_key(step_key(seed, sample, step), 0, Domain.GATE)), step) for step in range(steps)]
    chosen = {step for _, step in sorted(words)[:count]}
    return tuple(step in chosen for step in range(steps))

# SPDX-License-Identifier: Apache-2.0
"""Random configurations: repeatable, fitting, and wide enough to matter."""

from __future__ import annotations

from collections import Counter

import numpy as np

from trifactor.arch.placement import measure, place
from trifactor.cosim.random_configurations import NETWORKS_PER_ARRAY, configurations, stall_seed
from trifactor.golden.device import GoldenDevice

BLOCKS = 30


def test_the_same_seed_gives_the_same() -> None:
    one, two, other = configurations(3, 1), configurations(3, 1), configurations(4, 1)
    assert [made.number for made in one] == list(range(NETWORKS_PER_ARRAY, 2 * NETWORKS_PER_ARRAY))
    for a, b in zip(one, two, strict=True):
        assert (a.array, a.network, a.state.seed, a.state.sample) == (b.array, b.network, b.state.seed, b.state.sample)
        assert all(np.array_equal(x, y) for x, y in zip(a.state.weights, b.state.weights, strict=True))
        assert np.array_equal(a.stepwise[0].inputs, b.stepwise[0].inputs)
    assert one[0].array != other[0].array


def test_every_network_fits_and_some_exactly() -> None:
    exact = 0
    for block in range(BLOCKS):
        made = configurations(1, block)
        for configuration in made:
            place(configuration.network, configuration.array)
        needs = [measure(configuration.network, configuration.array) for configuration in made]
        exact += max(need.weight_words for need in needs) == made[0].array.weight_words
    assert 3 <= exact < BLOCKS


def test_the_settings_are_covered() -> None:
    seen: Counter[object] = Counter()
    for block in range(BLOCKS):
        made = configurations(2, block)
        array = made[0].array
        seen.update([("cores", array.cores), ("lanes", array.lanes), ("traces_per_word", array.traces_per_word)])
        seen.update([array.products, ("events", array.event_bits > 1), ("stall", stall_seed(2, block) != 0)])
        for configuration in made:
            network = configuration.network
            seen.update([network.error, ("on", network.error_on), ("layers", len(network.layers))])
            seen.update(("reset", layer.reset) for layer in network.layers)
    wanted = [
        *(("cores", cores) for cores in (1, 2, 4, 8)),
        *(("lanes", lanes) for lanes in (1, 2, 4, 8, 16)),
        *(("traces_per_word", traces) for traces in (1, 2, 4, 8)),
        *("shift", "exact", "softmax", "mse"),
        *(("events", graded) for graded in (False, True)),
        *(("stall", stalled) for stalled in (False, True)),
        *(("on", what) for what in ("current", "membrane")),
        *(("layers", layers) for layers in (1, 2, 3, 4)),
        *(("reset", reset) for reset in ("soft", "hard", "none")),
    ]
    assert [setting for setting in wanted if not seen[setting]] == []


def test_much_happens() -> None:
    totals: Counter[str] = Counter()
    for block in range(3):
        for configuration in configurations(1, block)[:4]:
            golden = GoldenDevice(configuration.array, configuration.network, configuration.state)
            for call in configuration.stepwise:
                _, _, record = golden(call.inputs, call.labels, learn=call.learn)
                totals.update(record.counters)
    assert totals["spikes"] > 1000
    assert totals["weight_updates"] > 10_000
    assert min(totals.values()) > 0

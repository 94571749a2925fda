# SPDX-License-Identifier: Apache-2.0
"""FIRE's walk over the lanes of all cores, and what it collects from their neuron units."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from typing import Any, Literal

import pytest

from trifactor.arch.array import ArrayConfig, Unit
from trifactor.rtl.fire import Fire

Simulate = Callable[..., None]
LATENCY = 5
GROUPS = 6


@pytest.mark.parametrize("units", [(), ("post-trace",)])
@pytest.mark.parametrize("spiking", [True, False])
@pytest.mark.parametrize("record", [True, False])
@pytest.mark.parametrize(("cores", "lanes"), [(1, 4), (2, 4), (4, 1), (8, 2)])
def test_all_that_a_group_does_is_collected_once_and_in_order(
    simulate: Simulate,
    cores: Literal[1, 2, 4, 8],
    lanes: Literal[1, 2, 4],
    record: bool,
    spiking: bool,
    units: tuple[Unit, ...],
) -> None:
    rng = random.Random(f"{cores}{lanes}{record}{spiking}")
    config = ArrayConfig(cores=cores, lanes=lanes, groups=16, units=units)
    dut = Fire(config)
    parallel = cores * lanes
    outputs = GROUPS * parallel - rng.randrange(parallel)
    learn = bool(rng.getrandbits(1))
    psis = [
        rng.choice((0, 0, rng.randint(1, config.surrogate_max))) if spiking else 0 for _ in range(GROUPS * parallel)
    ]
    spikes = [int(spiking and rng.random() < 0.4) for _ in psis]
    posts = [rng.choice((0, 0, rng.randint(1, 255))) if spiking and units else 0 for _ in psis]
    values = [rng.randint(config.membrane.min, config.membrane.max) for _ in psis]
    overs = [rng.getrandbits(1) for _ in psis]
    seen: dict[str, list[Any]] = {"spike": [], "surrogate": [], "output": [], "event": []}
    retired: list[int] = []
    over_total = 0
    pipeline: deque[tuple[int, list[int]] | None] = deque([None] * LATENCY)

    def present(ctx: Any) -> None:
        """What the cores' neuron units show: the slot that left their pipelines last."""
        slot = pipeline[-1]
        ctx.set(dut.done, int(slot is not None))
        for core in range(cores):
            live = slot is not None and slot[1][core]
            neuron = 0 if slot is None else slot[0] + core
            ctx.set(dut.valid[core], int(live))
            ctx.set(dut.spikes[core], spikes[neuron] if live else 0)
            ctx.set(dut.psis[core], psis[neuron] if live else 0)
            if units:
                ctx.set(dut.posts[core], posts[neuron] if live else 0)
            ctx.set(dut.vs[core], values[neuron])
            ctx.set(dut.ys[core], -values[neuron] if values[neuron] > config.membrane.min else 0)
            ctx.set(dut.overs[core], overs[neuron] if live else 0)

    async def bench(ctx: Any) -> None:
        nonlocal over_total
        for name, value in {
            "outputs": outputs,
            "spiking": spiking,
            "learn": learn,
            "record": record,
            "layer": 5,
        }.items():
            ctx.set(getattr(dut, name), int(value))
        for group in range(GROUPS):
            ctx.set(dut.group, group)
            ctx.set(dut.neuron, group * parallel)
            ctx.set(dut.capture, 1)
            walked = group * parallel
            present(ctx)
            await ctx.tick()
            ctx.set(dut.capture, 0)
            while not ctx.get(dut.idle):
                ctx.set(dut.output_ready, rng.getrandbits(1))
                ctx.set(dut.events.ready, rng.getrandbits(1))
                if ctx.get(dut.spike):
                    seen["spike"].append(ctx.get(dut.spike_neuron))
                if ctx.get(dut.surrogate):
                    post = ctx.get(dut.post) if units else 0
                    seen["surrogate"].append((ctx.get(dut.surrogate_neuron), ctx.get(dut.psi), post))
                if ctx.get(dut.output):
                    seen["output"].append((ctx.get(dut.output_neuron), ctx.get(dut.v)))
                if ctx.get(dut.events.valid) and ctx.get(dut.events.ready):
                    seen["event"].append(ctx.get(dut.events.payload))
                if ctx.get(dut.retire):
                    retired.append(ctx.get(dut.retire_state))
                over_total += ctx.get(dut.over_count)
                if ctx.get(dut.enable):
                    entering = None
                    if ctx.get(dut.slot_valid):
                        assert ctx.get(dut.state) == group * lanes + ctx.get(dut.slot)
                        entering = (walked, [ctx.get(dut.live[core]) for core in range(cores)])
                        walked += cores
                    moved: tuple[int, list[int]] | None = entering
                else:
                    moved = None
                go = ctx.get(dut.enable)
                await ctx.tick()
                if go:
                    pipeline.pop()
                    pipeline.appendleft(moved)
                present(ctx)
            assert pipeline == deque([None] * LATENCY)

    simulate(dut, bench)
    alive = range(outputs)
    assert seen["spike"] == [neuron for neuron in alive if spikes[neuron]]
    scales = [(neuron, psis[neuron], posts[neuron]) for neuron in alive if psis[neuron] or posts[neuron]]
    assert seen["surrogate"] == (scales if learn else [])
    assert seen["output"] == ([] if spiking else [(neuron, values[neuron]) for neuron in alive])
    assert seen["event"] == ([neuron | 5 << 16 for neuron in alive if spikes[neuron]] if record else [])
    assert retired == list(range(GROUPS * lanes))
    assert over_total == sum(overs[:outputs])
    assert len(seen["spike"]) + len(seen["output"]) > 3

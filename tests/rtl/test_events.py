# SPDX-License-Identifier: Apache-2.0
"""Event lists, what is behind their events from below, and the loader of the input stream."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from trifactor.arch.array import ArrayConfig, Unit
from trifactor.arch.events import ItemKind, pack_item
from trifactor.rtl.events import Events, has_tail

Simulate = Callable[..., None]
OVERFLOW, BAD_ROW, OUT_OF_PLACE = 1, 2, 4
ROWS = 10
EVENTS = 8

BEGIN = pack_item(ItemKind.BEGIN)
STEP = pack_item(ItemKind.STEP)
LAST = pack_item(ItemKind.STEP, row=1)


def event(row: int, shift: int = 0) -> int:
    return pack_item(ItemKind.EVENT, row=row, shift=shift)


@pytest.fixture
def dut() -> Events:
    return Events(ArrayConfig(lanes=4, groups=4, axons=16, events=EVENTS, event_bits=3))


async def send(ctx: Any, dut: Events, *items: int) -> None:
    """Hand over items as fast as they are taken."""
    for item in items:
        ctx.set(dut.items.payload, item)
        ctx.set(dut.items.valid, 1)
        await ctx.tick().until(dut.items.ready)
    ctx.set(dut.items.valid, 0)


async def release(ctx: Any, dut: Events) -> None:
    ctx.set(dut.release, 1)
    await ctx.tick()
    ctx.set(dut.release, 0)


async def entries(ctx: Any, dut: Events, region: int, count: int, port: str = "scatter") -> list[tuple[int, int]]:
    """Read a list through one of the two ports."""
    found = []
    entry = getattr(dut, port)
    for index in range(count):
        ctx.set(getattr(dut, f"{port}_region"), region)
        ctx.set(getattr(dut, f"{port}_index"), index)
        ctx.set(getattr(dut, f"{port}_read"), 1)
        await ctx.tick()
        ctx.set(getattr(dut, f"{port}_read"), 0)
        found.append((ctx.get(entry.row), ctx.get(entry.shift)))
    return found


def test_steps_are_listed_in_order_with_their_flags(simulate: Simulate, dut: Events) -> None:
    rng = random.Random(6)
    taken = 0

    async def bench(ctx: Any) -> None:
        nonlocal taken
        ctx.set(dut.inputs, ROWS)
        assert ctx.get(dut.empty)
        for _ in range(6):
            label, learn, steps = rng.randrange(256), rng.getrandbits(1), rng.randrange(1, 5)
            await send(ctx, dut, pack_item(ItemKind.BEGIN, row=label, shift=learn))
            for number in range(steps):
                wanted = sorted((rng.randrange(ROWS), rng.randrange(3)) for _ in range(rng.randrange(EVENTS + 1)))
                last = number == steps - 1
                await send(ctx, dut, *(event(*entry) for entry in wanted), LAST if last else STEP)
                assert ctx.get(dut.ready_step)
                assert not ctx.get(dut.empty)
                flags = [ctx.get(signal) for signal in (dut.count, dut.first, dut.last, dut.learn, dut.label)]
                assert flags == [len(wanted), int(number == 0), int(last), learn, label]
                region = ctx.get(dut.current)
                for port in ("scatter", "sweep"):
                    assert await entries(ctx, dut, region, len(wanted), port) == wanted
                taken += len(wanted)
                await release(ctx, dut)
                assert not ctx.get(dut.ready_step)
                assert ctx.get(dut.empty)
        assert ctx.get(dut.fault) == 0

    simulate(dut, bench)
    assert taken > 30


def test_the_next_step_loads_while_one_is_in_work_and_the_one_after_waits(simulate: Simulate, dut: Events) -> None:
    async def bench(ctx: Any) -> None:
        ctx.set(dut.inputs, ROWS)
        await send(ctx, dut, BEGIN, event(1), STEP)
        before = ctx.get(dut.current)
        await send(ctx, dut, event(2), event(3), STEP)
        ctx.set(dut.items.payload, event(4))
        ctx.set(dut.items.valid, 1)
        for _ in range(10):
            assert not ctx.get(dut.items.ready), "both lists are full"
            await ctx.tick()
        assert await entries(ctx, dut, before, 1) == [(1, 0)]
        await release(ctx, dut)
        assert ctx.get(dut.current) != before
        assert ctx.get(dut.items.ready)
        assert (ctx.get(dut.ready_step), ctx.get(dut.count)) == (1, 2)
        await ctx.tick()
        ctx.set(dut.items.valid, 0)
        await send(ctx, dut, LAST)
        assert await entries(ctx, dut, ctx.get(dut.current), 2) == [(2, 0), (3, 0)]
        await release(ctx, dut)
        assert await entries(ctx, dut, ctx.get(dut.current), 1) == [(4, 0)]
        assert [ctx.get(signal) for signal in (dut.count, dut.first, dut.last)] == [1, 0, 1]
        assert ctx.get(dut.fault) == 0

    simulate(dut, bench)


def test_loading_with_random_gaps_and_releases_loses_nothing(simulate: Simulate, dut: Events) -> None:
    rng = random.Random(7)
    steps = [sorted(rng.sample(range(ROWS), rng.randrange(EVENTS + 1))) for _ in range(40)]
    seen: list[list[int]] = []
    pushed = 0

    async def load(ctx: Any) -> None:
        await send(ctx, dut, BEGIN)
        for number, rows in enumerate(steps):
            for item in (*map(event, rows), LAST if number == len(steps) - 1 else STEP):
                while rng.random() < 0.3:
                    await ctx.tick()
                await send(ctx, dut, item)

    async def bench(ctx: Any) -> None:
        nonlocal pushed
        ctx.set(dut.inputs, ROWS)
        while len(seen) < len(steps):
            if ctx.get(dut.ready_step):
                # FIRE's spikes take the memory first; the stream waits for them.
                for index in range(rng.randrange(4)):
                    ctx.set(dut.push, 1)
                    ctx.set(dut.push_region, 1)
                    ctx.set(dut.push_index, index)
                    ctx.set(dut.push_row, 11 + index)
                    assert not ctx.get(dut.items.ready)
                    await ctx.tick()
                    ctx.set(dut.push, 0)
                    assert await entries(ctx, dut, 3, index + 1) == [(11 + place, 0) for place in range(index + 1)]
                    pushed += 1
                count = ctx.get(dut.count)
                seen.append([row for row, _ in await entries(ctx, dut, ctx.get(dut.current), count)])
                await release(ctx, dut)
            else:
                await ctx.tick()

    simulate(dut, bench, beside=(load,))
    assert seen == steps
    assert pushed > 20


FAULTS = {
    "a list overflows": ([BEGIN, *[event(5)] * (EVENTS + 1), LAST], OVERFLOW, EVENTS),
    "a full list does not": ([BEGIN, *[event(5)] * EVENTS, LAST], 0, EVENTS),
    "a row beyond the inputs": ([BEGIN, event(2), event(ROWS), LAST], BAD_ROW, 1),
    "the last row of the inputs": ([BEGIN, event(ROWS - 1), LAST], 0, 1),
    "a row far beyond": ([BEGIN, event(0xFFFF), LAST], BAD_ROW, 0),
    "rows that descend": ([BEGIN, event(4), event(3), event(4), LAST], BAD_ROW, 2),
    "rows that repeat": ([BEGIN, event(4, 0), event(4, 1), LAST], 0, 2),
    "an event before a sample": ([event(1), BEGIN, LAST], OUT_OF_PLACE, 0),
    "a step before a sample": ([STEP, BEGIN, LAST], OUT_OF_PLACE, 0),
    "a sample within a sample": ([BEGIN, event(1), BEGIN, LAST], OUT_OF_PLACE, 1),
    "an unknown kind": ([BEGIN, 3, event(1), LAST], OUT_OF_PLACE, 1),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_noticed_and_stay_until_cleared(simulate: Simulate, dut: Events, name: str) -> None:
    items, fault, count = FAULTS[name]

    async def bench(ctx: Any) -> None:
        ctx.set(dut.inputs, ROWS)
        await send(ctx, dut, *items)
        await ctx.tick()
        assert ctx.get(dut.fault) == fault
        assert (ctx.get(dut.ready_step), ctx.get(dut.count)) == (1, count)
        await release(ctx, dut)
        await send(ctx, dut, BEGIN, event(0), LAST)
        assert ctx.get(dut.fault) == fault
        assert (ctx.get(dut.ready_step), ctx.get(dut.count)) == (1, 1)
        ctx.set(dut.clear_fault, 1)
        await ctx.tick()
        assert ctx.get(dut.fault) == 0

    simulate(dut, bench)


def test_an_event_after_the_last_step_is_out_of_place(simulate: Simulate, dut: Events) -> None:
    async def bench(ctx: Any) -> None:
        ctx.set(dut.inputs, ROWS)
        await send(ctx, dut, BEGIN, LAST, event(1))
        await ctx.tick()
        assert ctx.get(dut.fault) == OUT_OF_PLACE

    simulate(dut, bench)


@pytest.mark.parametrize("event_bits", [1, 3])
@pytest.mark.parametrize("units", [("recurrent",), ("bias",), ("recurrent", "bias")])
def test_a_list_goes_on_with_own_spikes_of_the_step_before_and_a_bias(
    simulate: Simulate, units: tuple[Unit, ...], event_bits: int
) -> None:
    rng = random.Random(f"{units}{event_bits}")
    config = ArrayConfig(lanes=4, groups=8, axons=64, events=EVENTS, event_bits=event_bits, units=units)
    assert has_tail(config)
    assert not has_tail(ArrayConfig(units=("cuba", "post-trace", "shadow", "thresholds", "feedback")))
    dut = Events(config)
    recurrent, bias = "recurrent" in units, "bias" in units
    # Two layers that are recurrent: where their spikes stand, and their first own row.
    layers = {0: (3, 20), 1: (17, 40)}
    before: dict[int, list[int]] = {0: [], 1: []}
    read = {"own": 0, "bias": 0, "below": 0}

    async def tail(ctx: Any, port: str, base: int, below: int, own: int, last_row: int, *, older: int) -> None:
        fields = {"count": below, "own": own, "base": base, "bias": int(bias), "last_row": last_row, "older": older}
        for name, value in fields.items():
            ctx.set(getattr(getattr(dut, f"{port}_tail"), name), value)

    async def fire(ctx: Any, layer: int, rows: list[int]) -> None:
        """FIRE's pushes: to the next layer's list, and to the layer's own spikes."""
        base, first = layers[layer]
        for index, neuron in enumerate(rows):
            ctx.set(dut.push, 1)
            ctx.set(dut.push_region, layer)
            ctx.set(dut.push_index, index)
            ctx.set(dut.push_row, neuron)
            if recurrent:
                ctx.set(dut.push_own, 1)
                ctx.set(dut.push_own_index, base + index)
                ctx.set(dut.push_own_row, first + neuron)
            await ctx.tick()
        ctx.set(dut.push, 0)

    async def listed(ctx: Any, port: str, count: int) -> list[tuple[int, int, int]]:
        """(row, shift, is the bias) of every entry, with reads one after the other."""
        found = []
        entry = getattr(dut, port)
        for index in range(count):
            ctx.set(getattr(dut, f"{port}_index"), index)
            ctx.set(getattr(dut, f"{port}_read"), 1)
            await ctx.tick()
            if rng.random() < 0.3:
                ctx.set(getattr(dut, f"{port}_read"), 0)
                ctx.set(getattr(dut, f"{port}_index"), rng.randrange(EVENTS))
                await ctx.tick()
            is_bias = ctx.get(dut.sweep_is_bias) if bias and port == "sweep" else 0
            found.append((ctx.get(entry.row), ctx.get(entry.shift) if event_bits > 1 else 0, is_bias))
        ctx.set(getattr(dut, f"{port}_read"), 0)
        return found

    async def bench(ctx: Any) -> None:
        ctx.set(dut.inputs, ROWS)
        await send(ctx, dut, BEGIN)
        for step in range(12):
            below = [(row, rng.randrange(event_bits)) for row in sorted(rng.sample(range(ROWS), rng.randrange(6)))]
            await send(ctx, dut, *(event(*entry) for entry in below), STEP)
            region, spikes = ctx.get(dut.current), below
            for layer, (base, first) in layers.items():
                own = before[layer] if recurrent and step else []
                last_row = first + 20
                fired = sorted(rng.sample(range(14), rng.randrange(8)))
                for port in ("scatter", "sweep"):
                    await tail(ctx, port, base, len(spikes), len(own), last_row, older=1 - step % 2)
                    ctx.set(getattr(dut, f"{port}_region"), region if layer == 0 else 2)
                expected = [(row, shift, 0) for row, shift in spikes] + [(first + neuron, 0, 0) for neuron in own]
                wanted = [*expected, *([(last_row, 0, 1)] if bias else [])]
                # What this step fires does not show in this step.
                await fire(ctx, layer, fired)
                seen = await listed(ctx, "scatter", len(wanted))
                assert [entry[:2] for entry in seen] == [entry[:2] for entry in wanted]
                assert await listed(ctx, "sweep", len(wanted)) == wanted
                read["own"] += len(own)
                read["bias"] += bias
                read["below"] += len(spikes)
                before[layer], spikes = fired, [(neuron, 0) for neuron in fired]
            await release(ctx, dut)

    simulate(dut, bench)
    assert (read["own"] > 30) == recurrent
    assert (read["bias"] > 20) == bias
    assert read["below"] > 30

# SPDX-License-Identifier: Apache-2.0
"""The trace sweep against docs/law.md: traces, update lists, counts; biases, and the sweep that ends a sample."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from trifactor.arch.array import ArrayConfig, Unit
from trifactor.arch.noise import digest, mix
from trifactor.rtl.traces import Traces

Simulate = Callable[..., None]


@dataclass
class Seen:
    """What came out of one sweep."""

    entries: list[tuple[int, int, int]] = field(default_factory=list)
    fresh: list[tuple[int, int, int]] = field(default_factory=list)
    overs: int = 0
    digest: int = 0


class SweepBench:
    """An event list behind the unit's read port, and a collector of what it emits."""

    def __init__(self, dut: Traces) -> None:
        self.dut = dut
        self.events: list[tuple[int, int]] = []
        self.bias = False
        self.seen = Seen()

    async def serve(self, ctx: Any) -> None:
        """The event list: an entry one clock after its read, held."""
        dut = self.dut
        async for _, reset, read, index in ctx.tick().sample(dut.event_read, dut.event_index):
            assert not reset
            if read:
                row, shift = self.events[index] if index < len(self.events) else (0, 0)
                ctx.set(dut.event.row, row)
                if "shift" in dut.event.shape().members:
                    ctx.set(dut.event.shift, shift)
                if dut.config.has("bias"):
                    ctx.set(dut.event_is_bias, int(self.bias and index == len(self.events) - 1))

    async def collect(self, ctx: Any) -> None:
        """List entries, clamped traces and digests."""
        dut = self.dut
        watched = (
            dut.list_write,
            dut.list_address,
            dut.list_entry.row,
            dut.list_entry.trace,
            dut.overs,
            dut.digest_valid,
            dut.digest,
        )
        second = ()
        if dut.config.has("post-trace"):
            entry = dut.event_list_entry
            second = (dut.event_list_write, dut.event_list_address, entry.row, entry.trace)
        async for _, _, write, address, row, amount, overs, valid, term, *also in ctx.tick().sample(*watched, *second):
            if write:
                self.seen.entries.append((address, row, amount))
            if also and also[0]:
                self.seen.fresh.append(tuple(also[1:]))
            self.seen.overs += overs
            if valid:
                self.seen.digest = (self.seen.digest + term) % 2**32

    async def sweep(self, ctx: Any, **parameters: int) -> Seen:
        """One sweep; the parameters but `key` are spoilt once it has started."""
        dut = self.dut
        self.seen = Seen()
        ctx.set(dut.event_count, len(self.events))
        for name, value in parameters.items():
            ctx.set(getattr(dut, name), value)
        ctx.set(dut.start, 1)
        await ctx.tick()
        ctx.set(dut.start, 0)
        for name in parameters.keys() - {"key"}:
            ctx.set(getattr(dut, name), 0)
        ctx.set(dut.event_count, 0)
        await ctx.tick().until(~dut.busy)
        assert ctx.get(dut.count) == len(self.seen.entries)
        if dut.config.has("post-trace"):
            assert ctx.get(dut.fresh_count) == len(self.seen.fresh)
        return self.seen

    async def peek(self, ctx: Any, address: int) -> int:
        """A trace as the host reads it."""
        dut = self.dut
        ctx.set(dut.host_word, address // dut.config.traces_per_word)
        ctx.set(dut.host_place, address % dut.config.traces_per_word)
        ctx.set(dut.host_read, 1)
        await ctx.tick()
        ctx.set(dut.host_read, 0)
        return int(ctx.get(dut.host_trace))

    async def poke(self, ctx: Any, address: int, value: int) -> None:
        """Write a trace as the host does: its word is read first."""
        await self.peek(ctx, address)
        ctx.set(self.dut.host_data, value)
        ctx.set(self.dut.host_write, 1)
        await ctx.tick()
        ctx.set(self.dut.host_write, 0)


@pytest.mark.parametrize("products", ["shift", "exact"])
@pytest.mark.parametrize(
    ("rows", "event_bits", "decay_bits"), [(1, 1, 8), (2, 8, 8), (4, 1, 4), (4, 3, 12), (8, 1, 8), (8, 8, 6)]
)
def test_sweeps_agree_with_the_law(
    simulate: Simulate,
    rows: Literal[1, 2, 4, 8],
    event_bits: int,
    decay_bits: int,
    products: Literal["shift", "exact"],
) -> None:
    rng = random.Random(f"{rows}{event_bits}{products}")
    config = ArrayConfig(
        traces_per_word=rows,
        event_bits=event_bits,
        decay_bits=decay_bits,
        products=products,
        axons=64,
        events=256,
        groups=4,
        signatures=True,
    )
    dut = Traces(config)
    stage = SweepBench(dut)
    total = Seen()

    async def layer(ctx: Any, first_sample: bool) -> None:
        inputs = rng.choice((1, rows, rng.randrange(1, 40), rng.randrange(20, 40)))
        trace_base = rng.randrange((64 - inputs) // rows)
        list_base = rng.randrange(64 - inputs)
        decay = rng.choice((0, config.decay_one, rng.randint(1, config.decay_one), config.decay_one - 1))
        shift = rng.choice((7, rng.randrange(8)))
        traces = [0] * inputs
        density = rng.choice((0.1, 0.5, 1.0, 1.0))
        for number in range(4):
            values = [rng.getrandbits(event_bits) if rng.random() < density else 0 for _ in range(inputs)]
            stage.events = [(row, bit) for row, value in enumerate(values) for bit in range(8) if value >> bit & 1]
            key = rng.getrandbits(32)
            first = first_sample and number == 0
            if not first_sample and number == 0:
                # A step that is not the first goes on from what the memory holds.
                traces = [rng.randrange(256) for _ in range(inputs)]
                for row, value in enumerate(traces):
                    await stage.poke(ctx, trace_base * rows + row, value)
                for row in range(inputs, -(-inputs // rows) * rows):
                    await stage.poke(ctx, trace_base * rows + row, 0)
            seen = await stage.sweep(
                ctx,
                first=int(first),
                key=key,
                inputs=inputs,
                trace_base=trace_base,
                list_base=list_base,
                decay=decay,
                shift=shift,
            )
            raw = [
                (decay * trace >> decay_bits) + (value << shift) for trace, value in zip(traces, values, strict=True)
            ]
            traces = [min(255, value) for value in raw]
            words = [mix(key ^ row) for row in range(inputs)]
            visited = [row for row in range(inputs) if traces[row]]
            assert seen.entries == [(list_base + place, row, traces[row]) for place, row in enumerate(visited)]
            assert seen.overs == sum(value > 255 for value in raw)
            assert seen.digest == sum(digest(words[row] ^ traces[row]) for row in visited) % 2**32
            total.entries += seen.entries
            total.overs += seen.overs
        for row in rng.sample(range(inputs), min(inputs, 6)):
            assert await stage.peek(ctx, trace_base * rows + row) == traces[row]

    async def bench(ctx: Any) -> None:
        for address in range(64):
            await stage.poke(ctx, address, rng.randrange(256))
        for number in range(16):
            await layer(ctx, first_sample=number % 2 == 0)

    simulate(dut, bench, beside=(stage.serve, stage.collect))
    assert len(total.entries) > 100
    assert total.overs > 1


@pytest.mark.parametrize("units", [("bias",), ("post-trace",), ("shadow",), ("post-trace", "shadow", "bias")])
@pytest.mark.parametrize(("rows", "event_bits"), [(1, 8), (2, 1), (4, 3), (8, 1)])
def test_units_add_a_bias_a_second_list_and_the_rows_of_a_whole_sample(
    simulate: Simulate, rows: Literal[1, 2, 4, 8], event_bits: int, units: tuple[Unit, ...]
) -> None:
    rng = random.Random(f"{rows}{event_bits}{units}")
    config = ArrayConfig(
        traces_per_word=rows, event_bits=event_bits, axons=64, events=256, groups=4, units=units, signatures=True
    )
    dut = Traces(config)
    stage = SweepBench(dut)
    counted = {"bias": 0, "fresh": 0, "still": 0}

    async def sample(ctx: Any) -> None:
        inputs = rng.choice((rng.randrange(1, rows + 1), *rng.sample(range(2, 40), 3)))
        trace_base, list_base = rng.randrange((64 - inputs) // rows), rng.randrange(64 - inputs)
        decay, shift = rng.choice((0, 0, 256, 256, rng.randrange(257))), rng.choice((7, 7, rng.randrange(8)))
        bias = config.has("bias") and bool(rng.getrandbits(1))
        steps = rng.randrange(2, 6)
        traces, touched = [0] * inputs, [False] * inputs
        for number in range(steps):
            density = rng.choice((0.0, 0.1, 0.6))
            values = [rng.getrandbits(event_bits) if rng.random() < density else 0 for _ in range(inputs)]
            if bias:
                values[-1] = 1
            stage.bias = bias
            stage.events = [(row, bit) for row, value in enumerate(values) for bit in range(8) if value >> bit & 1]
            committing = config.has("shadow") and number == steps - 1
            key = rng.getrandbits(32)
            parameters = {"committing": int(committing)} if config.has("shadow") else {}
            seen = await stage.sweep(
                ctx,
                first=int(number == 0),
                key=key,
                inputs=inputs,
                trace_base=trace_base,
                list_base=list_base,
                decay=decay,
                shift=shift,
                **parameters,
            )
            kept = [decay * trace >> 8 for trace in traces]
            if bias:
                kept[-1] = 0
            raw = [before + (value << shift) for before, value in zip(kept, values, strict=True)]
            traces = [min(255, value) for value in raw]
            touched = [before or trace > 0 for before, trace in zip(touched, traces, strict=True)]
            visited = [row for row in range(inputs) if (touched[row] if committing else traces[row])]
            assert seen.entries == [(list_base + place, row, traces[row]) for place, row in enumerate(visited)]
            fresh = [row for row in range(inputs) if values[row]] if config.has("post-trace") else []
            assert seen.fresh == [
                (list_base + place, row, min(255, values[row] << shift)) for place, row in enumerate(fresh)
            ]
            assert seen.overs == sum(value > 255 for value in raw)
            assert (
                seen.digest == sum(digest(mix(key ^ row) ^ trace) for row, trace in enumerate(traces) if trace) % 2**32
            )
            counted["bias"] += bias and number > 0
            counted["fresh"] += len(fresh)
            counted["still"] += sum(not traces[row] for row in visited)
        for row in rng.sample(range(inputs), min(inputs, 6)):
            assert await stage.peek(ctx, trace_base * rows + row) == traces[row]

    async def bench(ctx: Any) -> None:
        for address in range(64):
            await stage.poke(ctx, address, rng.randrange(256))
        for _ in range(20):
            await sample(ctx)

    simulate(dut, bench, beside=(stage.serve, stage.collect))
    assert (counted["bias"] > 5) == config.has("bias")
    assert (counted["fresh"] > 20) == config.has("post-trace")
    assert (counted["still"] > 0) == config.has("shadow")


def test_the_host_s_traces_count_as_touched_neither_before_nor_after(simulate: Simulate) -> None:
    dut = Traces(ArrayConfig(traces_per_word=2, axons=8, events=8, groups=4, units=("shadow",)))
    stage = SweepBench(dut)

    async def bench(ctx: Any) -> None:
        parameters = {"inputs": 8, "decay": 0, "shift": 7, "key": 0}
        stage.events = [(row, 0) for row in range(8)]
        await stage.sweep(ctx, first=1, committing=0, **parameters)
        for address in range(4):
            await stage.poke(ctx, address, 9)
        stage.events = []
        seen = await stage.sweep(ctx, first=0, committing=1, **parameters)
        assert [row for _, row, _ in seen.entries] == [4, 5, 6, 7]
        seen = await stage.sweep(ctx, first=1, committing=1, **parameters)
        assert seen.entries == []

    simulate(dut, bench, beside=(stage.serve, stage.collect))


def test_the_host_clears_a_word_at_once(simulate: Simulate) -> None:
    dut = Traces(ArrayConfig(traces_per_word=4, axons=8, events=8, groups=4))
    stage = SweepBench(dut)

    async def bench(ctx: Any) -> None:
        for address in range(8):
            await stage.poke(ctx, address, 100 + address)
        ctx.set(dut.host_word, 1)
        ctx.set(dut.host_clear, 1)
        ctx.set(dut.host_write, 1)
        await ctx.tick()
        ctx.set(dut.host_clear, 0)
        ctx.set(dut.host_write, 0)
        assert [await stage.peek(ctx, address) for address in range(8)] == [100, 101, 102, 103, 0, 0, 0, 0]

    simulate(dut, bench)

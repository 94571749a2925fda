# SPDX-License-Identifier: Apache-2.0
"""MODULATE against docs/law.md."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from typing import Any, Literal

import pytest

from trifactor.arch.array import ArrayConfig
from trifactor.arch.formats import SIGNAL_SHIFT_MAX
from trifactor.rtl.learning import Modulate

Simulate = Callable[..., None]
GAP = 4
"""Clocks between the groups of a gather; the walk of the rows takes more."""


def exponent_of(value: int, noise: int) -> int:
    place = value.bit_length() - 1
    return place + (noise < ((value << (7 - place)) & 127))


def factor_of(delta: int, scale: int, noise: int, shift: int, products: str) -> tuple[int, bool]:
    """A factor by the law, and whether it was clamped."""
    raw = (min(65535, abs(delta)) * scale + (noise & ((1 << shift) - 1))) >> shift
    size = min(128, raw)
    if size and products == "shift":
        size = 1 << exponent_of(size, noise >> 25)
    return -size if delta < 0 else size, raw > 128


@pytest.mark.parametrize("pipeline", ["long", "short"])
@pytest.mark.parametrize("post", [False, True])
@pytest.mark.parametrize("products", ["shift", "exact"])
@pytest.mark.parametrize("surrogate_bits", [1, 4, 8])
def test_factors_agree_with_the_law(
    simulate: Simulate,
    products: Literal["shift", "exact"],
    surrogate_bits: int,
    post: bool,
    pipeline: Literal["long", "short"],
) -> None:
    rng = random.Random(f"{products}{surrogate_bits}")
    config = ArrayConfig(
        lanes=4,
        groups=16,
        products=products,
        surrogate_bits=surrogate_bits,
        axons=64,
        events=64,
        units=("post-trace",) if post else (),
        pipeline=pipeline,
    )
    dut = Modulate(config)
    written: list[tuple[int, ...]] = []
    expected: list[tuple[int, ...]] = []
    overs = wanted_overs = 0

    async def collect(ctx: Any) -> None:
        nonlocal overs
        factors = [dut.factor.causal, *([dut.factor.event] if post else [])]
        sizes = [factor.exponent if products == "shift" else factor.magnitude for factor in factors]
        parts = [
            part for factor, size in zip(factors, sizes, strict=True) for part in (factor.some, factor.negative, size)
        ]
        async for _, _, write, neuron, over, *seen in ctx.tick().sample(
            dut.write, dut.write_neuron, dut.over_count, *parts
        ):
            if write:
                values = []
                for some, negative, amount in zip(seen[::3], seen[1::3], seen[2::3], strict=True):
                    size = 1 << amount if products == "shift" else amount
                    values.append((-size if negative else size) if some else 0)
                written.append((neuron, *values))
            overs += over

    late: deque[int] = deque([0] * dut.noise_clock)

    def pass_noise(ctx: Any, word: int) -> None:
        late.append(word)
        ctx.set(dut.noise, late.popleft())

    async def idle(ctx: Any, clocks: int) -> None:
        ctx.set(dut.valid, 0)
        for _ in range(clocks):
            pass_noise(ctx, 0)
            await ctx.tick()

    async def bench(ctx: Any) -> None:
        nonlocal wanted_overs
        for number in range(50):
            groups = rng.choice((1, 2, 3, 5))
            neurons = sorted(rng.sample(range(64), rng.choice((1, 2, rng.randrange(1, 20)))))
            shift = number % (SIGNAL_SHIFT_MAX + 1)
            # Results on both sides of 128, and of 1.
            reach = min(config.signal.max // groups, 1 << max(2, shift + rng.randrange(4, 13) - surrogate_bits))
            partial = [[rng.randint(-reach, reach) * rng.choice((0, 1, 1)) for _ in neurons] for _ in range(groups)]
            # The most negative and the most positive sum that the format holds.
            if number == 0:
                partial, groups = [[rng.choice((config.signal.min, config.signal.max)) for _ in neurons]], 1
            psi = [rng.randint(0 if post else 1, config.surrogate_max) for _ in neurons]
            trace = [rng.choice((0, 255, rng.randrange(256))) for _ in neurons]
            post_shift = max(0, min(SIGNAL_SHIFT_MAX, shift + 8 - surrogate_bits - rng.randrange(5)))
            negative = rng.getrandbits(1)
            noise = [rng.getrandbits(32) for _ in neurons]
            ctx.set(dut.shift, shift)
            if post:
                ctx.set(dut.post_shift, post_shift)
                ctx.set(dut.post_negative, negative)
            for group, totals in enumerate(partial):
                for index, total in enumerate(totals):
                    ctx.set(dut.ahead, 1)
                    ctx.set(dut.ahead_index, index)
                    # One clock after its `ahead`; the next neuron's `ahead` falls on the same clock.
                    await ctx.tick()
                    values = {
                        "valid": 1,
                        "add": int(group > 0),
                        "last": int(group == groups - 1),
                        "index": index,
                        "total": total - (carry := int(total > config.signal.min and rng.getrandbits(1))),
                        "total_carry": carry,
                        "psi": psi[index],
                        "neuron": neurons[index],
                        **({"post": trace[index]} if post else {}),
                    }
                    for name, value in values.items():
                        ctx.set(getattr(dut, name), value)
                    pass_noise(ctx, noise[index])
                ctx.set(dut.ahead, 0)
                await ctx.tick()
                await idle(ctx, GAP)
            await idle(ctx, dut.latency)
            for index, neuron in enumerate(neurons):
                delta = sum(totals[index] for totals in partial)
                causal, over = factor_of(delta, psi[index], noise[index], shift, products)
                wanted_overs += over
                factors = [causal]
                if post:
                    turned = (noise[index] << 13 | noise[index] >> 19) % 2**32
                    event, over = factor_of(delta, trace[index], turned, post_shift, products)
                    wanted_overs += over
                    factors.append(-event if negative else event)
                expected.append((neuron, *factors))

    simulate(dut, bench, beside=(collect,))
    assert written == expected
    assert overs == wanted_overs > 10
    for values in list(zip(*expected, strict=True))[1:]:
        assert sum(0 < abs(value) < 128 for value in values) > 20
        assert sum(value == 0 for value in values) > 5


@pytest.mark.parametrize(("pipeline", "latency"), [("long", 6), ("short", 3)])
def test_a_factor_comes_latency_clocks_after_the_last_partial_sum(
    simulate: Simulate, pipeline: Literal["long", "short"], latency: int
) -> None:
    dut = Modulate(ArrayConfig(lanes=4, groups=4, pipeline=pipeline))
    assert dut.latency == latency

    async def bench(ctx: Any) -> None:
        ctx.set(dut.valid, 1)
        ctx.set(dut.last, 1)
        ctx.set(dut.neuron, 9)
        await ctx.tick()
        ctx.set(dut.valid, 0)
        for _ in range(dut.latency - 1):
            assert not ctx.get(dut.write)
            await ctx.tick()
        assert (ctx.get(dut.write), ctx.get(dut.write_neuron)) == (1, 9)

    simulate(dut, bench)

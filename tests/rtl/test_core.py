# SPDX-License-Identifier: Apache-2.0
"""One core: which of a neuron's factors reach the lanes, and the active copy beside the stored weight."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Literal

import pytest

from trifactor.arch.array import ArrayConfig, Unit
from trifactor.rtl.core import Core
from trifactor.rtl.lane import FactorKind
from trifactor.rtl.timing import timing

Simulate = Callable[..., None]
Products = Literal["shift", "exact"]
LANES = 4
READ_CLOCK = 8
KINDS: dict[tuple[Unit, ...], tuple[FactorKind, ...]] = {
    (): (FactorKind.CAUSAL,),
    ("post-trace",): (FactorKind.CAUSAL, FactorKind.EVENT),
    ("feedback",): (FactorKind.CAUSAL, FactorKind.SIGN),
    ("post-trace", "feedback"): tuple(FactorKind),
}


def core_of(products: Products, *units: Unit) -> Core:
    config = ArrayConfig(
        lanes=LANES, groups=4, weight_words=8, weight_bits=10, synapse_bits=6, products=products, units=units, classes=4
    )
    return Core(config, 0)


def encoded(products: Products, factor: int) -> dict[str, int]:
    """A factor as its memory holds it."""
    size = abs(factor)
    amount = {"exponent": max(0, size.bit_length() - 1)} if products == "shift" else {"magnitude": size}
    return {**amount, "some": int(size != 0), "negative": int(factor < 0)}


async def write_word(ctx: Any, dut: Core, address: int, stored: list[int], active: list[int] | None = None) -> None:
    """A weight word as the host writes it."""
    config = dut.config
    word = 0
    for lane, value in enumerate(stored):
        lane_word = value & ((1 << config.weight_bits) - 1)
        if active is not None:
            lane_word |= (active[lane] & ((1 << config.synapse_bits) - 1)) << config.weight_bits
        word |= lane_word << lane * config.lane_bits
    ctx.set(dut.host_stage, 1)
    for chunk in range(dut.chunks):
        ctx.set(dut.host_chunk, chunk)
        ctx.set(dut.host_data, word >> 32 * chunk & 0xFFFFFFFF)
        await ctx.tick()
    ctx.set(dut.host_stage, 0)
    await ctx.tick()
    ctx.set(dut.write_address, address)
    ctx.set(dut.host_write, 1)
    await ctx.tick()
    ctx.set(dut.host_write, 0)
    await ctx.tick()


async def read_word(ctx: Any, dut: Core, address: int) -> tuple[list[int], list[int]]:
    """The stored and the active weights of a word, as the host reads them."""
    config = dut.config
    ctx.set(dut.address, address)
    ctx.set(dut.read, 1)
    await ctx.tick()
    ctx.set(dut.read, 0)
    await ctx.tick()
    word = 0
    for chunk in range(dut.chunks):
        ctx.set(dut.host_chunk, chunk)
        word |= ctx.get(dut.host_word) << 32 * chunk
    parts = [word >> lane * config.lane_bits for lane in range(LANES)]
    bits, active_bits = config.weight_bits, config.lane_bits - config.weight_bits
    stored = [part % (1 << bits) for part in parts]
    active = [(part >> bits) % (1 << active_bits) for part in parts]
    return (
        [value - (value >> bits - 1 << bits) for value in stored],
        [value - (value >> active_bits - 1 << active_bits) for value in active] if active_bits else [],
    )


async def load_factors(ctx: Any, dut: Core, kind: FactorKind) -> int:
    """Bring the first group's factors into the lanes; how many of them are not 0."""
    some = 0
    ctx.set(dut.factor_kind, kind)
    for lane in range(LANES):
        ctx.set(dut.factor_state, lane)
        ctx.set(dut.factor_read, 1)
        await ctx.tick()
        ctx.set(dut.factor_read, 0)
        some += ctx.get(dut.factor_some)
        ctx.set(dut.factor_shift, 1)
        await ctx.tick()
        ctx.set(dut.factor_shift, 0)
    ctx.set(dut.swap, 1)
    await ctx.tick()
    ctx.set(dut.swap, 0)
    return some


@pytest.mark.parametrize("products", ["shift", "exact"])
@pytest.mark.parametrize("units", KINDS)
def test_a_gather_sees_the_kind_of_factor_that_is_asked_for(
    simulate: Simulate, products: Products, units: tuple[Unit, ...]
) -> None:
    rng = random.Random(f"{products}{units}")
    dut = core_of(products, *units)
    sums = set()

    def random_factor() -> int:
        size = 1 << rng.randrange(8) if products == "shift" else rng.randrange(1, 129)
        return rng.choice((0, size, -size))

    async def bench(ctx: Any) -> None:
        weights = [rng.randint(-512, 511) for _ in range(LANES)]
        await write_word(ctx, dut, 3, weights)
        for _ in range(12):
            factors = {FactorKind.CAUSAL: [random_factor() for _ in range(LANES)]}
            factors[FactorKind.EVENT] = [random_factor() for _ in range(LANES)]
            factors[FactorKind.SIGN] = [128 * ((g > 0) - (g < 0)) for g in factors[FactorKind.CAUSAL]]
            for lane in range(LANES):
                ctx.set(dut.factor_write, 1)
                ctx.set(dut.factor_write_state, lane)
                pair = {"causal": encoded(products, factors[FactorKind.CAUSAL][lane])}
                if "post-trace" in units:
                    pair |= {"event": encoded(products, factors[FactorKind.EVENT][lane])}
                ctx.set(dut.factor_data, pair)
                await ctx.tick()
            ctx.set(dut.factor_write, 0)
            for kind in KINDS[units]:
                assert await load_factors(ctx, dut, kind) == sum(map(bool, factors[kind]))
                ctx.set(dut.address, 3)
                ctx.set(dut.read, 1)
                await ctx.tick()
                ctx.set(dut.read, 0)
                await ctx.tick().repeat(timing(dut.config).total - 1 - READ_CLOCK - 1)
                total = ctx.get(dut.total) + ctx.get(dut.total_carry)
                assert total == sum((w >> 4) * factor for w, factor in zip(weights, factors[kind], strict=True)), kind
                sums.add(total)

    simulate(dut, bench)
    assert len(sums) > 8


@pytest.mark.parametrize("products", ["shift", "exact"])
def test_an_update_keeps_the_active_copy_until_it_is_renewed(simulate: Simulate, products: Products) -> None:
    rng = random.Random(products)
    dut = core_of(products, "shadow")
    write_clock = timing(dut.config).write

    async def update(ctx: Any, address: int, *, renew: int) -> None:
        """Move the weights of a word by G, with p = 1 and no shift."""
        ctx.set(dut.renew, renew)
        for clock in range(READ_CLOCK, write_clock + 1):
            ctx.set(dut.address, address)
            ctx.set(dut.read, int(clock == READ_CLOCK))
            ctx.set(dut.moving, int(clock == write_clock - 2))
            ctx.set(dut.write, int(clock == write_clock))
            ctx.set(dut.write_address, address)
            await ctx.tick()
        ctx.set(dut.write, 0)
        await ctx.tick()

    async def bench(ctx: Any) -> None:
        ctx.set(dut.trace, 1)
        ctx.set(dut.rate_room, 23)
        ctx.set(dut.reach, 0)
        factors = [64, -128, 0, 1]
        ctx.set(dut.factor_write, 1)
        for lane, factor in enumerate(factors):
            ctx.set(dut.factor_write_state, lane)
            ctx.set(dut.factor_data, {"causal": encoded(products, factor)})
            await ctx.tick()
        ctx.set(dut.factor_write, 0)
        await load_factors(ctx, dut, FactorKind.CAUSAL)
        for address in range(8):
            stored = [rng.randint(-512, 511) for _ in range(LANES)]
            active = [rng.randint(-32, 31) for _ in range(LANES)]
            await write_word(ctx, dut, address, stored, active)
            assert await read_word(ctx, dut, address) == (stored, active)
            for renew in (0, 0, 1, 0):
                await update(ctx, address, renew=renew)
                stored = [max(-512, min(511, w - factor)) for w, factor in zip(stored, factors, strict=True)]
                active = [w >> 4 for w in stored] if renew else active
                assert await read_word(ctx, dut, address) == (stored, active)

    simulate(dut, bench)

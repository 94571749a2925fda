# SPDX-License-Identifier: Apache-2.0
"""One lane's three verbs against the integers of docs/law.md."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable
from typing import Any, Literal

import pytest

from trifactor.arch.array import ArrayConfig, Unit
from trifactor.arch.formats import EXPONENT_MAX, FACTOR_MAX, RATE_SHIFT_MAX
from trifactor.rtl.lane import Lane
from trifactor.rtl.timing import timing

Simulate = Callable[..., None]
Schedule = dict[int, dict[str, int]]
Products = Literal["shift", "exact"]


def config_of(
    products: Products,
    weight_bits: int = 16,
    synapse_bits: int = 8,
    event_bits: int = 1,
    units: tuple[Unit, ...] = (),
) -> ArrayConfig:
    return ArrayConfig(
        lanes=1,
        groups=16,
        events=255,
        products=products,
        weight_bits=weight_bits,
        synapse_bits=synapse_bits,
        event_bits=event_bits,
        units=units,
    )


def factor_value(dut: Lane, factor: int) -> dict[str, int]:
    """What the chain holds for the factor G; with shifts G is a power of two."""
    size = abs(factor)
    encoded = {"exponent": max(0, size.bit_length() - 1)} if "exponent" in dut.factor.members else {"magnitude": size}
    return {**encoded, "some": int(size != 0), "negative": int(factor < 0)}


def random_factor(rng: random.Random, config: ArrayConfig) -> int:
    size = 1 << rng.randrange(EXPONENT_MAX + 1) if config.products == "shift" else rng.randrange(1, FACTOR_MAX + 1)
    return rng.choice((0, size, size, -size, -size))


def play(simulate: Simulate, dut: Lane, schedule: Schedule, watched: dict[str, set[int]]) -> dict[str, dict[int, int]]:
    """Drive the inputs of each clock; what is not scheduled is noise. Gives the watched outputs of the named clocks."""
    rng = random.Random(9)
    seen: dict[str, dict[int, int]] = defaultdict(dict)
    quiet = {"factor_shift": 0, "swap": 0, "valid": 0, "capture": 0, "scatter": 0, "moving": 0, "host_word": 0}
    rubbish = ["noise", "run", "reach", "trace", "rate_room", "word", "event_shift"]
    if dut.config.has("shadow"):
        quiet |= {"host_copy": 0}
        rubbish += ["copy", "renew"]

    async def bench(ctx: Any) -> None:
        for clock in range(max(map(max, watched.values())) + 1):
            now = schedule.get(clock, {})
            for name, value in (quiet | now).items():
                ctx.set(getattr(dut, name), value)
            for name in rubbish:
                if name not in now:
                    signal = getattr(dut, name)
                    bits = len(signal)
                    low = -(1 << bits - 1) if signal.shape().signed else 0
                    ctx.set(signal, low + rng.getrandbits(bits))
            for name, clocks in watched.items():
                if clock in clocks:
                    seen[name][clock] = ctx.get(getattr(dut, name))
            await ctx.tick()

    simulate(dut, bench)
    return seen


@pytest.mark.parametrize("event_bits", [1, 8])
@pytest.mark.parametrize("products", ["shift", "exact"])
@pytest.mark.parametrize(("weight_bits", "synapse_bits"), [(16, 8), (8, 8), (5, 4)])
def test_scatter_sums_the_weights_of_events_and_hands_the_sum_over(
    simulate: Simulate, products: Products, weight_bits: int, synapse_bits: int, event_bits: int
) -> None:
    rng = random.Random(f"{products}{weight_bits}{event_bits}")
    config = config_of(products, weight_bits, synapse_bits, event_bits)
    dut = Lane(config)
    schedule: Schedule = defaultdict(dict)
    expected = {}
    clock = 0
    for count in (0, 1, 2, 255, *(rng.randrange(1, 30) for _ in range(12))):
        total = 0
        extreme = rng.choice((None, config.weight.min, config.weight.max)) if count < 255 else config.weight.min
        for _ in range(count):
            weight = rng.randint(config.weight.min, config.weight.max) if extreme is None else extreme
            shift = rng.randrange(event_bits) if count < 255 else event_bits - 1
            # A factor left over from another verb must not matter.
            schedule[clock + 8] |= {"swap": rng.getrandbits(1)}
            schedule[clock + 10] |= {"word": weight, "valid": 1, "scatter": 1, "event_shift": shift}
            total += (weight >> (weight_bits - synapse_bits)) << shift
            clock += 1
        schedule[clock + 10] |= {"scatter": 1}
        schedule[clock + 11] |= {"capture": 1, "scatter": 1}
        schedule[clock + 5] |= {"factor_shift": 1, "factor_in": factor_value(dut, random_factor(rng, config))}  # type: ignore[dict-item]
        clock += 1 + rng.randrange(3)
        expected[clock + 11] = total
        # Held until the next capture, whatever comes in between.
        clock += rng.randrange(3)
        expected[clock + 11] = total
    seen = play(simulate, dut, schedule, {"current": set(expected)})
    assert seen["current"] == expected
    assert len(set(expected.values())) > 8


@pytest.mark.parametrize("products", ["shift", "exact"])
@pytest.mark.parametrize(("weight_bits", "synapse_bits"), [(16, 8), (5, 4)])
def test_gather_multiplies_the_active_weight_with_the_factor(
    simulate: Simulate, products: Products, weight_bits: int, synapse_bits: int
) -> None:
    rng = random.Random(f"{products}{weight_bits}")
    config = config_of(products, weight_bits, synapse_bits)
    dut = Lane(config)
    schedule: Schedule = defaultdict(dict)
    expected = {}
    clock = 0
    for _ in range(60):
        factor = random_factor(rng, config)
        schedule[clock] |= {"factor_shift": 1, "factor_in": factor_value(dut, factor)}  # type: ignore[dict-item]
        schedule[clock + 1] |= {"swap": 1}
        for _ in range(rng.randrange(1, 5)):
            weight = rng.choice((config.weight.min, config.weight.max, rng.randint(config.weight.min, -1)))
            schedule[clock + 4] |= {"word": weight, "valid": rng.getrandbits(1)}
            expected[clock + 5] = (weight >> (weight_bits - synapse_bits)) * factor
            clock += 1
        clock += 1
    seen = play(simulate, dut, schedule, {"term": set(expected), "minus": set(expected)})
    assert {clock: seen["term"][clock] + seen["minus"][clock] for clock in expected} == expected
    assert sum(value != 0 for value in expected.values()) > 50


@pytest.mark.parametrize("products", ["shift", "exact"])
@pytest.mark.parametrize("weight_bits", [4, 8, 13, 16])
def test_update_moves_the_weight_by_the_law(simulate: Simulate, products: Products, weight_bits: int) -> None:
    rng = random.Random(f"{products}{weight_bits}")
    config = config_of(products, weight_bits, 4)
    dut = Lane(config)
    low, high = config.weight.min, config.weight.max
    write = timing(config).write - 8
    schedule: Schedule = defaultdict(dict)
    stored, over, active = {}, {}, {}
    clock = moved = 0
    for case in range(150):
        factor = random_factor(rng, config)
        shift = case % (RATE_SHIFT_MAX + 1)
        schedule[clock] |= {"factor_shift": 1, "factor_in": factor_value(dut, factor)}  # type: ignore[dict-item]
        schedule[clock + 1] |= {"swap": 1}
        for _ in range(4):
            trace = 1 << rng.randrange(9) if products == "shift" else rng.randrange(1, 256)
            product = abs(factor) * trace
            # Noise on both sides of the carry, not only anywhere: with large shifts it would almost never carry.
            edge = -product % (1 << shift)
            fraction = rng.choice((edge, (edge - 1) % (1 << shift), rng.getrandbits(24) % (1 << shift)))
            room = RATE_SHIFT_MAX - shift
            noise = fraction << room | rng.getrandbits(room)
            weight = rng.choice((low, high, 0, rng.randint(low, high)))
            reach = trace.bit_length() - 1 - shift
            schedule[clock + 2] |= {"noise": noise, "trace": trace & 255, "rate_room": room}
            schedule[clock + 3] |= {"reach": reach}
            ones = RATE_SHIFT_MAX - (noise ^ ((1 << RATE_SHIFT_MAX) - 1)).bit_length()
            schedule[clock + 4] |= {"word": weight, "run": ones}
            schedule[clock + write] |= {"moving": 1}
            step = (product + fraction) >> shift if factor else 0
            raw = weight - step if factor > 0 else weight + step
            stored[clock + 2 + write] = max(low, min(high, raw))
            over[clock + 2 + write] = int(not low <= raw <= high)
            active[clock + 2 + write] = int(factor != 0)
            moved += raw != weight
            clock += 1
        clock += 1
    seen = play(simulate, dut, schedule, {"stored": set(stored), "over": set(over), "active": set(active)})
    assert seen == {"stored": stored, "over": over, "active": active}
    assert moved > 100
    assert sum(over.values()) > 30


@pytest.mark.parametrize("products", ["shift", "exact"])
def test_a_word_of_the_host_passes_while_no_weight_moves(simulate: Simulate, products: Products) -> None:
    config = config_of(products, 5, 4)
    dut = Lane(config)
    words = [config.weight.min, config.weight.max, 0, -1, 5]
    schedule: Schedule = {clock: {"host_word": word} for clock, word in enumerate(words, start=4)}
    seen = play(simulate, dut, schedule, {"stored": set(range(3, 11))})
    assert [seen["stored"][clock] for clock in range(3, 11)] == [0, 0, *words, 0]


@pytest.mark.parametrize("products", ["shift", "exact"])
@pytest.mark.parametrize("event_bits", [1, 4])
def test_scatter_and_gather_see_the_active_copy(simulate: Simulate, products: Products, event_bits: int) -> None:
    rng = random.Random(f"{products}{event_bits}")
    config = config_of(products, 12, 6, event_bits, ("shadow",))
    dut = Lane(config)
    schedule: Schedule = defaultdict(dict)
    terms, currents = {}, {}
    clock = 0
    for _ in range(20):
        factor = random_factor(rng, config)
        schedule[clock] |= {"factor_shift": 1, "factor_in": factor_value(dut, factor)}  # type: ignore[dict-item]
        schedule[clock + 1] |= {"swap": 1}
        for _ in range(3):
            copy = rng.randint(config.synapse.min, config.synapse.max)
            schedule[clock + 4] |= {"copy": copy}
            terms[clock + 5] = copy * factor
            clock += 1
        total = 0
        for _ in range(4):
            copy, shift = rng.randint(config.synapse.min, config.synapse.max), rng.randrange(event_bits)
            schedule[clock + 4] |= {"copy": copy, "valid": 1, "scatter": 1, "event_shift": shift}
            total += copy << shift
            clock += 1
        schedule[clock + 4] |= {"scatter": 1}
        schedule[clock + 5] |= {"capture": 1, "scatter": 1}
        currents[clock + 6] = total
        clock += 2
    seen = play(simulate, dut, schedule, {"term": set(terms), "minus": set(terms), "current": set(currents)})
    assert {clock: seen["term"][clock] + seen["minus"][clock] for clock in terms} == terms
    assert seen["current"] == currents
    assert len(set(terms.values())) > 20


@pytest.mark.parametrize("products", ["shift", "exact"])
@pytest.mark.parametrize(("weight_bits", "synapse_bits"), [(16, 8), (9, 5), (4, 4)])
def test_an_update_hands_the_copy_on_or_renews_it(
    simulate: Simulate, products: Products, weight_bits: int, synapse_bits: int
) -> None:
    rng = random.Random(f"{products}{weight_bits}")
    config = config_of(products, weight_bits, synapse_bits, units=("shadow",))
    dut = Lane(config)
    low, high = config.weight.min, config.weight.max
    write = timing(config).write - 8
    schedule: Schedule = defaultdict(dict)
    stored, copied = {}, {}
    clock = moved = 0
    for _ in range(80):
        factor = random_factor(rng, config)
        schedule[clock] |= {"factor_shift": 1, "factor_in": factor_value(dut, factor)}  # type: ignore[dict-item]
        schedule[clock + 1] |= {"swap": 1}
        for _ in range(3):
            weight, copy = rng.randint(low, high), rng.randint(config.synapse.min, config.synapse.max)
            renew = rng.getrandbits(1)
            # The noise is 0 and the shift is 0: the weight moves by the product.
            trace = 1 << rng.randrange(4)
            step = abs(factor) * trace
            schedule[clock + 2] |= {"noise": 0, "trace": trace, "rate_room": RATE_SHIFT_MAX}
            schedule[clock + 3] |= {"reach": trace.bit_length() - 1}
            schedule[clock + 4] |= {"word": weight, "copy": copy, "run": 0}
            schedule[clock + write] |= {"moving": 1}
            schedule[clock + write + 1] |= {"renew": renew}
            new = max(low, min(high, weight - step if factor > 0 else weight + step))
            stored[clock + 2 + write] = new
            copied[clock + 2 + write] = new >> (weight_bits - synapse_bits) if renew else copy
            moved += new != weight
            clock += 1
        clock += 1
    seen = play(simulate, dut, schedule, {"stored": set(stored), "copied": set(copied)})
    assert seen == {"stored": stored, "copied": copied}
    assert moved > 50


@pytest.mark.parametrize("products", ["shift", "exact"])
def test_a_copy_of_the_host_passes_beside_its_word(simulate: Simulate, products: Products) -> None:
    dut = Lane(config_of(products, 9, 5, units=("shadow",)))
    pairs = [(-256, 15), (255, -16), (0, 1), (-1, 0)]
    schedule: Schedule = {
        clock: {"host_word": word, "host_copy": copy} for clock, (word, copy) in enumerate(pairs, start=4)
    }
    seen = play(simulate, dut, schedule, {"stored": set(range(3, 10)), "copied": set(range(3, 10))})
    passed = [(0, 0), (0, 0), *pairs, (0, 0)]
    assert [(seen["stored"][clock], seen["copied"][clock]) for clock in range(3, 10)] == passed


def test_factors_pass_along_the_chain_and_swap_only_when_told(simulate: Simulate) -> None:
    config = config_of("exact")
    dut = Lane(config)
    words = []

    async def bench(ctx: Any) -> None:
        ctx.set(dut.word, 1 << 8)
        ctx.set(dut.valid, 1)
        for value in (5, -7, 9):
            ctx.set(dut.factor_in, factor_value(dut, value))
            ctx.set(dut.factor_shift, 1)
            await ctx.tick()
            ctx.set(dut.factor_shift, 0)
            assert ctx.get(dut.factor_out.magnitude) == abs(value)
            ctx.set(dut.factor_in, factor_value(dut, 111))
            await ctx.tick().repeat(4)
            words.append(ctx.get(dut.term))
            ctx.set(dut.swap, int(value != -7))
            await ctx.tick()
            ctx.set(dut.swap, 0)
            await ctx.tick().repeat(4)
            words.append(ctx.get(dut.term))

    simulate(dut, bench)
    assert words == [0, 5, 5, 5, 5, 9]

# SPDX-License-Identifier: Apache-2.0
"""The host's side, through the whole array: every register, every window onto a memory, commands and status."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any, Literal

import pytest

from trifactor.arch.array import ArrayConfig, Unit, ceil_log2
from trifactor.arch.events import ItemKind, pack_item
from trifactor.arch.network import SURROGATE_ENTRIES
from trifactor.arch.registers import (
    COUNTERS,
    CYCLE_COUNTERS,
    DATA_BITS,
    DESCRIPTOR,
    DESCRIPTOR_WORDS,
    IDENTITY,
    MAP_VERSION,
    REGISTERS,
    Space,
    shape_word,
    units_word,
    weight_chunks,
)
from trifactor.rtl.array import Array

Simulate = Callable[..., None]
ArrayHost = Callable[[Any, Any], Any]
CLEAR_MEMORIES, CLEAR_COUNTERS = 1, 2
DESCRIPTOR_USED = 1 + max(field.word for field in DESCRIPTOR)

CONFIGS: dict[str, dict[str, Any]] = {
    "one lane": {"cores": 1, "lanes": 1, "traces_per_word": 1, "weight_bits": 4, "synapse_bits": 4, "classes": 4},
    "two chunks": {"cores": 2, "lanes": 4, "traces_per_word": 8, "products": "exact"},
    "three chunks": {"cores": 1, "lanes": 8, "traces_per_word": 2, "weight_bits": 11, "membrane_bits": 9},
    "odd depths": {"cores": 4, "lanes": 1, "weight_words": 5, "groups": 3, "axons": 9, "layers": 3},
    "units": {
        "cores": 2,
        "lanes": 4,
        "traces_per_word": 2,
        "units": ["cuba", "post-trace", "shadow", "recurrent", "bias", "thresholds", "feedback"],
    },
}


def config_of(name: str) -> ArrayConfig:
    small = {"weight_words": 4, "groups": 4, "axons": 8, "events": 8, "layers": 2, "classes": 2}
    return ArrayConfig.model_validate(small | CONFIGS[name])


def windows(config: ArrayConfig) -> Iterator[tuple[Space, int, int, bool]]:
    """(space, offset, bits, signed) of every word that the host can write and read back."""
    states = config.groups * config.lanes
    word_bits, state_bits = ceil_log2(config.weight_words), ceil_log2(states)
    chunks = weight_chunks(config)
    for core in range(config.cores):
        for word in range(config.weight_words):
            for chunk in range(chunks):
                bits = min(DATA_BITS, config.lanes * config.lane_bits - chunk * DATA_BITS)
                yield Space.WEIGHTS, (core << word_bits | word) << ceil_log2(chunks) | chunk, bits, False
        for state in range(states):
            offset = core << state_bits | state
            # A synaptic current is in the upper half.
            whole = config.has("cuba") and config.membrane_bits == 16
            yield Space.MEMBRANES, offset, DATA_BITS if whole else config.membrane_bits, not whole
            if config.has("thresholds"):
                yield Space.THRESHOLDS, offset, 16, False
            if config.has("post-trace"):
                yield Space.POST_TRACES, offset, 8, False
    for axon in range(config.axons):
        yield Space.TRACES, axon, 8, False
    for entry in range(SURROGATE_ENTRIES):
        yield Space.SURROGATE, entry, config.surrogate_bits, False
    for layer in range(config.layers):
        for word in range(DESCRIPTOR_USED):
            yield Space.DESCRIPTORS, layer * DESCRIPTOR_WORDS + word, DATA_BITS, False


@pytest.mark.parametrize("name", CONFIGS)
def test_every_window_reads_back_what_was_written_until_it_is_cleared(
    simulate: Simulate, array_host: ArrayHost, name: str
) -> None:
    rng = random.Random(name)
    config = config_of(name)
    dut = Array(config)
    values = {}
    for space, offset, bits, is_signed in windows(config):
        value = rng.getrandbits(bits) | 1
        values[space, offset] = (value - (value >> bits - 1 << bits)) % 2**32 if is_signed else value
    assert len(values) > 40

    async def bench(ctx: Any) -> None:
        host = array_host(dut, ctx)
        for (space, offset), value in values.items():
            await host.write(space, offset, value)
        for (space, offset), value in values.items():
            assert await host.read(space, offset) == value, (space, offset)
        await host.write_register("command", CLEAR_MEMORIES)
        for space, offset in values:
            assert await host.read(space, offset) == 0, (space, offset)
        for state in range(config.cores * config.groups * config.lanes):
            assert await host.read(Space.FACTORS, state) == 0

    simulate(dut, bench, limit=100_000)


def reset_value(name: str, config: ArrayConfig) -> int:
    fixed = {"identity": IDENTITY, "version": MAP_VERSION, "shape": shape_word(config), "units": units_word(config)}
    return fixed.get(name, 0)


@pytest.mark.parametrize("units", [(), ("shadow", "bias"), ("post-trace", "feedback", "thresholds")])
def test_registers_have_their_reset_values_and_keep_what_is_written(
    simulate: Simulate, array_host: ArrayHost, tiny: ArrayConfig, units: tuple[Unit, ...]
) -> None:
    rng = random.Random(8)
    tiny = tiny.model_copy(update={"units": units})
    dut = Array(tiny)
    widths = {register.name: register.bits for register in REGISTERS} | {"layers": tiny.layer_bits + 1}
    seen = 0

    async def bench(ctx: Any) -> None:
        nonlocal seen
        host = array_host(dut, ctx)
        # Counters are a memory: they are zero after the command, not after a reset.
        await host.write_register("command", CLEAR_COUNTERS)
        for register in REGISTERS:
            assert await host.register(register.name) == reset_value(register.name, tiny), register.name
        written = {}
        for register in REGISTERS:
            if register.name == "command":
                continue
            value = rng.getrandbits(32) | 1
            await host.write_register(register.name, value)
            # Without active copies weights act at once, whatever is written.
            writable = register.access == "rw" and (register.name != "apply" or tiny.has("shadow"))
            held = value % (1 << widths[register.name])
            written[register.name] = held if writable else reset_value(register.name, tiny)
        for name, value in written.items():
            assert await host.register(name) == value, name
            seen += 1
        for offset in range(len(REGISTERS), 64):
            assert await host.read(Space.REGISTERS, offset) == 0

    simulate(dut, bench)
    assert seen == len(REGISTERS) - 1


BEGIN = pack_item(ItemKind.BEGIN)
FAULTS = {
    "overflow": ([BEGIN, *[pack_item(ItemKind.EVENT)] * 17], 0b0010),
    "row": ([BEGIN, pack_item(ItemKind.EVENT, row=5)], 0b0100),
    "place": ([pack_item(ItemKind.EVENT), BEGIN], 0b1000),
}


@pytest.mark.parametrize("name", FAULTS)
def test_status_tells_faults_until_the_counters_are_cleared(
    simulate: Simulate, array_host: ArrayHost, tiny: ArrayConfig, name: str
) -> None:
    items, status = FAULTS[name]
    dut = Array(tiny)

    async def bench(ctx: Any) -> None:
        host = array_host(dut, ctx)
        await host.write(Space.DESCRIPTORS, 0, 4 << 16 | 5)
        # A write does not answer: it is done when the read after it is.
        assert await host.read(Space.DESCRIPTORS, 0) == 4 << 16 | 5
        await host.items(items)
        assert await host.register("status") == status
        assert await host.register("status") == status
        await host.write_register("command", CLEAR_MEMORIES)
        assert await host.register("status") == status, "memories are another matter"
        await host.write_register("command", CLEAR_COUNTERS)
        assert await host.register("status") == 0

    simulate(dut, bench)


@pytest.mark.parametrize("read", [True, False])
def test_one_response_for_each_read_and_none_for_a_write(
    simulate: Simulate, array_host: ArrayHost, tiny: ArrayConfig, read: bool
) -> None:
    dut = Array(tiny)
    responses = 0

    async def count(ctx: Any) -> None:
        nonlocal responses
        ctx.set(dut.responses.ready, 1)
        async for _, _, valid in ctx.tick().sample(dut.responses.valid):
            responses += valid

    async def bench(ctx: Any) -> None:
        host = array_host(dut, ctx)
        for space in Space:
            for offset in (0, 1):
                await host.request(space, offset, 5, write=not read)
        for _ in range(40):
            await ctx.tick()

    simulate(dut, bench, beside=(count,))
    assert responses == (2 * len(Space) if read else 0)


def test_cycle_counters_stand_after_the_law_s_counters() -> None:
    names = [register.name for register in REGISTERS]
    first = names.index(COUNTERS[0][0])
    assert names[first : first + len(COUNTERS) + len(CYCLE_COUNTERS)] == [
        name for name, _ in (*COUNTERS, *CYCLE_COUNTERS)
    ]


@pytest.mark.parametrize("lanes", [1, 16])
def test_clearing_does_not_disturb_the_registers(
    simulate: Simulate, array_host: ArrayHost, lanes: Literal[1, 16]
) -> None:
    dut = Array(ArrayConfig(lanes=lanes, weight_words=2, groups=16, axons=8, events=8, classes=2))

    async def bench(ctx: Any) -> None:
        host = array_host(dut, ctx)
        await host.write_register("seed", 77)
        await host.write_register("command", CLEAR_MEMORIES | CLEAR_COUNTERS)
        assert await host.register("seed") == 77
        assert await host.register("status") == 0

    simulate(dut, bench)

# SPDX-License-Identifier: Apache-2.0
"""The neuron in hardware against the golden one, with a walk that stands still at random."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Literal

import pytest
import torch

from trifactor.arch.array import UNITS, ArrayConfig, Unit
from trifactor.arch.network import SURROGATE_ENTRIES
from trifactor.golden.neuron import NeuronParams, PostParams, first_state, step
from trifactor.rtl.neuron import Neuron

Simulate = Callable[..., None]
GROUPS = 3
STEPS = 6


KINDS: dict[str, tuple[Unit, ...]] = {
    "plain": (),
    "cuba": ("cuba",),
    "own": ("post-trace", "thresholds"),
    "all": tuple(UNITS),
}


def random_params(rng: random.Random, config: ArrayConfig, reset: str, spiking: bool, neurons: int) -> NeuronParams:
    def decay() -> int:
        return rng.choice((0, config.decay_one, rng.randint(1, config.decay_one)))

    def threshold() -> int:
        return rng.choice((1, config.membrane.max, rng.randint(1, config.membrane.max // 2)))

    post = PostParams(
        decay=decay(), up=7, down=config.surrogate_bits, read=rng.choice(("old", "decayed", "old", "decayed", "none"))
    )
    return NeuronParams(
        decay=decay(),
        current_decay=rng.randint(0, config.decay_one) if config.has("cuba") else None,
        clamp=config.has("cuba") and bool(rng.getrandbits(1)),
        decay_bits=config.decay_bits,
        membrane_bits=config.membrane_bits,
        threshold=torch.tensor([threshold() for _ in range(neurons)]) if config.has("thresholds") else threshold(),
        reset=reset,
        spiking=spiking,
        surrogate=torch.tensor([*(rng.randint(0, config.surrogate_max) for _ in range(SURROGATE_ENTRIES)), 0]),
        surrogate_shift=rng.choice((config.membrane_bits - 5, rng.randrange(config.membrane_bits))),
        surrogate_bits=config.surrogate_bits,
        eligibility=False,
        post=post if config.has("post-trace") else None,
    )


async def configure(ctx: Any, dut: Neuron, params: NeuronParams, on_membrane: bool, base: int) -> None:
    """Set the coefficients; a threshold per neuron goes to its memory, from `base` on."""
    values = {
        "decay": params.decay,
        "current_decay": params.current_decay or 0,
        "clamp": params.clamp,
        "threshold": params.threshold if isinstance(params.threshold, int) else 1,
        "hard": params.reset == "hard",
        "soft": params.reset == "soft",
        "spiking": params.spiking,
        "surrogate_shift": params.surrogate_shift,
        "from_membrane": on_membrane,
    }
    if params.post is not None:
        values |= {"post_decay": params.post.decay, "has_post": params.post.read != "none"}
        values |= {"post_decayed": params.post.read == "decayed"}
    for name, value in values.items():
        ctx.set(getattr(dut, name), int(value))
    if isinstance(params.threshold, torch.Tensor):
        ctx.set(dut.threshold_write, 1)
        for index, threshold in enumerate(params.threshold.tolist()):
            ctx.set(dut.host_state, base + index)
            ctx.set(dut.host_data, threshold)
            await ctx.tick()
        ctx.set(dut.threshold_write, 0)
    ctx.set(dut.table_write, 1)
    for address, value in enumerate(params.surrogate.tolist()[:SURROGATE_ENTRIES]):
        ctx.set(dut.table_address, address)
        ctx.set(dut.table_data, value)
        await ctx.tick()
    ctx.set(dut.table_write, 0)


async def walk(ctx: Any, dut: Neuron, rng: random.Random, stall: float, slots: list[dict[str, Any]]) -> list[Any]:
    """Play the slots, one after the other or with gaps; give what comes out, slot by slot."""
    outputs: list[Any] = []
    waiting = list(slots)
    names = ["valid", "spike", "psi", "v", "y", "over", *(["post"] if dut.config.has("post-trace") else [])]
    while len(outputs) < len(slots):
        ctx.set(dut.slot_valid, 0)
        go = rng.random() >= stall
        slot = waiting[0] if waiting and rng.random() >= stall / 2 else None
        if slot is not None:
            ctx.set(dut.slot_valid, 1)
            for name in ("slot", "live", "state"):
                ctx.set(getattr(dut, name), slot[name])
            for lane, current in enumerate(slot["currents"]):
                ctx.set(dut.currents[lane], current)
        ctx.set(dut.enable, int(go))
        if go and ctx.get(dut.done):
            outputs.append({name: ctx.get(getattr(dut, name)) for name in names})
        if go and slot is not None:
            waiting.pop(0)
        await ctx.tick()
    ctx.set(dut.slot_valid, 0)
    # Let the last membrane be written before the next walk reads it.
    ctx.set(dut.enable, 1)
    await ctx.tick().repeat(2)
    return outputs


@pytest.mark.parametrize(
    ("kind", "stall", "pipeline"),
    [
        ("plain", 0.0, "long"),
        ("plain", 0.5, "long"),
        ("cuba", 0.5, "long"),
        ("own", 0.5, "long"),
        ("all", 0.0, "long"),
        ("all", 0.5, "long"),
        ("plain", 0.0, "short"),
        ("cuba", 0.5, "short"),
        ("own", 0.5, "short"),
    ],
)
@pytest.mark.parametrize(("reset", "spiking"), [("soft", True), ("hard", True), ("none", True), ("hard", False)])
@pytest.mark.parametrize(
    ("lanes", "membrane_bits", "decay_bits", "surrogate_bits"), [(4, 16, 8, 4), (1, 8, 4, 1), (2, 11, 12, 8)]
)
def test_steps_agree_with_the_golden_neuron(
    simulate: Simulate,
    lanes: Literal[1, 2, 4],
    membrane_bits: int,
    decay_bits: int,
    surrogate_bits: int,
    kind: str,
    reset: str,
    spiking: bool,
    stall: float,
    pipeline: Literal["long", "short"],
) -> None:
    rng = random.Random(f"{lanes}{reset}{spiking}{stall}")
    config = ArrayConfig(
        lanes=lanes,
        groups=16,
        events=511,
        membrane_bits=membrane_bits,
        decay_bits=decay_bits,
        surrogate_bits=surrogate_bits,
        units=KINDS[kind],
        pipeline=pipeline,
    )
    dut = Neuron(config)
    neurons = GROUPS * lanes
    dead = rng.randrange(lanes)
    base = rng.randrange(16 - GROUPS) * lanes
    seen = {"spike": 0, "psi": 0, "over": 0, "post": 0}

    async def bench(ctx: Any) -> None:
        for _ in range(10):
            params = random_params(rng, config, reset, spiking, neurons)
            on_membrane = bool(rng.getrandbits(1))
            await configure(ctx, dut, params, on_membrane, base)
            state = first_state(params, torch.zeros(neurons, dtype=torch.int64))
            for number in range(STEPS):
                ctx.set(dut.first, int(number == 0))
                most = int(torch.as_tensor(params.threshold).max())
                reach = rng.choice((config.current.max, 2 * most, config.membrane.max // 2))
                reach = min(reach, config.current.max)
                current = torch.tensor([rng.randint(-reach, reach) for _ in range(neurons)])
                slots = [
                    {
                        "slot": index % lanes,
                        "live": int(index < neurons - dead),
                        "state": base + index,
                        "currents": current.tolist()[index // lanes * lanes :][:lanes],
                    }
                    for index in range(neurons)
                ]
                # A group's currents stay until its last neuron has left.
                outputs: list[Any] = []
                for first in range(0, neurons, lanes):
                    outputs += await walk(ctx, dut, rng, stall, slots[first : first + lanes])
                state, golden = step(params, state, current)
                y = golden.membrane if on_membrane else golden.current
                read = torch.zeros_like(y) if golden.post is None else golden.post
                for index, got in enumerate(outputs):
                    live = slots[index]["live"]
                    assert got["valid"] == live
                    if live:
                        expected = {
                            "valid": 1,
                            "spike": int(golden.spikes[index]),
                            "psi": int(golden.psi[index]),
                            "v": int(state.membrane[index]),
                            "y": int(y[index]),
                            "over": int(golden.saturated[index]),
                            "post": int(read[index]),
                        }
                        assert got == {name: expected[name] for name in got}, (params, number, index)
                        for name in got.keys() & seen:
                            seen[name] += got[name] != 0
                    else:
                        assert got["spike"] == got["psi"] == got["over"] == got.get("post", 0) == 0
            if state.post is not None:
                for index, value in enumerate(state.post.tolist()[: neurons - dead]):
                    assert await held(ctx, dut, "host_post", base + index) == value

    simulate(dut, bench)
    assert (seen["spike"] > 2) == spiking
    assert (seen["psi"] > 0) == spiking
    assert seen["over"] > 0
    assert (seen["post"] > 0) == (spiking and config.has("post-trace"))


@pytest.mark.parametrize(
    ("kind", "pipeline"), [*((kind, "long") for kind in KINDS), ("plain", "short"), ("cuba", "short")]
)
def test_an_output_comes_latency_clocks_after_its_slot(
    simulate: Simulate, kind: str, pipeline: Literal["long", "short"]
) -> None:
    dut = Neuron(ArrayConfig(lanes=4, groups=16, units=KINDS[kind], pipeline=pipeline))
    assert dut.latency == {"long": 8, "short": 3}[pipeline] + ("cuba" in KINDS[kind])

    async def bench(ctx: Any) -> None:
        ctx.set(dut.enable, 1)
        ctx.set(dut.live, 1)
        ctx.set(dut.slot_valid, 1)
        await ctx.tick()
        ctx.set(dut.slot_valid, 0)
        for _ in range(dut.latency - 1):
            assert not ctx.get(dut.done)
            await ctx.tick()
        assert ctx.get(dut.done)
        assert ctx.get(dut.valid)
        await ctx.tick()
        assert not ctx.get(dut.done)

    simulate(dut, bench)


async def held(ctx: Any, dut: Neuron, name: str, state: int) -> int:
    """What the host reads at `state`."""
    ctx.set(dut.host_state, state)
    ctx.set(dut.host_read, 1)
    await ctx.tick()
    ctx.set(dut.host_read, 0)
    return int(ctx.get(getattr(dut, name)))


def test_the_host_reads_and_writes_thresholds_and_post_traces(simulate: Simulate) -> None:
    rng = random.Random(6)
    dut = Neuron(ArrayConfig(lanes=4, groups=4, units=("post-trace", "thresholds")))
    thresholds = [rng.randint(1, 32767) for _ in range(16)]
    traces = [rng.randrange(256) for _ in range(16)]

    async def bench(ctx: Any) -> None:
        for values, write in ((thresholds, dut.threshold_write), (traces, dut.post_write)):
            ctx.set(write, 1)
            for state, value in enumerate(values):
                ctx.set(dut.host_state, state)
                ctx.set(dut.host_data, value)
                await ctx.tick()
            ctx.set(write, 0)
        for state in range(16):
            assert await held(ctx, dut, "host_threshold", state) == thresholds[state]
            assert await held(ctx, dut, "host_post", state) == traces[state]
            assert await held(ctx, dut, "host_word", state) == 0

    simulate(dut, bench)


@pytest.mark.parametrize("kind", ["plain", "cuba"])
def test_the_host_reads_and_writes_membranes(simulate: Simulate, kind: str) -> None:
    rng = random.Random(5)
    config = ArrayConfig(lanes=4, groups=4, membrane_bits=12, units=KINDS[kind])
    dut = Neuron(config)
    values = [config.membrane.min, config.membrane.max, -1, *(rng.randint(-999, 999) for _ in range(13))]
    currents = rng.sample(values, 16)

    async def bench(ctx: Any) -> None:
        ctx.set(dut.host_write, 1)
        for state, (value, current) in enumerate(zip(values, currents, strict=True)):
            ctx.set(dut.host_state, state)
            ctx.set(dut.host_data, value & 0xFFFF | (current & 0xFFFF) << 16)
            await ctx.tick()
        ctx.set(dut.host_write, 0)
        ctx.set(dut.host_read, 1)
        for state, (value, current) in enumerate(zip(values, currents, strict=True)):
            ctx.set(dut.host_state, state)
            await ctx.tick()
            read = ctx.get(dut.host_word)
            assert read == (value & 0xFFF | (current & 0xFFF) << 16 if config.has("cuba") else value)

    simulate(dut, bench)
    assert len(values) == 16

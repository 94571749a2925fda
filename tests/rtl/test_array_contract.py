# SPDX-License-Identifier: Apache-2.0
"""The array's promises to its surroundings: streams under back-pressure, reset at any time, memories of any content."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest
from amaranth.back import rtlil
from amaranth.hdl import ResetInserter, Signal

from trifactor.arch.array import UNITS, ArrayConfig
from trifactor.arch.device import DeviceState
from trifactor.arch.network import Layer, Network
from trifactor.arch.placement import fitted
from trifactor.arch.registers import DESCRIPTOR_WORDS, SIGNATURES, Space, descriptor_words, error_word
from trifactor.cosim.image import Image, sample_items
from trifactor.golden.device import GoldenDevice
from trifactor.rtl.array import Array

Simulate = Callable[..., None]
Hook = Callable[[Any], Awaitable[None]]
SAMPLES, STEPS = 2, 3


UNITS_IN_USE: dict[str, Any] = {
    "recurrent": True,
    "bias": True,
    "current_decay": 100,
    "thresholds": (50, 60, 70, 55, 65),
    "signal": "local",
    "post": 1,
    "post_decay": 180,
}


class Scene:
    """A network on the tiny array, with units or without, samples for it, and what the golden model makes of them."""

    def __init__(self, array: ArrayConfig, seed: int, *, units: bool = False) -> None:
        rng = np.random.default_rng(seed)
        shared: dict[str, Any] = {"decay": 200, "threshold": 60, "rate_shift": 3, "signal_shift": 5}
        self.network = Network(
            layers=(
                Layer(inputs=6, outputs=5, **shared, **(UNITS_IN_USE if units else {})),
                Layer(inputs=5, outputs=3, spiking=False, reset="none", bias=units, **shared),
            ),
            surrogate=tuple(range(15, -1, -1)),
            apply="sample" if units else "step",
        )
        self.array = array = fitted(self.network, array)
        self.image = Image(self.network, array)
        span = array.weight.max
        self.state = DeviceState(
            weights=[rng.integers(-span // 2, span, (own.rows, own.columns)) for own in self.network.blocks],
            seed=int(rng.integers(1 << 32)),
            sample=9,
        )
        self.inputs = rng.integers(0, 1 << array.event_bits, (SAMPLES, STEPS, 6))
        self.labels = rng.integers(0, 3, SAMPLES).tolist()
        golden = GoldenDevice(array, self.network, self.state)
        self.outputs, self.after, record = golden(self.inputs, self.labels, learn=True, record=("spikes", "signatures"))
        self.counters = record.counters
        assert record.signatures is not None
        self.signatures = record.signatures[-1, -1].tolist()
        self.spikes = [
            layer << 16 | int(neuron)
            for sample in range(SAMPLES)
            for step in range(STEPS)
            for layer, spikes in enumerate(record.spikes)
            for neuron in np.flatnonzero(spikes[sample, step])
        ]
        assert self.counters["spikes"] == len(self.spikes) > 5
        assert self.counters["weight_updates"] > 50

    @property
    def items(self) -> list[int]:
        """The input stream of all samples."""
        return [
            int(word)
            for inputs, label in zip(self.inputs, self.labels, strict=True)
            for words in sample_items(inputs, label=label, learn=True, event_bits=self.array.event_bits)
            for word in words
        ]

    def results(self, outputs: Any) -> list[int]:
        """The result stream: value, index, last."""
        bits = self.array.membrane_bits
        return [
            int(value) % (1 << bits) | index << bits | int(index == len(row) - 1) << bits + 16
            for row in outputs.readout
            for index, value in enumerate(row)
        ]

    async def load(self, host: Any) -> None:
        """Network, weights, seed and sample number."""
        for index, words in enumerate(descriptor_words(self.network, self.image.placement)):
            for offset, word in enumerate(words):
                await host.write(Space.DESCRIPTORS, index * DESCRIPTOR_WORDS + offset, word)
        for offset, value in enumerate(self.network.surrogate):
            await host.write(Space.SURROGATE, offset, value)
        for core, words in enumerate(self.image.pack_weights(self.state.weights)):
            for word, chunks in enumerate(words):
                assert self.image.weight_skip == 0
                for chunk, value in enumerate(chunks):
                    offset = self.image.weight_offset(core, word) + chunk
                    await host.write(Space.WEIGHTS, offset, int(value))
        if self.array.has("thresholds"):
            own = [np.array(layer.thresholds or (layer.threshold,) * layer.outputs) for layer in self.network.layers]
            for core, values in enumerate(self.image.pack_states(own)):
                for state, value in enumerate(values.tolist()):
                    await host.write(Space.THRESHOLDS, self.image.state_offset(core) + state, value)
        registers = {
            "layers": len(self.network.layers),
            "apply": int(self.network.apply == "sample"),
            "error": error_word(self.network),
            "seed": self.state.seed,
            "sample": self.state.sample,
            "record": 1,
            "command": 2,
        }
        for name, value in registers.items():
            await host.write_register(name, value)

    async def weights(self, host: Any) -> list[Any]:
        """The stored weights of every layer, read back."""
        cores = []
        for core in range(self.array.cores):
            first = self.image.weight_offset(core)
            count = self.image.placement.weight_words * self.image.chunks
            words = [await host.read(Space.WEIGHTS, first + offset) for offset in range(count)]
            cores.append(np.array(words, np.uint32).reshape(-1, self.image.chunks))
        return self.image.unpack_weights(np.stack(cores))

    async def check(self, host: Any, taken: dict[str, list[int]]) -> None:
        """Everything that the samples left behind is the golden model's."""
        assert taken["results"] == self.results(self.outputs)
        assert sorted(taken["events"]) == sorted(self.spikes)
        for got, wanted in zip(await self.weights(host), self.after.weights, strict=True):
            assert np.array_equal(got, wanted)
        counters = {name: await host.register(name) for name in self.counters}
        assert counters == self.counters
        assert [await host.register(name) for name, _ in SIGNATURES] == self.signatures
        assert await host.register("sample") == self.after.sample
        assert await host.register("status") == 0

    async def run(self, ctx: Any, host: Any) -> None:
        """Load, pour all samples in, wait until nothing is in work."""
        await self.load(host)
        await host.items(self.items)
        await ctx.tick().until(host.dut.waiting)
        await ctx.tick()


def consumer(stream: Any, taken: list[int], rng: random.Random, stall: float) -> Hook:
    """Take words with random pauses; a word that is offered must stay until it is taken."""

    async def consume(ctx: Any) -> None:
        offered = None
        ctx.set(stream.ready, 1)
        sampled = ctx.tick().sample(stream.valid, stream.payload, stream.ready)
        async for _, reset, valid, payload, ready in sampled:
            if reset:
                offered = None
            else:
                if offered is not None:
                    assert valid, "a word was withdrawn"
                    assert payload == offered, "a word was changed"
                offered = payload if valid and not ready else None
                if valid and ready:
                    taken.append(payload)
            ctx.set(stream.ready, int(rng.random() >= stall))

    return consume


@pytest.fixture
def scene(request: pytest.FixtureRequest, tiny: ArrayConfig) -> Scene:
    return Scene(tiny, seed=1, units=getattr(request, "param", "") == "units")


@pytest.mark.parametrize(
    ("scene", "stall"),
    [("plain", 0.0), ("plain", 0.5), ("plain", 0.9), pytest.param("units", 0.5, marks=pytest.mark.slow)],
    indirect=["scene"],
)
def test_streams_hold_their_words_and_the_result_does_not_depend_on_pauses(
    simulate: Simulate, array_host: Callable[[Any, Any], Any], scene: Scene, stall: float
) -> None:
    rng = random.Random(f"{stall}")
    dut = Array(scene.array)
    taken: dict[str, list[int]] = {"events": [], "results": []}

    async def bench(ctx: Any) -> None:
        host = array_host(dut, ctx)
        await scene.load(host)
        for item in scene.items:
            while rng.random() < stall:
                await ctx.tick()
            await host.items([item])
        await ctx.tick().until(dut.waiting)
        await ctx.tick()
        await scene.check(host, taken)

    beside = [consumer(getattr(dut, name), words, rng, stall) for name, words in taken.items()]
    simulate(dut, bench, beside=beside, limit=50_000)


def test_a_response_holds_until_it_is_taken(simulate: Simulate, tiny: ArrayConfig, array_host: Any) -> None:
    rng = random.Random(10)
    dut = Array(tiny)
    responses: list[int] = []
    values = [rng.getrandbits(32) for _ in range(30)]

    async def bench(ctx: Any) -> None:
        host = array_host(dut, ctx)
        for value in values:
            await host.write_register("seed", value)
            await host.request(Space.REGISTERS, 5, write=False)
        while len(responses) < len(values):
            await ctx.tick()

    simulate(dut, bench, beside=(consumer(dut.responses, responses, rng, 0.8),))
    assert responses == values


@pytest.mark.parametrize(
    ("scene", "clocks"),
    [*(("plain", clocks) for clocks in (40, 250, 310, 470, 700)), pytest.param("units", 800, marks=pytest.mark.slow)],
    indirect=["scene"],
)
def test_a_reset_in_the_middle_of_a_sample_leaves_nothing_behind(
    simulate: Simulate, array_host: Callable[[Any, Any], Any], scene: Scene, clocks: int
) -> None:
    dut = Array(scene.array)
    reset = Signal()
    taken: dict[str, list[int]] = {"events": [], "results": []}
    working = False

    async def bench(ctx: Any) -> None:
        nonlocal working
        host = array_host(dut, ctx)
        await scene.load(host)
        left = iter(scene.items)
        for _ in range(clocks):
            ctx.set(dut.items.valid, 0)
            if ctx.get(dut.items.ready) and (item := next(left, None)) is not None:
                ctx.set(dut.items.payload, item)
                ctx.set(dut.items.valid, 1)
            await ctx.tick()
        working = not ctx.get(dut.waiting)
        ctx.set(dut.items.valid, 0)
        ctx.set(reset, 1)
        await ctx.tick()
        ctx.set(reset, 0)
        for words in taken.values():
            words.clear()
        await scene.run(ctx, host)
        await scene.check(host, taken)

    rng = random.Random(clocks)
    beside = [consumer(getattr(dut, name), words, rng, 0.0) for name, words in taken.items()]
    simulate(ResetInserter(reset)(dut), bench, beside=beside, limit=50_000)
    assert working


@pytest.mark.parametrize("scene", ["plain", "units"], indirect=True)
def test_what_the_memories_held_does_not_matter(
    simulate: Simulate, array_host: Callable[[Any, Any], Any], scene: Scene
) -> None:
    rng = random.Random(11)
    config = scene.array
    dut = Array(config)
    taken: dict[str, list[int]] = {"events": [], "results": []}

    async def bench(ctx: Any) -> None:
        host = array_host(dut, ctx)
        # Another run leaves its lists, factors and partial sums.
        await Scene(config, seed=2, units=config.has("shadow")).run(ctx, host)
        for offset in range(config.cores * config.groups * config.lanes):
            await host.write(Space.MEMBRANES, offset, rng.getrandbits(config.membrane_bits))
            if config.has("post-trace"):
                await host.write(Space.POST_TRACES, offset, rng.randrange(256))
        for offset in range(config.axons):
            await host.write(Space.TRACES, offset, rng.randrange(256))
        for words in taken.values():
            words.clear()
        await scene.run(ctx, host)
        await scene.check(host, taken)

    beside = [consumer(getattr(dut, name), words, rng, 0.0) for name, words in taken.items()]
    simulate(dut, bench, beside=beside, limit=50_000)


def test_counters_can_be_read_while_the_array_works(
    simulate: Simulate, array_host: Callable[[Any, Any], Any], scene: Scene
) -> None:
    rng = random.Random(12)
    dut = Array(scene.array)
    taken: dict[str, list[int]] = {"events": [], "results": []}
    polled = []
    loaded = poured = False

    async def feed(ctx: Any) -> None:
        nonlocal poured
        while not loaded:
            await ctx.tick()
        await array_host(dut, ctx).items(scene.items)
        poured = True

    async def bench(ctx: Any) -> None:
        nonlocal loaded
        host = array_host(dut, ctx)
        await scene.load(host)
        loaded = True
        while not poured or not ctx.get(dut.waiting):
            polled.append(await host.register("cycles"))
            await ctx.tick().repeat(rng.randrange(1, 8))
        await scene.check(host, taken)

    beside = [consumer(getattr(dut, name), words, rng, 0.0) for name, words in taken.items()]
    simulate(dut, bench, beside=(feed, *beside), limit=50_000)
    assert polled == sorted(polled)
    assert len(set(polled)) > 10


@pytest.mark.parametrize("cores", [1, 2])
@pytest.mark.parametrize("pipeline", ["long", "short"])
@pytest.mark.parametrize("event_readers", ["both", "turns"])
def test_with_every_unit_at_once_nothing_waits_for_itself(pipeline: str, event_readers: str, cores: int) -> None:
    units = [unit for unit in UNITS if (pipeline, unit) != ("short", "eligibility")]
    array = ArrayConfig.model_validate(
        {"lanes": 4, "cores": cores, "units": units, "pipeline": pipeline, "event_readers": event_readers}
    )
    assert "module" in rtlil.convert(Array(array), name="array", emit_src=False)  # raises CombinationalCycle

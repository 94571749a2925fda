# SPDX-License-Identifier: Apache-2.0
"""What the tests of the hardware share: units in Amaranth's simulator, combinational functions as tables."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

import pytest
from amaranth.hdl import Elaboratable, Module, ShapeLike, Signal, Value
from amaranth.sim import Simulator

from trifactor.arch.array import ArrayConfig
from trifactor.arch.registers import BY_NAME, DATA_BITS, OFFSET_BITS, Space

CLOCK = 1e-6
Bench = Callable[[Any], Awaitable[None]]


@pytest.fixture
def simulate() -> Callable[..., None]:
    """`simulate(dut, bench, beside=(...), limit=n)`: runs until `bench` ends; `limit` clocks are a failure."""

    def run(dut: Elaboratable, bench: Bench, *, beside: Sequence[Bench] = (), limit: int = 20_000) -> None:
        async def watch(ctx: Any) -> None:
            await ctx.delay(limit * CLOCK)
            raise AssertionError(f"not done after {limit} clocks")

        simulator = Simulator(dut)
        simulator.add_clock(CLOCK)
        simulator.add_testbench(bench)
        for other in (*beside, watch):
            simulator.add_testbench(other, background=True)
        simulator.run()

    return run


@pytest.fixture
def tabulate() -> Callable[..., list[tuple[int, ...]]]:
    """`tabulate(function, shapes, rows)`: integers of the values `function(m, *inputs)` for each row of inputs."""

    def run(
        function: Callable[..., Sequence[Value]], shapes: Sequence[ShapeLike], rows: Iterable[Sequence[int]]
    ) -> list[tuple[int, ...]]:
        m = Module()
        inputs = [Signal(shape, name=f"input_{index}") for index, shape in enumerate(shapes)]
        outputs = []
        for index, value in enumerate(function(m, *inputs)):
            output = Signal(value.shape(), name=f"output_{index}")
            m.d.comb += output.eq(value)
            outputs.append(output)
        results = []

        async def bench(ctx: Any) -> None:
            for row in rows:
                for signal, value in zip(inputs, row, strict=True):
                    ctx.set(signal, value)
                results.append(tuple(ctx.get(output) for output in outputs))

        simulator = Simulator(m)
        simulator.add_testbench(bench)
        simulator.run()
        assert results
        return results

    return run


class ArrayHost:
    """The host of an array in a simulation: its requests, and its items."""

    def __init__(self, dut: Any, ctx: Any) -> None:
        self.dut = dut
        self.ctx = ctx

    async def request(self, space: Space, offset: int, data: int = 0, *, write: bool) -> None:
        """Hand over one request."""
        dut, ctx = self.dut, self.ctx
        ctx.set(dut.requests.payload, data % 2**32 | (space << OFFSET_BITS | offset) << DATA_BITS | int(write) << 60)
        ctx.set(dut.requests.valid, 1)
        await ctx.tick().until(dut.requests.ready)
        ctx.set(dut.requests.valid, 0)

    async def write(self, space: Space, offset: int, data: int) -> None:
        """Write one word."""
        await self.request(space, offset, data, write=True)

    async def read(self, space: Space, offset: int) -> int:
        """Read one word."""
        await self.request(space, offset, write=False)
        self.ctx.set(self.dut.responses.ready, 1)
        (value,) = await self.ctx.tick().sample(self.dut.responses.payload).until(self.dut.responses.valid)
        self.ctx.set(self.dut.responses.ready, 0)
        return int(value)

    async def write_register(self, name: str, value: int) -> None:
        """Write the register `name`."""
        await self.write(Space.REGISTERS, BY_NAME[name].offset, value)

    async def register(self, name: str) -> int:
        """Read the register `name`."""
        return await self.read(Space.REGISTERS, BY_NAME[name].offset)

    async def items(self, words: Iterable[int]) -> None:
        """Hand over items, one after the other."""
        dut, ctx = self.dut, self.ctx
        for word in words:
            ctx.set(dut.items.payload, int(word))
            ctx.set(dut.items.valid, 1)
            await ctx.tick().until(dut.items.ready)
        ctx.set(dut.items.valid, 0)


@pytest.fixture
def array_host() -> type[ArrayHost]:
    """The class `ArrayHost`: `array_host(dut, ctx)`."""
    return ArrayHost


@pytest.fixture
def tiny() -> ArrayConfig:
    """An array of two cores of two lanes, graded events and signatures, small enough to simulate in Python."""
    return ArrayConfig(
        cores=2,
        lanes=2,
        weight_words=32,
        groups=4,
        axons=16,
        events=16,
        layers=2,
        classes=4,
        traces_per_word=2,
        event_bits=2,
        signatures=True,
    )

# SPDX-License-Identifier: Apache-2.0
"""The readout's error in hardware against the golden one."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from typing import Any, Literal

import pytest
import torch

from trifactor.arch.array import ArrayConfig, ErrorKind
from trifactor.arch.network import Layer, Network
from trifactor.golden.fixed import pow2_table
from trifactor.golden.readout import error, readout_params
from trifactor.rtl.readout import Readout

Simulate = Callable[..., None]


def network(classes: int, kind: Literal["softmax", "mse"], shift: int) -> Network:
    layer = Layer(inputs=1, outputs=classes, spiking=False)
    return Network(layers=(layer,), surrogate=(0,) * 16, error=kind, error_shift=shift)


def random_membranes(rng: random.Random, config: ArrayConfig, classes: int, shift: int) -> list[int]:
    """Near each other, far apart, equal, or anywhere."""
    low, high = config.current.min, config.current.max
    spread = rng.choice((0, 8 << shift, 200 << shift, 2000 << shift, high - low))
    middle = rng.choice((low, high, rng.randint(low, high)))
    return [max(low, min(high, middle + rng.randint(-spread, spread))) for _ in range(classes)]


class ReadoutBench:
    """The array's side: noise of each class, and the factors that come out."""

    def __init__(self, dut: Readout) -> None:
        self.dut = dut
        self.noise: list[int] = []
        self.factors: dict[int, int] = {}
        self.writes = 0

    async def serve(self, ctx: Any) -> None:
        """The noise word of a class, `noise_latency + 1` clocks after its index."""
        dut = self.dut
        later: deque[int] = deque([0] * dut.config.noise_latency)
        async for _, _, index in ctx.tick().sample(dut.noise_index):
            later.append(self.noise[index] if index < len(self.noise) else 0)
            ctx.set(dut.noise, later.popleft())

    async def collect(self, ctx: Any) -> None:
        """Factors as integers; a later write of a class replaces an earlier."""
        dut = self.dut
        factor = dut.factor
        shifts = "exponent" in factor.shape().members
        size = factor.exponent if shifts else factor.magnitude
        watched = (dut.write, dut.write_index, factor.some, factor.negative, size)
        async for _, _, write, index, some, negative, amount in ctx.tick().sample(*watched):
            if write:
                value = 1 << amount if shifts else amount
                self.factors[index] = (-value if negative else value) if some else 0
                self.writes += 1

    async def run(self, ctx: Any, values: list[int], label: int, *, mse: bool, shift: int) -> dict[int, int]:
        """Push one y per class, start, and wait."""
        dut = self.dut
        self.factors = {}
        ctx.set(dut.begin, 1)
        await ctx.tick()
        ctx.set(dut.begin, 0)
        for name, value in {"classes": len(values), "label": label, "mse": int(mse), "shift": shift}.items():
            ctx.set(getattr(dut, name), value)
        ctx.set(dut.push, 1)
        for index, value in enumerate(values):
            ctx.set(dut.index, index)
            ctx.set(dut.y, value)
            await ctx.tick()
        ctx.set(dut.push, 0)
        ctx.set(dut.start, 1)
        await ctx.tick()
        ctx.set(dut.start, 0)
        await ctx.tick().until(~dut.busy)
        return self.factors


@pytest.mark.parametrize("products", ["exact", "shift"])
@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize("kind", ["softmax", "mse"])
@pytest.mark.parametrize(("most", "counts"), [(16, range(2, 17)), (64, (2, 33, 64)), (5, (2, 5))])
def test_factors_agree_with_the_golden_error(
    simulate: Simulate,
    most: int,
    counts: range | tuple[int, ...],
    kind: Literal["softmax", "mse"],
    products: Literal["exact", "shift"],
    alone: bool,
) -> None:
    rng = random.Random(f"{most}{kind}{products}")
    errors: tuple[ErrorKind, ...] = (kind,) if alone else ("softmax", "mse")
    config = ArrayConfig(classes=most, products=products, lanes=16, groups=4, errors=errors)
    dut = Readout(config)
    stage = ReadoutBench(dut)
    table = pow2_table().tolist()
    sizes = []

    async def bench(ctx: Any) -> None:
        for classes in counts:
            for _ in range(6):
                shift = rng.randrange(16)
                values = random_membranes(rng, config, classes, shift)
                label = rng.randrange(classes)
                stage.noise = [rng.getrandbits(32) for _ in range(classes)]
                factors = await stage.run(ctx, values, label, mse=kind == "mse", shift=shift)
                golden = error(readout_params(network(classes, kind, shift)), torch.tensor(values), label).tolist()
                for index, wanted in enumerate(golden):
                    size = abs(wanted)
                    if products == "shift":
                        size = table[size * 128 + (stage.noise[index] >> 25)]
                    assert factors[index] == (-size if wanted < 0 else size), (values, label, shift, index)
                    sizes.append(size)
                assert len(factors) == classes

    simulate(dut, bench, beside=(stage.serve, stage.collect), limit=100_000)
    assert sum(size != 0 for size in sizes) > len(sizes) // 5
    assert len(set(sizes)) > 3


@pytest.mark.parametrize("mse", [True, False])
def test_every_class_is_written_once_and_a_softmax_label_again(simulate: Simulate, mse: bool) -> None:
    dut = Readout(ArrayConfig(classes=16))
    stage = ReadoutBench(dut)

    async def bench(ctx: Any) -> None:
        stage.noise = [0] * 7
        await stage.run(ctx, [5] * 7, 3, mse=mse, shift=0)

    simulate(dut, bench, beside=(stage.serve, stage.collect))
    assert stage.writes == (7 if mse else 8)
    assert set(stage.factors) == set(range(7))

# SPDX-License-Identifier: Apache-2.0
"""An array is at rest when it has long been waiting, until items come."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from trifactor.rtl.rest import SETTLED_CLOCKS, Rest

Simulate = Callable[..., None]


def test_only_items_end_the_rest_and_only_a_long_wait_begins_it(simulate: Simulate) -> None:
    dut = Rest()

    async def bench(ctx: Any) -> None:
        ctx.set(dut.waiting, 1)
        for _ in range(3):
            assert ctx.get(dut.resting)
            ctx.set(dut.waiting, 0)
            await ctx.tick().repeat(5)
            assert ctx.get(dut.resting), "an access is not work"
            ctx.set(dut.fed, 1)
            assert not ctx.get(dut.resting)
            await ctx.tick().repeat(3)
            ctx.set(dut.fed, 0)
            # The array takes an item, but is not busy with it at once.
            ctx.set(dut.waiting, 1)
            await ctx.tick().repeat(SETTLED_CLOCKS)
            assert not ctx.get(dut.resting)
            ctx.set(dut.waiting, 0)
            await ctx.tick().repeat(50)
            assert not ctx.get(dut.resting)
            ctx.set(dut.waiting, 1)
            await ctx.tick().repeat(SETTLED_CLOCKS)
            assert not ctx.get(dut.resting)
            await ctx.tick()
            assert ctx.get(dut.resting)

    simulate(dut, bench)

# SPDX-License-Identifier: Apache-2.0
"""What a phase adds to the counters when it ends."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from trifactor.arch.array import ArrayConfig
from trifactor.rtl.account import Account
from trifactor.rtl.counters import INDEX
from trifactor.rtl.sequencer import Phase

Simulate = Callable[..., None]


def expected(phase: Phase, values: dict[str, int], overs: int, trace_overs: int) -> dict[str, int]:
    """What docs/law.md counts in each phase."""
    v = values
    cycles = {"cycles": v["elapsed"]}
    if phase == Phase.FORWARD:
        return cycles | {
            "events": v["event_count"], "scatter_words": v["words"], "fire_groups": v["groups"], "spikes": v["spikes"],
            "membrane_saturations": overs, "cycles_forward": v["elapsed"],
        }  # fmt: skip
    if phase == Phase.ERROR:
        return cycles | {"cycles_error": v["elapsed"]}
    if phase == Phase.GATHER:
        return cycles | {
            "gather_words": v["words"], "gather_rows": v["rows_count"], "signal_saturations": overs,
            "cycles_gather": v["elapsed"],
        }  # fmt: skip
    if phase == Phase.UPDATE:
        return cycles | {
            "update_words": v["words"], "update_words_skipped": v["skipped"], "update_rows": v["rows_count"],
            "rows_skipped": v["inputs"] - v["rows_count"], "weight_updates": v["updates"], "weight_saturations": overs,
            "cycles_update": v["elapsed"],
        }  # fmt: skip
    return cycles | {"steps": 1, "samples": v["first"], "trace_saturations": trace_overs}


def test_every_phase_posts_what_the_law_counts(simulate: Simulate) -> None:
    rng = random.Random(13)
    dut = Account(ArrayConfig(lanes=4, cores=2))
    names = (
        "elapsed", "event_count", "rows_count", "inputs", "first", "spikes", "words", "skipped", "groups", "updates",
    )  # fmt: skip
    wanted = dict.fromkeys(INDEX, 0)

    async def over(ctx: Any, name: str) -> int:
        """Saturations in some of a few clocks; their sum."""
        total = 0
        for _ in range(rng.randrange(6)):
            count = rng.randrange(2 if name == "trace_overs" else 9)
            ctx.set(getattr(dut, name), count)
            total += count
            await ctx.tick()
            ctx.set(getattr(dut, name), 0)
        return total

    async def bench(ctx: Any) -> None:
        counters = dut.counters
        ctx.set(counters.clear, 1)
        await ctx.tick()
        ctx.set(counters.clear, 0)
        await ctx.tick().until(~counters.busy)
        trace_overs = 0
        for number in range(60):
            phase = Phase(number % len(Phase)) if number < 10 else rng.choice(tuple(Phase))
            trace_overs += await over(ctx, "trace_overs")
            overs = 0 if phase in (Phase.ERROR, Phase.END) else await over(ctx, "overs")
            values = {name: rng.getrandbits(min(16, len(getattr(dut, name)))) for name in names}
            values["rows_count"] = rng.randint(0, min(values["inputs"], values["rows_count"]))
            for name, value in values.items():
                ctx.set(getattr(dut, name), value)
            ctx.set(dut.phase, phase)
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            # Taken at the start: the next phase may already change them.
            for name in ("event_count", "rows_count", "inputs"):
                ctx.set(getattr(dut, name), rng.getrandbits(8))
            await ctx.tick().until(~dut.busy)
            await ctx.tick().repeat(2)
            for name, amount in expected(phase, values, overs, trace_overs).items():
                wanted[name] += amount
            if phase == Phase.END:
                trace_overs = 0
        found = {}
        for name, index in INDEX.items():
            ctx.set(counters.read, 1)
            ctx.set(counters.read_index, index)
            await ctx.tick()
            found[name] = ctx.get(counters.read_data)
        assert found == {name: value % 2**32 for name, value in wanted.items()}

    simulate(dut, bench)
    assert all(wanted.values())

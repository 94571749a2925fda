# SPDX-License-Identifier: Apache-2.0
"""The driver of an array in a simulation: as any other, but that the host can also read while the array is at work."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import Event

from ..arch.array import ArrayConfig
from ..arch.device import IntArray
from ..arch.errors import DeviceError
from ..arch.registers import Space
from .driver import ArrayDriver
from .harness import CYCLE_LIMIT, Harness
from .port import Words


class SimulatedDriver(ArrayDriver):
    """One array in one simulation, behind the `Harness` around `dut`."""

    def __init__(self, dut: Any, array: ArrayConfig, *, stall_seed: int = 0, cycle_limit: int = CYCLE_LIMIT) -> None:
        self._harness = Harness(dut, stall_seed=stall_seed, limit=cycle_limit)
        super().__init__(self._harness, array)
        self._seed_of_reads = 0

    async def run(
        self,
        inputs: IntArray,
        labels: Sequence[int] | IntArray | None,
        *,
        learn: bool,
        record: Collection[str],
        disturb: int = 0,
    ) -> dict[str, Any]:
        """As `ArrayDriver.run`; `disturb` other than 0 seeds reads that come in between, at any time."""
        self._seed_of_reads = disturb
        return await super().run(inputs, labels, learn=learn, record=record)

    async def _work(
        self, samples: Sequence[Sequence[Words]], record: Collection[str], *, learn: bool
    ) -> list[dict[str, Any]]:
        stop = Event()
        seed = self._seed_of_reads
        disturber = cocotb.start_soon(self._disturb(seed, stop)) if seed else None
        try:
            return await super()._work(samples, record, learn=learn)
        finally:
            stop.set()
            if disturber is not None:
                await disturber

    async def _disturb(self, seed: int, stop: Event) -> None:
        """Read registers, which must hold, and memories, which make the array wait, until `stop` is set."""
        rng = np.random.default_rng(seed)
        image = self._loaded()
        held = {name: await self._registers(name) for name in ("identity", "seed", "layers", "error")}
        while not stop.is_set():
            name = list(held)[rng.integers(len(held))]
            value = await self._registers(name)
            if value != held[name]:
                raise DeviceError(f"array: register {name} was {held[name]:#x} and reads {value:#x} while at work")
            space, most = ((Space.WEIGHTS, image.chunks), (Space.MEMBRANES, 4), (Space.TRACES, 4))[rng.integers(3)]
            await self._read(space, 0, int(rng.integers(0, most + 1)))
            await self._harness.idle(int(rng.integers(20, 200)))

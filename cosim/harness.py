# SPDX-License-Identifier: Apache-2.0
"""The simulated array behind `harness.v`: its build, and the cocotb side of its bursts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles

from ..arch.array import ArrayConfig
from ..arch.errors import DeviceError
from ..arch.events import EVENT_NEURON_BITS
from . import backdoor
from .port import HangError, Words, bursts, joined, strided
from .simulators import Build, Simulator, build

BURST = 256
"""32-bit slots of a burst."""

CYCLE_LIMIT = 4_000_000
"""Most cycles of a burst: no time step of a network that fits takes longer."""

_BROKEN = (
    "the responses stream withdrew or changed a word before it was taken",
    "the events stream withdrew or changed a word before it was taken",
    "the results stream withdrew or changed a word before it was taken",
    "a handshake is unknown (X)",
)


def build_array(
    array: ArrayConfig,
    *,
    sim: Simulator = "verilator",
    waves: bool = False,
    fast: bool = True,
    verilog: str | None = None,
) -> Build:
    """The array of `array` under the harness, compiled for `sim`; `verilog`, say a netlist, replaces the array's."""
    if verilog is None:
        from ..rtl.array import Array
        from .verilog import to_verilog

        verilog = to_verilog(Array(array), name="array")
    sources = {
        "harness.v": (Path(__file__).parent / "harness.v").read_text(),
        "array.v": verilog,
        "backdoor.vh": backdoor.statements(verilog),
    }
    parameters = {
        "BURST": BURST,
        "CLASSES": array.classes,
        "EVENT_BITS": EVENT_NEURON_BITS + array.layer_bits,
        "RESULT_BITS": array.membrane_bits + 17,
    }
    return build(sim, sources, toplevel="harness", parameters=parameters, waves=waves, fast=fast)


class Harness:
    """Bursts of words to and from the array: each call costs Python a few wake-ups, however many cycles pass."""

    def __init__(self, dut: Any, *, stall_seed: int = 0, limit: int = CYCLE_LIMIT) -> None:
        self._dut = dut
        self._limit = limit
        self._stall_seed = stall_seed
        self._events: list[npt.NDArray[Any]] = []
        self._results: list[npt.NDArray[Any]] = []
        self._toggles: Mapping[str, Any] = {
            name: getattr(dut, name) for name in ("item_go", "request_go", "event_take", "result_take")
        }
        self._levels = dict.fromkeys(self._toggles, 0)
        self._drained: dict[str, int] = {}
        self._dumps = 0
        Clock(dut.clk, 2, unit="ns").start()

    async def reset(self) -> None:
        """Pull `rst` for a few cycles; empties every buffer, but no memory of the array."""
        dut = self._dut
        dut.rst.value = 1
        dut.limit.value = self._limit
        dut.stall_seed.value = self._stall_seed
        for name in ("item_settle", "item_count", "item_words", "request_write", "request_address", "request_count"):
            getattr(dut, name).value = 0
        for name in ("request_run", "request_skip", "request_words"):
            getattr(dut, name).value = 0
        dut.dump.value = self._dumps = 0
        for name, handle in self._toggles.items():
            handle.value = 0
            self._levels[name] = 0
        await ClockCycles(dut.clk, 4)
        dut.rst.value = 0
        await ClockCycles(dut.clk, 2)
        self._events.clear()
        self._results.clear()
        self._drained.clear()

    async def items(self, words: Words, *, settle: bool) -> None:
        """Pour items into the array; with `settle` return only when it waits and everything it had to send is here."""
        for start in range(0, len(words), BURST):
            part = words[start : start + BURST]
            self._put("item_words", part)
            self._dut.item_count.value = len(part)
            self._dut.item_settle.value = int(settle and start + BURST >= len(words))
            self._toggle("item_go")
            await self._until("item")

    async def write(self, address: int, words: Words, *, run: int = 0, skip: int = 0) -> None:
        """Write words at ascending addresses; after each `run` of them `skip` addresses are left out."""
        for start, part in bursts(words, run, BURST):
            self._put("request_words", part)
            await self._request(strided(address, start, run, skip), len(part), run, skip, write=True)

    async def read(self, address: int, count: int, *, run: int = 0, skip: int = 0) -> Words:
        """Read `count` words, addressed as in `write`."""
        parts = []
        for start, part in bursts(np.zeros(count, np.uint32), run, BURST):
            await self._request(strided(address, start, run, skip), len(part), run, skip, write=False)
            parts.append(self._get("response_words", len(part)))
        return np.concatenate(parts) if parts else np.zeros(0, np.uint32)

    def take_events(self) -> Words:
        """Entries of the event stream since the last call."""
        self._drain()
        return joined(self._events, np.uint32)

    def take_results(self) -> npt.NDArray[np.uint64]:
        """Entries of the result stream since the last call."""
        self._drain()
        return joined(self._results, np.uint64)

    async def idle(self, cycles: int) -> None:
        """Let some clock cycles pass."""
        await ClockCycles(self._dut.clk, cycles)

    async def dump(self, name: str) -> bool:
        """Have the simulator write a memory of `backdoor.NAMES` to files in its folder; False if it cannot."""
        bit = 1 << backdoor.NAMES.index(name)
        if not int(self._dut.dumpable.value) & bit:
            return False
        self._dumps ^= bit
        self._dut.dump.value = self._dumps
        await ClockCycles(self._dut.clk, 2)
        return True

    def cycle(self) -> int:
        """Clock cycles since the reset."""
        return int(self._dut.cycle.value)

    def check(self) -> None:
        """Raise `DeviceError` if the array broke a rule of its streams."""
        broken = int(self._dut.broken.value)
        for bit, text in enumerate(_BROKEN):
            if broken >> bit & 1:
                raise DeviceError(f"array: {text}", "a fault of the hardware: record waves")

    async def _request(self, address: int, count: int, run: int, skip: int, *, write: bool) -> None:
        dut = self._dut
        dut.request_address.value = address
        dut.request_count.value = count
        dut.request_run.value = run
        dut.request_skip.value = skip
        dut.request_write.value = int(write)
        self._toggle("request_go")
        await self._until("request")

    async def _until(self, burst: str) -> None:
        """Sleep until the burst of items or of a request has ended, emptying full buffers on the way."""
        dut, level = self._dut, self._levels[f"{burst}_go"]
        done = getattr(dut, f"{burst}_done")
        while True:
            await dut.attention.value_change
            self._drain()
            if int(done.value) == level:
                break
        if int(getattr(dut, f"{burst}_timed_out").value):
            raise HangError(
                f"array: a burst ({burst}) took over {self._limit} cycles", "a fault of the hardware: record waves"
            )

    def _drain(self) -> None:
        """Empty the event and result buffers of the harness."""
        now = self.cycle()
        for name, buffer, kind in (("event", self._events, "<u4"), ("result", self._results, "<u8")):
            count = int(getattr(self._dut, f"{name}_count").value)
            # A take is seen at the next edge: until then the old count still stands.
            if count and self._drained.get(name) != now:
                buffer.append(self._get(f"{name}_words", count, kind))
                self._toggle(f"{name}_take")
                self._drained[name] = now

    def _toggle(self, name: str) -> None:
        self._levels[name] ^= 1
        self._toggles[name].value = self._levels[name]

    def _put(self, name: str, words: Words) -> None:
        getattr(self._dut, name).value = int.from_bytes(np.ascontiguousarray(words, "<u4").tobytes(), "little")

    def _get(self, name: str, count: int, kind: str = "<u4") -> npt.NDArray[Any]:
        """The first `count` slots of a wide port. Slots beyond may be unknown (X), and are cut off first."""
        handle = getattr(self._dut, name)
        bits = count * np.dtype(kind).itemsize * 8
        text = str(handle.value)[-bits:]
        if not set(text) <= {"0", "1"}:
            raise DeviceError(f"array: unknown bits (X) in {name}", "a memory was read before it was written")
        return np.frombuffer(int(text, 2).to_bytes(bits // 8, "little"), kind)

# SPDX-License-Identifier: Apache-2.0
"""The cocotb side of `session.Session` for an array on a bus: accesses come from the driver of every other array."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, Combine, FallingEdge, RisingEdge
from cocotbext import axi

from ..arch.array import ArrayConfig
from ..arch.bus import Reply
from ..arch.errors import DeviceError
from ..arch.link import Depths
from .bus_port import BusPort
from .driver import ArrayDriver
from .serving import answer_calls, job

CLOCK_LIMIT = 20_000
"""Most clocks of an access: the longest waits until all memories are cleared."""


def stalls(seed: int) -> Iterator[bool]:
    """Whether a channel pauses, clock by clock: some clocks long, at times for longer than an access takes."""
    rng = random.Random(seed)
    while True:
        yield from [True] * int(rng.expovariate(rng.choice((0.5, 0.5, 0.03))))
        yield from [False] * (1 + int(rng.expovariate(0.1)))


class AxiLiteHost:
    """Reads and writes words through AXI4-Lite; `stall_seed` other than 0 pauses every channel at random."""

    def __init__(self, dut: Any, *, stall_seed: int) -> None:
        self._dut = dut
        self._master = axi.AxiLiteMaster(axi.AxiLiteBus.from_prefix(dut, "s_axi"), dut.clk, dut.rst)
        read, write = self._master.read_if, self._master.write_if
        if stall_seed:
            channels = (write.aw_channel, write.w_channel, write.b_channel, read.ar_channel, read.r_channel)
            for index, channel in enumerate(channels):
                channel.set_pause_generator(stalls(stall_seed * len(channels) + index))
        for channel, payload in (("b", ("bresp",)), ("r", ("rresp", "rdata"))):
            cocotb.start_soon(self._watch(channel, payload))

    async def write(self, address: int, word: int) -> int:
        """Write a word; the reply."""
        answer = await self._master.write(address, word.to_bytes(4, "little"))
        return int(answer.resp)

    async def write_part(self, address: int, word: int, size: int) -> int:
        """Write the lowest `size` bytes of a word; the reply."""
        answer = await self._master.write(address, word.to_bytes(4, "little")[:size])
        return int(answer.resp)

    async def read(self, address: int) -> tuple[int, int]:
        """Read a word; it and the reply."""
        answer = await self._master.read(address, 4)
        return int.from_bytes(answer.data, "little"), int(answer.resp)

    async def _watch(self, channel: str, payload: Sequence[str]) -> None:
        """What is offered must stay until it is taken."""
        dut = self._dut
        valid, ready = (getattr(dut, f"s_axi_{channel}{name}") for name in ("valid", "ready"))
        words = [getattr(dut, f"s_axi_{name}") for name in payload]
        offered: list[str] = []
        while True:
            await FallingEdge(dut.clk)
            now = [str(word.value) for word in words] if str(valid.value) == "1" else []
            assert not offered or now == offered, f"{channel} was withdrawn or changed before it was taken"
            await RisingEdge(dut.clk)
            offered = [] if int(ready.value) or int(dut.rst.value) else now


class WishboneHost:
    """Reads and writes words through Wishbone; with `stall_seed` cycles are broken off and done again at random."""

    def __init__(self, dut: Any, *, stall_seed: int) -> None:
        self._dut = dut
        self._random = random.Random(stall_seed) if stall_seed else None
        for name in ("cyc", "stb", "we", "adr", "dat_w", "sel"):
            getattr(dut, f"wb_{name}").value = 0

    async def write(self, address: int, word: int) -> int:
        """Write a word; the reply, which is SLVERR for every error."""
        return (await self._cycle(address, word, 15))[1]

    async def write_part(self, address: int, word: int, size: int) -> int:
        """Write the lowest `size` bytes of a word; the reply."""
        return (await self._cycle(address, word, (1 << size) - 1))[1]

    async def read(self, address: int) -> tuple[int, int]:
        """Read a word; it and the reply."""
        if self._random and self._random.random() < 0.3:
            await self._begin(address, None, 15)
            await ClockCycles(self._dut.clk, self._random.randrange(1, 12))
            await self._end()
        return await self._cycle(address, None, 15)

    async def _begin(self, address: int, word: int | None, select: int) -> None:
        dut = self._dut
        dut.wb_adr.value = address
        dut.wb_dat_w.value = word or 0
        dut.wb_we.value = int(word is not None)
        dut.wb_sel.value = select
        dut.wb_cyc.value = dut.wb_stb.value = 1

    async def _end(self) -> None:
        dut = self._dut
        dut.wb_cyc.value = dut.wb_stb.value = 0
        await ClockCycles(dut.clk, self._random.randrange(1, 4) if self._random else 1)

    async def _cycle(self, address: int, word: int | None, select: int) -> tuple[int, int]:
        dut = self._dut
        await self._begin(address, word, select)
        for _ in range(CLOCK_LIMIT):
            await FallingEdge(dut.clk)
            ack, error, data = (getattr(dut, f"wb_{name}").value for name in ("ack", "err", "dat_r"))
            if int(ack) or int(error):
                assert not (int(ack) and int(error)), "both ack and err"
                await RisingEdge(dut.clk)
                await self._end()
                return (0 if word is not None else int(data)), Reply.OKAY if int(ack) else Reply.SLVERR
        raise DeviceError(f"bus: no answer at {address:#x}", "a fault of the hardware: record waves")


class BusDriver(ArrayDriver):
    """The driver of an array behind a bus, and single accesses as the bus answers them."""

    def __init__(self, dut: Any, host: AxiLiteHost | WishboneHost, array: ArrayConfig, depths: Depths) -> None:
        self._dut = dut
        self._host = host
        super().__init__(BusPort(self, array, depths), array)

    async def reset(self, *, clear: bool = True) -> None:
        """Pull `rst`, then as every driver."""
        await self.pull_reset()
        await super().reset(clear=clear)

    async def pull_reset(self) -> None:
        """Pull `rst` alone."""
        self._dut.rst.value = 1
        await ClockCycles(self._dut.clk, 4)
        self._dut.rst.value = 0
        await ClockCycles(self._dut.clk, 1)

    async def write(self, address: int, word: int) -> None:
        """Write a word; raise `DeviceError` unless the bus says OKAY."""
        self._check_reply(address, await self._host.write(address, word))

    async def read(self, address: int) -> int:
        """Read a word; raise `DeviceError` unless the bus says OKAY."""
        word, reply = await self._host.read(address)
        self._check_reply(address, reply)
        return word

    async def replies(self, accesses: Sequence[tuple[str, int, int]]) -> list[tuple[int, int]]:
        """The word and the reply of each `(kind, address, word)`; kind `write`, `read`, or the bytes of a part."""
        answers = []
        for kind, address, word in accesses:
            if kind == "read":
                answers.append(await self._host.read(address))
            elif kind == "write":
                answers.append((0, await self._host.write(address, word)))
            else:
                answers.append((0, await self._host.write_part(address, word, int(kind))))
        return answers

    async def together(self, reads: Sequence[int], writes: Sequence[tuple[int, int]]) -> list[int]:
        """Words of `reads`, with all of them and all `writes` under way at once, as far as the bus takes them."""
        writing = [cocotb.start_soon(self.write(address, word)) for address, word in writes]
        reading = [cocotb.start_soon(self.read(address)) for address in reads]
        await Combine(*writing, *reading)
        return [task.result() for task in reading]

    def _check_reply(self, address: int, reply: int) -> None:
        if reply != Reply.OKAY:
            raise DeviceError(f"bus: {Reply(reply).name} at {address:#x}", "see docs/export.md")


@cocotb.test()
async def serve(dut: Any) -> None:
    """Answer calls on a `BusDriver`. While it waits for one the simulation stands still."""
    work = job()
    depths = Depths.model_validate(work.settings["depths"])
    Clock(dut.clk, 2, unit="ns").start()
    dut.rst.value = 1
    # Signals have values from here on, as the hosts want them.
    await ClockCycles(dut.clk, 1)
    host = (AxiLiteHost if work.settings["bus"] == "axi-lite" else WishboneHost)(
        dut, stall_seed=work.settings["stall_seed"]
    )
    await answer_calls(BusDriver(dut, host, work.array, depths), work)

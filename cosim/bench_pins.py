# SPDX-License-Identifier: Apache-2.0
"""The cocotb side of `pins.run_on_pins`: a UART that is not ours at the pins of the top level, a host behind it."""

from __future__ import annotations

import logging
import os
import pickle
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
import numpy.typing as npt
from cobs import cobs
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles
from cocotbext.uart import UartSink, UartSource

from ..arch.array import ArrayConfig
from ..arch.packets import (
    ADDRESS_HEADER,
    BODY_MAX,
    LINK_SPACE,
    RESULT_INDEX_BITS,
    RESULTS_SPACE,
    WORDS_MAX,
    Answer,
    Header,
    LinkRegister,
    Request,
    item_bytes,
    pack_request,
    unpack_answer,
)
from ..arch.registers import OFFSET_BITS
from .driver import ArrayDriver
from .pins import CLOCK_NS
from .port import HangError, Words, bursts, joined, strided

SESSION = 0x5A17
SETTLED, FAULT = 1, 2
POLLS = 2000


class PinsPort:
    """A `Port` that sends a packet, awaits its answer, and accepts nothing but what it asked for."""

    def __init__(self, dut: Any, array: ArrayConfig, *, bit_ns: int, results: int) -> None:
        self._source = UartSource(dut.rx, baud=1e9 / bit_ns)
        self._sink = UartSink(dut.tx, baud=1e9 / bit_ns)
        for end in (self._source, self._sink):
            end.log.setLevel(logging.WARNING)
        self._array = array
        self._depth = results
        self._frame = bytearray()
        self._results: list[npt.NDArray[Any]] = []
        self._tail = 0
        self._room = 0
        self.packets = 0

    async def say(self, kind: Request, body: bytes = b"") -> tuple[Header, bytes]:
        """One packet, and its answer."""
        number = self.packets & 0xFF
        await self._source.write(cobs.encode(pack_request(kind, sequence=number, session=SESSION, body=body)) + b"\0")
        while not self._frame.endswith(b"\0"):
            self._frame += await self._sink.read()
        answer = unpack_answer(cobs.decode(bytes(self._frame[:-1])))
        assert answer is not None, f"a damaged answer: {self._frame.hex()}"
        header, words = answer
        self._frame.clear()
        self._room = header.room
        expected = Answer.WORDS if kind == Request.READ else Answer.DONE
        assert (header.kind, header.done, header.next) == (expected, number, number + 1 & 0xFF), header
        assert (header.session, header.flags & FAULT) == (SESSION, 0), header
        self.packets += 1
        return header, words

    async def reset(self) -> None:
        """Say HELLO."""
        await self.say(Request.HELLO)

    async def items(self, words: Words, *, settle: bool) -> None:
        """Items, a packet after the other, and the results that come of them."""
        size = item_bytes(self._array)
        assert size == 3, "items of two bytes are packed otherwise"
        start = 0
        while start < len(words):
            part = words[start : start + min(self._room, BODY_MAX // size)]
            start += len(part)
            header, _ = await self.say(Request.ITEMS, b"".join(int(item).to_bytes(size, "little") for item in part))
            await self._fetch(header.results)
        for _ in range(POLLS if settle else 0):
            header, _ = await self.say(Request.READ, ADDRESS_HEADER.pack(0, 0, 0) + b"\0")
            await self._fetch(header.results)
            if header.flags & SETTLED:
                return
        if settle:
            raise HangError("the array does not come to rest", "a fault of the hardware")

    async def _fetch(self, head: int) -> None:
        """Results up to `head`, one by one, and their room given back."""
        while self._tail != head:
            self._results.append(await self.read(RESULTS_SPACE << OFFSET_BITS | self._tail % self._depth, 1))
            self._tail = self._tail + 1 & 0xFFFF
            tail = np.array([self._tail], np.uint32)
            await self.write(LINK_SPACE << OFFSET_BITS | LinkRegister.RESULTS_TAIL, tail)

    async def write(self, address: int, words: Words, *, run: int = 0, skip: int = 0) -> None:
        """Write words as `Port.write` has it."""
        for start, part in bursts(words, run, WORDS_MAX):
            head = ADDRESS_HEADER.pack(strided(address, start, run, skip), run, skip)
            await self.say(Request.WRITE, head + part.astype("<u4").tobytes())

    async def read(self, address: int, count: int, *, run: int = 0, skip: int = 0) -> Words:
        """Read words as `Port.read` has it."""
        found = b""
        for start, part in bursts(np.zeros(count, np.uint32), run, WORDS_MAX):
            head = ADDRESS_HEADER.pack(strided(address, start, run, skip), run, skip)
            found += (await self.say(Request.READ, head + bytes([len(part)])))[1]
        assert len(found) == 4 * count
        return np.frombuffer(found, "<u4").astype(np.uint32)

    async def dump(self, name: str) -> bool:
        """Pins write no files."""
        return False

    def take_events(self) -> Words:
        """Nothing is recorded."""
        return np.zeros(0, np.uint32)

    def take_results(self) -> npt.NDArray[np.uint64]:
        """Results since the last call, as the array sends them."""
        words = joined(self._results, np.uint32).astype(np.uint64)
        bits = self._array.membrane_bits
        value, index = words & ((1 << bits) - 1), words >> 16 & ((1 << RESULT_INDEX_BITS) - 1)
        return np.asarray(value | index << bits | words >> 31 << (bits + 16), np.uint64)

    def check(self) -> None:
        """Every answer was looked at."""


@cocotb.test()
async def learn_on_pins(dut: Any) -> None:
    """Load a network, learn samples, read back results, weights and the link's registers, all through `rx` and `tx`."""
    job = pickle.loads(Path(os.environ["TRIFACTOR_PINS"]).read_bytes())
    Clock(dut.clk, CLOCK_NS, unit="ns").start()
    dut.rst.value = 1
    port = PinsPort(dut, job["array"], bit_ns=job["bit_ns"], results=job["results"])
    await ClockCycles(dut.clk, 8)
    dut.rst.value = 0
    await ClockCycles(dut.clk, 8)
    driver = ArrayDriver(port, job["array"])
    await driver.reset()
    await driver.configure(job["network"])
    state = job["state"]
    await driver.load(state.weights, seed=state.seed, sample=state.sample)
    answer = await driver.run(job["inputs"], job["labels"], learn=True, record=())
    answer["weights"] = await driver.read_weights()
    answer["sample"] = await driver.sample()
    answer["identity"] = await driver.read_register("identity")
    answer["link"] = (await port.read(LINK_SPACE << OFFSET_BITS, len(LinkRegister))).tolist()
    answer["leds"] = int(dut.leds.value)
    answer["packets"] = port.packets
    Path("answer.pickle").write_bytes(pickle.dumps(answer))

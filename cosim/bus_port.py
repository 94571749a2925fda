# SPDX-License-Identifier: Apache-2.0
"""An array on a system's bus, as the driver of every other sees it: for any bus that reads and writes words."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ..arch.array import ArrayConfig
from ..arch.bus import (
    BUS_VERSION,
    CONTROL_FORGET,
    CONTROL_RELEASE,
    FLAG_RESTING,
    BusRegister,
    bus_address,
    window_bits,
)
from ..arch.errors import DeviceError
from ..arch.events import ItemKind, pack_item
from ..arch.link import Depths, build_hash
from ..arch.packets import EVENTS_SPACE, LINK_SPACE, RESULT_INDEX_BITS, RESULTS_SPACE
from ..arch.registers import OFFSET_BITS
from .port import HangError, Words, joined, strided

COUNT_MASK = 0xFFFF
POLLS = 100_000
"""Reads of the flags without any progress before the array is said to hang."""


class Bus(Protocol):
    """Words at byte addresses of the array's window: a simulated bus, or memory that a system maps."""

    async def write(self, address: int, word: int) -> None:
        """Write a word; raise `DeviceError` if the bus says that it cannot be."""

    async def read(self, address: int) -> int:
        """Read a word; raise `DeviceError` if the bus says that it cannot be."""


class BusPort:
    """Words to and from an array behind a `Bridge` (`rtl/bus.py`): a `Port`."""

    def __init__(self, bus: Bus, array: ArrayConfig, depths: Depths, *, polls: int = POLLS) -> None:
        self._bus = bus
        self._array = array
        self._depths = depths
        self._polls = polls
        self._window = window_bits(array, depths)
        self._results: list[npt.NDArray[Any]] = []
        self._events: list[npt.NDArray[Any]] = []
        self._tails = {RESULTS_SPACE: 0, EVENTS_SPACE: 0}

    async def reset(self) -> None:
        """See that the peripheral is the one that is meant, and let it end what it has begun."""
        version = await self._read(BusRegister.PROTOCOL)
        found = await self._read(BusRegister.HASH_HIGH) << 32 | await self._read(BusRegister.HASH_LOW)
        known = build_hash(self._array, self._depths)
        if (version, found) != (BUS_VERSION, known):
            raise DeviceError(
                f"the bus has build {found:016x}, version {version}, not {known:016x}, version {BUS_VERSION}",
                "is it another export?",
            )
        self._tails = {
            RESULTS_SPACE: await self._read(BusRegister.RESULTS_TAIL),
            EVENTS_SPACE: await self._read(BusRegister.EVENTS_TAIL),
        }
        await self._fetch()
        await self._write(BusRegister.CONTROL, CONTROL_FORGET)
        await self._settle()
        self._results.clear()
        self._events.clear()

    async def items(self, words: Words, *, settle: bool) -> None:
        """Write items as there is room for them, and fetch what comes of them meanwhile."""
        start = idle = 0
        while start < len(words):
            room = await self._read(BusRegister.ROOM)
            for word in words[start : start + room]:
                await self._write(BusRegister.ITEM, int(word))
            start += room
            idle = 0 if room else idle + 1
            await self._fetch()
            if idle > self._polls:
                raise HangError("the array takes no more items", "a fault of the hardware")
        if settle:
            if not len(words) or int(words[-1]) & 0b111 != pack_item(ItemKind.STEP, row=1):
                await self._write(BusRegister.CONTROL, CONTROL_RELEASE)
            await self._settle()

    async def write(self, address: int, words: Words, *, run: int = 0, skip: int = 0) -> None:
        """Write words at ascending addresses; after each `run` of them `skip` addresses are left out."""
        for index, word in enumerate(words):
            await self._bus.write(self._place(strided(address, index, run, skip)), int(word))

    async def read(self, address: int, count: int, *, run: int = 0, skip: int = 0) -> Words:
        """Read `count` words, addressed as in `write`."""
        places = (self._place(strided(address, index, run, skip)) for index in range(count))
        return np.array([await self._bus.read(place) for place in places], np.uint32)

    async def dump(self, name: str) -> bool:
        """A bus writes no files."""
        return False

    def take_events(self) -> Words:
        """Entries of the event stream since the last call."""
        return joined(self._events, np.uint32)

    def take_results(self) -> npt.NDArray[np.uint64]:
        """Entries of the result stream since the last call, as the array sends them."""
        words = joined(self._results, np.uint32).astype(np.uint64)
        bits = self._array.membrane_bits
        value, index = words & ((1 << bits) - 1), words >> 16 & ((1 << RESULT_INDEX_BITS) - 1)
        return np.asarray(value | index << bits | words >> 31 << (bits + 16), np.uint64)

    def check(self) -> None:
        """The bridge keeps the rules of the array's streams; what it refuses the bus says at once."""

    async def _settle(self) -> None:
        """Wait until the array is at rest, fetching what comes."""
        for _ in range(self._polls):
            resting = await self._read(BusRegister.FLAGS) & FLAG_RESTING
            await self._fetch()
            if resting:
                return
        raise HangError("the array does not come to rest", "a fault of the hardware")

    async def _fetch(self) -> None:
        """Read what is in the rings and give its room back."""
        rings = (
            (RESULTS_SPACE, self._depths.results, self._results, BusRegister.RESULTS_HEAD, BusRegister.RESULTS_TAIL),
            (EVENTS_SPACE, self._depths.events, self._events, BusRegister.EVENTS_HEAD, BusRegister.EVENTS_TAIL),
        )
        for space, depth, kept, head, tail in rings:
            first, end = self._tails[space], await self._read(head)
            places = [(first + index) % depth for index in range(end - first & COUNT_MASK)]
            if places:
                words = [await self._bus.read(bus_address(space, place, self._window)) for place in places]
                kept.append(np.array(words, np.uint32))
                self._tails[space] = end
                await self._write(tail, end)

    async def _read(self, register: BusRegister) -> int:
        return await self._bus.read(bus_address(LINK_SPACE, register, self._window))

    async def _write(self, register: BusRegister, word: int) -> None:
        await self._bus.write(bus_address(LINK_SPACE, register, self._window), word)

    def _place(self, address: int) -> int:
        """Byte address of a word address of the register map."""
        return bus_address(address >> OFFSET_BITS, address & ((1 << OFFSET_BITS) - 1), self._window)

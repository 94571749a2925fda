# SPDX-License-Identifier: Apache-2.0
"""An array behind a link, as the driver of the simulated one sees it (`cosim/port.py`)."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import numpy.typing as npt

from ..arch.array import ArrayConfig
from ..arch.errors import DeviceError
from ..arch.events import ROW_BITS, ItemKind, pack_item
from ..arch.link import LinkConfig, build_hash
from ..arch.packets import (
    EVENTS_SPACE,
    LINK_SPACE,
    NARROW_ROW_BITS,
    PROTOCOL_VERSION,
    RESULT_INDEX_BITS,
    RESULTS_SPACE,
    LinkRegister,
    Request,
    item_bytes,
)
from ..arch.registers import OFFSET_BITS
from ..cosim.port import HangError, Words, joined
from .link import SETTLED, LinkSession

COUNT_MASK = 0xFFFF
STEP_SECONDS = 30.0
"""No time step takes longer, on whatever it runs."""


class BoardPort:
    """Words to and from the array of a board, over a `LinkSession`.

    Its methods are coroutines because those of a simulation are; these never wait for anything but the line.
    """

    def __init__(self, session: LinkSession, array: ArrayConfig, link: LinkConfig) -> None:
        self._session = session
        self._array = array
        self._link = link
        self._results: list[npt.NDArray[Any]] = []
        self._events: list[npt.NDArray[Any]] = []
        self._tails = {RESULTS_SPACE: 0, EVENTS_SPACE: 0}

    async def reset(self) -> None:
        """Begin a session, see that the board is the one that is meant, and let it end what it has begun."""
        self._session.hello()
        said = self._session.read(LINK_SPACE << OFFSET_BITS, len(LinkRegister))
        if said[LinkRegister.PROTOCOL] != PROTOCOL_VERSION:
            raise DeviceError(
                f"the board speaks version {said[0]} of the link, this program version {PROTOCOL_VERSION}",
                "build and upload its gateware with this version",
            )
        known = build_hash(self._array, self._link)
        found = int(said[LinkRegister.HASH_HIGH]) << 32 | int(said[LinkRegister.HASH_LOW])
        if found != known:
            raise DeviceError(
                f"the board holds build {found:016x}, not {known:016x}", "upload the bitstream of this configuration"
            )
        self._tails = {
            RESULTS_SPACE: int(said[LinkRegister.RESULTS_TAIL]),
            EVENTS_SPACE: int(said[LinkRegister.EVENTS_TAIL]),
        }
        self._settle()
        self._results.clear()
        self._events.clear()

    async def items(self, words: Words, *, settle: bool) -> None:
        """Send items as the board has room for them, and fetch what comes of them meanwhile."""
        size = item_bytes(self._array)
        packed = _narrowed(words) if size == 2 else words
        start = 0
        limit = time.monotonic() + STEP_SECONDS
        while start < len(packed):
            room = self._session.room()
            if room:
                self._session.items(packed[start : start + room], size)
                start += min(room, len(packed) - start)
                limit = time.monotonic() + STEP_SECONDS
            elif self._session.idle:
                self._session.poll()
            else:
                self._session.pump()
            self._fetch()
            if time.monotonic() > limit:
                raise HangError("the array takes no more items", "a fault of the hardware")
        if settle:
            if not _ends_sample(words):
                self._session.submit(Request.RELEASE)
            self._settle()

    async def write(self, address: int, words: Words, *, run: int = 0, skip: int = 0) -> None:
        """Write words at ascending addresses; after each `run` of them `skip` addresses are left out."""
        self._session.write(address, words, run=run, skip=skip)

    async def read(self, address: int, count: int, *, run: int = 0, skip: int = 0) -> Words:
        """Read `count` words, addressed as in `write`."""
        return self._session.read(address, count, run=run, skip=skip)

    async def dump(self, name: str) -> bool:
        """A board writes no files."""
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
        """The link keeps the rules of its streams; what it notices it says in every answer."""

    def _settle(self) -> None:
        """Wait until the array waits, fetching what comes."""
        limit = time.monotonic() + STEP_SECONDS
        while True:
            settled = self._session.poll().flags & SETTLED
            self._fetch()
            if settled:
                return
            if time.monotonic() > limit:
                raise HangError("the array does not come to rest", "a fault of the hardware")

    def _fetch(self) -> None:
        """Read what is in the rings and give its room back."""
        state = self._session.state
        if state is None:
            return
        rings = (
            (RESULTS_SPACE, state.results, self._link.results, self._results, LinkRegister.RESULTS_TAIL),
            (EVENTS_SPACE, state.events, self._link.events, self._events, LinkRegister.EVENTS_TAIL),
        )
        for space, head, depth, kept, register in rings:
            tail = self._tails[space]
            count = head - tail & COUNT_MASK
            # Not every word at once while there is room: a read costs an answer's header, whatever it carries.
            if not count or (count < depth // 4 and not state.flags & SETTLED):
                continue
            first = tail % depth
            beyond = max(0, first + count - depth)
            parts = [self._session.read(space << OFFSET_BITS | first, count - beyond)]
            if beyond:
                parts.append(self._session.read(space << OFFSET_BITS, beyond))
            kept.extend(parts)
            self._tails[space] = tail + count & COUNT_MASK
            self._session.write(LINK_SPACE << OFFSET_BITS | register, np.array([self._tails[space]], np.uint32))


def _ends_sample(items: Words) -> bool:
    """Whether the last item is the end of a sample."""
    return bool(len(items)) and int(items[-1]) & 0b111 == pack_item(ItemKind.STEP, row=1)


def _narrowed(items: Words) -> Words:
    """Items as they are in two bytes (`arch.packets.item_bytes`)."""
    low = items & ((1 << 2 + NARROW_ROW_BITS) - 1)
    return np.asarray(low | (items >> 2 + ROW_BITS & 1) << 2 + NARROW_ROW_BITS, np.uint32)

# SPDX-License-Identifier: Apache-2.0
"""An array behind a link, as the driver of the simulated one sees it (`cosim/port.py`)."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ..arch.array import ArrayConfig
from ..arch.events import ROW_BITS, ItemKind, pack_item
from ..arch.link import LinkConfig
from ..arch.packets import (
    EVENTS_SPACE,
    LINK_SPACE,
    NARROW_ROW_BITS,
    RESULT_INDEX_BITS,
    RESULTS_SPACE,
    LinkRegister,
    Request,
    item_bytes,
)
from ..arch.registers import OFFSET_BITS
from ..cosim.port import HangError, Words, joined
from .link import SETTLED, LinkSession, Pending, answered

COUNT_MASK = 0xFFFF
STEP_SECONDS = 30.0
"""No time step takes longer, on whatever it runs."""


@dataclass
class Ring:
    """The host's side of a ring of the board's. Words up to `tail` are here, those up to `asked` were asked for."""

    space: int
    depth: int
    register: LinkRegister
    kept: list[npt.NDArray[Any]] = field(default_factory=list)
    tail: int = 0
    asked: int = 0
    under_way: deque[tuple[int, list[Pending]]] = field(default_factory=deque)

    def begin(self, tail: int) -> None:
        """Forget everything; the board says where it is."""
        self.tail = self.asked = tail
        self.under_way.clear()
        self.kept.clear()

    def fetch(self, session: LinkSession, head: int, *, everything: bool) -> None:
        """Take what was answered; ask for what is new up to `head`, `everything` or only when it is worth a packet."""
        before = self.tail
        while self.under_way and all(pending.done for pending in self.under_way[0][1]):
            count, pendings = self.under_way.popleft()
            self.kept.append(answered(pendings, count))
            self.tail = self.tail + count & COUNT_MASK
        if self.tail != before:
            session.write(LINK_SPACE << OFFSET_BITS | self.register, np.array([self.tail], np.uint32))
        count = head - self.asked & COUNT_MASK
        # A read costs an answer's header, whatever it carries.
        if not count or (count < self.depth // 4 and not everything):
            return
        first = self.asked % self.depth
        beyond = max(0, first + count - self.depth)
        for place, words in ((first, count - beyond), (0, beyond)):
            if words:
                self.under_way.append((words, session.ask(self.space << OFFSET_BITS | place, words)))
        self.asked = head


class BoardPort:
    """Words to and from the array of a board, over a `LinkSession`.

    Its methods are coroutines because those of a simulation are; these never wait for anything but the line.
    """

    def __init__(self, session: LinkSession, array: ArrayConfig, link: LinkConfig) -> None:
        self._session = session
        self._array = array
        self._link = link
        self._results = Ring(RESULTS_SPACE, link.results, LinkRegister.RESULTS_TAIL)
        self._events = Ring(EVENTS_SPACE, link.events, LinkRegister.EVENTS_TAIL)
        self._rings = (self._results, self._events)

    async def reset(self) -> None:
        """Begin a session, and let the board end what it has begun."""
        self._session.hello()
        said = self._session.read(LINK_SPACE << OFFSET_BITS, len(LinkRegister))
        for ring in self._rings:
            ring.begin(int(said[ring.register]))
        self._settle()
        for ring in self._rings:
            ring.kept.clear()

    async def items(self, words: Words, *, settle: bool) -> None:
        """Send items as the board has room for them, and fetch what comes of them meanwhile."""
        size = item_bytes(self._array)
        packed = _narrowed(words) if size == 2 else words
        start = 0
        limit = self._session.line.now() + STEP_SECONDS
        while start < len(packed):
            room = self._session.room()
            if room:
                self._session.items(packed[start : start + room], size)
                start += min(room, len(packed) - start)
                limit = self._session.line.now() + STEP_SECONDS
            elif self._session.idle:
                self._session.poll()
            else:
                self._session.pump()
            self._fetch()
            if self._session.line.now() > limit:
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
        return joined(self._events.kept, np.uint32)

    def take_results(self) -> npt.NDArray[np.uint64]:
        """Entries of the result stream since the last call, as the array sends them."""
        words = joined(self._results.kept, np.uint32).astype(np.uint64)
        bits = self._array.membrane_bits
        value, index = words & ((1 << bits) - 1), words >> 16 & ((1 << RESULT_INDEX_BITS) - 1)
        return np.asarray(value | index << bits | words >> 31 << (bits + 16), np.uint64)

    def check(self) -> None:
        """The link keeps the rules of its streams; what it notices it says in every answer."""

    def _settle(self) -> None:
        """Wait until the array waits, fetching what comes."""
        limit = self._session.line.now() + STEP_SECONDS
        while True:
            settled = bool(self._session.poll().flags & SETTLED)
            self._fetch(everything=settled)
            if settled and not any(ring.under_way for ring in self._rings):
                return
            if self._session.line.now() > limit:
                raise HangError("the array does not come to rest", "a fault of the hardware")

    def _fetch(self, *, everything: bool = False) -> None:
        """Ask for what is in the rings, without waiting; keep what has come of it, and give its room back."""
        state = self._session.state
        if state is None:
            return
        for ring, head in zip(self._rings, (state.results, state.events), strict=True):
            ring.fetch(self._session, head, everything=everything)


def _ends_sample(items: Words) -> bool:
    """Whether the last item is the end of a sample."""
    return bool(len(items)) and int(items[-1]) & 0b111 == pack_item(ItemKind.STEP, row=1)


def _narrowed(items: Words) -> Words:
    """Items as they are in two bytes (`arch.packets.item_bytes`)."""
    low = items & ((1 << 2 + NARROW_ROW_BITS) - 1)
    return np.asarray(low | (items >> 2 + ROW_BITS & 1) << 2 + NARROW_ROW_BITS, np.uint32)

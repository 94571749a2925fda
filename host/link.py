# SPDX-License-Identifier: Apache-2.0
"""The host's end of the link: packets in order, each done once, whatever the line does to them (`arch/packets.py`)."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from cobs import cobs

from ..arch.errors import DeviceError
from ..arch.packets import (
    ADDRESS_HEADER,
    BODY_MAX,
    SEQUENCE_MASK,
    WINDOW,
    WORDS_MAX,
    Answer,
    Header,
    Request,
    pack_request,
    unpack_answer,
)
from ..cosim.port import Words, bursts, strided
from .line import Line

PATIENCE: Final = 0.25
"""Seconds without an answer after which everything under way is sent again."""

TRIES: Final = 12
"""How often, before the line is given up."""

FORGETTING: Final = 0.9
"""Of a long round trip so much is left after each shorter one."""

FRAME_MOST: Final = 4096
"""A frame never is longer: noise without a zero is not kept for ever."""

SETTLED, FAULT = 1, 2


@dataclass
class Pending:
    """A packet under way, and what came of it.

    `items` is what it takes of the board's room; `sent` when it was, None once it was sent again; `repeats` how often
    everything had been sent again before.
    """

    kind: Request
    body: bytes
    frame: bytes = b""
    items: int = 0
    sent: float | None = 0.0
    repeats: int = 0
    words: Words | None = None
    done: bool = False


@dataclass
class Statistics:
    """What happened on the line. `item_bytes` are those of packets of samples, without what was sent again."""

    packets: int = 0
    sent_again: int = 0
    damaged: int = 0
    bytes_out: int = 0
    item_bytes: int = 0
    bytes_in: int = 0


@dataclass
class LinkSession:
    """One session with a board, over `line`, which is taken for silent after `patience` seconds of its clock.

    `draw(n)` gives numbers below `n`, for the session's own. Methods raise `DeviceError` when the board does
    not answer `tries` times, was reset, or is used by someone else.
    """

    line: Line
    patience: float = PATIENCE
    draw: Callable[[int], int] = secrets.randbelow
    tries: int = TRIES
    statistics: Statistics = field(default_factory=Statistics)

    def __post_init__(self) -> None:
        self._pending: OrderedDict[int, Pending] = OrderedDict()
        self._received = bytearray()
        self._session = 0
        self._next = 0
        self._open = False
        self._silent = 0
        self._heard = 0.0
        self._repeats = 0
        self._calm = True
        # From sending a packet to its answer, of late: through a deep buffer, or at a low rate, that may be long.
        self._round_trip = 0.0
        self._probe = 1
        self.state: Header | None = None

    def hello(self) -> None:
        """Begin a session; whatever another one left on the line is not taken for an answer."""
        self._pending.clear()
        self._received.clear()
        self._open = False
        self._session = (self._session + 1 + self.draw(0xFFFE)) & 0xFFFF or 1
        self._next = self.draw(SEQUENCE_MASK + 1)
        self._silent, self._heard = 0, self.line.now()
        self._calm, self._probe = True, 1
        # Ends the frame that somebody may have left half sent.
        self._send(b"\0")
        self.finish(self.submit(Request.HELLO))

    def submit(self, kind: Request, body: bytes = b"", *, items: int = 0) -> Pending:
        """Send a packet as soon as the window has room; it is under way when this returns."""
        while len(self._pending) >= WINDOW:
            self.pump()
        pending = Pending(kind, body, items=items)
        self._launch(pending)
        self.pump(0.0)
        return pending

    def finish(self, pending: Pending | None = None) -> None:
        """Wait until the packet, or all of them, are done."""
        while self._pending and (pending is None or not pending.done):
            self.pump()

    def write(self, address: int, words: Words, *, run: int = 0, skip: int = 0) -> None:
        """Write words at ascending addresses; after each `run` of them `skip` addresses are left out."""
        for start, part in bursts(words, run, WORDS_MAX):
            head = ADDRESS_HEADER.pack(strided(address, start, run, skip), run, skip)
            self.submit(Request.WRITE, head + part.astype("<u4").tobytes())

    def ask(self, address: int, count: int, *, run: int = 0, skip: int = 0) -> list[Pending]:
        """Ask for words, addressed as in `write`, and do not wait: `answered` has them when all of it is done."""
        asked = []
        for start, part in bursts(np.zeros(count, np.uint32), run, WORDS_MAX):
            head = ADDRESS_HEADER.pack(strided(address, start, run, skip), run, skip)
            asked.append(self.submit(Request.READ, head + bytes([len(part)])))
        return asked

    def read(self, address: int, count: int, *, run: int = 0, skip: int = 0) -> Words:
        """Read `count` words, addressed as in `write`."""
        asked = self.ask(address, count, run=run, skip=skip)
        for pending in asked:
            self.finish(pending)
        return answered(asked, count)

    @property
    def idle(self) -> bool:
        """Whether nothing is under way."""
        return not self._pending

    def room(self) -> int:
        """Items that the board can take beyond those under way."""
        if self.state is None:
            return 0
        return self.state.room - sum(pending.items for pending in self._pending.values())

    def poll(self) -> Header:
        """The board's state as it is now."""
        self.finish(self.submit(Request.READ, ADDRESS_HEADER.pack(0, 0, 0) + b"\0"))
        if self.state is None:
            raise DeviceError("the board has not said how it is")
        return self.state

    def items(self, items: Words, size: int) -> None:
        """Send items of `size` bytes as far as there is room for; the caller has looked."""
        most = BODY_MAX // size
        for start in range(0, len(items), most):
            part = items[start : start + most].astype("<u4").view(np.uint8).reshape(-1, 4)[:, :size]
            self.submit(Request.ITEMS, part.tobytes(), items=len(part))

    def pump(self, seconds: float | None = None) -> None:
        """Take what has come; after too much silence send the oldest that is under way again."""
        data = self.line.read(min(self.patience, 0.05) if seconds is None else seconds)
        if data:
            self.statistics.bytes_in += len(data)
            self._received += data
            *frames, rest = bytes(self._received).split(b"\0")
            self._received = bytearray(rest[-FRAME_MOST:])
            for frame in frames:
                if frame:
                    self._take(frame)
        silence = self.line.now() - self._heard
        if self._pending and silence > (self.patience + self._round_trip) * (1 + self._silent):
            self._silent += 1
            if self._silent > self.tries:
                raise DeviceError(
                    f"the board does not answer, {self.tries} tries",
                    "is it the right port? another --baud? trifactor ping --baud auto tries the common ones",
                )
            self._heard = self.line.now()
            # All of it would flood a line that is only slow; what is missing behind these is asked for again.
            self._again(self._probe)
            self._probe *= 2
            self._calm = True

    def _launch(self, pending: Pending) -> None:
        """Give a packet the next number and send it."""
        if not self._pending:
            self._heard = self.line.now()
        sequence = self._next
        self._next = sequence + 1 & SEQUENCE_MASK
        packet = pack_request(pending.kind, sequence=sequence, session=self._session, body=pending.body)
        pending.frame = cobs.encode(packet) + b"\0"
        pending.sent, pending.repeats = self.line.now(), self._repeats
        self._pending[sequence] = pending
        self.statistics.packets += 1
        self.statistics.item_bytes += len(pending.frame) if pending.items else 0
        self._send(pending.frame)

    def _send(self, data: bytes) -> None:
        self.statistics.bytes_out += len(data)
        self.line.write(data)

    def _again(self, count: int = WINDOW) -> None:
        """Send what is under way once more, in order, the first `count` packets of it."""
        chosen = list(self._pending.values())[:count]
        self.statistics.sent_again += len(chosen)
        for pending in chosen:
            pending.sent = None
        self._send(b"\0" + b"".join(pending.frame for pending in chosen))

    def _take(self, frame: bytes) -> None:
        """One frame of the board."""
        try:
            answer = unpack_answer(cobs.decode(frame))
        except cobs.DecodeError:
            answer = None
        if answer is None:
            self.statistics.damaged += 1
            return
        header, body = answer
        if header.session != self._session:
            if self._open:
                raise DeviceError(
                    "the board was reset, or another program talks to it", "load the network and its weights again"
                )
            return
        self._heard, self._silent = self.line.now(), 0
        again = header.kind == Answer.AGAIN
        # Before its HELLO was done nothing of this session can be: the numbers then are those of another one.
        if not self._open:
            if again or header.done not in self._pending:
                return
            self._open = True
        if header.flags & FAULT:
            raise DeviceError("the board was asked for something impossible", "is its gateware of this version?")
        self._retire(header, body)
        self.state = header
        # What was under way when all was sent again is refused, too, or doubled: until a packet that came after all of
        # that is done, or there is silence, such answers say nothing new.
        if again and self._pending and self._calm:
            self._again()
            self._repeats += 1
            self._calm = False

    def _retire(self, header: Header, body: bytes) -> None:
        """Everything up to `done` is done; reads whose answer was lost are asked once more."""
        if header.done not in self._pending:
            return
        if header.kind == Answer.WORDS:
            self._pending[header.done].words = np.frombuffer(body, "<u4").astype(np.uint32)
        lost = []
        while self._pending:
            sequence, pending = self._pending.popitem(last=False)
            self._calm |= pending.repeats == self._repeats
            if pending.sent is not None:
                self._probe = 1
                self._round_trip = max(self.line.now() - pending.sent, self._round_trip * FORGETTING)
            if pending.kind == Request.READ and pending.words is None:
                lost.append(pending)
            else:
                pending.done = True
            if sequence == header.done:
                break
        for pending in lost:
            self._launch(pending)


def answered(asked: list[Pending], count: int) -> Words:
    """The `count` words that were asked for, all of it done; `DeviceError` if they are not as many."""
    found = [pending.words for pending in asked if pending.words is not None]
    if sum(map(len, found)) != count:
        raise DeviceError(f"the board answers a read of {count} words with {sum(map(len, found))}")
    return np.concatenate(found) if found else np.zeros(0, np.uint32)

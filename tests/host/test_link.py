# SPDX-License-Identifier: Apache-2.0
"""The host's end of the link against a board in Python, over a line that does to bytes what lines do."""

from __future__ import annotations

import os
import random
from collections import Counter
from typing import Any

import numpy as np
import pytest
from cobs import cobs

from trifactor.arch.errors import DeviceError
from trifactor.arch.packets import (
    ADDRESS_HEADER,
    ANSWER_HEADER,
    REQUEST_HEADER,
    Answer,
    Request,
    crc_matches,
    with_crc,
)
from trifactor.cosim.faults import KINDS, FaultyLine
from trifactor.host.link import LinkSession

ITEM_BYTES = 2
ROOM = 500
SEED = int(os.environ.get("TRIFACTOR_SEED", "11"))


class Board:
    """What `rtl/link.py` does, in Python: the next packet of its session or a HELLO, each once, in order."""

    def __init__(self) -> None:
        self.memory: dict[int, int] = {}
        self.items: list[int] = []
        self.out = bytearray()
        self._in = bytearray()
        self.reset()

    def reset(self) -> None:
        self.session = self.expected = self.done = 0
        self._in.clear()
        self.memory.clear()
        self.items.clear()

    def take(self, data: bytes) -> None:
        self._in += data
        *frames, rest = bytes(self._in).split(b"\0")
        self._in = bytearray(rest)
        for frame in frames:
            if frame:
                self._packet(frame)

    def _packet(self, frame: bytes) -> None:
        try:
            packet = cobs.decode(frame)
        except cobs.DecodeError:
            return self._answer(Answer.AGAIN)
        if len(packet) < REQUEST_HEADER.size + 4 or not crc_matches(packet):
            return self._answer(Answer.AGAIN)
        kind, sequence, session, length = REQUEST_HEADER.unpack_from(packet)
        body = packet[REQUEST_HEADER.size : -4]
        if length != len(body) or (kind != Request.HELLO and (session, sequence) != (self.session, self.expected)):
            return self._answer(Answer.AGAIN)
        self.session, self.done, self.expected = session, sequence, (sequence + 1) & 0xFF
        if kind == Request.ITEMS:
            self.items += [int.from_bytes(body[k : k + ITEM_BYTES], "little") for k in range(0, length, ITEM_BYTES)]
        if kind not in (Request.READ, Request.WRITE):
            return self._answer(Answer.DONE)
        address, run, skip = ADDRESS_HEADER.unpack_from(body)
        rest = body[ADDRESS_HEADER.size :]
        count = rest[0] if kind == Request.READ else len(rest) // 4
        places = [address + k + (k // run * skip if run else 0) for k in range(count)]
        if kind == Request.WRITE:
            self.memory.update(zip(places, np.frombuffer(rest, "<u4").tolist(), strict=True))
            return self._answer(Answer.DONE)
        words = np.array([self.memory.get(place, 0) for place in places], "<u4")
        return self._answer(Answer.WORDS, words.tobytes())

    def _answer(self, kind: Answer, body: bytes = b"") -> None:
        head = ANSWER_HEADER.pack(kind, self.done, self.session, len(body), self.expected, 0, ROOM, 0, 0)
        self.out += cobs.encode(with_crc(head + body)) + b"\0"


class BadLine:
    """A line to a `Board`, in a time of its own, that now and then resets the board."""

    def __init__(self, seed: int, resets: float = 0.0) -> None:
        self.rng = random.Random(seed)
        self.resets = resets
        self.happened = 0
        self.board = Board()
        self.time = 0.0

    def write(self, data: bytes) -> None:
        if self.rng.random() < self.resets:
            self.happened += 1
            self.board.reset()
        self.board.take(data)

    def read(self, seconds: float) -> bytes:
        self.time += 0.0005 if self.board.out else max(seconds, 0.0005)
        most = self.rng.choice((1, 20, 400, 100_000))
        data, self.board.out = bytes(self.board.out[:most]), self.board.out[most:]
        return data

    def now(self) -> float:
        return self.time

    def close(self) -> None:
        pass


def session(line: Any) -> LinkSession:
    made = LinkSession(line, patience=0.05)
    made.hello()
    return made


def work(link: LinkSession, line: BadLine, rng: random.Random, known: dict[int, int], items: list[int]) -> int:
    """A few random requests, checked; how many words were compared."""
    compared = 0
    for _ in range(rng.randrange(1, 12)):
        address, count = rng.randrange(2000), rng.randrange(1, 150)
        run, skip = rng.choice(((0, 0), (0, 0), (3, 1), (5, 3)))
        places = [address + k + (k // run * skip if run else 0) for k in range(count)]
        what = rng.randrange(3)
        if what == 0:
            words = np.array([rng.getrandbits(32) for _ in range(count)], np.uint32)
            link.write(address, words, run=run, skip=skip)
            known.update(zip(places, words.tolist(), strict=True))
        elif what == 1:
            found = link.read(address, count, run=run, skip=skip)
            assert found.tolist() == [known.get(place, 0) for place in places]
            compared += count
        else:
            sent = np.array([rng.getrandbits(16) for _ in range(count)], np.uint32)
            link.items(sent, ITEM_BYTES)
            items += sent.tolist()
    link.finish()
    assert line.board.memory == known
    assert line.board.items == items
    items.clear()
    line.board.items.clear()
    return compared


def under_faults(seed: int, faults: int, rate: float, resets: float = 0.0) -> Counter[str]:
    """Work until so many faults have happened; what happened."""
    rng = random.Random(seed)
    line = BadLine(seed, resets)
    spoilt = FaultyLine(line, seed, rate)
    link = session(spoilt)
    known: dict[int, int] = {}
    items: list[int] = []
    happened: Counter[str] = Counter()
    while spoilt.counted.total() < faults:
        try:
            happened["compared"] += work(link, line, rng, known, items)
        except DeviceError:
            # A board that was reset has lost what it knew; nobody is told that all is well.
            happened["told"] += 1
            known.clear()
            items.clear()
            line.board.reset()
            while True:
                try:
                    link.hello()
                except DeviceError:
                    continue
                break
            line.board.memory.clear()
            line.board.items.clear()
    happened.update(spoilt.counted)
    happened["reset"] = line.happened
    happened["sent_again"] = link.statistics.sent_again
    return happened


def test_a_good_line_carries_everything_once() -> None:
    line = BadLine(1)
    link = session(line)
    rng = random.Random(1)
    known: dict[int, int] = {}
    items: list[int] = []
    assert sum(work(link, line, rng, known, items) for _ in range(40)) > 1000
    assert (link.statistics.sent_again, link.statistics.damaged) == (0, 0)


@pytest.mark.parametrize("rate", [0.0005, 0.003])
def test_a_bad_line_costs_time_and_nothing_else(rate: float) -> None:
    happened = under_faults(int(1e6 * rate), 1500, rate)
    assert happened["told"] == 0, "a bad line is no reason to give up"
    assert happened["compared"] > 1000
    assert happened["sent_again"] > 100
    assert min(happened[what] for what in KINDS) > 40


def test_a_board_that_is_reset_is_noticed() -> None:
    happened = under_faults(5, 400, 0.0005, resets=0.002)
    assert happened["reset"] > 3
    assert happened["told"] >= 3
    assert happened["compared"] > 1000


@pytest.mark.slow
def test_a_hundred_thousand_faults() -> None:
    happened = under_faults(SEED, 90_000, 0.002)
    assert happened["told"] == 0
    happened += under_faults(SEED + 1, 10_000, 0.001, resets=0.0005)
    assert sum(happened[what] for what in (*KINDS, "reset")) >= 100_000
    assert happened["compared"] > 100_000


def test_a_line_that_is_silent_is_given_up() -> None:
    line = BadLine(1)
    line.board.take = lambda data: None
    with pytest.raises(DeviceError, match="does not answer") as caught:
        session(line)
    assert "--baud" in caught.value.hint


def test_another_session_is_an_error() -> None:
    line = BadLine(1)
    link = session(line)
    other = LinkSession(line, patience=0.05)
    other.hello()
    with pytest.raises(DeviceError, match="was reset, or another program"):
        link.read(0, 1)


class SlowLine(BadLine):
    """A line of so many bytes a second each way, behind a buffer without end: bytes come late, and none is lost."""

    def __init__(self, rate: float) -> None:
        super().__init__(1)
        self.rate = rate
        self.lost = 0
        self._free = 0.0
        self._on_the_way: list[tuple[float, bytes]] = []

    def write(self, data: bytes) -> None:
        for at in range(0, len(data), 16):
            piece = data[at : at + 16]
            self._free = max(self._free, self.time) + len(piece) / self.rate
            self._on_the_way.append((self._free, piece))

    def read(self, seconds: float) -> bytes:
        until = self.time + max(seconds, 0.0001)
        while self._on_the_way and self._on_the_way[0][0] <= until and not self.board.out:
            self.time, piece = self._on_the_way.pop(0)
            self.board.take(piece)
        self.time = max(self.time, until) if not self.board.out else self.time
        data, self.board.out = bytes(self.board.out), self.board.out[:0]
        return data

    @property
    def sent(self) -> float:
        """Seconds that all of it takes on the line."""
        return self._free


@pytest.mark.parametrize("loses", [False, True])
def test_a_slow_line_with_a_deep_buffer_is_not_flooded(loses: bool) -> None:
    # A packet takes longer than the patience of 0.05 s, a window of them 64 times as long.
    line = SlowLine(4000.0)
    link = session(line)
    words = np.arange(58 * 200, dtype=np.uint32)
    if loses:
        link.write(0, words[: 58 * 10])
        at = len(line._on_the_way) // 2
        line._on_the_way[at] = (line._on_the_way[at][0], b"")
    link.write(0, words)
    link.finish()
    assert line.board.memory == dict(enumerate(words.tolist()))
    assert link.statistics.sent_again < 64 * 4
    assert line.time < 2.5 * len(words) * 4 / line.rate

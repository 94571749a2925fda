# SPDX-License-Identifier: Apache-2.0
"""A virtual board whose clock stands still while nobody waits for it: the same bytes give the same clocks."""

from __future__ import annotations

import struct
import subprocess
from collections import deque
from types import TracebackType
from typing import Final, Self

from ..arch.array import ArrayConfig
from ..arch.errors import DeviceError
from ..arch.link import LinkConfig
from .virtual_board import build_virtual_board

BITS_OF_A_BYTE: Final = 10
ASKED: Final = struct.Struct("=III")
ANSWERED: Final = struct.Struct("=II")


class SteppedBoard:
    """The top level of a bitstream in Verilator as a line (`host/line.py`), in the board's own time.

    Time passes only in `read`, as much as it says or less, and nothing that a host does takes any: it is as fast as can
    be. A byte needs `latency` seconds more, each way, than the line itself: what is between a program and the pins, USB
    say. `clocks` have passed since the start, `sent` bytes went to the board and `received` came. A context manager.
    """

    def __init__(self, array: ArrayConfig, link: LinkConfig, *, latency: float = 0.0) -> None:
        program = build_virtual_board(array, link)
        self.link = link
        self.clocks = self.sent = self.received = 0
        self.latency = latency
        self._to_board: deque[tuple[int, bytes]] = deque()
        self._from_board: deque[tuple[int, bytes]] = deque()
        self._reset_at: int | None = None
        self._process = subprocess.Popen(
            [str(program), str(link.divisor), "--stepped"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        if self._process.stdin is None or self._process.stdout is None:
            raise DeviceError("the virtual board has no pipes")
        self._input, self._output = self._process.stdin, self._process.stdout
        if self._output.readline() != b"ready\n":
            raise DeviceError("the virtual board does not start")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def now(self) -> float:
        """Seconds of the board since its start."""
        return self.clocks / self.link.clock

    def use(self, count: int, clocks: int) -> float:
        """Share of the line's rate that so many bytes are in so many clocks."""
        return count * BITS_OF_A_BYTE * self.link.divisor / clocks

    def write(self, data: bytes) -> None:
        """Put bytes on their way."""
        self.sent += len(data)
        self._to_board.append((self.clocks + self._delay, data))

    def read(self, seconds: float) -> bytes:
        """What has come; let up to `seconds` pass for it."""
        deadline = self.clocks + round(seconds * self.link.clock)
        while True:
            data = b"".join(self._due(self._from_board))
            if data or self.clocks >= deadline:
                return data
            sent = b"".join(self._due(self._to_board))
            until = [deadline, *(queue[0][0] for queue in (self._to_board, self._from_board) if queue)]
            reset = self._reset_at is not None and self._reset_at <= self.clocks
            if reset:
                self._reset_at = None
            elif self._reset_at is not None:
                until.append(self._reset_at)
            self._run(min(until) - self.clocks, sent, reset=reset)

    def reset(self, after: int = 0) -> None:
        """Pull the board's reset so many clocks from now."""
        self._reset_at = self.clocks + after

    def close(self) -> None:
        """Let go of the line; the board stays as it is."""

    def end(self) -> None:
        """End the program."""
        self._input.close()
        self._process.wait()
        self._output.close()

    @property
    def _delay(self) -> int:
        return round(self.latency * self.link.clock)

    def _due(self, queue: deque[tuple[int, bytes]]) -> list[bytes]:
        due = []
        while queue and queue[0][0] <= self.clocks:
            due.append(queue.popleft()[1])
        return due

    def _run(self, clocks: int, data: bytes, *, reset: bool) -> None:
        self._input.write(ASKED.pack(clocks, reset, len(data)) + data)
        self._input.flush()
        head = self._output.read(ANSWERED.size)
        if len(head) != ANSWERED.size:
            raise DeviceError("the virtual board has ended")
        passed, count = ANSWERED.unpack(head)
        self.clocks += passed
        if count:
            self.received += count
            self._from_board.append((self.clocks + self._delay, self._output.read(count)))

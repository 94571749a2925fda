# SPDX-License-Identifier: Apache-2.0
"""What bad lines do to bytes, from a seed, each fault counted by its kind."""

from __future__ import annotations

import random
from collections import Counter
from typing import Final, Protocol

BYTE_FAULTS: Final = ("flip", "drop", "double", "insert")
PIECE_FAULTS: Final = ("cut", "repeat")
KINDS: Final = (*BYTE_FAULTS, *PIECE_FAULTS)
PIECE_SHARE: Final = 12
"""One fault in so many is of a piece, not of a byte."""


class AnyLine(Protocol):
    """A line as `host/line.py` has it."""

    def write(self, data: bytes) -> None:
        """Send."""

    def read(self, seconds: float) -> bytes:
        """Receive."""

    def now(self) -> float:
        """The clock that silence is measured with."""

    def close(self) -> None:
        """Let go."""


class Faults:
    """One direction of a bad line. `rate` faults a byte on average, none if it is 0; `counted` says which there were.

    flip, drop, double, insert: a bit, a byte, the byte once more, a byte of noise after it. cut: up to 300 bytes are
    gone. repeat: up to 300 bytes that went before come once more, whole frames where there are any.
    """

    def __init__(self, rng: random.Random, rate: float) -> None:
        self.rng = rng
        self.rate = rate
        self.counted: Counter[str] = Counter()

    def spoilt(self, data: bytes) -> bytes:
        """What arrives of `data`."""
        out = bytearray()
        at = 0
        while at < len(data):
            # Geometric gaps between faults: the same as a throw of dice for every byte.
            gap = int(self.rng.expovariate(self.rate)) if self.rate else len(data)
            out += data[at : at + gap]
            at += gap
            if at >= len(data):
                break
            what = self.rng.choice(BYTE_FAULTS if self.rng.randrange(PIECE_SHARE) else PIECE_FAULTS)
            self.counted[what] += 1
            byte = data[at]
            if what == "cut":
                at += self.rng.randrange(1, 300)
                continue
            at += 1
            out += {
                "flip": bytes([byte ^ 1 << self.rng.randrange(8)]),
                "drop": b"",
                "double": bytes([byte, byte]),
                "insert": bytes([byte, self.rng.randrange(256)]),
                "repeat": bytes([byte]) + self._piece(data[:at]),
            }[what]
        return bytes(out)

    def _piece(self, before: bytes) -> bytes:
        """Up to 300 of the last bytes, from the end of a frame on if one is among them."""
        piece = before[-self.rng.randrange(1, 300) :]
        return piece[piece.find(0) + 1 :]


class FaultyLine:
    """A line that spoils what goes over it, either way, by the same `rate`; `counted` are the faults of both."""

    def __init__(self, line: AnyLine, seed: int, rate: float) -> None:
        self._line = line
        rng = random.Random(seed)
        self._ways = (Faults(rng, rate), Faults(rng, rate))

    @property
    def counted(self) -> Counter[str]:
        """Faults so far, by kind."""
        return self._ways[0].counted + self._ways[1].counted

    def set_rate(self, rate: float) -> None:
        """From now on so many faults a byte."""
        for way in self._ways:
            way.rate = rate

    def write(self, data: bytes) -> None:
        """Send what is left of `data`."""
        self._line.write(self._ways[0].spoilt(data))

    def read(self, seconds: float) -> bytes:
        """What has come, spoilt."""
        return self._ways[1].spoilt(self._line.read(seconds))

    def now(self) -> float:
        """The line's clock."""
        return self._line.now()

    def close(self) -> None:
        """Let go of the line."""
        self._line.close()

# SPDX-License-Identifier: Apache-2.0
"""What `ArrayDriver` needs of whatever is between it and an array: a simulation's harness, or a board's link."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ..arch.errors import DeviceError

Words = npt.NDArray[np.uint32]


class HangError(DeviceError):
    """The array did not get on within the limit."""


class Port(Protocol):
    """Words to and from the streams of an array (`rtl/array.py`)."""

    async def reset(self) -> None:
        """Begin anew: nothing of an earlier use is under way, no memory of the array is changed."""

    async def items(self, words: Words, *, settle: bool) -> None:
        """Pour items into the array; with `settle` return only when it waits and everything it had to send is here.

        Raises `HangError` if it does not get on.
        """

    async def write(self, address: int, words: Words, *, run: int = 0, skip: int = 0) -> None:
        """Write words at ascending addresses; after each `run` of them `skip` addresses are left out."""

    async def read(self, address: int, count: int, *, run: int = 0, skip: int = 0) -> Words:
        """Read `count` words, addressed as in `write`."""

    async def dump(self, name: str) -> bool:
        """Have a memory of `backdoor.NAMES` written to files in this folder; False if that cannot be."""

    def take_events(self) -> Words:
        """Entries of the event stream since the last call."""

    def take_results(self) -> npt.NDArray[np.uint64]:
        """Entries of the result stream since the last call."""

    def check(self) -> None:
        """Raise `DeviceError` if the array broke a rule of its streams."""


def bursts(words: npt.NDArray[Any], run: int, most: int) -> list[tuple[int, npt.NDArray[Any]]]:
    """`words` in parts of `most` at most, each a whole number of runs, with the index of the first.

    Raises `ValueError` if a run is longer than `most`.
    """
    if run > most:
        raise ValueError(f"a run of {run} words does not fit a burst of {most}")
    size = most // run * run if run else most
    return [(start, words[start : start + size]) for start in range(0, len(words), size)]


def strided(address: int, index: int, run: int, skip: int) -> int:
    """Address of word `index`."""
    return address + index + (index // run * skip if run else 0)


def joined(buffer: list[npt.NDArray[Any]], kind: type) -> npt.NDArray[Any]:
    """All parts as one array; the list is empty then."""
    taken = np.concatenate(buffer) if buffer else np.zeros(0, kind)
    buffer.clear()
    return taken

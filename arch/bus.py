# SPDX-License-Identifier: Apache-2.0
"""The register map on a bus of a system: which addresses there are, and what the bus adds to them.

A byte address is `space << window_bits | offset << 2`: every space has a window of the same size, just as large as
the largest needs. Three spaces are the bus's own, with the numbers of the serial link's (`arch/packets.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Literal

from .array import ArrayConfig, ceil_log2
from .link import Depths
from .network import SURROGATE_ENTRIES
from .packets import EVENTS_SPACE, LINK_SPACE, RESULTS_SPACE
from .registers import CONTENT_WORDS, REGISTERS, Space, table_words, weight_chunks

BUS_VERSION: Final = 1
SPACE_BITS: Final = 4
BYTE_BITS: Final = 2
"""Address bits below those of a word."""


class Reply(IntEnum):
    """How an access ended, in AXI's numbers."""

    OKAY = 0
    SLVERR = 2
    DECERR = 3


class BusRegister(IntEnum):
    """Words of the bus's own space; the first ten are those of `arch.packets.LinkRegister`."""

    PROTOCOL = 0
    HASH_LOW = 1
    HASH_HIGH = 2
    PACKAGE = 3
    DEPTHS = 5
    RESULTS_TAIL = 8
    EVENTS_TAIL = 9
    RESULTS_HEAD = 10
    EVENTS_HEAD = 11
    ROOM = 12
    FLAGS = 13
    ITEM = 14
    CONTROL = 15


FLAG_RESTING, FLAG_FAULT = 1, 2
CONTROL_FORGET, CONTROL_RELEASE = 1, 2

BUS_REGISTERS: Final[dict[BusRegister, tuple[Literal["ro", "rw", "wo"], int, str]]] = {
    BusRegister.PROTOCOL: ("ro", 32, f"version of these registers: {BUS_VERSION}"),
    BusRegister.HASH_LOW: ("ro", 32, "build hash, low half: a function of the configuration"),
    BusRegister.HASH_HIGH: ("ro", 32, "build hash, high half"),
    BusRegister.PACKAGE: ("ro", 24, "version of trifactor: patch in bits 7..0, minor in 15..8, major in 23..16"),
    BusRegister.DEPTHS: ("ro", 24, "log2 of the depths: items in bits 7..0, results in 15..8, events in 23..16"),
    BusRegister.RESULTS_TAIL: ("rw", 16, "results that are no longer wanted, modulo 65536"),
    BusRegister.EVENTS_TAIL: ("rw", 16, "recorded spikes that are no longer wanted, modulo 65536"),
    BusRegister.RESULTS_HEAD: ("ro", 16, "results that ever came, modulo 65536; number n is at offset n mod depth"),
    BusRegister.EVENTS_HEAD: ("ro", 16, "recorded spikes that ever came, modulo 65536"),
    BusRegister.ROOM: ("ro", 16, "items that can be written now"),
    BusRegister.FLAGS: ("ro", 2, "bit 0: the array is at rest; bit 1: since the last forget an access was refused"),
    BusRegister.ITEM: ("wo", 21, "item: kind in bits 1..0 (0 event, 1 end of step, 2 begin), row 17..2, shift 20..18"),
    BusRegister.CONTROL: (
        "wo", 2, "of a sample that is not whole, bit 0: what is here is forgotten; bit 1: the array gets it now"
    ),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Window:
    """A space that is there: `words` of 32 bits from its beginning."""

    space: int
    name: str
    words: int
    access: Literal["rw", "ro"] = "rw"


def windows(array: ArrayConfig, depths: Depths | None) -> list[Window]:
    """The spaces of an array; without `depths` those of its own request stream, without a bus."""
    states = array.cores << ceil_log2(array.groups * array.lanes)
    weights = array.cores << ceil_log2(array.weight_words) + ceil_log2(weight_chunks(array))
    words = {
        Space.REGISTERS: len(REGISTERS),
        Space.DESCRIPTORS: table_words(array) + CONTENT_WORDS,
        Space.SURROGATE: SURROGATE_ENTRIES,
        Space.WEIGHTS: weights,
        Space.MEMBRANES: states,
        Space.TRACES: array.trace_words << ceil_log2(array.traces_per_word),
        Space.FACTORS: states,
        **({Space.THRESHOLDS: states} if array.has("thresholds") else {}),
        **({Space.POST_TRACES: states} if array.has("post-trace") else {}),
    }
    own = [
        Window(space=space, name=space.name.lower(), words=count, access="ro" if space == Space.FACTORS else "rw")
        for space, count in words.items()
    ]
    if depths is None:
        return own
    return [
        *own,
        Window(space=LINK_SPACE, name="bus", words=max(BusRegister) + 1),
        Window(space=RESULTS_SPACE, name="results", words=depths.results, access="ro"),
        Window(space=EVENTS_SPACE, name="events", words=depths.events, access="ro"),
    ]


def window_bits(array: ArrayConfig, depths: Depths) -> int:
    """Bits of a byte address within a window."""
    return BYTE_BITS + max(ceil_log2(window.words) for window in windows(array, depths))


def bus_address(space: int, offset: int, bits: int) -> int:
    """Byte address of a word, in windows of `bits` bits.

    >>> hex(bus_address(Space.WEIGHTS, 5, 17))
    '0x60014'
    """
    return space << bits | offset << BYTE_BITS

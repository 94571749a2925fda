# SPDX-License-Identifier: Apache-2.0
"""Packets between host and board: what both sides agree on, as plain data.

A packet is framed by COBS and ends with a zero byte on the line; inside are a header, a body and the CRC-32 of both
(ISO-HDLC, as `zlib.crc32`), all numbers with the lowest byte first. Packets of the host are numbered modulo 256 and
done in their order, each once: the board takes the next number of its session and no other, and says in every answer
which it expects and which it has done.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from .array import ArrayConfig

PROTOCOL_VERSION: Final = 1
BODY_MAX: Final = 240
"""Bytes of a body at most: 60 words."""

CRC_BYTES: Final = 4
REQUEST_HEADER: Final = struct.Struct("<BBHB")
ANSWER_HEADER: Final = struct.Struct("<BBHBBBHHH")
ADDRESS_HEADER: Final = struct.Struct("<IBB")
"""Of READ and WRITE: address of the first word, then `run` and `skip`."""

WORDS_MAX: Final = (BODY_MAX - ADDRESS_HEADER.size) // 4
"""Words that a WRITE carries, or a READ asks for, at most."""

ANSWER_MAX: Final = ANSWER_HEADER.size + 4 * WORDS_MAX
"""Bytes of an answer at most, without its CRC."""

SEQUENCE_MASK: Final = 0xFF
NARROW_ROW_BITS: Final = 13
WINDOW: Final = 64
"""Packets that may be under way: less than half of all numbers, so that an old one is not taken for a new one."""


class Request(IntEnum):
    """What the host says."""

    HELLO = 1
    """A session begins: its number is the header's, the next packet's number one more than this one's. Samples that
    are not whole are forgotten."""
    WRITE = 2
    """Address header, then words: of every `run` words the next address follows, then `skip` addresses are left out
    (`run` 0: none are)."""
    READ = 3
    """Address header, then the number of words in one byte."""
    ITEMS = 4
    """Items of samples, `item_bytes` each. The array gets those of a sample when all of it is here."""
    RELEASE = 5
    """The array gets now what is here of a sample that is not whole: to look at it after a step."""


class Answer(IntEnum):
    """What the board says."""

    DONE = 1
    """`done` and all before it were done."""
    WORDS = 2
    """As DONE, and the words that this READ asked for."""
    AGAIN = 3
    """A packet was damaged, missing, not expected or not of this session: the next one must have the number `next`."""


@dataclass(frozen=True, kw_only=True)
class Header:
    """The header of an answer.

    `done` is the last number done, `next` the number that is expected. `room` is how many items the board can take,
    `results` and `events` how many words it ever put into either ring, modulo 65 536.
    """

    kind: Answer
    done: int
    session: int
    length: int
    next: int
    flags: int
    room: int
    results: int
    events: int


class LinkRegister(IntEnum):
    """Words of the link's own space, `LINK_SPACE`; those from `RESULTS_TAIL` on can be written."""

    PROTOCOL = 0
    HASH_LOW = 1
    HASH_HIGH = 2
    PACKAGE = 3
    CLOCK = 4
    DEPTHS = 5
    FRAMES_DAMAGED = 6
    FRAMES_REFUSED = 7
    RESULTS_TAIL = 8
    EVENTS_TAIL = 9


RESULT_INDEX_BITS: Final = 15
"""A word of the ring of results: the value in bits 15..0, its index above, in bit 31 whether it is the last."""

LINK_SPACE: Final = 13
RESULTS_SPACE: Final = 14
EVENTS_SPACE: Final = 15
"""Spaces of the address map that are the link's, not the array's: its registers and the two rings."""


def item_bytes(config: ArrayConfig) -> int:
    """Bytes of an item on the line: 2 where rows have 13 bits at most and events no value, else 3.

    An item of 2 bytes is the kind in bits 1..0, the row in 14..2, the lowest bit of the shift in bit 15.

    >>> item_bytes(ArrayConfig(axons=1024)), item_bytes(ArrayConfig(axons=1024, event_bits=4))
    (2, 3)
    """
    return 2 if config.event_bits == 1 and config.row_bits <= NARROW_ROW_BITS else 3


def pack_request(kind: Request, *, sequence: int, session: int, body: bytes = b"") -> bytes:
    """A packet of the host, not yet framed.

    >>> pack_request(Request.HELLO, sequence=0, session=0x1234).hex(" ")
    '01 00 34 12 00 32 e3 d4 a0'
    """
    if len(body) > BODY_MAX:
        raise ValueError(f"a body has at most {BODY_MAX} bytes, not {len(body)}")
    head = REQUEST_HEADER.pack(kind, sequence & SEQUENCE_MASK, session, len(body))
    return with_crc(head + body)


def unpack_answer(packet: bytes) -> tuple[Header, bytes] | None:
    """Header and body of a packet of the board, None if it is damaged."""
    if len(packet) < ANSWER_HEADER.size + CRC_BYTES or not crc_matches(packet):
        return None
    kind, done, session, length, following, flags, room, results, events = ANSWER_HEADER.unpack_from(packet)
    body = packet[ANSWER_HEADER.size : -CRC_BYTES]
    if length != len(body) or kind not in set(Answer):
        return None
    header = Header(
        kind=Answer(kind),
        done=done,
        session=session,
        length=length,
        next=following,
        flags=flags,
        room=room,
        results=results,
        events=events,
    )
    return header, body


def with_crc(packet: bytes) -> bytes:
    """`packet` and its CRC."""
    return packet + zlib.crc32(packet).to_bytes(CRC_BYTES, "little")


def crc_matches(packet: bytes) -> bool:
    """Whether the last bytes are the CRC of those before."""
    return zlib.crc32(packet[:-CRC_BYTES]) == int.from_bytes(packet[-CRC_BYTES:], "little")
